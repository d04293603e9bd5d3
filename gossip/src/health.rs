//! Lifeguard's local health: how much a node distrusts itself.

use quorate_ring::Duration;

/// A score from 0 (well) to a bound. Waiting times are multiplied by one more than the score (Lifeguard, section
/// IV.A), so a node that is slow, or badly connected, gives others more time instead of accusing them.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    score: u32,
    score_max: u32,
}

impl Health {
    pub(crate) fn new(score_max: u32) -> Self {
        Self { score: 0, score_max }
    }

    /// Others answer: things look better.
    pub(crate) fn improve(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    /// A sign that it is this node which is slow or cut off.
    pub(crate) fn worsen(&mut self, by: u32) {
        self.score = self.score.saturating_add(by).min(self.score_max);
    }

    pub(crate) fn score(&self) -> u32 {
        self.score
    }

    /// A waiting time as this node should apply it.
    pub(crate) fn widened(&self, time: Duration) -> Duration {
        time * (self.score + 1)
    }

    /// A waiting time, widened `factor_max` times at most.
    pub(crate) fn widened_at_most(&self, time: Duration, factor_max: u32) -> Duration {
        time * (self.score + 1).min(factor_max)
    }

    pub(crate) fn validate(&self) {
        assert!(self.score <= self.score_max, "health {} of at most {}", self.score, self.score_max);
    }
}
