//! What a request came to: receipts and errors, the same for every surface.

use std::fmt;

use quorate_ring::{Consistency, Epoch, NodeId, Tag};
use serde::{Deserialize, Serialize};

use super::{OperationId, RequestId};

/// What is known of a write that ended in an error (rule Q10). No fourth answer exists, and none of the
/// three is ever guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// It took effect.
    Applied,
    /// It did not and will not take effect: no replica was sent it, or each one that was has refused it before it changed
    /// anything.
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

/// How an answer came about, or how far a request that failed has come (rule Q12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The node that coordinated; of a forwarded write of which that one has said nothing, the node that forwarded it.
    pub coordinator: NodeId,
    /// The cluster map it went by.
    pub epoch: Epoch,
    /// The level asked for, and reached unless the request failed.
    pub consistency: Consistency,
    /// The key's replicas, in preference order.
    pub replicas: Vec<NodeId>,
    /// Those whose answer or acknowledgement counted; of a request that failed, in its last round.
    pub answered: Vec<NodeId>,
    /// The version read or written; none for an absent key. Of a write that failed, the one that replicas were sent, if it came
    /// to that: whether any of them has it, the outcome says. None for a read that failed.
    pub tag: Option<Tag>,
    /// Whether replicas disagreed and were brought together; false for a read that failed.
    pub repaired: bool,
    /// Whether the read settled for less than linearizable, as its request allowed (rule Q5).
    pub monotone: bool,
    /// How often replicas were asked or told something, one round after the other; 0 if too few were up to ask any.
    pub rounds: u8,
    /// What each replica did, in the order in which they were heard; none of those that were not waited for. Of a request that
    /// failed, after them those that were asked and have not answered, and those that are down; none of those that were not
    /// asked.
    pub reports: Vec<ReplicaReport>,
    /// Replicas for which a hint was left, because they did not confirm the write (rule H1). Of a write that failed before its
    /// deadline, those that had refused it or were down: whoever is silent until then is left one later.
    pub hinted: Vec<NodeId>,
    /// The node that the client asked, if that one had to forward the write (rule V5).
    pub forwarded_by: Option<NodeId>,
    /// What the logs of the coordinator and of the replicas call it; none if no replica was asked.
    pub operation: Option<OperationId>,
    /// What the client's log and the coordinator's call it: the id that the client drew for the attempt. It does not travel: the
    /// client that asked fills it in.
    #[serde(skip)]
    pub request_id: Option<RequestId>,
}

/// One replica's part in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// The replica.
    pub node: NodeId,
    /// Its slowest answer, in microseconds since it was asked; for how long it was waited for, if it has not answered; 0 if it
    /// was not asked, because it was down.
    pub latency_us: u32,
    /// What it did.
    pub part: Part,
    /// Why it failed, in its own words; empty if it did not.
    pub why: String,
}

/// What a replica did for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// It held what was answered, or what was written is durable on it.
    Agreed,
    /// It held something else and was sent the merge.
    Repaired,
    /// It failed, refused, was lost or was down.
    Failed,
    /// It is no replica of the key, and keeps a hint for one that is down (rule Q2, sloppy and ANY writes).
    KeptHint,
    /// It said what it was asked for, and the request failed all the same. It was sent no write, or none that counts.
    Answered,
    /// It was asked and had not answered when the request failed.
    NoAnswer,
}

/// Why a request failed, and what is known of its effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{failure} ({outcome})")]
pub struct RequestError {
    /// What went wrong.
    pub failure: Failure,
    /// What is known of the effect; always [`Outcome::NotApplied`] for reads.
    pub outcome: Outcome,
    /// How far it came with the key's replicas; none if it did not come to them: the table is unknown, say, or the node
    /// overloaded.
    pub receipt: Option<Box<Receipt>>,
}

impl RequestError {
    /// A failure before anything was sent to a replica.
    pub const fn not_applied(failure: Failure) -> Self {
        Self::of(failure, Outcome::NotApplied)
    }

    /// A failure after a replica may have stored the write.
    pub const fn unknown(failure: Failure) -> Self {
        Self::of(failure, Outcome::Unknown)
    }

    /// A failure with what is known of the effect.
    pub const fn of(failure: Failure, outcome: Outcome) -> Self {
        Self { failure, outcome, receipt: None }
    }

