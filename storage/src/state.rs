//! What a key holds: the versioned content that replicas exchange and merge.

use bytes::Bytes;
use quorate_ring::{Actor, Hlc, TableKind, Tag};
use serde::{Deserialize, Serialize};

use crate::{Acceptor, Siblings, VersionVector, cas, record};

/// The whole versioned content of one key, in the shape its table's kind asks for. Replicas exchange
/// states and nothing less, so that every message is a merge and order does not matter.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The content of a key in a `register` table.
    Register(Register),
    /// The content of a key in a `siblings` table.
    Siblings(Siblings),
    /// The content of a key in a `cas` table.
    Cas(Acceptor),
}

/// One version: the write that won, and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The write that made it.
    pub tag: Tag,
    /// What that write left behind.
    pub content: Content,
}

/// What a state has seen of its key's writes: what decides agreement between replicas (rule Q7) and what a
/// new write must exceed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// Of a register: the write that won. Of a `cas` key: the round whose proposal was accepted last.
    Tag(Tag),
    /// Of siblings: all writes seen.
    Vector(VersionVector),
}

impl Version {
    /// The greatest tag in it; `None` for a vector without entries.
    pub fn greatest(&self) -> Option<Tag> {
        match self {
            Self::Tag(tag) => Some(*tag),
            Self::Vector(vector) => vector.greatest(),
        }
    }

    /// Whether the write that `tag` names is in it, or was superseded by what is.
    pub fn covers(&self, tag: Tag) -> bool {
        match self {
            Self::Tag(own) => *own >= tag,
            Self::Vector(vector) => vector.covers(tag),
        }
    }
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
            Self::Cas(_) => TableKind::Cas,
        }
    }

    /// The greatest tag that it knows of.
    pub fn tag(&self) -> Tag {
        match self {
            Self::Register(register) => register.tag,
            Self::Siblings(siblings) => {
                siblings.vector().greatest().unwrap_or(Tag { hlc: Hlc::ZERO, actor: Actor(0) })
            }
            Self::Cas(acceptor) => acceptor.promised(),
        }
    }

    /// The newest write that it shows: what a reader's receipt names. Of a `cas` key a round that changed nothing has a ballot
    /// of its own, and shows the write that was there.
    pub fn newest_write(&self) -> Tag {
        match self {
            Self::Cas(acceptor) => acceptor.accepted().map_or(cas::NONE, |accepted| accepted.write),
            state => state.tag(),
        }
    }

    /// What it has seen of its key's writes.
    pub fn version(&self) -> Version {
        match self {
            Self::Register(register) => Version::Tag(register.tag),
            Self::Siblings(siblings) => Version::Vector(siblings.vector().clone()),
            Self::Cas(acceptor) => {
                Version::Tag(acceptor.accepted().map_or(cas::NONE, |accepted| accepted.ballot))
            }
        }
    }

    /// What is told of it to whoever is not to copy it with its promises: nothing if nothing was ever written.
    pub fn told(self) -> Option<Self> {
        match self {
            Self::Cas(acceptor) => acceptor.without_promise().map(Self::Cas),
            state => Some(state),
        }
    }

    /// What is sent of it to a replica that lacks it.
    #[must_use]
    pub fn as_message(&self) -> Self {
        match self {
            Self::Cas(acceptor) => Self::Cas(acceptor.as_message()),
            state => state.clone(),
        }
    }

    /// Whether whoever says that it holds this votes for it: see [`Acceptor::vote`].
    pub fn is_vote(&self) -> bool {
        !matches!(self, Self::Cas(acceptor) if acceptor.is_copy())
    }

    /// The writes that are left, tombstones among them, by tag: one of a register, any number of siblings, at most one of a
    /// `cas` key.
    pub fn contents(&self) -> impl Iterator<Item = (Tag, &Content)> {
        let (one, siblings) = match self {
            Self::Register(register) => (Some((register.tag, &register.content)), &[][..]),
            Self::Siblings(siblings) => (None, siblings.siblings()),
            Self::Cas(acceptor) => {
                (acceptor.accepted().map(|accepted| (accepted.write, &accepted.content)), &[][..])
            }
        };
        one.into_iter().chain(siblings.iter().map(|sibling| (sibling.dot, &sibling.content)))
    }

    /// The values, expired or not; none if all that is left are tombstones.
    pub fn values(&self) -> impl Iterator<Item = &Bytes> {
        self.contents().filter_map(|(_, content)| content.value())
    }

    /// The latest instant at which a value of it expires (rule D1); `None` if none ever does.
    pub fn last_expiry(&self) -> Option<Hlc> {
        self.contents().filter_map(|(_, content)| content.expires()).max()
    }

    /// A 128-bit digest over the kind, every tag and every byte of content, but no promise: equal states have equal
    /// digests on every node. It may select a fast path, never decide agreement (rule Q7).
    pub fn digest(&self) -> u128 {
        record::digest(self)
    }

    /// Bytes of content it carries, without framing: what size limits and budgets count.
    pub fn bytes_len(&self) -> usize {
        self.values().map(Bytes::len).sum()
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary::states;

    proptest! {
        #[test]
        fn digests_agree_exactly_with_states(a in states(), b in states()) {
            let what_counts = |state: &State| match state {
                State::Cas(acceptor) => (None, acceptor.accepted().cloned()),
                state => (Some(state.clone()), None),
            };
            prop_assert_eq!(a.digest() == b.digest(), what_counts(&a) == what_counts(&b));
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
