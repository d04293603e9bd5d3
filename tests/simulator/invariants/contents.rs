//! One tag names one content, on every replica and for all time (rule V4).

use std::collections::{BTreeMap, btree_map::Entry};

use quorate::{
    ring::{Hlc, Tag},
    storage::{Content, State},
};

/// Everything that was ever durable anywhere.
#[derive(Debug, Default)]
pub(crate) struct Contents(BTreeMap<Tag, Content>);

impl Contents {
    /// A replica holds `state`.
    pub(crate) fn seen(&mut self, state: &State) -> Result<(), String> {
        for (tag, content) in state.contents() {
            match self.0.entry(tag) {
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
        self.0.get(&tag)?.expires()
    }

    /// Whether `tag` names this value.
    pub(crate) fn is(&self, tag: Tag, value: &bytes::Bytes) -> bool {
        self.0.get(&tag).and_then(Content::value) == Some(value)
    }
}