    /// The same with how far it came.
    #[must_use]
    pub fn with_receipt(self, receipt: Receipt) -> Self {
        Self { receipt: Some(Box::new(receipt)), ..self }
    }
}

impl Failure {
    /// Whether another node may do what this one refused.
    pub const fn is_of_one_node(&self) -> bool {
        matches!(
            self,
            Self::Overloaded { .. }
                | Self::ShuttingDown
                | Self::Recovering
                | Self::Behind
                | Self::ClockAhead { .. }
                | Self::VersionAhead { .. }
                | Self::NotAReplica
        )
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
    /// The replicas never agreed before the deadline because others kept writing the key (rule Q5).
    #[error("contended: {rounds} rounds did not make a quorum agree; try again, or read with MONOTONE")]
    Contended {
        /// Rounds made.
        rounds: u8,
    },
    /// The key has as many concurrent values as it may (rule V6).
    #[error("the key has {siblings} concurrent values: read it, and write with the context of the read")]
    TooManySiblings {
        /// How many.
        siblings: u32,
        /// What a write that resolves them all must carry.
        context: bytes::Bytes,
    },
    /// The context is not of this key, or no context at all (rule V6).
    #[error("bad context: {0}")]
    BadContext(String),
    /// The node's clock is ahead of its peers' and mints nothing until it is right again (rule V2).
    #[error("the node's clock is {ahead_ms} ms ahead of its peers': correct it, or ask another node")]
    ClockAhead {
        /// By how much, in milliseconds.
        ahead_ms: u64,
    },
    /// The key holds, or the context has seen, a version that no working clock can have named yet, and this node does
    /// not hold it (rules V2, V6).
    #[error(
        "a version is {ahead_ms} ms ahead of the node's clock, and the node does not hold it: ask another node"
    )]
    VersionAhead {
        /// By how much, in milliseconds.
        ahead_ms: u64,
    },
    /// The node that a write was forwarded to is no replica of its key, as it knows the cluster.
    #[error("the node that the write was forwarded to is no replica of the key: try again")]
    NotAReplica,
    /// The node lost its state and has not recovered it yet (rule R7).
    #[error("the node is recovering its state: ask another node")]
    Recovering,
    /// The node does not know the newest cluster map and could not get it in time (rule M1).
    #[error("the node does not know the newest cluster map yet: ask another node")]
    Behind,
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
    /// The members did not agree on CREATE TABLE, or not in time.
    #[error("table '{name}' was not created: {reason}")]
    TableNotCreated {
        /// The name.
        name: String,
        /// Who refused or was not reached.
        reason: String,
    },
    /// The members did not agree on another change of a table, or not in time.
    #[error("table '{name}' was not changed: {reason}")]
    TableNotChanged {
        /// The name.
        name: String,
        /// Who refused or was not reached.
        reason: String,
    },
    /// The members have agreed on the change of a table, but it is not in force everywhere yet.
    #[error("the change of table '{name}' is decided, but too few nodes go by it yet: {reason}")]
    NotInForce {
        /// The name.
        name: String,
        /// Who does not go by it yet.
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

impl Failure {
    /// Which of them it is, in a word that stays the same: for programs that count.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout { .. } => "timeout",
            Self::ReplicasFailed { .. } => "replicas_failed",
            Self::Contended { .. } => "contended",
            Self::TooManySiblings { .. } => "too_many_siblings",
            Self::BadContext(_) => "bad_context",
            Self::ClockAhead { .. } => "clock_ahead",
            Self::VersionAhead { .. } => "version_ahead",
            Self::NotAReplica => "not_a_replica",
            Self::Recovering => "recovering",
            Self::Behind => "behind",
            Self::Overloaded { .. } => "overloaded",
            Self::ShuttingDown => "shutting_down",
            Self::UnknownTable { .. } => "unknown_table",
            Self::TableExists { .. } => "table_exists",
            Self::TableNotCreated { .. } => "table_not_created",
            Self::TableNotChanged { .. } => "table_not_changed",
            Self::NotInForce { .. } => "not_in_force",
            Self::KeySize { .. } => "key_size",
            Self::ValueTooLarge { .. } => "value_too_large",
            Self::BadRequest(_) => "bad_request",
            Self::Unsupported(_) => "unsupported",
        }
    }
}
