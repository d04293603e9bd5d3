//! One error for each kind of operation. Each says what became of it.

use std::fmt;

use quorate_ring::NodeId;

use super::{Context, DecodeError};
use crate::{
    transport::ConnectError,
    wire::{Failure, Outcome, Receipt, RequestError, RequestId},
};

/// Why a request failed, for retries to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallError {
    pub(super) cause: Cause,
    pub(super) outcome: Outcome,
    /// How far it came, if a node says so.
    pub(super) receipt: Option<Box<Receipt>>,
    /// What the last attempt was sent under, if it was sent.
    pub(super) request_id: Option<RequestId>,
}

/// Why an attempt, or a whole request, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// A node refused or failed the request.
    #[error(transparent)]
    Failed(Failure),
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// No node could be reached.
    #[error("no node can be reached: {reason}")]
    Unreachable {
        /// What the last attempt met.
        reason: String,
    },
    /// The connection broke before the answer came.
    #[error("connection to {node} lost: {reason}")]
    ConnectionLost {
        /// The node.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// So many requests are on their way to the node that there was no room in time.
    #[error("too many requests in flight to {node}")]
    TooManyInFlight {
        /// The node.
        node: NodeId,
    },
    /// The node's answer is none to the question asked: one side has a bug.
    #[error("unexpected answer from {node}")]
    UnexpectedAnswer {
        /// The node.
        node: NodeId,
    },
}

impl CallError {
    pub(super) fn not_applied(cause: Cause) -> Self {
        Self { cause, outcome: Outcome::NotApplied, receipt: None, request_id: None }
    }

    pub(super) fn unknown(cause: Cause) -> Self {
        Self { outcome: Outcome::Unknown, ..Self::not_applied(cause) }
    }

    /// Whether nothing happened because the node does not know the table.
    pub(super) fn is_unknown_table(&self) -> bool {
        self.outcome == Outcome::NotApplied
            && matches!(self.cause, Cause::Failed(Failure::UnknownTable { .. }))
    }
}

impl From<RequestError> for CallError {
    fn from(RequestError { failure, outcome, receipt }: RequestError) -> Self {
        Self { cause: Cause::Failed(failure), outcome, receipt, request_id: None }
    }
}

