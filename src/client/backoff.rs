//! How long to wait between attempts.

use std::time::Duration;

/// Delays that double, each shortened at random by up to half, so that many clients do not come back at once.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    /// Delays from 50 ms to 2 s, between attempts to reach a node.
    pub(super) const fn of_connections() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(2))
    }

    /// Delays from 5 to 320 ms, between attempts to change a key that others change too: from about as long as a round
    /// of its replicas takes.
    pub(super) const fn of_changes() -> Self {
        Self::new(Duration::from_millis(5), Duration::from_millis(320))
    }

    const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempts: 0 }
    }

    /// The next delay; `random` is any number.
    pub(super) fn next(&mut self, random: u32) -> Duration {
        let full = (self.first * 2_u32.pow(self.attempts.min(DOUBLINGS_MAX))).min(self.longest);
        self.attempts = self.attempts.saturating_add(1);
        full - full.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
    }

    /// The node was reached.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

const DOUBLINGS_MAX: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_within_bounds_and_starts_over() {
        let mut backoff = Backoff::of_connections();
        let delays: Vec<_> = (0..8).map(|_| backoff.next(0).as_millis()).collect();
        assert_eq!(delays, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(backoff.next(u32::MAX), Duration::from_secs(1));
        backoff.reset();
        assert_eq!(backoff.next(u32::MAX), Duration::from_millis(25));
    }
}
