//! One tag names one content, on every replica and for all time (rule V4).

use std::collections::{BTreeMap, btree_map::Entry};

use quorate::{
    ring::{Hlc, Tag},
    storage::{Accepted, Content, State},
};

/// Everything that was ever durable anywhere.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// By the write that made them.
    by_write: BTreeMap<Tag, Content>,
    /// Of `cas` keys, by their ballot.
    proposals: BTreeMap<Tag, Accepted>,
}

impl Contents {
    /// A replica holds `state`.
    pub(crate) fn seen(&mut self, state: &State) -> Result<(), String> {
        if let State::Cas(acceptor) = state
            && let Some(accepted) = acceptor.accepted()
            && self.proposals.entry(accepted.ballot).or_insert_with(|| accepted.clone()) != accepted
        {
            return Err(format!("contents: the ballot {} names two proposals", accepted.ballot));
        }
        for (tag, content) in state.contents() {
            match self.by_write.entry(tag) {
                Entry::Occupied(known) if known.get() == content => {}
                Entry::Occupied(_) => return Err(format!("contents: {tag} names two different contents")),
                Entry::Vacant(fresh) => {
                    fresh.insert(content.clone());
                }
            }
        }
        Ok(())
    }

    /// When the content of `tag` expires.
    pub(crate) fn expires(&self, tag: Tag) -> Option<Hlc> {
        self.by_write.get(&tag)?.expires()
    }

    /// Whether `tag` names this value.
    pub(crate) fn is(&self, tag: Tag, value: &bytes::Bytes) -> bool {
        self.by_write.get(&tag).and_then(Content::value) == Some(value)
    }
}