/// Declares the error of an operation: the causes that all share.
macro_rules! operation_error {
    ($(#[$doc:meta])* $name:ident, says_outcome: $says_outcome:literal
        $(, also: $(#[$also_doc:meta])* $also:ident $text:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            /// A node refused or failed the request.
            Failed {
                /// Why.
                failure: Failure,
                /// What is known of the effect.
                outcome: Outcome,
                /// How far it came with the key's replicas, if it came to them.
                receipt: Option<Box<Receipt>>,
                /// What it was sent under.
                request_id: Option<RequestId>,
            },
            /// No answer before the deadline.
            TimedOut {
                /// What is known of the effect.
                outcome: Outcome,
                /// What it was sent under, if it was.
                request_id: Option<RequestId>,
            },
            /// No node could be reached before the deadline. Check the network and that nodes are up.
            Unreachable {
                /// What the last attempt met.
                reason: String,
                /// What is known of the effect.
                outcome: Outcome,
            },
            /// The connection broke before the answer came.
            ConnectionLost {
                /// The node.
                node: NodeId,
                /// Why.
                reason: String,
                /// What is known of the effect.
                outcome: Outcome,
                /// What it was sent under, if it was.
                request_id: Option<RequestId>,
            },
            /// So many requests are on their way to the node that there was no room before the deadline.
            TooManyInFlight {
                /// The node.
                node: NodeId,
                /// What is known of the effect.
                outcome: Outcome,
            },
            /// The node's answer is none to the question asked: one side has a bug.
            UnexpectedAnswer {
                /// The node.
                node: NodeId,
                /// What is known of the effect.
                outcome: Outcome,
            },
            $(
                $(#[$also_doc])*
                $also {
                    /// Why.
                    reason: String,
                    /// What is known of the effect.
                    outcome: Outcome,
                },
            )?
        }

        impl $name {
            /// What is known of the operation's effect (rule Q10).
            pub fn outcome(&self) -> Outcome {
                match self {
                    Self::Failed { outcome, .. }
                    | Self::TimedOut { outcome, .. }
                    | Self::Unreachable { outcome, .. }
                    | Self::ConnectionLost { outcome, .. }
                    | Self::TooManyInFlight { outcome, .. }
                    | Self::UnexpectedAnswer { outcome, .. } => *outcome,
                    $(Self::$also { outcome, .. } => *outcome,)?
                }
            }

            /// Which error it is, in a word that stays the same: that of the node's [`Failure::kind`], or `no_answer`,
            /// `unreachable`, `connection_lost`, `too_many_in_flight`, `unexpected_answer`, `unencodable`.
            pub fn kind(&self) -> &'static str {
                match self {
                    Self::Failed { failure, .. } => failure.kind(),
                    Self::TimedOut { .. } => "no_answer",
                    Self::Unreachable { .. } => "unreachable",
                    Self::ConnectionLost { .. } => "connection_lost",
                    Self::TooManyInFlight { .. } => "too_many_in_flight",
                    Self::UnexpectedAnswer { .. } => "unexpected_answer",
                    $(Self::$also { .. } => "unencodable",)?
                }
            }

            /// What the node said, if it was a node that failed the request.
            pub fn failure(&self) -> Option<&Failure> {
                match self {
                    Self::Failed { failure, .. } => Some(failure),
                    _ => None,
                }
            }
        }

        impl $name {
            /// How far the last attempt came with the key's replicas: who answered, who did not, and why each failed
            /// (rule Q12). `None` if no node says so: the request came to no replica, or no answer came from the node.
            pub fn receipt(&self) -> Option<&Receipt> {
                match self {
                    Self::Failed { receipt, .. } => receipt.as_deref(),
                    _ => None,
                }
            }

            /// What the log of the node that was asked last, and this client's, call the last attempt; `None` if it was not
            /// sent.
            pub fn request_id(&self) -> Option<RequestId> {
                match self {
                    Self::Failed { request_id, .. }
                    | Self::TimedOut { request_id, .. }
                    | Self::ConnectionLost { request_id, .. } => *request_id,
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Failed { failure, .. } => failure.fmt(f)?,
                    Self::TimedOut { .. } => f.write_str("no answer before the deadline")?,
                    Self::Unreachable { reason, .. } => write!(f, "no node can be reached: {reason}")?,
                    Self::ConnectionLost { node, reason, .. } => {
                        write!(f, "connection to {node} lost: {reason}")?;
                    }
                    Self::TooManyInFlight { node, .. } => write!(f, "too many requests in flight to {node}")?,
                    Self::UnexpectedAnswer { node, .. } => write!(f, "unexpected answer from {node}")?,
                    $(Self::$also { reason, .. } => write!(f, concat!($text, ": {}"), reason)?,)?
                }
                if $says_outcome {
                    write!(f, " ({})", self.outcome())?;
                }
                self.failure().and_then(advice).map_or(Ok(()), |advice| write!(f, ": {advice}"))
            }
        }

        impl std::error::Error for $name {}

        impl From<CallError> for $name {
            fn from(CallError { cause, outcome, receipt, request_id }: CallError) -> Self {
                match cause {
                    Cause::Failed(failure) => Self::Failed { failure, outcome, receipt, request_id },
                    Cause::TimedOut => Self::TimedOut { outcome, request_id },
                    Cause::Unreachable { reason } => Self::Unreachable { reason, outcome },
                    Cause::ConnectionLost { node, reason } => {
                        Self::ConnectionLost { node, reason, outcome, request_id }
                    }
                    Cause::TooManyInFlight { node } => Self::TooManyInFlight { node, outcome },
                    Cause::UnexpectedAnswer { node } => Self::UnexpectedAnswer { node, outcome },
                }
            }
        }
    };
}

operation_error! {
    /// Why a read failed. A read has no effect: its outcome is always [`Outcome::NotApplied`].
    ReadError, says_outcome: false
}
operation_error! {
    /// Why a write or a delete failed, and what became of it.
    WriteError, says_outcome: true,
    also:
    /// The value could not be encoded: nothing was sent.
    Unencodable "the value cannot be encoded"
}
operation_error! {
    /// Why a table was not created, or may not have been.
    CreateTableError, says_outcome: true
}
operation_error! {
    /// Why a table was not altered, dropped or truncated, or may not have been.
    ChangeTableError, says_outcome: true
}
operation_error! {
    /// Why a question about tables or the cluster was not answered. It has no effect: its outcome is always
    /// [`Outcome::NotApplied`].
    CatalogError, says_outcome: false
}

impl WriteError {
    pub(super) fn unencodable(reason: String) -> Self {
        Self::Unencodable { reason, outcome: Outcome::NotApplied }
    }

    /// What a write that resolves the key's values must carry, if there are too many of them for one that
    /// carries no context ([`Failure::TooManySiblings`]). Read the values before you replace them all.
    pub fn context(&self) -> Option<Context> {
        match self.failure() {
            Some(Failure::TooManySiblings { context, .. }) => Some(Context::new(context.clone())),
            _ => None,
        }
    }
}

/// Why an update failed, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The values to merge could not be read: nothing was written.
    #[error("the values to merge were not read: {0} (not applied)")]
    Read(#[from] ReadError),
    /// A value to merge is of another type: nothing was written.
    #[error("{0} (not applied)")]
    Undecodable(#[from] DecodeError),
    /// The merged value was not written, or may not have been.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Whatever was read of a `cas` key, somebody else had changed it before the merged value could take its place: nothing was
    /// written.
    #[error("the key was changed by others {attempts} times in between (not applied)")]
    Outrun {
        /// How often a merged value was to be written.
        attempts: u32,
        /// How the last answer came about.
        receipt: Box<Receipt>,
    },
}

impl UpdateError {
    /// What is known of the update's effect (rule Q10).
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Read(_) | Self::Undecodable(_) | Self::Outrun { .. } => Outcome::NotApplied,
            Self::Write(error) => error.outcome(),
        }
    }

    /// What the node said, if it was a node that failed the request.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Read(error) => error.failure(),
            Self::Undecodable(_) | Self::Outrun { .. } => None,
            Self::Write(error) => error.failure(),
        }
    }

    /// How far the last attempt of the read or of the write came: see [`WriteError::receipt`].
    pub fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Read(error) => error.receipt(),
            Self::Undecodable(_) => None,
            Self::Write(error) => error.receipt(),
            Self::Outrun { receipt, .. } => Some(receipt),
        }
    }

    /// What the last attempt is called in logs: see [`WriteError::request_id`].
    pub fn request_id(&self) -> Option<RequestId> {
        match self {
            Self::Read(error) => error.request_id(),
            Self::Undecodable(_) => None,
            Self::Write(error) => error.request_id(),
            Self::Outrun { receipt, .. } => receipt.request_id,
        }
    }
}

