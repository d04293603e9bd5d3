//! How two states of one key become one: a function per table kind.
//!
//! A merge is commutative, associative and idempotent, so it does not matter in which order, how often or
//! along which way (store, hint, read repair, anti-entropy) a state arrives.

use quorate_ring::TableKind;
use std::cmp::Ordering;

use crate::{Register, Siblings, State};

/// What a merge leaves to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The incoming state is the merge: store it.
    Incoming,
    /// Each has something that the other lacks: store this.
    Joined(State),
    /// What is held already covers the incoming state: nothing to write.
    Held,
}

/// Why two states cannot be merged.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A tag names one write, so one of the two is corrupt or a tag was issued twice (rule V4). Nobody may
    /// pick one.
    #[error("the same tag names different contents: corruption, or a tag issued twice")]
    EqualTagDifferentBytes,
    /// The two belong to tables of different kinds.
    #[error("a state of kind '{incoming}' cannot be merged into one of kind '{held}'")]
    KindMismatch {
        /// The kind that is held.
        held: TableKind,
        /// The kind that came in.
        incoming: TableKind,
    },
}

/// Merges `incoming` into what is `held`. Absence is never a value (rule A2): it covers nothing.
///
/// # Errors
///
/// Says why the two cannot be merged; nothing may be written then.
pub fn merge(held: Option<&State>, incoming: &State) -> Result<Merged, MergeError> {
    match (held, incoming) {
        (None, _) => Ok(Merged::Incoming),
        (Some(State::Register(held)), State::Register(incoming)) => merge_registers(held, incoming),
        (Some(State::Siblings(held)), State::Siblings(incoming)) => merge_siblings(held, incoming),
        (Some(held), incoming) => {
            Err(MergeError::KindMismatch { held: held.kind(), incoming: incoming.kind() })
        }
    }
}

/// The greater tag wins.
fn merge_registers(held: &Register, incoming: &Register) -> Result<Merged, MergeError> {
    match incoming.tag.cmp(&held.tag) {
        Ordering::Greater => Ok(Merged::Incoming),
        Ordering::Less => Ok(Merged::Held),
        Ordering::Equal if incoming.content == held.content => Ok(Merged::Held),
        Ordering::Equal => Err(MergeError::EqualTagDifferentBytes),
    }
}

/// Everything that either has seen and neither has superseded.
fn merge_siblings(held: &Siblings, incoming: &Siblings) -> Result<Merged, MergeError> {
    let joined = held.join(incoming).map_err(|_| MergeError::EqualTagDifferentBytes)?;
    Ok(if joined == *held {
        Merged::Held
    } else if joined == *incoming {
        Merged::Incoming
    } else {
        Merged::Joined(State::Siblings(joined))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Content,
        state::arbitrary::{tags, written_states},
    };

    fn join(held: Option<State>, incoming: &State) -> Option<State> {
        match merge(held.as_ref(), incoming).unwrap() {
            Merged::Incoming => Some(incoming.clone()),
            Merged::Joined(joined) => Some(joined),
            Merged::Held => held,
        }
    }

    proptest! {
        #[test]
        fn any_order_ends_at_the_greatest_tag(
            states in proptest::collection::vec(written_states(), 1..8),
            order in any::<u64>(),
        ) {
            let greatest = states.iter().max_by_key(|state| state.tag()).cloned();
            let forward = states.iter().fold(None, join);
            let mut shuffled = states.clone();
            shuffled.rotate_left(order as usize % states.len());
            shuffled.reverse();
            shuffled.extend(states);
            prop_assert_eq!(&forward, &greatest);
            prop_assert_eq!(shuffled.iter().fold(None, join), greatest);
        }

        #[test]
        fn grouping_does_not_matter(a in written_states(), b in written_states(), c in written_states()) {
            let left = join(join(Some(a.clone()), &b), &c);
            let right = join(Some(a), &join(Some(b), &c).unwrap());
            prop_assert_eq!(left, right);
        }

        #[test]
        fn equal_tags_with_different_bytes_are_an_alarm(tag in tags(), a in any::<u8>(), b in any::<u8>()) {
            let state = |byte| {
                State::Register(Register { tag, content: Content::Value(Bytes::copy_from_slice(&[byte])) })
            };
            let merged = merge(Some(&state(a)), &state(b));
            let expected =
                if a == b { Ok(Merged::Held) } else { Err(MergeError::EqualTagDifferentBytes) };
            prop_assert_eq!(merged, expected);
        }
    }
}
