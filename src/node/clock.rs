//! The node's hybrid logical clock, with the reservations that make it durable (rule V1).

use quorate_ring::{Actor, Duration, Hlc, Instant, Now, Tag};
use quorate_storage::{HlcClock, MetaWrite, Write};

use super::{DiskOperation, DiskRequest, Effect, Effects, Ticket};

/// Mints tags. A reading is given out only below a bound that is durable; the next bound is asked for
/// before the present one is used up, and an idle node asks for none.
#[derive(Debug)]
pub struct Clock {
    hlc: HlcClock,
    actor: Actor,
    /// The bound that is on its way to the disk.
    requested: Option<Hlc>,
    #[cfg(feature = "mutants")]
    by_wall_alone: bool,
}

impl Clock {
    /// Goes on above `bound`, everything that an earlier process of this node may have given out.
    pub fn resume(bound: Hlc, actor: Actor) -> Self {
        Self {
            hlc: HlcClock::resume(bound),
            actor,
            requested: None,
            #[cfg(feature = "mutants")]
            by_wall_alone: false,
        }
    }

    /// The mistake [`Mutant::ClockAlone`](super::Mutant::ClockAlone).
    #[cfg(feature = "mutants")]
    pub(super) fn forget_all_but_the_wall(&mut self) {
        self.by_wall_alone = true;
    }

    /// A tag above `floor` and above all minted or observed before; `None` if the reservation is used
    /// up: the caller waits for [`Clock::reserved`].
    pub fn mint(&mut self, now: Now, floor: Option<Tag>, effects: &mut Effects) -> Option<Tag> {
        let floor = floor.map_or(Hlc::ZERO, |tag| tag.hlc);
        #[cfg(feature = "mutants")]
        if self.by_wall_alone {
            return Some(Tag { hlc: Hlc(Hlc::from_wall(now.wall).0 + 1), actor: self.actor });
        }
        let minted = self.hlc.tick_above(now.wall, floor);
        self.reserve_if_due(now, effects);
        minted.ok().map(|hlc| Tag { hlc, actor: self.actor })
    }

    /// What the clock shows, as far as that is durable (rule D1): a later reading is never less, whatever
    /// becomes of the process. If it lags behind [`Clock::present`], a reservation is on its way:
    /// [`Clock::reserved`] will be called.
    pub fn durable(&mut self, now: Now, effects: &mut Effects) -> Hlc {
        let shown = self.hlc.durable(now.wall);
        self.reserve_if_due(now, effects);
        shown
    }

    /// What the clock shows, durable or not.
    pub fn present(&self, now: Now) -> Hlc {
        self.hlc.present(now.wall)
    }

    /// Passes `to` and what the wall clock shows, and gives the durable reading then (rule D1); `None` while
    /// the reservation does not reach so far: ask again after [`Clock::reserved`].
    pub fn advance(&mut self, now: Now, to: Hlc, effects: &mut Effects) -> Option<Hlc> {
        self.hlc.observe(to);
        let shown = self.durable(now, effects);
        (shown >= to && shown >= Hlc::from_wall(now.wall)).then_some(shown)
    }

    /// Never mints at or below `hlc` from now on.
    pub fn observe(&mut self, hlc: Hlc) {
        self.hlc.observe(hlc);
    }

    /// The last reading that a working clock elsewhere can have reached: `offset` above the wall or above
    /// all that was heard of.
    pub fn horizon(&self, now: Now, offset: Duration) -> Hlc {
        let ahead = (offset.as_millis() as u64) << Hlc::LOGICAL_BITS;
        Hlc(self.hlc.last().max(Hlc::from_wall(now.wall)).0.saturating_add(ahead))
    }

    /// `bound` is durable.
    pub fn reserved(&mut self, bound: Hlc) {
        self.hlc.reserved(bound);
        if self.requested.is_some_and(|requested| requested <= bound) {
            self.requested = None;
        }
    }

    /// The disk has no room for a bound: the next mint asks again.
    pub fn reservation_failed(&mut self) {
        self.requested = None;
    }

    /// The last reading.
    pub fn last(&self) -> Hlc {
        self.hlc.last()
    }

    fn reserve_if_due(&mut self, now: Now, effects: &mut Effects) {
        let Some(bound) = self.hlc.reservation_due(now.wall) else {
            return;
        };
        if self.requested.is_some_and(|requested| requested >= bound || requested > self.hlc.last()) {
            return;
        }
        self.requested = Some(bound);
        let operation = DiskOperation::Write(Write::Meta(MetaWrite::HlcBound(bound)));
        let ticket = Ticket::ClockBound(bound);
        effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
    }
}