/// What to do next, where the failure's own words do not say it.
fn advice(failure: &Failure) -> Option<&'static str> {
    match failure {
        Failure::BadContext(_) => Some("read the key again, and write with the context of that read"),
        _ => None,
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The builder was given no contact point.
    #[error("no contact point given: name at least one node, as in \"127.0.0.1:7000\"")]
    NoContactPoint,
    /// The builder was given no identity.
    #[error("no TLS identity given: clients need a certificate of the cluster's authority")]
    NoIdentity,
    /// No endpoint with this identity.
    #[error(transparent)]
    Setup(#[from] ConnectError),
    /// No contact point answered.
    #[error("no contact point can be reached: {}", .attempts.join("; "))]
    Unreachable {
        /// What each contact point met.
        attempts: Vec<String>,
    },
    /// The cluster described itself in a way that makes no ring.
    #[error("the cluster's description makes no ring: {0}")]
    BadClusterInfo(#[from] quorate_ring::RingError),
}

impl BuildError {
    /// Nothing was asked of the cluster yet.
    pub fn outcome(&self) -> Outcome {
        Outcome::NotApplied
    }
}

#[cfg(test)]
mod tests {
    use quorate_ring::{Consistency, Epoch};

    use super::*;

    #[test]
    fn errors_tell_how_far_the_attempt_came() {
        let receipt = Receipt {
            coordinator: NodeId(1),
            epoch: Epoch(0),
            consistency: Consistency::All,
            replicas: vec![NodeId(1)],
            answered: Vec::new(),
            tag: None,
            repaired: false,
            monotone: false,
            rounds: 1,
            reports: Vec::new(),
            hinted: Vec::new(),
            forwarded_by: None,
            operation: None,
            request_id: None,
        };
        let failure = Failure::Timeout { required: 1, answered: 0 };
        let error = CallError::from(RequestError::unknown(failure).with_receipt(receipt.clone()));
        let error = CallError { request_id: Some(RequestId(5)), ..error };
        assert_eq!(ReadError::from(error.clone()).receipt(), Some(&receipt));
        let update = UpdateError::from(WriteError::from(error));
        assert_eq!((update.receipt(), update.request_id()), (Some(&receipt), Some(RequestId(5))));

        let silent = CallError { request_id: Some(RequestId(6)), ..CallError::unknown(Cause::TimedOut) };
        let silent = WriteError::from(silent);
        assert_eq!((silent.receipt(), silent.request_id()), (None, Some(RequestId(6))));
    }
}
