//! What replicas say to each other to find out where they differ (rules A2, A3). What they then give each other are
//! stores like any other.

use bytes::Bytes;
use quorate_ring::{TableId, TokenRange};
use quorate_storage::Row;
use serde::{Deserialize, Serialize};

/// Asks another replica what its records add up to, in cells that both hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    /// How the sender's circle is cut into cells: if otherwise than the receiver's, there is nothing to compare.
    pub slicing: u64,
    /// Where, and what the sender has.
    pub branches: Vec<Branch>,
}

/// Cells of a replica set, and what one node has in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Branch {
    /// Of which table.
    pub table: TableId,
    /// Of which of the sets of replicas that sender and receiver share under the table's replication, in the order of
    /// their members.
    pub set: u32,
    /// The first cell, counted within the set.
    pub at: u32,
    /// How many cells.
    pub span: u32,
    /// What the sender's records in them add up to.
    pub digest: u64,
}

/// The answer to [`Compare`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// For each branch, in order.
    pub comparisons: Vec<Comparison>,
}

/// What a replica says of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// It has the same.
    Same,
    /// It has something else: what it has in each sixteenth of the branch, or nothing if that is one cell.
    Differs(Vec<u64>),
    /// It cannot say: it does not know all of its leaves yet, recovers, or knows no such table.
    Unknown,
}

/// Tells another replica which keys the sender holds in some cells, and in which state each is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareKeys {
    /// The table.
    pub table: TableId,
    /// The cells' tokens, in numeric order. Both hold them.
    pub ranges: Vec<TokenRange>,
    /// The keys follow this place.
    pub after: Option<Row>,
    /// The last place that has been looked at; `None` if that is the end.
    pub until: Option<Row>,
    /// The sender's keys and the hash of each state, in the order of storage keys.
    pub keys: Vec<(Bytes, u64)>,
    /// Keys of which the sender's record is damaged: it cannot say what it holds (rule S3).
    pub damaged: Vec<Bytes>,
}

/// The answer to [`CompareKeys`]. The states that the asker lacks come on their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysCompared {
    /// Keys whose states are wanted.
    pub wanted: Vec<Bytes>,
    /// How many states will be sent.
    pub given: u32,
    /// Keys of which it cannot tell, because their records are damaged.
    pub unknown: u32,
    /// Up to where that is all; `None` if nothing is left.
    pub next: Option<Row>,
}
