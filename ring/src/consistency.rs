//! Consistency levels and quorum arithmetic (rule Q1).

use std::{fmt, num::NonZeroU8, str::FromStr};

use serde::{Deserialize, Serialize};

/// How many of a key's N replicas an operation waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Consistency {
    /// One replica: fast, always available, not linearizable.
    One,
    /// Two replicas.
    Two,
    /// Three replicas.
    Three,
    /// floor(N/2)+1 replicas: linearizable.
    #[default]
    Quorum,
    /// All N replicas: linearizable, and unavailable as soon as one replica is.
    All,
    /// Writes only: a durably stored hint may satisfy it.
    Any,
    /// A plain number of replicas (`W=` or `R=`).
    Count(NonZeroU8),
}

impl Consistency {
    /// How many of `n` replicas a read waits for.
    ///
    /// # Errors
    /// ANY has no meaning for a read, and a level may ask for more replicas than there are.
    pub fn required_reads(self, n: u8) -> Result<usize, ConsistencyError> {
        match self {
            Self::Any => Err(ConsistencyError::AnyOnRead),
            level => level.required(n),
        }
    }

    /// How many of `n` replicas a write waits for. For ANY this is 1, and a durable hint counts as one (rule Q2).
    ///
    /// # Errors
    /// A level may ask for more replicas than there are.
    pub fn required_writes(self, n: u8) -> Result<usize, ConsistencyError> {
        self.required(n)
    }

    /// Whether operations at this level are linearizable per key: QUORUM and ALL, which run the strict
    /// protocol. A plain number never claims it, however large.
    pub fn is_linearizable(self) -> bool {
        matches!(self, Self::Quorum | Self::All)
    }

    fn required(self, n: u8) -> Result<usize, ConsistencyError> {
        let wanted = match self {
            Self::One | Self::Any => 1,
            Self::Two => 2,
            Self::Three => 3,
            Self::Quorum => quorum(n),
            Self::All => n,
            Self::Count(count) => count.get(),
        };
        if wanted > n || n == 0 {
            return Err(ConsistencyError::TooMany { level: self, wanted, replication: n });
        }
        Ok(usize::from(wanted))
    }
}

/// The smallest number of `n` replicas any two sets of which share one: floor(n/2)+1.
pub const fn quorum(n: u8) -> u8 {
    n / 2 + 1
}

/// Whether every set of `r` replicas shares one with every set of `w` out of `n`: a read of `r` then meets
/// every write that `w` acknowledged.
pub const fn overlaps(w: usize, r: usize, n: usize) -> bool {
    w + r > n
}

/// A level that the operation or the table cannot serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsistencyError {
    /// ANY on a read.
    #[error("consistency ANY is for writes only: a read needs at least ONE replica")]
    AnyOnRead,
    /// More replicas wanted than the table has.
    #[error("consistency {level} needs {wanted} replicas, but the table's replication is {replication}")]
    TooMany {
        /// The level asked for.
        level: Consistency,
        /// The replicas it needs.
        wanted: u8,
        /// The replicas there are.
        replication: u8,
    },
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::One => "ONE",
            Self::Two => "TWO",
            Self::Three => "THREE",
            Self::Quorum => "QUORUM",
            Self::All => "ALL",
            Self::Any => "ANY",
            Self::Count(count) => return count.fmt(f),
        })
    }
}

/// A word that names no consistency level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown consistency '{0}': expected ONE, TWO, THREE, QUORUM, ALL, ANY or a number from 1 to 255")]
pub struct UnknownConsistency(pub String);

impl FromStr for Consistency {
    type Err = UnknownConsistency;

    /// Reads a level's name in any case, or a number of replicas.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.to_ascii_uppercase().as_str() {
            "ONE" => Ok(Self::One),
            "TWO" => Ok(Self::Two),
            "THREE" => Ok(Self::Three),
            "QUORUM" => Ok(Self::Quorum),
            "ALL" => Ok(Self::All),
            "ANY" => Ok(Self::Any),
            digits => digits.parse().map(Self::Count).map_err(|_| UnknownConsistency(s.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
