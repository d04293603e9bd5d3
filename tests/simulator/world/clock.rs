//! The clocks of one node: wrong by an offset, running at a rate of their own, and set both ways.

use quorate::ring::{Instant, Now, WallMicros};

use crate::{options::Options, random::Random};

/// A node's clocks as functions of true time.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// How much too fast, in parts per million.
    drift: i64,
    /// Of the wall clock, in microseconds.
    offset: i64,
}

impl Clock {
    /// Draws node `number`'s clocks.
    pub(crate) fn draw(options: &Options, number: u32) -> Self {
        let random = &mut Random::numbered(options.seed, "clock", u64::from(number));
        let mut either_way = |most: u64| random.range(0, 2 * most) as i64 - most as i64;
        Self {
            drift: either_way(options.clock_drift_max),
            offset: either_way(options.clock_offset_max / 1_000),
        }
    }

    /// What the clocks show at `at`.
    pub(crate) fn now(&self, at: u64) -> Now {
        let mono = self.mono(at);
        let wall = START_MICROS + (mono / 1_000) as i64 + self.offset;
        Now { mono: Instant(mono), wall: WallMicros(wall.max(0) as u64) }
    }

    /// The first true time at which the monotonic clock shows `instant`.
    pub(crate) fn when(&self, instant: Instant) -> u64 {
        let million = 1_000_000_i128;
        let mut at = (i128::from(instant.0) * million / (million + i128::from(self.drift))) as u64;
        while self.mono(at) < instant.0 {
            at += 1;
        }
        at
    }

    /// The wall clock is set forward or back.
    pub(crate) fn jump(&mut self, micros: i64) {
        self.offset += micros;
    }

    /// The wall clock is set right.
    pub(crate) fn set_right(&mut self) {
        self.offset = 0;
    }

    fn mono(&self, at: u64) -> u64 {
        (i128::from(at) + i128::from(at) * i128::from(self.drift) / 1_000_000) as u64
    }
}

/// Some day in 2027.
const START_MICROS: i64 = 1_800_000_000_000_000;
