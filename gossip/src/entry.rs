//! Versioned facts about nodes.

use quorate_ring::{Incarnation, NodeId};
use serde::{Deserialize, Serialize};

/// What a fact is about: one node's word on one subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryKey {
    /// Whose fact it is. Only this node makes versions of it.
    pub node: NodeId,
    /// The subject, at most 64 bytes.
    pub subject: String,
}

/// Orders the versions of a fact: those of a later life of the node's state are newer, whatever their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The life of the node's local state in which it was made.
    pub incarnation: Incarnation,
    /// Counts up within that life.
    pub number: u64,
}

/// A fact at a version. Opaque: gossip spreads it and interprets none of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is about.
    pub key: EntryKey,
    /// How new it is.
    pub version: Version,
    /// What it says.
    pub value: Vec<u8>,
}

impl Entry {
    /// Keeps the newer of two entries for one key; true if `other` was newer.
    ///
    /// # Panics
    /// If the keys differ.
    pub fn merge(&mut self, other: Self) -> bool {
        assert_eq!(self.key, other.key, "entries of different keys do not merge");
        let is_newer = other.version > self.version;
        if is_newer {
            *self = other;
        }
        is_newer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(incarnation: u64, number: u64) -> Entry {
        let key = EntryKey { node: NodeId(1), subject: "address".to_owned() };
        let version = Version { incarnation: Incarnation(incarnation), number };
        Entry { key, version, value: vec![incarnation as u8, number as u8] }
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let entries = [entry(1, 1), entry(1, 9), entry(2, 1), entry(2, 2)];
        for start in 0..entries.len() {
            let mut held = entries[start].clone();
            for step in 0..entries.len() {
                held.merge(entries[(start + step) % entries.len()].clone());
            }
            assert_eq!(held, entry(2, 2));
        }
    }

    #[test]
    fn an_older_life_never_wins() {
        let mut held = entry(2, 1);
        assert!(!held.merge(entry(1, 1_000)));
        assert_eq!(held, entry(2, 1));
    }
}
