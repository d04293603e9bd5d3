//! The clocks of one node: wrong by an offset, running at a rate of their own, and set both ways. A wall clock may tick
//! seldom, as some virtual machines' do, so that a node counts logically for long.

use quorate::ring::{Hlc, Instant, Now, WallMicros};

use super::World;
use crate::{invariants::Clocks, options::Options, random::Random};

/// A node's clocks as functions of true time.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// How much too fast, in parts per million.
    drift: i64,
    /// Of the wall clock, in microseconds.
    offset: i64,
    /// How seldom the wall clock ticks, in microseconds.
    tick: i64,
    times_set: u64,
    /// The most that was shown before the wall clock was set, or the process started.
    fastest: WallMicros,
}

impl Clock {
    /// Draws node `number`'s clocks.
    pub(crate) fn draw(options: &Options, number: u32) -> Self {
        let random = &mut Random::numbered(options.seed, "clock", u64::from(number));
        let mut either_way = |most: u64| random.range(0, 2 * most) as i64 - most as i64;
        Self {
            drift: either_way(options.clock_drift_max),
            offset: either_way(options.clock_offset_max / 1_000),
            tick: (options.clock_tick / 1_000) as i64,
            times_set: 0,
            fastest: WallMicros::default(),
        }
    }

    /// What the clocks show at `at`.
    pub(crate) fn now(&self, at: u64) -> Now {
        let mono = self.mono(at);
        let since_start = (mono / 1_000) as i64;
        let wall = START_MICROS + since_start - since_start % self.tick + self.offset;
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

    /// The most that the wall clock, or the hybrid one above it, has shown until `at`.
    pub(crate) fn fastest(&self, at: u64) -> WallMicros {
        self.now(at).wall.max(self.fastest)
    }

    /// A process resumes with a hybrid clock that shows `wall`, which may be ahead (rule V1).
    pub(crate) fn resumes(&mut self, wall: WallMicros) {
        self.fastest = self.fastest.max(wall);
    }

    /// Rule V2: no hybrid clock is carried further than a working one can have come.
    pub(super) fn carried_along(&self, at: u64, tolerance: u64, reading: Hlc) -> Option<String> {
        let shown = self.fastest(at);
        let limit = Hlc::from_wall(WallMicros(shown.0 + tolerance / 1_000 + 1_000));
        (reading > limit).then(|| format!("clock is at {reading}, it showed {shown} at most"))
    }

    /// How often the wall clock was set.
    pub(crate) fn times_set(&self) -> u64 {
        self.times_set
    }

    /// The wall clock is set forward or back at `at`.
    pub(crate) fn jump(&mut self, at: u64, micros: i64) {
        self.set(at, self.offset + micros);
    }

    /// The wall clock is set right at `at`.
    pub(crate) fn set_right(&mut self, at: u64) {
        self.set(at, 0);
    }

    fn set(&mut self, at: u64, offset: i64) {
        self.fastest = self.fastest(at);
        self.times_set += 1;
        self.offset = offset;
    }

    fn mono(&self, at: u64) -> u64 {
        (i128::from(at) + i128::from(at) * i128::from(self.drift) / 1_000_000) as u64
    }
}

impl World {
    /// Whether clocks are, or were, so far apart that a node may take its own for wrong. Its hybrid one may have come
    /// ahead of the wall by starts in quick succession, each of which goes on above a reservation (rule V1).
    pub(super) fn clocks_are_apart(&self) -> bool {
        let Clocks { slowest, fastest, set, .. } = self.clocks();
        let (tick, most) = (self.options.clock_tick, self.options.clock_tolerance / 2);
        set > 0 || tick > most || fastest.0 - slowest.0 > self.options.clock_tolerance / 2_000
    }

    /// What the clocks show.
    pub(crate) fn clocks(&self) -> Clocks {
        let clocks = || self.processes.iter().map(|process| &process.clock);
        Clocks {
            slowest: clocks().map(|clock| clock.now(self.now).wall).min().unwrap_or_default(),
            fastest: clocks().map(|clock| clock.fastest(self.now)).max().unwrap_or_default(),
            set: clocks().map(Clock::times_set).sum(),
            gone: None,
            losses: 0,
        }
    }
}

/// Some day in 2027.
const START_MICROS: i64 = 1_800_000_000_000_000;
