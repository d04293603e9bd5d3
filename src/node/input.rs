//! What can happen to a node.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use quorate_ring::{Hlc, Instant, NodeId, TableId, TokenRange, WallMicros};
use quorate_storage::{
    Changed, EngineError, EngineStats, HintPage, Life, Page, PeerRecord, ReadError, Row, State, Write,
    WriteError, Written,
};

use super::{BackupAsked, BackupWork, Inspection};
use crate::{
    coordinator::Step,
    handoff::HintTicket,
    membership::map::MapTicket,
    recovery::{RecoveryTicket, SourceErrand},
    repair::RepairTicket,
    replica::{Errand, PageErrand},
    wire::{BackupStatus, ClientMessage, Frame, PeerMessage, Want},
};

/// A client's connection, as the driver numbers them; never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// One event. Drivers make them; the node does nothing without one.
#[derive(Clone, Debug)]
pub enum Input {
    /// The timer that [`Node::next_timer`](super::Node::next_timer) asked for has come, or any other time.
    Tick,
    /// A client's request arrived.
    Client {
        /// On which connection.
        client: ClientId,
        /// The request.
        frame: Frame<ClientMessage>,
    },
    /// A client's connection is gone: nobody waits for its answers any more.
    ClientGone(ClientId),
    /// A peer's request or answer arrived.
    Peer {
        /// Who sent it, as the connection's certificate proves.
        from: NodeId,
        /// What it says.
        frame: Frame<PeerMessage>,
    },
    /// A connection to a peer is open. Frames sent on an earlier connection will not be answered on it.
    PeerUp {
        /// The peer.
        peer: NodeId,
        /// Its process, as it says.
        life: Life,
        /// What its wall clock shows, as it says.
        wall: WallMicros,
    },
    /// The connection to a peer is lost: frames under way in both directions are lost with it.
    PeerDown(NodeId),
    /// A datagram of gossip arrived: anything at all, from whoever the connection's certificate names. Datagrams may be
    /// lost, doubled and late, and may outlive the connection that carried them.
    Gossip {
        /// From whom.
        from: NodeId,
        /// In gossip's own encoding.
        packet: Bytes,
    },
    /// The disk has done, or failed, what [`Effect::Disk`](super::Effect::Disk) asked.
    DiskDone {
        /// The ticket that the request carried.
        ticket: Ticket,
        /// What came of it.
        result: DiskResult,
    },
    /// Take no new requests from clients; finish those in flight.
    Drain,
}

/// A request for the disk. Requests of one node are carried out in any order, except that a write is
/// carried out after every earlier write.
#[derive(Clone, Debug)]
pub struct DiskRequest {
    /// Comes back with the result.
    pub ticket: Ticket,
    /// Past this the work is worth nothing and may be answered [`DiskResult::Expired`] (rule Q11).
    pub deadline: Instant,
    /// What to do.
    pub operation: DiskOperation,
}

/// What the disk can do for a node.
#[derive(Clone, Debug)]
pub enum DiskOperation {
    /// Read a key's durable state.
    Read(Row),
    /// Read hints for a node, after a row, as many as fit into so many bytes.
    ReadHints {
        /// The node.
        target: NodeId,
        /// Those of these rows alone; `None` for all.
        rows: Option<Arc<BTreeSet<Row>>>,
        /// Where to go on; `None` for the first.
        after: Option<Row>,
        /// Bytes of keys and records.
        bytes_max: usize,
    },
    /// Read a page of ranges of a table.
    Scan(Scan),
    /// Say how much room is used and left.
    Measure,
    /// Read the hashes of a page of ranges of a table.
    Hashes(Scan),
    /// Begin a backup, or say how far it is. It is written beside everything else.
    Backup(BackupWork),
    /// Merge or set something; done once it is durable (rule S1).
    Write(Write),
}

/// Which page is to be read: see [`quorate_storage::scan`].
#[derive(Clone, Debug)]
pub struct Scan {
    /// Of which table.
    pub table: TableId,
    /// Of which ranges.
    pub ranges: Vec<TokenRange>,
    /// What follows this place.
    pub after: Option<Row>,
    /// How many bytes.
    pub bytes_max: usize,
}

/// What came of a request for the disk.
#[derive(Clone, Debug)]
pub enum DiskResult {
    /// Of [`DiskOperation::Read`].
    Read(Result<Option<State>, ReadError>),
    /// Of [`DiskOperation::ReadHints`].
    Hints(Result<HintPage, EngineError>),
    /// Of [`DiskOperation::Scan`].
    Scanned(Result<Page, EngineError>),
    /// Of [`DiskOperation::Measure`].
    Measured(EngineStats),
    /// Of [`DiskOperation::Hashes`].
    Hashed(Result<Page<u64>, EngineError>),
    /// Of [`DiskOperation::Backup`]: how far the last one is, if there is one; or why none is begun.
    Backup(Result<Option<Box<BackupStatus>>, String>),
    /// Of [`DiskOperation::Write`]: durable.
    Written(Result<Written, WriteError>),
    /// Of the writes whose results follow: the records that are others now.
    Changed(Vec<Changed>),
    /// Dropped unexecuted: its deadline had passed.
    Expired,
}

/// What a piece of disk work is for. Drivers carry it from the request to the result, unopened.
#[derive(Clone, Debug)]
pub enum Ticket {
    /// This node's own replica works for an operation of its coordinator.
    Operation {
        /// Which round of which operation.
        step: Step,
        /// Which key.
        row: Row,
        /// What of it is read; none if it is written.
        want: Option<Want>,
    },
    /// What a batch has changed. Comes unasked, before the results of the batch's writes.
    Changed,
    /// This node's replica works for a peer.
    Replica(Box<Errand>),
    /// This node's replica reads a page, for its own coordinator or a peer's.
    Page(Box<PageErrand>),
    /// A bound for the clock (rule V1).
    ClockBound(Hlc),
    /// Work for hinted handoff.
    Hint(HintTicket),
    /// The cluster map, and what was promised about the next one.
    Map(MapTicket),
    /// How much room there is, for gossip.
    Vitals,
    /// What follows from another map. Nothing waits for it: it is made again at the next start if need be.
    Catalog,
    /// What is known of a peer's lives.
    Peer(Box<PeerRecord>),
    /// States that a peer recovers from this node.
    Source(Box<SourceErrand>),
    /// What this node recovers from its peers.
    Recovery(Box<RecoveryTicket>),
    /// Comparisons with peers.
    Repair(Box<RepairTicket>),
    /// Somebody wants to see what this node holds of a key.
    Inspect(Box<Inspection>),
    /// Somebody wants a backup, or to hear of it.
    Backup(Box<BackupAsked>),
}
