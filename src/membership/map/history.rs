//! Which changes have happened.

use std::collections::VecDeque;

use quorate_ring::Epoch;
use serde::{Deserialize, Serialize};

use super::ChangeId;

/// The names of the last changes, one per epoch.
///
/// Bounded, and still no change happens twice: a [`ChangeId`] says since when it can have happened, and one that
/// may have happened before the first that is remembered is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(VecDeque<ChangeId>);

impl History {
    /// How many changes are remembered.
    pub const CHANGES_MAX: usize = 256;

    /// The epoch that a change made, if it is remembered. `newest` is the epoch of the last change.
    pub fn epoch_of(&self, id: ChangeId, newest: Epoch) -> Option<Epoch> {
        let back = self.0.iter().rev().position(|known| *known == id)?;
        Some(Epoch(newest.0 - back as u64))
    }

    /// The epoch of the map before the first change that is remembered: whatever happened after it is known.
    pub fn oldest(&self, newest: Epoch) -> Epoch {
        Epoch(newest.0 - self.0.len() as u64)
    }

    /// The last change; `None` if there was none.
    pub fn last(&self) -> Option<ChangeId> {
        self.0.back().copied()
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, id: ChangeId) {
        if self.0.len() == Self::CHANGES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(id);
    }
}
