//! What a key holds: the versioned content that replicas exchange and merge.

use std::cmp::Ordering;

use bytes::Bytes;
use quorate_ring::{Actor, Hlc, TableKind, Tag};
use serde::{Deserialize, Serialize};

use crate::{VersionVector, record};

/// The whole versioned content of one key, in the shape its table's kind asks for. Replicas exchange
/// states and nothing less, so that every message is a merge and order does not matter.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The content of a key in a `register` table.
    Register(Register),
    /// The content of a key in a `siblings` table.
    Siblings(Siblings),
}

/// One version: the write that won, and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The write that made it.
    pub tag: Tag,
    /// What that write left behind.
    pub content: Content,
}

/// A dotted version vector set (Almeida et al., "Scalable and Accurate Causality Tracking for Eventually
/// Consistent Stores", 2014) with clock readings for dots: the concurrent writes that are left, and
/// everything that is known of, theirs included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(VersionVector, Vec<Sibling>)", into = "(VersionVector, Vec<Sibling>)")]
pub struct Siblings {
    vector: VersionVector,
    siblings: Vec<Sibling>,
}

/// A vector and siblings that are no state: siblings out of order, or not covered by the vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("siblings are out of order, or their version vector does not cover them")]
pub struct MalformedSiblings;

impl TryFrom<(VersionVector, Vec<Sibling>)> for Siblings {
    type Error = MalformedSiblings;

    fn try_from((vector, siblings): (VersionVector, Vec<Sibling>)) -> Result<Self, MalformedSiblings> {
        let in_order = siblings.windows(2).all(|pair| pair[0].dot < pair[1].dot);
        let covered = siblings.iter().all(|sibling| vector.covers(sibling.dot));
        if in_order && covered && !vector.is_empty() {
            Ok(Self { vector, siblings })
        } else {
            Err(MalformedSiblings)
        }
    }
}

impl From<Siblings> for (VersionVector, Vec<Sibling>) {
    fn from(state: Siblings) -> Self {
        (state.vector, state.siblings)
    }
}

/// One of the concurrent writes of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sibling {
    /// The write that made it.
    pub dot: Tag,
    /// What that write left behind.
    pub content: Content,
}

/// What a state has seen of its key's writes: what decides agreement between replicas (rule Q7) and what a
/// new write must exceed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// Of a register: the write that won.
    Tag(Tag),
    /// Of siblings: all writes seen.
    Vector(VersionVector),
}

/// What a write leaves behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A value, 0 to [`State::VALUE_BYTES_MAX`] bytes.
    Value(Bytes),
    /// A value that is as good as deleted once the clocks have passed an instant (rule D1). For a merge it
    /// stays what it is, before and after.
    Expiring {
        /// The value, 0 to [`State::VALUE_BYTES_MAX`] bytes.
        value: Bytes,
        /// The first clock reading at which it is absent.
        expires: Hlc,
    },
    /// The key was deleted (rule D1).
    Tombstone,
}

impl State {
    /// The largest value, in bytes.
    pub const VALUE_BYTES_MAX: usize = 16 * 1024 * 1024;

    /// The kind of table this state belongs in.
    pub fn kind(&self) -> TableKind {
        match self {
            Self::Register(_) => TableKind::Register,
            Self::Siblings(_) => TableKind::Siblings,
        }
    }

    /// The greatest tag that it knows of.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Register(register) => register.tag,
            Self::Siblings(siblings) => {
                siblings.vector.greatest().unwrap_or(Tag { hlc: Hlc::ZERO, actor: Actor(0) })
            }
        }
    }

    /// What it has seen of its key's writes.
    pub fn version(&self) -> Version {
        match self {
            Self::Register(register) => Version::Tag(register.tag),
            Self::Siblings(siblings) => Version::Vector(siblings.vector.clone()),
        }
    }

    /// The writes that are left, tombstones among them, by tag: one of a register, any number of siblings.
    pub fn contents(&self) -> impl Iterator<Item = (Tag, &Content)> {
        let (register, siblings) = match self {
            Self::Register(register) => (Some((register.tag, &register.content)), &[][..]),
            Self::Siblings(siblings) => (None, &siblings.siblings[..]),
        };
        register.into_iter().chain(siblings.iter().map(|sibling| (sibling.dot, &sibling.content)))
    }

    /// The values, expired or not; none if all that is left are tombstones.
    pub fn values(&self) -> impl Iterator<Item = &Bytes> {
        self.contents().filter_map(|(_, content)| content.value())
    }

    /// The latest instant at which a value of it expires (rule D1); `None` if none ever does.
    pub fn last_expiry(&self) -> Option<Hlc> {
        self.contents().filter_map(|(_, content)| content.expires()).max()
    }

    /// A 128-bit digest over the kind, every tag and every byte of content: equal states have equal
    /// digests on every node. It may select a fast path, never decide agreement (rule Q7).
    pub fn digest(&self) -> u128 {
        record::digest(self)
    }

    /// Bytes of content it carries, without framing: what size limits and budgets count.
    pub fn bytes_len(&self) -> usize {
        self.values().map(Bytes::len).sum()
    }
}

impl Siblings {
    /// Above this many concurrent writes of a key an operator should hear of it (rule V6).
    pub const SIBLINGS_WARN: usize = 16;

    /// The most concurrent writes of a key that new writes may make (rule V6). Merges of replicas may
    /// exceed it: they lose nothing.
    pub const SIBLINGS_MAX: usize = 64;

    /// The state after a key's first write here, by someone who had seen `context` of the key elsewhere.
    pub fn first(dot: Tag, context: &VersionVector, content: Content) -> Self {
        let mut vector = context.clone();
        vector.advance(dot);
        Self { vector, siblings: vec![Sibling { dot, content }] }
    }

