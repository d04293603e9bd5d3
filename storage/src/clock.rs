//! The hybrid logical clock of a node, held below a durable bound so that no crash and no wall clock that
//! steps back makes it repeat a reading (rule V1).

use quorate_ring::{Duration, Hlc, WallMicros};

/// A reading was asked for at or above the durable bound. Make [`HlcClock::reservation_due`] durable, say
/// so with [`HlcClock::reserved`], and ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clock has used up its durable reservation, which ends at {bound}")]
pub struct BoundReached {
    /// The end of what may be issued now.
    pub bound: Hlc,
}

/// Issues readings that strictly increase over the whole life of a data directory.
///
/// Events: [`tick`](Self::tick) and [`tick_above`](Self::tick_above) issue a reading,
/// [`observe`](Self::observe) takes one in from elsewhere, [`reserved`](Self::reserved) reports a durable
/// bound. [`durable`](Self::durable) shows what can never be taken back;
/// [`present`](Self::present), [`reservation_due`](Self::reservation_due) and [`last`](Self::last) only look.
///
/// No reading at or above the durable bound is ever issued; after a restart [`resume`](Self::resume)
/// starts *at* that bound, and so above everything issued before.
#[derive(Clone, Debug)]
pub struct HlcClock {
    /// The least reading that may be issued next.
    next: Hlc,
    /// Durable: every reading issued is below it.
    bound: Hlc,
}

impl HlcClock {
    /// How far ahead of use the bound is reserved. A restart may set the clock ahead of the wall by this
    /// much, so it must stay well below `max_clock_offset` (500 ms), or peers would refuse the node's
    /// first tags (rule V2).
    pub const RESERVATION: Duration = Duration::from_millis(250);

    /// The clock of a process that starts on a directory whose durable bound is `bound`
    /// ([`Hlc::ZERO`] for a fresh one). Issues nothing before the first reservation.
    pub fn resume(bound: Hlc) -> Self {
        Self { next: bound, bound }
    }

    /// The next reading: above every earlier one, not before `wall`.
    ///
    /// # Errors
    ///
    /// [`BoundReached`] if it would not be below the durable bound; the clock is unchanged.
    pub fn tick(&mut self, wall: WallMicros) -> Result<Hlc, BoundReached> {
        self.issue(self.at_least(wall))
    }

    /// The next reading, above `floor` too: what a write needs to exceed the tags its first round heard
    /// of (rule Q4).
    ///
    /// # Errors
    ///
    /// [`BoundReached`] if it would not be below the durable bound. The floor counts as observed then, so
    /// that the reservation due next makes room for it.
    pub fn tick_above(&mut self, wall: WallMicros, floor: Hlc) -> Result<Hlc, BoundReached> {
        self.observe(floor);
        self.tick(wall)
    }

    /// What the clock shows, as far as that is durable: less than the bound, and never less than this method
    /// gave before, whatever becomes of the process. Issues nothing: a tag may be equal to it. It lags behind
    /// [`HlcClock::present`] where the reservation is used up.
    pub fn durable(&mut self, wall: WallMicros) -> Hlc {
        let shown = self.at_least(wall).min(Hlc(self.bound.0.saturating_sub(1)));
        self.next = self.next.max(shown);
        shown
    }

    /// What the clock shows, durable or not.
    pub fn present(&self, wall: WallMicros) -> Hlc {
        self.at_least(wall)
    }

    /// Takes in a reading of another clock: every later reading here is above it.
    pub fn observe(&mut self, seen: Hlc) {
        self.next = self.next.max(Hlc(seen.0.saturating_add(1)));
    }

    /// The bound to make durable next, if half of the reservation is used up. Stays due until
    /// [`HlcClock::reserved`]: the caller keeps one reservation in flight at a time.
    pub fn reservation_due(&self, wall: WallMicros) -> Option<Hlc> {
        let now = self.at_least(wall);
        let left = self.bound.0.saturating_sub(now.0);
        let due = left < span(Self::RESERVATION / 2);
        due.then(|| Hlc(now.0.saturating_add(span(Self::RESERVATION))))
    }

    /// Reports that `bound` is durable. A lower one than before changes nothing.
    pub fn reserved(&mut self, bound: Hlc) {
        self.bound = self.bound.max(bound);
    }

    /// The greatest reading issued or observed so far; right after [`HlcClock::resume`], the last one
    /// below the bound.
    pub fn last(&self) -> Hlc {
        Hlc(self.next.0.saturating_sub(1))
    }

    fn at_least(&self, wall: WallMicros) -> Hlc {
        self.next.max(Hlc::from_wall(wall))
    }

    fn issue(&mut self, reading: Hlc) -> Result<Hlc, BoundReached> {
        if reading >= self.bound {
            return Err(BoundReached { bound: self.bound });
        }
        self.next = reading.next();
        Ok(reading)
    }
}

