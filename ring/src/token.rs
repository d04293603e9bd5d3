//! The circle of tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A position on the ring: the full circle of signed 64-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub i64);

impl Token {
    /// Big-endian bytes whose byte order is the numeric order, for storage keys.
    pub const fn to_ordered_bytes(self) -> [u8; 8] {
        (self.0 as u64 ^ (1 << 63)).to_be_bytes()
    }

    /// The inverse of [`Token::to_ordered_bytes`].
    pub const fn from_ordered_bytes(bytes: [u8; 8]) -> Self {
        Self((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
