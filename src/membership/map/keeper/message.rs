//! What keepers say to each other.

use std::sync::Arc;

use quorate_ring::{Actor, Epoch, Incarnation};

use super::super::ClusterMap;
use crate::membership::synod::{Ballot, Proposal};

/// A value in a slot: the map that would follow.
pub type Vote = Proposal<Arc<ClusterMap>>;

/// A message from one keeper to another. Any of them may be lost, doubled, late or out of order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapMessage {
    /// Promise me this ballot in the slot after `parent`, which is decided.
    Prepare {
        /// The map whose members decide.
        parent: Arc<ClusterMap>,
        /// The attempt.
        ballot: Ballot,
    },
    /// Promised. To [`MapMessage::Prepare`].
    Promised {
        /// The slot.
        slot: Epoch,
        /// The attempt.
        ballot: Ballot,
        /// The acceptor's life.
        incarnation: Incarnation,
        /// What it accepted under earlier ballots. Not known to be decided.
        accepted: Option<Vote>,
    },
    /// Accept this map in the slot after `parent`, which is decided.
    Accept {
        /// The map whose members decide.
        parent: Arc<ClusterMap>,
        /// The attempt, and the map that would follow.
        vote: Vote,
    },
    /// Accepted. To [`MapMessage::Accept`].
    Accepted {
        /// The slot.
        slot: Epoch,
        /// The attempt.
        ballot: Ballot,
        /// The acceptor's life.
        incarnation: Incarnation,
    },
    /// A later ballot has my promise. To [`MapMessage::Prepare`] and [`MapMessage::Accept`].
    Outbid {
        /// The slot.
        slot: Epoch,
        /// The attempt that is refused.
        ballot: Ballot,
        /// The acceptor's life.
        incarnation: Incarnation,
        /// The ballot that has its promise.
        promised: Ballot,
    },
    /// This map is decided. News from who had it decided, or the answer to whoever asked about an older slot.
    Decided {
        /// The map.
        map: Arc<ClusterMap>,
    },
    /// Which is the newest decided map that you know?
    Fetch {
        /// The process that asks: an answer to an earlier one is no answer.
        asker: Actor,
        /// The epoch that it knows.
        known: Epoch,
        /// The asker's life.
        incarnation: Incarnation,
    },
    /// To [`MapMessage::Fetch`].
    Fetched {
        /// The process that asked.
        asker: Actor,
        /// The newest map; `None` if it is no newer than what the asker knows.
        map: Option<Arc<ClusterMap>>,
        /// Its epoch.
        epoch: Epoch,
        /// The life of who answers.
        incarnation: Incarnation,
    },
    /// The map of this epoch is durable here, and requests are judged by it (rule M3).
    Installed {
        /// The epoch.
        epoch: Epoch,
        /// The life that has it.
        incarnation: Incarnation,
    },
}
