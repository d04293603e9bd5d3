//! Replicas that a write did not wait for.
//!
//! A write is answered when as many replicas as its level asks have confirmed it. The others mostly do so a moment
//! later; for those that do not, a hint is left (rule H1). Nobody waits for that.

use std::collections::BTreeMap;

use quorate_ring::{Hlc, Instant, NodeId};
use quorate_storage::{Row, State};

use super::{OperationId, Step};
use crate::handoff::{Hint, Keeper};

/// A write that was answered, and the replicas that have not confirmed it.
#[derive(Debug)]
pub(super) struct Straggler {
    /// The round in which they were sent the state.
    pub(super) round: u8,
    /// Where.
    pub(super) row: Row,
    /// What.
    pub(super) state: State,
    /// Who is missing.
    pub(super) waiting: Vec<NodeId>,
    /// When their time is over.
    pub(super) deadline: Instant,
    /// What those said that refused it.
    pub(super) refusals: Refused,
}

/// How many replicas found a write's tag ahead of every clock (rule V2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    /// So many did.
    pub(super) ahead: usize,
    /// The most that any of them accepts.
    pub(super) limit: Hlc,
    /// So many mean that it is this node's clock which is wrong; none ever do if the tag is not of that clock.
    pub(super) blocking: usize,
}

impl Straggler {
    /// The hint for one of those that are missing.
    pub(super) fn hint(&self, target: NodeId) -> Hint {
        let (row, state) = (self.row.clone(), self.state.clone());
        Hint { target, row, state, keeper: Keeper::Nobody }
    }
}

/// The answered writes of this node that some replica has not confirmed.
#[derive(Debug, Default)]
pub(super) struct Stragglers(BTreeMap<OperationId, Straggler>);

impl Stragglers {
    pub(super) fn insert(&mut self, id: OperationId, straggler: Straggler) {
        self.0.insert(id, straggler);
    }

    /// A replica confirmed, or failed: then its hint is given back. True if all have now spoken.
    pub(super) fn answered(&mut self, step: Step, from: NodeId, is_stored: bool) -> (Option<Hint>, bool) {
        let Some(straggler) = self.0.get_mut(&step.operation) else {
            return (None, false);
        };
        let Some(at) = straggler.waiting.iter().position(|node| *node == from) else {
            return (None, false);
        };
        if straggler.round != step.round {
            return (None, false);
        }
        straggler.waiting.swap_remove(at);
        let hint = (!is_stored).then(|| straggler.hint(from));
        (hint, straggler.waiting.is_empty())
    }

    /// A replica that had not spoken found the tag ahead of what it accepts, `limit`. The most that any accepts, once so
    /// many have that it must be this node's clock which is wrong.
    pub(super) fn refused_as_ahead(&mut self, step: Step, from: NodeId, limit: Hlc) -> Option<Hlc> {
        let straggler = self.0.get_mut(&step.operation)?;
        if straggler.round != step.round || !straggler.waiting.contains(&from) {
            return None;
        }
        let refused = &mut straggler.refusals;
        refused.ahead += 1;
        refused.limit = refused.limit.max(limit);
        (refused.ahead >= refused.blocking).then_some(refused.limit)
    }

    /// A peer is lost: the hints for it.
    pub(super) fn peer_down(&mut self, peer: NodeId) -> Vec<Hint> {
        let mut hints = Vec::new();
        for straggler in self.0.values_mut() {
            if let Some(at) = straggler.waiting.iter().position(|node| *node == peer) {
                straggler.waiting.swap_remove(at);
                hints.push(straggler.hint(peer));
            }
        }
        hints
    }

    /// Ends one: the hints for those that are still missing.
    pub(super) fn remove(&mut self, id: OperationId) -> Option<(Instant, Vec<Hint>)> {
        let straggler = self.0.remove(&id)?;
        let hints = straggler.waiting.iter().map(|node| straggler.hint(*node)).collect();
        Some((straggler.deadline, hints))
    }

    /// Every one.
    pub(super) fn ids(&self) -> Vec<OperationId> {
        self.0.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&OperationId, &Straggler)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use quorate_ring::{Actor, Duration, TableId, Tag, Token};
    use quorate_storage::{Content, Register};

    use super::*;

    /// A frame that comes twice is one replica's word, and one replica may be the one whose clock is wrong.
    #[test]
    fn a_replica_finds_the_clock_ahead_but_once() {
        let tag = Tag { hlc: Hlc(9), actor: Actor(1) };
        let operation = OperationId::first_of(Actor(1));
        let straggler = Straggler {
            round: 2,
            row: Row::new(Token(0), TableId(1), "k"),
            state: State::Register(Register { tag, content: Content::Tombstone }),
            waiting: vec![NodeId(2), NodeId(3)],
            deadline: Instant::ZERO + Duration::from_secs(1),
            refusals: Refused { ahead: 0, limit: Hlc::ZERO, blocking: 2 },
        };
        let mut stragglers = Stragglers::default();
        stragglers.insert(operation, straggler);
        let mut says = |from, round, limit| {
            let step = Step { operation, round };
            let wrong = stragglers.refused_as_ahead(step, NodeId(from), Hlc(limit));
            stragglers.answered(step, NodeId(from), false);
            wrong
        };
        assert_eq!(says(2, 2, 5), None);
        assert_eq!(says(2, 2, 5), None, "it has spoken");
        assert_eq!(says(3, 1, 5), None, "that was another round");
        assert_eq!(says(3, 2, 4), Some(Hlc(5)));
    }
}
