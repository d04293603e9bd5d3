//! How two states of one key become one: a file per table kind.
//!
//! A merge is commutative, associative and idempotent, so it does not matter in which order, how often or
//! along which way (store, hint, read repair, anti-entropy) a state arrives.

mod register;
mod siblings;

use quorate_ring::{TableKind, Tag};

use crate::State;

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
    #[error("the tag {0} names different contents: corruption, or a tag issued twice")]
    EqualTagDifferentBytes(Tag),
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
        (Some(State::Register(held)), State::Register(incoming)) => register::merge(held, incoming),
        (Some(State::Siblings(held)), State::Siblings(incoming)) => siblings::merge(held, incoming),
        (Some(held), incoming) => {
            Err(MergeError::KindMismatch { held: held.kind(), incoming: incoming.kind() })
        }
    }
}

#[cfg(test)]
pub(crate) fn join(held: Option<State>, incoming: &State) -> Option<State> {
    match merge(held.as_ref(), incoming).expect("states of one history") {
        Merged::Incoming => Some(incoming.clone()),
        Merged::Joined(joined) => Some(joined),
        Merged::Held => held,
    }
}
