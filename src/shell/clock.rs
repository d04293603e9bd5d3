//! The time: for what is counted in seconds left, and for how long statements take.

#![expect(clippy::disallowed_methods, reason = "a shell may look at the clock")]

use std::time::{Instant, SystemTime};

use quorate_ring::WallMicros;

/// This machine's clock. Nodes decide expiry by theirs.
pub(super) fn wall_now() -> WallMicros {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    WallMicros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

/// From when something is timed.
pub(super) fn now() -> Instant {
    Instant::now()
}
