//! Members of the cluster, and the founders they start as.

use serde::{Deserialize, Serialize};

use crate::{NodeId, RingError, Token};

/// A node as the founders' list names it, before it has an id and tokens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founder {
    /// Its name for life, unique in the cluster: 1 to [`Founder::WORD_BYTES_MAX`] bytes of `[A-Za-z0-9._-]`.
    pub name: String,
    /// Where peers and clients reach it: `host:port`.
    pub address: String,
    /// The failure domain it shares with others; empty if nobody said. Written like a name.
    #[serde(default)]
    pub rack: String,
    /// Its share of the data in per cent of an ordinary node's, 1 to [`Founder::WEIGHT_MAX`].
    #[serde(default = "default_weight")]
    pub weight: u16,
}

impl Founder {
    /// The longest name of a node or a rack, in bytes.
    pub const WORD_BYTES_MAX: usize = 64;
    /// The longest address, in bytes.
    pub const ADDRESS_BYTES_MAX: usize = 261;
    /// The weight of an ordinary node.
    pub const WEIGHT_DEFAULT: u16 = 100;
    /// The greatest weight: ten ordinary nodes.
    pub const WEIGHT_MAX: u16 = 1_000;
    /// The tokens of an ordinary node.
    pub const TOKENS: usize = 150;

    /// A node of ordinary weight in no particular rack.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self { name: name.into(), address: address.into(), rack: String::new(), weight: Self::WEIGHT_DEFAULT }
    }

    /// The same node in `rack`.
    #[must_use]
    pub fn in_rack(self, rack: impl Into<String>) -> Self {
        Self { rack: rack.into(), ..self }
    }

    /// The same node with `weight`.
    #[must_use]
    pub fn with_weight(self, weight: u16) -> Self {
        Self { weight, ..self }
    }

    /// How many tokens its weight entitles it to: at least one.
    pub fn token_count(&self) -> usize {
        (Self::TOKENS * usize::from(self.weight) + 50).div_euclid(100).max(1)
    }

    /// Refuses a founder that no ring may hold.
    pub(crate) fn validate(&self) -> Result<(), RingError> {
        validate_node(&self.name, &self.address, &self.rack, self.weight)
    }
}

/// A node of the ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id, never given to another node.
    pub id: NodeId,
    /// Its name, unique in the cluster.
    pub name: String,
    /// Where it is reached: `host:port`.
    pub address: String,
    /// Its failure domain; empty if nobody said.
    pub rack: String,
    /// Its share of the data in per cent of an ordinary node's.
    pub weight: u16,
    /// The ends of the ranges it owns, in ascending order. Never empty.
    pub tokens: Vec<Token>,
}

impl Member {
    pub(crate) fn new(id: NodeId, founder: Founder, mut tokens: Vec<Token>) -> Self {
        tokens.sort_unstable();
        let Founder { name, address, rack, weight } = founder;
        Self { id, name, address, rack, weight, tokens }
    }

    /// Refuses a member that no ring may hold.
    pub(crate) fn validate(&self) -> Result<(), RingError> {
        validate_node(&self.name, &self.address, &self.rack, self.weight)?;
        let tokens_max = Founder::TOKENS * usize::from(Founder::WEIGHT_MAX) / 100;
        if !(1..=tokens_max).contains(&self.tokens.len()) || !self.tokens.is_sorted_by(|a, b| a < b) {
            return Err(RingError::BadTokens { name: self.name.clone() });
        }
        Ok(())
    }
}

fn validate_node(name: &str, address: &str, rack: &str, weight: u16) -> Result<(), RingError> {
    if name.is_empty() || !is_word(name) {
        return Err(RingError::BadName(name.to_owned()));
    }
    if !is_address(address) {
        return Err(RingError::BadAddress { name: name.to_owned(), address: address.to_owned() });
    }
    if !is_word(rack) {
        return Err(RingError::BadRack { name: name.to_owned(), rack: rack.to_owned() });
    }
    if !(1..=Founder::WEIGHT_MAX).contains(&weight) {
        return Err(RingError::BadWeight { name: name.to_owned(), weight });
    }
    Ok(())
}

fn is_word(word: &str) -> bool {
    word.len() <= Founder::WORD_BYTES_MAX
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_address(address: &str) -> bool {
    address.len() <= Founder::ADDRESS_BYTES_MAX
        && address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_graphic())
                && port.parse::<u16>().is_ok_and(|port| port != 0)
        })
}

fn default_weight() -> u16 {
    Founder::WEIGHT_DEFAULT
}
