//! What is held of one node's entries.

use quorate_ring::NodeId;

use crate::{
    entry::{ENTRIES_PER_NODE_MAX, Entry},
    life::Life,
    message::EntrySet,
};

/// The entries of one node, all of one life, and how far they are complete.
///
/// Scuttlebutt (van Renesse et al. 2008) sums up a node's entries in one number because its deltas arrive in order.
/// News arrives in any order, so the number here is a watermark: it moves only over numbers that were seen, or that a
/// delta vouches for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    life: Life,
    watermark: u64,
    /// By ascending number; one per subject.
    entries: Vec<Entry>,
}

impl Facts {
    /// All that a node has said at the beginning of a life: nothing.
    pub(crate) fn none_in(life: Life) -> Self {
        Self { life, ..Self::default() }
    }

    pub(crate) fn life(&self) -> Life {
        self.life
    }

    pub(crate) fn watermark(&self) -> u64 {
        self.watermark
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn numbered(&self, number: u64) -> Option<&Entry> {
        let at = self.entries.binary_search_by_key(&number, |entry| entry.version.number).ok()?;
        Some(&self.entries[at])
    }

    pub(crate) fn about(&self, subject: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.key.subject == subject)
    }

    /// Takes an entry in unless it is old; true if it is newer than what was held on its subject. The first of a later
    /// life clears away those of the earlier one.
    pub(crate) fn merge(&mut self, entry: Entry) -> bool {
        if entry.version.life < self.life {
            return false;
        }
        if entry.version.life > self.life {
            *self = Self::none_in(entry.version.life);
        }
        let number = entry.version.number;
        let is_newer = self.put(entry);
        if self.watermark.checked_add(1) == Some(number) {
            self.watermark = number;
            self.pass_held_numbers();
        }
        is_newer
    }

    fn put(&mut self, entry: Entry) -> bool {
        let number = entry.version.number;
        match self.entries.iter().position(|held| held.key.subject == entry.key.subject) {
            Some(at) if self.entries[at].version.number >= number => return false,
            Some(at) => drop(self.entries.remove(at)),
            None if self.entries.len() >= ENTRIES_PER_NODE_MAX => return false,
            None => {}
        }
        let at = self.entries.partition_point(|held| held.version.number < number);
        if self.entries.get(at).is_some_and(|held| held.version.number == number) {
            return false; // its maker gives a number once
        }
        self.entries.insert(at, entry);
        true
    }

    fn pass_held_numbers(&mut self) {
        while let Some(next) = self.watermark.checked_add(1) {
            if self.numbered(next).is_none() {
                break;
            }
            self.watermark = next;
        }
    }

    /// After the entries of a set were merged: it leaves no gap behind what is held. A set of a later life without any
    /// entry says that there are none.
    pub(crate) fn vouch(&mut self, life: Life, base: u64, up_to: u64) {
        if life > self.life {
            *self = Self::none_in(life);
        }
        if life == self.life && base <= self.watermark && up_to > self.watermark {
            self.watermark = up_to;
            self.pass_held_numbers();
        }
    }

    /// What somebody lacks of `node` who holds everything of `life` up to `watermark`; nothing if that is all.
    pub(crate) fn beyond(&self, node: NodeId, life: Life, watermark: u64) -> Option<EntrySet> {
        let base = if life == self.life { watermark } else { 0 };
        if (life, watermark) >= (self.life, self.watermark) {
            return None;
        }
        let from = self.entries.partition_point(|held| held.version.number <= base);
        let entries = self.entries[from..].to_vec();
        Some(EntrySet { node, life: self.life, base, up_to: self.watermark.max(base), entries })
    }

    /// The node's own: all entries anew, in the same order, as those of another life.
    pub(crate) fn reborn(&mut self, life: Life) {
        self.life = life;
        for (number, entry) in (1..).zip(&mut self.entries) {
            (entry.version.life, entry.version.number) = (life, number);
        }
        self.watermark = self.entries.len() as u64;
    }

    pub(crate) fn validate(&self) {
        assert!(self.entries.len() <= ENTRIES_PER_NODE_MAX);
        let is_sorted = self.entries.is_sorted_by(|a, b| a.version.number < b.version.number);
        assert!(is_sorted, "entries out of order: {:?}", self.entries);
        for entry in &self.entries {
            assert_eq!(entry.version.life, self.life, "an entry of another life");
            let first = self.about(&entry.key.subject).map(|first| first.version);
            assert_eq!(first, Some(entry.version), "two entries on one subject");
        }
    }
}

#[cfg(test)]
mod tests;
