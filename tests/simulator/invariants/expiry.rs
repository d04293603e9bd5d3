//! A version that expires is there until some clock has reached the instant, is gone once all clocks of the cluster have
//! passed it, and once it was found gone never comes back (rule D1).
//!
//! A replica that lost its disk takes no reading from others that no working clock can show (rule V2). So it may stay behind
//! what it showed before, if its clock was wrong by more than is borne then: what was found gone may be found again after.

use quorate::ring::{Hlc, Tag, WallMicros};

/// What clients were told of one key's versions that expire.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    /// The newest version that was found gone.
    gone: Option<Tag>,
    /// How often a clock that was wrong was lost with its disk.
    losses: u64,
}

/// What was known when a request began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clocks {
    /// What the slowest wall clock shows.
    pub(crate) slowest: WallMicros,
    /// The most that any wall clock has ever shown.
    pub(crate) fastest: WallMicros,
    /// How often a clock was set.
    pub(crate) set: u64,
    /// The newest version that had been found gone.
    pub(crate) gone: Option<Tag>,
    /// How often a clock that was wrong had been lost with its disk.
    pub(crate) losses: u64,
}

impl Expiry {
    /// The same with what is known of the key.
    pub(crate) fn known(&self, clocks: Clocks) -> Clocks {
        Clocks { gone: self.gone, losses: self.losses, ..clocks }
    }

    /// A clock that was wrong is lost with its disk.
    pub(super) fn clock_lost(&mut self) {
        self.gone = None;
        self.losses += 1;
    }

    /// A read between `before` and `now` returned the version `tag`, or found that it had expired.
    pub(crate) fn read(
        &mut self,
        tag: Tag,
        expires: Hlc,
        is_gone: bool,
        before: &Clocks,
        now: &Clocks,
    ) -> Result<(), String> {
        if is_gone {
            self.gone = self.gone.max(Some(tag));
            // Clocks count logically within a millisecond, and a few may have been used up.
            let reached = Hlc::from_wall(WallMicros(now.fastest.0 + LOGICAL_MICROS));
            return match reached < expires {
                true => Err(format!("expiry: {tag} is gone before any clock has reached {expires}")),
                false => Ok(()),
            };
        }
        if before.gone >= Some(tag) && before.losses == self.losses {
            return Err(format!("expiry: {tag} is back after it was found gone"));
        }
        if before.set == now.set && Hlc::from_wall(before.slowest) >= expires {
            return Err(format!("expiry: {tag} is there after all clocks have passed {expires}"));
        }
        Ok(())
    }
}

const LOGICAL_MICROS: u64 = 2_000;
