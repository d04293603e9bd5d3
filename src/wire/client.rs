//! What clients and nodes say to each other.

use bytes::Bytes;
use quorate_ring::{Consistency, Layout, NodeId, Table, TableId, TableKind};
use serde::{Deserialize, Serialize};

use super::{Receipt, RequestError, frame::messages};

/// Read one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Get {
    /// The table.
    pub table: TableId,
    /// The key.
    pub key: Bytes,
    /// How many replicas must answer.
    pub consistency: Consistency,
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
}

/// Create a table on every founder, or on none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTable {
    /// Its name.
    pub name: String,
    /// How versions of a key merge.
    pub kind: TableKind,
    /// N; none for the default: 3, or the number of nodes if fewer.
    pub replication: Option<u8>,
}

/// List the tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListTables {}

/// Describe the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeCluster {}

/// The answer to [`Get`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Got {
    /// Every concurrent value; none for an absent key, one in `register` and `cas` tables.
    pub values: Vec<Bytes>,
    /// What a write that resolves these values must carry; opaque.
    pub context: Bytes,
    /// How the answer came about.
    pub receipt: Receipt,
}

/// The answer to [`Put`] and [`Delete`]: applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The context of the state written; opaque.
    pub context: Bytes,
    /// How the write came about.
    pub receipt: Receipt,
}

/// The answer to [`CreateTable`]: every founder holds it durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCreated {
    /// What was created.
    pub table: Table,
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
    /// Which cluster, at which epoch, and every member with its address and tokens: what a client needs
    /// to find a key's replicas by itself.
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
        /// Read done.
        0x60 => Got,
        /// Write or delete done.
        0x61 => Written,
        /// Table created.
        0x63 => TableCreated,
        /// Tables listed.
        0x64 => Tables,
        /// Cluster described.
        0x65 => ClusterInfo,
        /// The request failed.
        0x7f => RequestError,
    }
}
