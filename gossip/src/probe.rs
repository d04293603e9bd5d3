//! Probes under way, as arithmetic: who was asked, who answered.

use quorate_ring::{Instant, NodeId};

/// A probe by this node.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) target: NodeId,
    /// Rounds that were begun.
    pub(crate) round: u32,
    /// When the present round is over.
    pub(crate) ends: Instant,
    /// Who was asked for help, in any round.
    asked: Vec<NodeId>,
    /// Who of them said that the target does not answer them either.
    nacks: Vec<NodeId>,
}

impl Probe {
    pub(crate) fn new(target: NodeId, ends: Instant) -> Self {
        Self { target, round: 1, ends, asked: Vec::new(), nacks: Vec::new() }
    }

    pub(crate) fn asked(&self) -> &[NodeId] {
        &self.asked
    }

    pub(crate) fn ask(&mut self, helper: NodeId) {
        if !self.asked.contains(&helper) {
            self.asked.push(helper);
        }
    }

    /// Counts a helper's word once, and only if it was asked.
    pub(crate) fn nack(&mut self, helper: NodeId) {
        if self.asked.contains(&helper) && !self.nacks.contains(&helper) {
            self.nacks.push(helper);
        }
    }

    /// Witnesses besides this node.
    pub(crate) fn nacks(&self) -> &[NodeId] {
        &self.nacks
    }

    /// Whether this node's own connection is in doubt: a helper is silent, or there was none (Lifeguard, IV.A).
    pub(crate) fn is_own_fault_likely(&self) -> bool {
        self.nacks.len() < self.asked.len() || self.asked.is_empty()
    }

    pub(crate) fn validate(&self) {
        assert!(self.round >= 1);
        assert!(self.nacks.iter().all(|helper| self.asked.contains(helper)));
        assert!(!self.asked.contains(&self.target), "the target is no helper");
    }
}

/// A ping on another's behalf.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    /// For whom.
    pub(crate) asker: NodeId,
    /// The asker's number.
    pub(crate) sequence: u32,
    pub(crate) target: NodeId,
    /// When to say that there is no answer.
    pub(crate) ends: Instant,
}

/// The most relays under way; requests beyond it are dropped.
pub(crate) const RELAYS_MAX: usize = 1_024;
/// The most probes under way.
pub(crate) const PROBES_MAX: usize = 16;