    /// Every write that this state has seen, superseded or not. Covers the dot of each sibling.
    pub fn vector(&self) -> &VersionVector {
        &self.vector
    }

    /// The writes that nothing has superseded, in the order of their dots.
    pub fn siblings(&self) -> &[Sibling] {
        &self.siblings
    }

    /// The state after a write under `dot` by someone who had seen `context` of the key: what the context
    /// covers is gone, what it does not cover stays beside the new write.
    ///
    /// # Panics
    ///
    /// If the dot does not exceed every entry of both vectors (rule V5): it would hide under one of them.
    pub fn written(&self, dot: Tag, context: &VersionVector, content: Content) -> Self {
        let mut vector = self.vector.clone();
        vector.join(context);
        assert!(
            vector.greatest().is_none_or(|seen| seen.hlc < dot.hlc),
            "rule V5: a dot exceeds all it joins"
        );
        vector.advance(dot);
        let kept = self.siblings.iter().filter(|sibling| !context.covers(sibling.dot)).cloned();
        Self { vector, siblings: kept.chain([Sibling { dot, content }]).collect() }
    }

    /// Bytes of values it carries.
    pub fn bytes_len(&self) -> usize {
        self.siblings.iter().filter_map(|sibling| sibling.content.value()).map(Bytes::len).sum()
    }

    /// The state that has seen what either has: a sibling stays if both hold it, or if the other has not
    /// seen it.
    ///
    /// # Errors
    ///
    /// The dot under which the two hold different contents (rule V4).
    pub fn join(&self, other: &Self) -> Result<Self, Tag> {
        let mut siblings = Vec::with_capacity(self.siblings.len().max(other.siblings.len()));
        let (mut ours, mut theirs) = (self.siblings.iter().peekable(), other.siblings.iter().peekable());
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (Some(our), Some(their)) => our.dot.cmp(&their.dot),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let (our, their) = match order {
                Ordering::Less => (ours.next(), None),
                Ordering::Greater => (None, theirs.next()),
                Ordering::Equal => (ours.next(), theirs.next()),
            };
            siblings.extend(match (our, their) {
                (Some(our), Some(their)) if our.content == their.content => Some(our),
                (Some(our), Some(_)) => return Err(our.dot),
                (Some(our), None) => Some(our).filter(|our| !other.vector.covers(our.dot)),
                (None, their) => their.filter(|their| !self.vector.covers(their.dot)),
            });
        }
        let mut vector = self.vector.clone();
        vector.join(&other.vector);
        Ok(Self { vector, siblings: siblings.into_iter().cloned().collect() })
    }
}

impl Content {
    /// The value; `None` for a tombstone.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Value(value) | Self::Expiring { value, .. } => Some(value),
            Self::Tombstone => None,
        }
    }

    /// The first clock reading at which it is absent; `None` if it stays.
    pub fn expires(&self) -> Option<Hlc> {
        match self {
            Self::Expiring { expires, .. } => Some(*expires),
            Self::Value(_) | Self::Tombstone => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod arbitrary {
    //! States for property tests: few tags and short values, so that collisions happen.

    use proptest::prelude::*;
    use quorate_ring::{Actor, Hlc};

    use super::*;

    pub(crate) fn tags() -> impl Strategy<Value = Tag> {
        (0_u64..6, 0_u64..3).prop_map(|(hlc, actor)| Tag { hlc: Hlc(hlc), actor: Actor(actor) })
    }

    pub(crate) fn contents() -> impl Strategy<Value = Content> {
        prop_oneof![
            4 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|v| Content::Value(v.into())),
            1 => Just(Content::Tombstone),
        ]
    }

    /// States with any tag at all and no relation between tag and content.
    pub(crate) fn states() -> impl Strategy<Value = State> {
        (any::<u64>(), any::<u64>(), contents()).prop_map(|(hlc, actor, content)| {
            State::Register(Register { tag: Tag { hlc: Hlc(hlc), actor: Actor(actor) }, content })
        })
    }

    /// States as the protocol makes them: a tag names one write, so the content follows from the tag.
    pub(crate) fn written_states() -> impl Strategy<Value = State> {
        tags().prop_map(|tag| {
            let seed = tag.hlc.0 * 3 + tag.actor.0;
            let content = if seed % 4 == 0 {
                Content::Tombstone
            } else {
                Content::Value(Bytes::from(seed.to_string()))
            };
            State::Register(Register { tag, content })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{arbitrary::states, *};

    proptest! {
        #[test]
        fn digests_agree_exactly_with_states(a in states(), b in states()) {
            prop_assert_eq!(a.digest() == b.digest(), a == b);
            prop_assert_eq!(a.clone().digest(), a.digest());
        }

        #[test]
        fn the_wire_form_comes_back(state in states()) {
            let bytes = rmp_serde::to_vec(&state).unwrap();
            prop_assert_eq!(rmp_serde::from_slice::<State>(&bytes).unwrap(), state);
        }
    }

    #[test]
    fn an_empty_value_is_no_tombstone() {
        let tag = Tag { hlc: quorate_ring::Hlc(1), actor: quorate_ring::Actor(1) };
        let value = State::Register(Register { tag, content: Content::Value(Bytes::new()) });
        let tombstone = State::Register(Register { tag, content: Content::Tombstone });
        assert_ne!(value.digest(), tombstone.digest());
        assert_eq!(value.values().next(), Some(&Bytes::new()));
        assert_eq!(tombstone.values().next(), None);
    }
}
