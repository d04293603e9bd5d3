//! What a write must go above.

use quorate_ring::Tag;
use quorate_storage::{Version, VersionVector};

/// What is known of a key's writes before a new one.
#[derive(Clone, Debug, Default)]
pub(super) struct Knowledge {
    /// Of a register: the greatest tag.
    pub(super) floor: Option<Tag>,
    /// Of siblings: what the write replaces; none for what is durable on this node.
    pub(super) seen: Option<VersionVector>,
}

impl Knowledge {
    /// A replica says what it has seen.
    pub(super) fn learn(&mut self, version: Option<Version>) {
        match version {
            Some(Version::Tag(tag)) => self.floor = self.floor.max(Some(tag)),
            Some(Version::Vector(vector)) => self.seen.get_or_insert_default().join(&vector),
            None => {}
        }
    }

    /// What the new tag must exceed.
    pub(super) fn floor(&self) -> Option<Tag> {
        self.floor.max(self.seen.as_ref().and_then(VersionVector::greatest))
    }
}
