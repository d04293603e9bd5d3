//! What a keeper wants done, and what it says of changes.

use std::sync::Arc;

use quorate_ring::{Actor, Epoch, Incarnation, NodeId, TableId};

use super::{
    super::{ChangeId, ClusterMap, MapName, Refused},
    MapMessage, Vote,
};
use crate::membership::synod::Ballot;

/// One process of one life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// The node.
    pub node: NodeId,
    /// The life of its directory (rule V3).
    pub incarnation: Incarnation,
    /// Drawn at the start of the process.
    pub actor: Actor,
}

/// What a keeper writes down, whole each time: one record in the place of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRecord {
    /// The newest decided map.
    pub map: Arc<ClusterMap>,
    /// The ballot promised in the slot after it.
    pub promised: Ballot,
    /// The map accepted in that slot. Not known to be decided: nothing but the synod ever looks at it.
    pub accepted: Option<Vote>,
    /// The first table id that had not been given out when a decided map first named the life that writes this;
    /// `None` if none has. Of older tables the node may have held rows in an earlier life (rule R7).
    pub named_at: Option<TableId>,
}

/// Names one write of a [`MapRecord`]; they rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MapTicket(pub u64);

/// What a keeper wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapEffect {
    /// Send this, if there is a connection.
    Send {
        /// To whom; never to the node itself.
        to: NodeId,
        /// What.
        message: MapMessage,
    },
    /// Make this durable, after every earlier one, and call [`MapKeeper::persisted`](super::MapKeeper::persisted).
    Persist {
        /// Comes back.
        ticket: MapTicket,
        /// What is to be written.
        record: MapRecord,
    },
    /// This decided map is durable: route by it, and judge requests by it, from now on.
    Install(Arc<ClusterMap>),
    /// A ballot was lost for the so-manieth time in this slot: call [`MapKeeper::resume`](super::MapKeeper::resume)
    /// after a random while that grows with the number.
    BackOff {
        /// Ballots lost in a row.
        losses: u32,
    },
    /// The end of a change that was proposed here.
    Settled {
        /// Which.
        id: ChangeId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Two maps claim to be decided for one epoch: what must never happen has happened. The message that showed it
    /// was ignored; an operator has to look.
    Alarm(Fork),
}

/// Two lines of decided maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two cluster maps claim one epoch: {ours} here, {theirs} there")]
pub struct Fork {
    /// What is known here.
    pub ours: MapName,
    /// What somebody else claims.
    pub theirs: MapName,
}

/// How a change ended (rule Q10).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Outcome {
    /// Applied: it made this epoch.
    #[error("made at {epoch}")]
    Applied {
        /// The epoch.
        epoch: Epoch,
    },
    /// Not applied: it does not fit the newest decided map, and a majority confirmed that this was the newest.
    #[error("refused at {at}: {reason}")]
    Refused {
        /// The map's epoch.
        at: Epoch,
        /// Why.
        reason: Refused,
    },
    /// Not applied: too few acceptors answered in time.
    #[error("{answered} of the {needed} members that must agree answered in time; silent: {}", names(silent))]
    Unreachable {
        /// How many must agree.
        needed: usize,
        /// How many did.
        answered: usize,
        /// Who was not heard from.
        silent: Vec<NodeId>,
    },
    /// Unknown: it was sent to be accepted into this slot, and may still be decided by others. It is not tried
    /// again, so [`ClusterMap::fate`] of any map from this epoch on says what became of it.
    #[error("sent to be decided as {slot}, and no answer in time: it may still happen")]
    Unknown {
        /// The slot.
        slot: Epoch,
    },
    /// Not applied: too many changes wait here already.
    #[error("{waiting} changes wait already")]
    Overloaded {
        /// How many.
        waiting: usize,
    },
}

/// How a process stands with the newest map that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The founders have not all met yet.
    Founding,
    /// The map names this life.
    Named,
    /// The map names another life, and has never named this one: mute until it does (rule M1).
    Unnamed,
    /// The map named this life once and names another now: somebody else goes on in its place. It must stop.
    Replaced,
    /// Not a member, or no more.
    Stranger,
}

fn names(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ")
}
