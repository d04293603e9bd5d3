//! Ballots: the order of attempts.

use std::fmt;

use quorate_ring::Actor;
use serde::{Deserialize, Serialize};

/// The number of one attempt to have a value chosen. No two processes ever use the same one, because each has its
/// own actor; a process uses each once, because it only ever goes [`above`](Self::above) what it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Counts attempts.
    pub round: u64,
    /// Who makes this one.
    pub proposer: Actor,
}

impl Ballot {
    /// Before every ballot; nobody uses it.
    pub const ZERO: Self = Self { round: 0, proposer: Actor(0) };

    /// The first ballot of `proposer` that beats this one.
    #[must_use]
    pub fn above(self, proposer: Actor) -> Self {
        // Rounds are counted up one by one: none reaches the end by honest means.
        Self { round: self.round.saturating_add(1), proposer }
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}@{}", self.round, self.proposer)
    }
}
