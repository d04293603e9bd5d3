//! What a node wants done.

use bytes::Bytes;
use quorate_gossip::MemberState;
use quorate_ring::{Consistency, Duration, Instant, NodeId, TableId, Tag};
use quorate_storage::HintBacklog;

use super::{ClientId, DiskRequest};
use crate::{
    coordinator::Step,
    membership::map::Fork,
    wire::{ClientMessage, Frame, Outcome, PeerMessage, RequestId},
};

/// One thing for the driver to do. Effects of one input are independent of each other and may be carried
/// out in any order, except that frames to one peer and writes to the disk keep theirs.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Answer a client. Dropped if its connection is gone.
    ToClient {
        /// On which connection.
        client: ClientId,
        /// The answer.
        frame: Frame<ClientMessage>,
    },
    /// Send a frame to a peer. Dropped if there is no connection: the node has heard or will hear
    /// [`Input::PeerDown`](super::Input::PeerDown).
    ToPeer {
        /// To whom.
        peer: NodeId,
        /// What.
        frame: Frame<PeerMessage>,
    },
    /// Send a datagram of gossip to a peer, if there is a connection. It may be lost.
    Gossip {
        /// To whom.
        peer: NodeId,
        /// In gossip's own encoding, at most [`quorate_gossip::DATAGRAM_BYTES_MAX`] bytes.
        packet: Bytes,
    },
    /// Use the disk.
    Disk(DiskRequest),
    /// Tell the operator: something that must not happen, or should not, has happened.
    Alarm(Alarm),
    /// Count something.
    Observe(Observation),
    /// Close the connection to a peer, if there is one, and open another: who is at its end is in doubt (rule R7), or
    /// nobody is.
    Disconnect(NodeId),
    /// Stop in order, as if the operator had said so: somebody asked the node to.
    Drain,
    /// Stop the process: its disk cannot be trusted any more (rule S2). Nothing is acknowledged after it.
    Halt(String),
    /// Stop the process, and let the next one start with a fresh data directory: this one is a copy that was
    /// restored over a later one, and what was lost with that nobody knows (rule V3).
    Abandon(String),
}

/// Something that must not happen, or should not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alarm {
    /// Two different contents under one tag: a bug or corruption (rule V4). A replica that raises it serves the key no
    /// more until it is written anew.
    TagConflict {
        /// In which table.
        table: TableId,
        /// Of which key.
        key: Bytes,
        /// Who holds or sent it.
        node: NodeId,
        /// Which tag, where it is known.
        tag: Option<Tag>,
    },
    /// A record that fails its checksum (rule S3).
    DamagedRecord {
        /// In which table.
        table: TableId,
        /// Of which key.
        key: Bytes,
        /// Who holds it.
        node: NodeId,
        /// What the decoder said.
        reason: String,
    },
    /// A key has many concurrent values, because it is written without being read (rule V6). Raised once for a key,
    /// and again only if it was resolved in between.
    ManySiblings {
        /// In which table.
        table: TableId,
        /// Of which key.
        key: Bytes,
        /// How many.
        siblings: usize,
    },
    /// This node's clock is ahead of its peers', which refuse what it names: it names nothing until the clock is right
    /// (rule V2).
    ClockAhead {
        /// By how much, in milliseconds.
        ahead_ms: u64,
    },
    /// A peer runs on an older copy of its data directory. It is not listened to.
    RolledBack {
        /// The peer.
        node: NodeId,
    },
    /// Two cluster maps claim one epoch: a bug, or more disks were lost at a time than can be borne. The node stops.
    MapFork(Fork),
    /// A peer sent a cluster map that is none.
    BadMap {
        /// The peer.
        node: NodeId,
        /// What is wrong with it.
        reason: String,
    },
    /// For long, no range of a table that this node recovers could be recovered: too few of the other replicas
    /// can be reached, or more disks were lost at a time than can be borne.
    RecoveryStuck {
        /// Which table.
        table: TableId,
        /// How many ranges are left.
        left: usize,
    },
    /// What the records of a cell add up to is not what was kept of it: a bug, or a record that was damaged when it was
    /// added up, and is not any more. It is put right.
    WrongDigest {
        /// The cell's number.
        cell: u32,
    },
    /// This node lost its state, and keys of a table that had no other replica with it.
    DataLost {
        /// The table's name.
        table: String,
    },
}

