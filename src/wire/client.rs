//! What clients and nodes say to each other.

use bytes::Bytes;
use quorate_ring::{Consistency, Epoch, Hlc, Layout, NodeId, Table, TableId, TableKind, Tag};
use serde::{Deserialize, Serialize};

use super::{
    BackUp, BackupDescribed, CompareNow, DescribeBackup, DescribeHealing, DescribeNodes, Drain, Draining,
    HealingDescribed, NodesDescribed, ReadReplica, Receipt, ReplicaRead, RequestError, Scan, Scanned,
    ScrubNow, frame::messages,
};

/// Read one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Get {
    /// The table.
    pub table: TableId,
    /// The key.
    pub key: Bytes,
    /// How many replicas must answer.
    pub consistency: Consistency,
    /// Settle for a read that never goes backward and sees every write that was complete (rule Q5).
    pub monotone: bool,
}

/// Write one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// The table.
    pub table: TableId,
    /// The key.
    pub key: Bytes,
    /// The new value.
    pub value: Bytes,
    /// How many replicas must acknowledge.
    pub consistency: Consistency,
    /// The context of the read that this write resolves (`siblings` tables).
    pub context: Option<Bytes>,
    /// After how many milliseconds the value is as good as deleted (rule D1); none for never.
    pub ttl_ms: Option<u64>,
    /// Whether fallback nodes may count (`siblings` tables; claims no linearizability).
    pub sloppy: bool,
}

/// Delete one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// The table.
    pub table: TableId,
    /// The key.
    pub key: Bytes,
    /// How many replicas must acknowledge.
    pub consistency: Consistency,
    /// The context of the read that this delete resolves (`siblings` tables).
    pub context: Option<Bytes>,
    /// Whether fallback nodes may count (`siblings` tables; claims no linearizability).
    pub sloppy: bool,
}

/// Write one key of a `cas` table if it holds what the client says (rules C1, C3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareAndSet {
    /// The table.
    pub table: TableId,
    /// The key.
    pub key: Bytes,
    /// What the key is to hold before.
    pub condition: Condition,
    /// The new value; none to delete the key.
    pub value: Option<Bytes>,
    /// How many replicas must acknowledge: QUORUM or more.
    pub consistency: Consistency,
}

/// What a key is to hold for a write of it to be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// Nothing.
    Absent,
    /// Any value.
    Present,
    /// This value.
    Value(Bytes),
}

impl Condition {
    /// Whether a key meets it that holds `value`.
    pub fn is_met_by(&self, value: Option<&Bytes>) -> bool {
        match self {
            Self::Absent => value.is_none(),
            Self::Present => value.is_some(),
            Self::Value(wanted) => value == Some(wanted),
        }
    }
}

/// Names a change of the cluster map for life: asked for twice, of one node or of two, it happens once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeName {
    /// The newest epoch that its author knew when it was first asked for. What happened longer ago than the cluster
    /// remembers is refused.
    pub since: Epoch,
    /// Drawn at random.
    pub number: u64,
}

/// Create a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTable {
    /// Names the change.
    pub change: ChangeName,
    /// Its name.
    pub name: String,
    /// How versions of a key merge.
    pub kind: TableKind,
    /// N; none for the default: 3, or the number of nodes if fewer.
    pub replication: Option<u8>,
    /// The level of reads that name none.
    pub read_consistency: Consistency,
    /// The level of writes that name none.
    pub write_consistency: Consistency,
}

/// Give a table other options; what is none stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterTable {
    /// Names the change.
    pub change: ChangeName,
    /// The table's name.
    pub name: String,
    /// The level of reads that name none.
    pub read_consistency: Option<Consistency>,
    /// The level of writes that name none.
    pub write_consistency: Option<Consistency>,
}

/// Drop a table with all that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropTable {
    /// Names the change.
    pub change: ChangeName,
    /// The table's name.
    pub name: String,
}

/// Drop all that is in a table. The table gets another id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruncateTable {
    /// Names the change.
    pub change: ChangeName,
    /// The table's name.
    pub name: String,
}

/// List the tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListTables {}

/// Describe the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeCluster {}

/// One of the values of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionedValue {
    /// The value.
    pub value: Bytes,
    /// The write that made it.
    pub tag: Tag,
    /// The first clock reading at which it is absent; none if it stays.
    pub expires: Option<Hlc>,
}

impl Get {
    /// A read with nothing out of the ordinary.
    pub const fn new(table: TableId, key: Bytes, consistency: Consistency) -> Self {
        Self { table, key, consistency, monotone: false }
    }
}

impl Put {
    /// A write with nothing out of the ordinary.
    pub const fn new(table: TableId, key: Bytes, value: Bytes, consistency: Consistency) -> Self {
        Self { table, key, value, consistency, context: None, ttl_ms: None, sloppy: false }
    }
}

