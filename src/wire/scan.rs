//! Reading a table in the order of its keys' tokens, a page at a time.

use bytes::Bytes;
use quorate_ring::{Consistency, TableId};
use serde::{Deserialize, Serialize};

use super::{Receipt, VersionedValue};

/// Read a page of a table: keys in the order of their tokens, of one token in their own order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// The table.
    pub table: TableId,
    /// The cursor that the page before ended with; none for the first page.
    pub after: Option<Bytes>,
    /// How many keys are looked at, at most; the node may look at fewer. At least 1 is.
    pub rows_max: u32,
    /// How many replicas of each key must answer.
    pub consistency: Consistency,
    /// Settle, for each key, for a read that never goes backward and sees every write that was complete (rule Q5).
    pub monotone: bool,
}

/// A key of a page, with what an ordinary read of it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedRow {
    /// The key.
    pub key: Bytes,
    /// Every concurrent value, at least one.
    pub values: Vec<VersionedValue>,
    /// What a write that resolves these values must carry; opaque.
    pub context: Bytes,
}

/// The answer to [`Scan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanned {
    /// The keys that are there. There may be none although more pages follow.
    pub rows: Vec<ScannedRow>,
    /// Where the next page goes on; none if this is the last one.
    pub next: Option<Bytes>,
    /// How the page came about: of its replicas, those that were asked for it.
    pub receipt: Receipt,
}

impl Scan {
    /// The first page, with nothing out of the ordinary.
    pub const fn new(table: TableId, rows_max: u32, consistency: Consistency) -> Self {
        Self { table, after: None, rows_max, consistency, monotone: false }
    }
}
