//! Versioned facts about nodes.

use std::{fmt, sync::Arc};

use quorate_ring::NodeId;
use thiserror::Error;

use crate::life::Life;

/// The longest subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 64;
/// The longest value, in bytes: an entry always fits a datagram.
pub const VALUE_BYTES_MAX: usize = 512;
/// The most subjects of one node.
pub const ENTRIES_PER_NODE_MAX: usize = 64;

/// What a fact is about: one node's word on one subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    /// Whose fact it is. Only this node makes versions of it.
    pub node: NodeId,
    /// The subject, at most [`SUBJECT_BYTES_MAX`] bytes.
    pub subject: Arc<str>,
}

/// Orders the versions of a fact: those of a later life are newer, whatever their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The life of the node in which it was made.
    pub life: Life,
    /// Counts all the node's entries within that life, from 1.
    pub number: u64,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.life, self.number)
    }
}

/// A fact at a version. Opaque: gossip spreads it and interprets none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is about.
    pub key: EntryKey,
    /// How new it is.
    pub version: Version,
    /// What it says, at most [`VALUE_BYTES_MAX`] bytes.
    pub value: Arc<[u8]>,
}

/// Why an entry of one's own is refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The subject is empty or too long.
    #[error("a subject has 1 to {SUBJECT_BYTES_MAX} bytes, this one {0}")]
    Subject(usize),
    /// The value is too long.
    #[error("a value has at most {VALUE_BYTES_MAX} bytes, this one {0}")]
    Value(usize),
    /// There are too many subjects.
    #[error("a node has at most {ENTRIES_PER_NODE_MAX} entries")]
    TooMany,
}

/// Whether a subject and a value keep their bounds.
pub(crate) fn check(subject: &str, value: &[u8]) -> Result<(), EntryError> {
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
        return Err(EntryError::Subject(subject.len()));
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(EntryError::Value(value.len()));
    }
    Ok(())
}
