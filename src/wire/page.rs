//! What replicas tell a coordinator that reads a table page by page.

use bytes::Bytes;
use quorate_ring::{Hlc, Incarnation, NodeId, TableId, TokenRange};
use quorate_storage::Row;
use serde::{Deserialize, Serialize};

use super::{Answer, Want};

/// Ask a replica for the durable states of a table's keys in some ranges, as far as a page goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchPage {
    /// The table.
    pub table: TableId,
    /// Where, in the order of tokens; none of them wraps. The receiver holds them all.
    pub ranges: Vec<TokenRange>,
    /// The place in the first of them behind which the page begins; none for its start.
    pub after: Option<Row>,
    /// Keys, at most.
    pub rows_max: u32,
    /// How much of each key's state: not the version alone.
    pub want: Want,
}

/// The answer to [`FetchPage`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageFetched {
    /// Keys, and what was wanted of each: as many answers to a [`super::Fetch`].
    pub rows: Vec<(Bytes, Answer)>,
    /// Keys whose records are damaged at the sender, which has no say about them (rule S3).
    pub damaged: Vec<Bytes>,
    /// The last place that was looked at, of whichever table; none if that is the end of the ranges. Of what lies before
    /// it the sender holds nothing else.
    pub until: Option<Row>,
    /// What the sender's clock shows, durably so, if a value expires (rule D1).
    pub clock: Option<Hlc>,
    /// Other members that lost their state, and the life of each that the sender knows (rule R7).
    pub lives: Vec<(NodeId, Incarnation)>,
}