/// Something worth counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observation {
    /// A client's request ended.
    Request {
        /// The id that whoever asked has drawn.
        request: RequestId,
        /// The operation that it was here, in its first round.
        step: Step,
        /// `get`, `put`, `delete`, ...
        operation: &'static str,
        /// The level that it asked for.
        consistency: Consistency,
        /// Whether it came by way of another node that is no replica of its key.
        forwarded: bool,
        /// What is known of it; `None` for an error of a read.
        outcome: Option<Outcome>,
        /// How long it took, in nanoseconds.
        nanos: u64,
    },
    /// Replicas that were asked for digests disagreed: their states are asked for in a second round (rule Q6).
    DigestMismatch,
    /// Replicas disagreed and a read brought them together.
    ReadRepair,
    /// Another replica was asked because the first was slow (rule Q9).
    Hedge,
    /// Work past its deadline was dropped (rule Q11).
    Expired,
    /// A hint was given to its target.
    HintReplayed,
    /// What is kept for a node that missed writes (rule H1).
    HintsKept {
        /// The node.
        target: NodeId,
        /// How much.
        backlog: HintBacklog,
        /// How long ago the oldest of it was written, as of the last look.
        oldest: Duration,
    },
    /// A hint was given up: too much was kept, it was too old, or the disk had no room (rule H2).
    HintDropped,
    /// A request was turned away for lack of room (rule Q11).
    Overloaded,
    /// A peer was given a state that it lacked (rule A2).
    Repaired,
    /// A comparison with a peer, begun by this node, has ended (rule A2).
    Compared {
        /// The peer.
        peer: NodeId,
        /// `agreed`, `found` if something had to be given, or `failed`.
        outcome: &'static str,
        /// Cells in which the two differed.
        differing: u64,
    },
    /// This node and a peer were found to hold the same of a table, as replicas of one of the sets of nodes that both are
    /// in: what either held at a time the other one holds, too (rule A3).
    Agreed {
        /// The peer.
        peer: NodeId,
        /// The table.
        table: TableId,
        /// Which of the sets, in their order.
        set: u32,
        /// The time, on this node's clock.
        since: Instant,
    },
    /// Records were read and verified (rule S3).
    Scrubbed {
        /// How many bytes they have.
        bytes: u64,
    },
    /// So much of what the records add up to is not known, and is being worked out (rule A1).
    DigestsLeft {
        /// Cells.
        cells: u64,
    },
    /// A damaged record was replaced by what other replicas hold (rule S3).
    Refetched,
    /// Gossip's verdict on a member has changed.
    Member {
        /// Who.
        node: NodeId,
        /// What is held of it now.
        state: MemberState,
    },
    /// This node was suspected, or called dead, and objected: it is slow or badly connected, or was stopped.
    Suspected,
    /// The process was stopped or starved, and calls nobody dead for what it missed.
    Stalled(Duration),
    /// Gossip heard of another process under this node's id, earlier by its clock or at the same time.
    LifeRaised,
    /// How far a table has been recovered (rule R7).
    Recovery {
        /// Which table.
        table: TableId,
        /// Ranges of it that this node serves.
        done: usize,
        /// Ranges of it that this node holds.
        total: usize,
    },
}

/// Collects the effects of inputs; kept and drained by the driver, so that its room is reused.
#[derive(Debug, Default)]
pub struct Effects(Vec<Effect>);

impl Effects {
    /// Adds an effect.
    pub fn push(&mut self, effect: Effect) {
        self.0.push(effect);
    }

    /// Takes all effects in the order in which they arose.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> + '_ {
        self.0.drain(..)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
