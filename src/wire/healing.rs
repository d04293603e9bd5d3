//! How a node stands with what makes replicas whole again: hints, comparisons, the scrub, and what it holds of one key.
//! Every question is about the node that is asked, and about nobody else.

use bytes::Bytes;
use quorate_ring::{Hlc, NodeId, TableId, Tag};
use serde::{Deserialize, Serialize};

/// Asks a node how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeHealing {
    /// Whether it is to say when it and its peers last held the same, which is much.
    pub agreements: bool,
}

/// Asks a node to compare with every peer as soon as it can, whenever it would have done so by itself; it says how it
/// stands at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareNow {}

/// Asks a node to verify all its records, one round from the first to the last, without the usual pauses; it says how it
/// stands at this moment. A round that was asked for begins again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubNow {}

/// The answer to [`DescribeHealing`], [`CompareNow`] and [`ScrubNow`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealingDescribed {
    /// The node.
    pub node: NodeId,
    /// What it keeps for nodes that missed writes, by node; those for which it keeps nothing are left out.
    pub hints: Vec<HintsFor>,
    /// Hints on their way to its disk, which are not among those.
    pub hints_under_way: u64,
    /// When it and each peer last held the same, by table and replicas, the longest ago first; the first 10,000. None if
    /// that was not asked for, or cannot be said.
    pub agreements: Option<Vec<Agreed>>,
    /// Records that peers were given because they lacked them, since its process started.
    pub given: u64,
    /// Cells of its digests that it does not know, and is working out.
    pub cells_unknown: u64,
    /// How far it is with verifying its records.
    pub scrub: Scrubbing,
    /// Damaged records that it has not got back yet from other replicas (rule S3): those that it knows of. Digests say
    /// of them what they were.
    pub quarantined: u64,
}

/// What is kept for a node that missed writes (rule H1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HintsFor {
    /// The node.
    pub target: NodeId,
    /// How many keys.
    pub hints: u64,
    /// How many bytes.
    pub bytes: u64,
    /// How long ago the oldest of it was written, in milliseconds; none before it was looked through once.
    pub oldest_ms: Option<u64>,
}

/// When a node and a peer last held the same of the keys of a table that certain nodes hold together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// The peer.
    pub peer: NodeId,
    /// The table.
    pub table: TableId,
    /// The nodes that hold these keys.
    pub replicas: Vec<NodeId>,
    /// How long ago, in milliseconds; none if it was not seen since the process started. What either of the two held at
    /// that time the other one has held since.
    pub ago_ms: Option<u64>,
}

/// How far a node is with verifying its records (rule S3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbing {
    /// The cell of the circle that it has come to.
    pub cell: u32,
    /// Of how many.
    pub cells: u32,
    /// Rounds from the first record to the last that it has ended since its process started.
    pub rounds: u64,
    /// Whether one is under way that was asked for.
    pub asked: bool,
    /// Records that were verified, since its process started.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that were damaged.
    pub damaged: u64,
}

/// Asks a node what it holds of a key itself, durably. This is for people: no level vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadReplica {
    /// The table.
    pub table: TableId,
    /// The key.
    pub key: Bytes,
}

/// The answer to [`ReadReplica`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaRead {
    /// The node.
    pub node: NodeId,
    /// Whether it counts as a replica of the key. It does not if it is none, recovers a lost disk, or holds a damaged record.
    pub counts: bool,
    /// What it holds.
    pub held: Held,
}

/// What a node holds of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// Nothing.
    Absent,
    /// A record that fails its checksum.
    Damaged(String),
    /// A record.
    Record {
        /// The newest write seen of each writer (`siblings` tables), or the one write that won.
        seen: Vec<Tag>,
        /// The writes that are left, deletes among them.
        versions: Vec<HeldVersion>,
    },
}

/// One write that a node holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldVersion {
    /// The write.
    pub tag: Tag,
    /// Its value; none for a delete.
    pub value: Option<Bytes>,
    /// The first clock reading at which it is absent; none if it stays.
    pub expires: Option<Hlc>,
}
