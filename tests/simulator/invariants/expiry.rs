//! A version that expires is there until some clock has reached the instant, is gone once all clocks of the cluster have
//! passed it, and once it was found gone never comes back (rule D1).

use quorate::ring::{Hlc, Tag, WallMicros};

/// What clients were told of one key's versions that expire.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    /// The newest version that was found gone.
    gone: Option<Tag>,
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
}

impl Expiry {
    /// The newest version that was found gone.
    pub(crate) fn gone(&self) -> Option<Tag> {
        self.gone
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
        if before.gone >= Some(tag) {
            return Err(format!("expiry: {tag} is back after it was found gone"));
        }
        if before.set == now.set && Hlc::from_wall(before.slowest) >= expires {
            return Err(format!("expiry: {tag} is there after all clocks have passed {expires}"));
        }
        Ok(())
    }
}

const LOGICAL_MICROS: u64 = 2_000;
