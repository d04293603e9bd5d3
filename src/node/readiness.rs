//! Whether a node does all of its work.

use std::fmt;

/// Whether a node takes requests of clients and answers for every key that it is to hold, and if not, why not. Of several
/// reasons the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It was told to stop, and takes no requests of clients any more.
    Draining,
    /// No majority of the members has told it the newest cluster map yet, so that it does not act as a member (rule M1).
    Waiting,
    /// It lost its disk, and has still to get back from its peers what that held (rule R7). Meanwhile it answers for the
    /// ranges that it has recovered, and sends requests for the others on.
    Recovering {
        /// Tables of which something is left.
        tables: usize,
        /// Ranges that are left, of all tables.
        ranges: usize,
    },
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Draining => f.write_str("not ready: the node drains and will stop"),
            Self::Waiting => f.write_str(
                "not ready: the node waits for the newest cluster map: too few of the other nodes answer it",
            ),
            Self::Recovering { tables, ranges } => {
                write!(f, "not ready: the node recovers a lost disk: {ranges} ranges of {tables} tables left")
            }
        }
    }
}