impl Delete {
    /// A delete with nothing out of the ordinary.
    pub const fn new(table: TableId, key: Bytes, consistency: Consistency) -> Self {
        Self { table, key, consistency, context: None, sloppy: false }
    }
}

impl CreateTable {
    /// A table with the default replication and levels.
    pub fn new(change: ChangeName, name: impl Into<String>, kind: TableKind) -> Self {
        let (read_consistency, write_consistency) = (Consistency::default(), Consistency::default());
        Self { change, name: name.into(), kind, replication: None, read_consistency, write_consistency }
    }
}

/// The answer to [`Get`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Got {
    /// Every concurrent value; none for an absent key, at most one in `register` and `cas` tables.
    pub values: Vec<VersionedValue>,
    /// What a write that resolves these values must carry; opaque.
    pub context: Bytes,
    /// How the answer came about.
    pub receipt: Receipt,
}

/// The answer to [`Put`] and [`Delete`]: applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// What the writer's next write of the key may carry without reading it first, opaque; empty if there is
    /// no such context, because values that the writer has not seen are left beside its own.
    pub context: Bytes,
    /// How the write came about.
    pub receipt: Receipt,
}

/// The answer to [`CompareAndSet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedAndSet {
    /// Whether the condition was met, and the write with it applied. If not, nothing was changed.
    pub applied: bool,
    /// What the key holds, if the condition was not met; none if that is nothing.
    pub found: Option<VersionedValue>,
    /// How the answer came about.
    pub receipt: Receipt,
}

/// The answer to [`CreateTable`]: it is decided, and a majority of the members serve the table. Whoever else is asked for
/// it learns of it first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCreated {
    /// What was created.
    pub table: Table,
}

/// The answer to [`AlterTable`], [`DropTable`] and [`TruncateTable`]: it is decided, and so many replicas go by it that
/// no quorum goes by what was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChanged {
    /// The table as it is now; none if it was dropped.
    pub table: Option<Table>,
}

/// The answer to [`ListTables`], by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    /// The tables.
    pub tables: Vec<Table>,
}

/// The answer to [`DescribeCluster`], and the node's first word to a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// [`super::PROTOCOL_VERSION`] of the node.
    pub protocol: u16,
    /// The cluster's name.
    pub cluster_name: String,
    /// The node that answers.
    pub node: NodeId,
    /// The epoch of the cluster map that the node goes by.
    pub epoch: Epoch,
    /// Which cluster, and every member with its address and tokens: what a client needs to find a key's replicas
    /// by itself.
    pub layout: Layout,
    /// Members that are up as this node sees it.
    pub up: Vec<NodeId>,
    /// The longest value the cluster takes, in bytes.
    pub value_bytes_max: u64,
}

messages! {
    /// Requests of clients and the answers of nodes.
    pub enum ClientMessage {
        /// Read.
        0x40 => Get,
        /// Write.
        0x41 => Put,
        /// Delete.
        0x42 => Delete,
        /// Create a table.
        0x43 => CreateTable,
        /// List tables.
        0x44 => ListTables,
        /// Describe the cluster.
        0x45 => DescribeCluster,
        /// Alter a table.
        0x46 => AlterTable,
        /// Drop a table.
        0x47 => DropTable,
        /// Truncate a table.
        0x48 => TruncateTable,
        /// Describe every node.
        0x49 => DescribeNodes,
        /// Describe how the node stands with repair.
        0x4a => DescribeHealing,
        /// Compare with every peer now.
        0x4b => CompareNow,
        /// Verify all records now.
        0x4c => ScrubNow,
        /// Read what the node holds of a key.
        0x4d => ReadReplica,
        /// Stop in order.
        0x4e => Drain,
        /// Write a backup.
        0x4f => BackUp,
        /// Read a page of a table.
        0x50 => Scan,
        /// Describe the backup.
        0x51 => DescribeBackup,
        /// Write if a condition is met.
        0x52 => CompareAndSet,
        /// Read done.
        0x60 => Got,
        /// Write or delete done.
        0x61 => Written,
        /// Write if a condition is met, done.
        0x62 => ComparedAndSet,
        /// Table created.
        0x63 => TableCreated,
        /// Tables listed.
        0x64 => Tables,
        /// Cluster described.
        0x65 => ClusterInfo,
        /// Table altered, dropped or truncated.
        0x66 => TableChanged,
        /// Every node described.
        0x67 => NodesDescribed,
        /// How the node stands with repair.
        0x68 => HealingDescribed,
        /// What the node holds of a key.
        0x69 => ReplicaRead,
        /// The node stops in order.
        0x6a => Draining,
        /// How far the backup is.
        0x6b => BackupDescribed,
        /// A page of a table.
        0x70 => Scanned,
        /// The request failed.
        0x7f => RequestError,
    }
}
