//! What a request came to: receipts and errors, the same for every surface.

use std::fmt;

use quorate_ring::{Consistency, Epoch, NodeId, Tag};
use serde::{Deserialize, Serialize};

/// What is known of a write that ended in an error (rule Q10). No fourth answer exists, and none of the
/// three is ever guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It took effect.
    Applied,
    /// It did not and will not take effect: nothing was sent to any replica.
    NotApplied,
    /// It may have taken effect, or may do so later.
    Unknown,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applied => "applied",
            Self::NotApplied => "not applied",
            Self::Unknown => "outcome unknown",
        })
    }
}

/// How an answer came about (rule Q12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The node that coordinated.
    pub coordinator: NodeId,
    /// The cluster map it went by.
    pub epoch: Epoch,
    /// The level asked for and reached.
    pub consistency: Consistency,
    /// The key's replicas, in preference order.
    pub replicas: Vec<NodeId>,
    /// Those whose answer or acknowledgement counted.
    pub answered: Vec<NodeId>,
    /// The version read or written; none for an absent key.
    pub tag: Option<Tag>,
    /// Whether replicas disagreed and were brought together.
    pub repaired: bool,
}

/// Why a request failed, and what is known of its effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{failure} ({outcome})")]
pub struct RequestError {
    /// What went wrong.
    pub failure: Failure,
    /// What is known of the effect; always [`Outcome::NotApplied`] for reads.
    pub outcome: Outcome,
}

impl RequestError {
    /// A failure before anything was sent to a replica.
    pub const fn not_applied(failure: Failure) -> Self {
        Self { failure, outcome: Outcome::NotApplied }
    }

    /// A failure after a replica may have stored the write.
    pub const fn unknown(failure: Failure) -> Self {
        Self { failure, outcome: Outcome::Unknown }
    }
}

/// What can go wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Failure {
    /// Too few replicas are up (rule Q3). Check the nodes that are down, or ask for a lower level.
    #[error("unavailable(required {required}, alive {alive}): too few replicas are up for {consistency}")]
    Unavailable {
        /// The level asked for.
        consistency: Consistency,
        /// Replicas the level needs.
        required: u8,
        /// Replicas that are up.
        alive: u8,
    },
    /// The deadline passed with too few answers.
    #[error("timeout: {answered} of the required {required} replicas answered in time")]
    Timeout {
        /// Replicas needed.
        required: u8,
        /// Replicas that answered.
        answered: u8,
    },
    /// So many replicas failed the request that its level cannot be reached any more.
    #[error("failed: {answered} of the required {required} replicas answered, {failed} failed: {reason}")]
    ReplicasFailed {
        /// Replicas needed.
        required: u8,
        /// Replicas that answered.
        answered: u8,
        /// Replicas that refused, failed or went down.
        failed: u8,
        /// What the last of them said.
        reason: String,
    },
    /// The node has no room for more work (rule Q11).
    #[error("overloaded: retry after {retry_after_ms} ms")]
    Overloaded {
        /// When to come back, in milliseconds.
        retry_after_ms: u32,
    },
    /// The node stops and takes no more requests. Ask another one.
    #[error("the node is shutting down: ask another node")]
    ShuttingDown,
    /// No such table.
    #[error("unknown table '{name}'; DESCRIBE TABLES lists them")]
    UnknownTable {
        /// The name or id asked for.
        name: String,
    },
    /// CREATE TABLE of a name that is taken.
    #[error("table '{name}' exists already")]
    TableExists {
        /// The name.
        name: String,
    },
    /// CREATE TABLE could not be agreed on by all founders.
    #[error("table '{name}' was not created: {reason}")]
    TableNotCreated {
        /// The name.
        name: String,
        /// Who refused or was not reached.
        reason: String,
    },
    /// A key outside its bounds.
    #[error("key of {bytes} bytes: 1 to {bytes_max} are allowed")]
    KeySize {
        /// Its length in bytes.
        bytes: u64,
        /// The longest allowed.
        bytes_max: u64,
    },
    /// A value outside its bounds.
    #[error("value of {bytes} bytes: at most {bytes_max} are allowed")]
    ValueTooLarge {
        /// Its length in bytes.
        bytes: u64,
        /// The longest allowed.
        bytes_max: u64,
    },
    /// A request that makes no sense; the text says why.
    #[error("bad request: {0}")]
    BadRequest(String),
    /// Something this version does not do.
    #[error("not supported: {0}")]
    Unsupported(String),
}
