//! Keys of which one version is known with two contents (rule V4): a tag was issued twice, or a disk lies.
//!
//! Nobody can say which of the two is right, so this replica tells neither to whoever serves clients by it: reads and
//! pages are refused as of a damaged record, and nothing is minted that would carry the content on beside a new one. It
//! is not a damaged record, though: the quarantine of those refetches what other replicas hold, which would be to pick.
//!
//! What ends it is a write that has seen the version: it replaces both contents alike, wherever they are. So versions are
//! told as ever, without which no strict write could go above them, and such a write is stored and minted as ever.
//!
//! Nothing but answers to clients depends on this. Merges refuse the other content by themselves, whoever brings it, so
//! every store, hint and repair of the key ends as it would without; what this replica holds stays as it is, and
//! so do its digests, what peers recover from it, and backups.
//!
//! It is kept in memory alone. The contents differ, and so do the digests of the replicas: after a restart
//! anti-entropy finds that again, gives each of the two what the other holds, and is refused. Until then, as before
//! it was found at first, the key is served: nobody knows better. For the same reason every replica that has one of
//! the contents comes to know, and not only the first that met the other.

use std::collections::BTreeSet;

use quorate_ring::{Actor, Hlc, TableId, Tag, Token};
use quorate_storage::{Row, State, Version};

/// The versions in question, by where their keys are: a token stands for its key, because a state counts only if it has
/// the version.
///
/// Events: [`found`](Self::found), [`changed`](Self::changed), [`read`](Self::read). The rest only looks.
#[derive(Debug, Default)]
pub struct Conflicts(BTreeSet<(TableId, Token, Tag)>);

impl Conflicts {
    /// Versions remembered, in a few megabytes. Beyond that one is forgotten, until it is found again.
    pub const VERSIONS_MAX: usize = 65_536;

    /// What this replica holds of `row` under `tag`, if anything, is not what somebody else holds under it.
    pub fn found(&mut self, row: &Row, tag: Tag) {
        if self.0.len() >= Self::VERSIONS_MAX {
            self.0.pop_first();
        }
        self.0.insert((row.table, row.token, tag));
    }

    /// This replica holds `state` of `row` from now on, durably.
    pub fn changed(&mut self, row: &Row, state: Option<&State>) {
        self.keep(row, |tag| state.is_some_and(|state| has(state, tag)));
    }

    /// A read of this replica has found `state`. It may come late, so what it lacks does not end a conflict; a version
    /// that was replaced by then does not come back.
    pub fn read(&mut self, row: &Row, state: &State) {
        self.keep(row, |tag| has(state, tag) || !state.version().covers(tag));
    }

    /// The versions in question of `row`.
    pub fn of(&self, row: &Row) -> impl Iterator<Item = Tag> {
        let of = |hlc, actor| (row.table, row.token, Tag { hlc, actor });
        let all = of(Hlc(0), Actor(0))..=of(Hlc(u64::MAX), Actor(u64::MAX));
        self.0.range(all).map(|(_, _, tag)| *tag)
    }

    /// A version in question of `row` of which `state` has a content.
    pub fn within(&self, row: &Row, state: &State) -> Option<Tag> {
        if self.0.is_empty() { None } else { self.of(row).find(|tag| has(state, *tag)) }
    }

    fn keep(&mut self, row: &Row, is_open: impl Fn(Tag) -> bool) {
        if self.0.is_empty() {
            return;
        }
        let over: Vec<_> = self.of(row).filter(|tag| !is_open(*tag)).collect();
        for tag in over {
            self.0.remove(&(row.table, row.token, tag));
        }
    }
}

fn has(state: &State, tag: Tag) -> bool {
    // Of a `cas` key it is the ballot that has two contents.
    state.contents().any(|(held, _)| held == tag)
        || matches!(state, State::Cas(_)) && state.version() == Version::Tag(tag)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quorate_storage::{Content, Siblings, VersionVector};

    use super::*;

    fn tag(hlc: u64) -> Tag {
        Tag { hlc: Hlc(hlc), actor: Actor(1) }
    }

    fn row(token: i64) -> Row {
        Row::new(Token(token), TableId(1), "k")
    }

    fn first(conflicts: &Conflicts) -> Option<Tag> {
        conflicts.of(&row(1)).next()
    }

    /// A read that is late may find an older one.
    #[test]
    fn one_key_may_have_two() {
        let value = || Content::Value(Bytes::from_static(b"v"));
        let old = Siblings::first(tag(5), &VersionVector::new(), value());
        let new = State::Siblings(old.written(tag(6), old.vector(), value()));
        let mut conflicts = Conflicts::default();
        conflicts.found(&row(1), tag(6));
        conflicts.found(&row(1), tag(5));
        conflicts.read(&row(1), &new);
        assert_eq!(conflicts.within(&row(1), &new), Some(tag(6)));
        assert_eq!(conflicts.of(&row(1)).count(), 1);
    }

    #[test]
    fn a_conflict_ends_once_the_version_is_replaced() {
        let value = || Content::Value(Bytes::from_static(b"v"));
        let disputed = Siblings::first(tag(5), &VersionVector::new(), value());
        let beside = disputed.written(tag(6), &VersionVector::new(), value());
        let above = disputed.written(tag(6), disputed.vector(), value());
        let mut conflicts = Conflicts::default();
        conflicts.found(&row(1), tag(5));
        conflicts.changed(&row(2), Some(&State::Siblings(above.clone())));
        let beside = State::Siblings(beside);
        conflicts.changed(&row(1), Some(&beside));
        assert_eq!(conflicts.within(&row(1), &beside), Some(tag(5)), "a sibling changes nothing");
        assert_eq!(conflicts.within(&row(2), &beside), None, "another key");
        let above = State::Siblings(above);
        assert_eq!((first(&conflicts), conflicts.within(&row(1), &above)), (Some(tag(5)), None));
        conflicts.changed(&row(1), Some(&above));
        assert_eq!(first(&conflicts), None);
    }

    /// The conflict may be found by a read that is over late.
    #[test]
    fn a_conflict_that_was_over_when_it_was_found_ends_with_the_next_read() {
        let value = || Content::Value(Bytes::from_static(b"v"));
        let disputed = Siblings::first(tag(5), &VersionVector::new(), value());
        let other = Siblings::first(Tag { hlc: Hlc(4), actor: Actor(2) }, &VersionVector::new(), value());
        let above = State::Siblings(disputed.written(tag(6), disputed.vector(), value()));
        let mut conflicts = Conflicts::default();
        conflicts.found(&row(1), tag(5));
        conflicts.read(&row(1), &State::Siblings(disputed));
        assert_eq!(first(&conflicts), Some(tag(5)), "it is there");
        conflicts.read(&row(1), &State::Siblings(other));
        assert_eq!(first(&conflicts), Some(tag(5)), "an older state, read late");
        conflicts.read(&row(1), &above);
        assert_eq!(first(&conflicts), None);
    }

    #[test]
    fn no_more_are_remembered_than_may_be() {
        let mut conflicts = Conflicts::default();
        let last = Conflicts::VERSIONS_MAX as i64 + 5;
        (0..=last).for_each(|token| conflicts.found(&row(token), tag(1)));
        assert_eq!(conflicts.0.len(), Conflicts::VERSIONS_MAX);
        assert!(conflicts.of(&row(last)).next().is_some());
    }
}
