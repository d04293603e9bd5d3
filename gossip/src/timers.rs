//! Timers as values.

use std::collections::BTreeSet;

use quorate_ring::{Instant, NodeId};

/// What is to be done at a time. Those that belong to something that may end early carry its number, its
/// generation: one that comes after the end finds another generation, or none, and does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Probe the next member.
    Probe,
    /// A round of the probe with this sequence number is over.
    Round(u32),
    /// The ping on another's behalf with this sequence number has waited long enough.
    Relay(u32),
    /// A suspicion has run its time, if it still has this generation.
    Judge(NodeId, u64),
    /// Tell news to a few members.
    Spread,
    /// Compare with a live member.
    Exchange,
    /// Try somebody who is not live.
    Reconnect,
}

/// The timers that are set, by time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers(BTreeSet<(Instant, Timer)>);

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(crate) fn cancel(&mut self, at: Instant, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_first().map(|(_, timer)| timer)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn validate(&self) {
        for timer in [Timer::Probe, Timer::Spread, Timer::Exchange, Timer::Reconnect] {
            let set = self.0.iter().filter(|(_, other)| *other == timer).count();
            assert!(set <= 1, "{timer:?} is set {set} times");
        }
    }
}
