//! Timers as values.

use std::collections::BTreeSet;

use quorate_ring::Instant;

/// Timers named by `K`, at most one per name and instant.
#[derive(Clone, Debug)]
pub struct Timers<K>(BTreeSet<(Instant, K)>);

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Sets a timer.
    pub fn set(&mut self, at: Instant, name: K) {
        self.0.insert((at, name));
    }

    /// Takes a timer back; nothing happens if there is none.
    pub fn cancel(&mut self, at: Instant, name: K) {
        self.0.remove(&(at, name));
    }

    /// Whether the timer is set.
    pub fn holds(&self, at: Instant, name: K) -> bool {
        self.0.contains(&(at, name))
    }

    /// How many are set.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The next timer.
    pub fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Who is due, in the order of their times.
    pub fn until(&self, now: Instant) -> impl Iterator<Item = K> {
        self.0.iter().take_while(move |(at, _)| *at <= now).map(|(_, name)| *name)
    }

    /// Takes out the first timer that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (at, _) = self.0.first()?;
        if *at > now {
            return None;
        }
        self.0.pop_first().map(|(_, name)| name)
    }

    /// Panics if a timer is set that never comes.
    pub fn validate(&self) {
        assert!(
            self.0.iter().all(|(at, _)| *at < Instant::NEVER),
            "a timer that never comes needs not be set"
        );
    }
}
