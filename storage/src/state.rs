//! What a key holds: the versioned content that replicas exchange and merge.

use bytes::Bytes;
use quorate_ring::{TableKind, Tag};
use serde::{Deserialize, Serialize};

use crate::record;

/// The whole versioned content of one key, in the shape its table's kind asks for. Replicas exchange
/// states and nothing less, so that every message is a merge and order does not matter.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The content of a key in a `register` table.
    Register(Register),
}

/// One version: the write that won, and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The write that made it.
    pub tag: Tag,
    /// What that write left behind.
    pub content: Content,
}

/// What a write leaves behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A value, 0 to [`State::VALUE_BYTES_MAX`] bytes.
    Value(Bytes),
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
        }
    }

    /// The greatest tag in it.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Register(register) => register.tag,
        }
    }

    /// The value to show, if there is exactly one; `None` for a tombstone.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Register(register) => register.content.value(),
        }
    }

    /// A 128-bit digest over the kind, every tag and every byte of content: equal states have equal
    /// digests on every node. It may select a fast path, never decide agreement (rule Q7).
    pub fn digest(&self) -> u128 {
        record::digest(self)
    }

    /// Bytes of content it carries, without framing: what size limits and budgets count.
    pub fn bytes_len(&self) -> usize {
        match self {
            Self::Register(register) => register.content.value().map_or(0, Bytes::len),
        }
    }
}

impl Content {
    /// The value; `None` for a tombstone.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Self::Value(value) => Some(value),
            Self::Tombstone => None,
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
        assert_eq!(value.value(), Some(&Bytes::new()));
        assert_eq!(tombstone.value(), None);
    }
}
