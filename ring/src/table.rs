//! What a table is: its kind decides how versions of a key merge, its replication how many nodes hold it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Consistency, TableId};

/// How concurrent versions of a key are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TableKind {
    /// Concurrent writes are kept side by side until a client merges them.
    #[default]
    Siblings,
    /// The write with the greatest tag wins.
    Register,
    /// Compare-and-set through a CASPaxos register per key.
    Cas,
}

impl fmt::Display for TableKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Siblings => "siblings",
            Self::Register => "register",
            Self::Cas => "cas",
        })
    }
}

/// A word that names no table kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown table kind '{0}': expected 'siblings', 'register' or 'cas'")]
pub struct UnknownTableKind(pub String);

impl FromStr for TableKind {
    type Err = UnknownTableKind;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.to_ascii_lowercase().as_str() {
            "siblings" => Ok(Self::Siblings),
            "register" => Ok(Self::Register),
            "cas" => Ok(Self::Cas),
            _ => Err(UnknownTableKind(s.to_owned())),
        }
    }
}

/// The definition of a table, the same on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its id for life.
    pub id: TableId,
    /// Its name: 1 to [`Table::NAME_BYTES_MAX`] bytes of `[a-z0-9_]`, not starting with a digit.
    pub name: String,
    /// How versions of a key merge.
    pub kind: TableKind,
    /// N: on how many distinct nodes each key lives, 1 to [`Table::REPLICATION_MAX`].
    pub replication: u8,
    /// The level of reads that name none.
    pub read_consistency: Consistency,
    /// The level of writes that name none.
    pub write_consistency: Consistency,
}

impl Table {
    /// A table whose reads and writes are at QUORUM unless they say otherwise.
    pub fn new(id: TableId, name: impl Into<String>, kind: TableKind, replication: u8) -> Self {
        let (read_consistency, write_consistency) = (Consistency::default(), Consistency::default());
        Self { id, name: name.into(), kind, replication, read_consistency, write_consistency }
    }

    /// The longest table name, in bytes.
    pub const NAME_BYTES_MAX: usize = 64;
    /// The largest replication factor.
    pub const REPLICATION_MAX: u8 = 15;

    /// Whether `name` may name a table.
    pub fn is_valid_name(name: &str) -> bool {
        (1..=Self::NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && !name.as_bytes()[0].is_ascii_digit()
    }
}
