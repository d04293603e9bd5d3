//! The only clocks of a running process.

#![expect(clippy::disallowed_methods, reason = "drivers read clocks so that nothing below them has to")]

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::{Instant as OsInstant, SystemTime, UNIX_EPOCH},
};

use quorate_ring::{Instant, Now, WallMicros};

/// Reads the machine's clocks; [`Instant`]s count from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct OsClock {
    origin: OsInstant,
    /// How far a test puts the wall clock wrong, in microseconds.
    shift: Option<&'static AtomicI64>,
}

impl OsClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { origin: OsInstant::now(), shift: None }
    }

    /// The same clock with its wall clock off by so many microseconds as `shift` holds, for tests.
    #[cfg(feature = "server")]
    pub(crate) fn shifted_by(self, shift: &'static AtomicI64) -> Self {
        Self { shift: Some(shift), ..self }
    }

    /// The monotonic clock.
    pub fn mono(&self) -> Instant {
        Instant(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Both clocks. A wall clock before 1970 reads as 1970.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
        let shift = self.shift.map_or(0, |shift| shift.load(Relaxed));
        Now { mono: self.mono(), wall: WallMicros(wall.saturating_add_signed(shift)) }
    }

    /// The same point on tokio's clock.
    #[cfg(feature = "server")]
    pub(crate) fn to_tokio(self, at: Instant) -> tokio::time::Instant {
        let origin = tokio::time::Instant::from_std(self.origin);
        origin.checked_add(at.since(Instant::ZERO)).unwrap_or(origin)
    }
}