/// A duration as a difference of readings.
const fn span(duration: Duration) -> u64 {
    (duration.as_millis() as u64) << Hlc::LOGICAL_BITS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Tick,
        TickAbove(u64),
        Observe(u64),
        /// The wall clock moves, either way.
        Wall(i64),
        /// A due reservation is made durable and reported.
        Reserve,
        /// A due reservation becomes durable, but the process dies before it hears of it.
        ReserveAndRestart,
        Restart,
        /// The durable reading is shown to somebody.
        Show,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let near = 0_u64..(2 << 32);
        let step = prop_oneof![
            4 => Just(Step::Tick),
            2 => near.clone().prop_map(Step::TickAbove),
            1 => near.prop_map(Step::Observe),
            1 => any::<u64>().prop_map(Step::Observe),
            3 => (-2_000_000_i64..2_000_000).prop_map(Step::Wall),
            3 => Just(Step::Reserve),
            1 => Just(Step::ReserveAndRestart),
            1 => Just(Step::Restart),
            3 => Just(Step::Show),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn readings_strictly_increase_across_restarts_and_jumps(steps in steps()) {
            let (mut durable, mut wall) = (Hlc::ZERO, WallMicros(10_000_000));
            let mut shown = Hlc::ZERO;
            let mut clock = HlcClock::resume(durable);
            let mut last = None;
            for step in steps {
                let issued = match step {
                    Step::Tick => clock.tick(wall).ok(),
                    Step::TickAbove(floor) => {
                        let issued = clock.tick_above(wall, Hlc(floor)).ok();
                        prop_assert!(issued.is_none_or(|hlc| hlc > Hlc(floor)));
                        issued
                    }
                    Step::Observe(seen) => {
                        clock.observe(Hlc(seen));
                        None
                    }
                    Step::Wall(by) => {
                        wall = WallMicros(wall.0.saturating_add_signed(by));
                        None
                    }
                    Step::Reserve => {
                        if let Some(bound) = clock.reservation_due(wall) {
                            durable = durable.max(bound);
                            clock.reserved(bound);
                        }
                        None
                    }
                    Step::ReserveAndRestart => {
                        durable = durable.max(clock.reservation_due(wall).unwrap_or(Hlc::ZERO));
                        clock = HlcClock::resume(durable);
                        None
                    }
                    Step::Restart => {
                        clock = HlcClock::resume(durable);
                        None
                    }
                    Step::Show => {
                        let now = clock.durable(wall);
                        prop_assert!(shown <= now && now <= clock.present(wall), "{now} after {shown}");
                        prop_assert!(now < durable || now == Hlc::ZERO);
                        shown = now;
                        None
                    }
                };
                prop_assert!(clock.present(wall) >= shown);
                if let Some(issued) = issued {
                    prop_assert!(issued < durable, "{issued} is not below the durable bound {durable}");
                    prop_assert!(last < Some(issued), "{issued} after {last:?}");
                    last = Some(issued);
                }
            }
        }

        #[test]
        fn a_reservation_that_is_kept_up_never_refuses(jumps in proptest::collection::vec(0_u64..100_000, 1..100)) {
            let mut wall = WallMicros(1_700_000_000_000_000);
            let mut clock = HlcClock::resume(Hlc::ZERO);
            for jump in jumps {
                wall = WallMicros(wall.0 + jump);
                if let Some(bound) = clock.reservation_due(wall) {
                    clock.reserved(bound);
                }
                let reading = clock.tick(wall).unwrap();
                prop_assert_eq!(clock.last(), reading);
                prop_assert!(reading >= Hlc::from_wall(wall));
            }
        }
    }

    #[test]
    fn a_fresh_clock_waits_for_its_first_reservation() {
        let wall = WallMicros(5_000_000);
        let mut clock = HlcClock::resume(Hlc::ZERO);
        assert_eq!(clock.tick(wall), Err(BoundReached { bound: Hlc::ZERO }));
        let bound = clock.reservation_due(wall).unwrap();
        assert_eq!(bound.wall(), WallMicros(5_250_000));
        clock.reserved(bound);
        assert_eq!(clock.tick(wall), Ok(Hlc::from_wall(wall)));
        assert_eq!(clock.reservation_due(wall), None);
    }

    #[test]
    fn half_a_reservation_used_makes_the_next_one_due() {
        let mut clock = HlcClock::resume(Hlc::ZERO);
        clock.reserved(Hlc::from_wall(WallMicros(1_250_000)));
        assert_eq!(clock.reservation_due(WallMicros(1_125_000)), None);
        assert_eq!(clock.reservation_due(WallMicros(1_126_000)), Some(Hlc::from_wall(WallMicros(1_376_000))));
    }

    #[test]
    fn the_end_of_time_refuses_instead_of_wrapping() {
        let mut clock = HlcClock::resume(Hlc::ZERO);
        clock.reserved(Hlc(u64::MAX));
        assert!(clock.tick_above(WallMicros(0), Hlc(u64::MAX)).is_err());
        assert!(clock.tick(WallMicros(0)).is_err());
    }
}
