//! How two states of one key become one: a file per table kind.
//!
//! A merge is commutative, associative and idempotent, so it does not matter in which order, how often or
//! along which way (store, hint, read repair, anti-entropy) a state arrives. A replica of a `cas` table is the exception: what it
//! takes depends on what it has promised, so what it is sent goes through [`admit`].

mod cas;
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
    /// The replica has promised itself to a later round (rule C1): nothing was taken.
    #[error("has promised itself to the later round {promised}")]
    Outbid {
        /// That round's ballot.
        promised: Tag,
        /// The round whose proposal it accepted last; none for no round.
        accepted: Option<Tag>,
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
        (Some(State::Cas(held)), State::Cas(incoming)) => cas::join(held, incoming),
        (Some(held), incoming) => {
            Err(MergeError::KindMismatch { held: held.kind(), incoming: incoming.kind() })
        }
    }
}

/// What a replica makes of a state that it is sent: a merge, and of a `cas` table an acceptor's answer (rule C1).
///
/// # Errors
///
/// As [`merge`], and [`MergeError::Outbid`].
pub fn admit(held: Option<&State>, incoming: &State) -> Result<Merged, MergeError> {
    match (held, incoming) {
        (None, State::Cas(incoming)) => Ok(Merged::Joined(State::Cas(incoming.as_message()))),
        (Some(State::Cas(held)), State::Cas(incoming)) => cas::accept(held, incoming),
        _ => merge(held, incoming),
    }
}

/// What a replica that has lost its state makes of one that another replica holds (rules R7, C5).
///
/// # Errors
///
/// As [`merge`].
pub fn copy(held: Option<&State>, incoming: &State) -> Result<Merged, MergeError> {
    match (held, incoming) {
        (None, State::Cas(incoming)) => {
            Ok(Merged::Joined(State::Cas(cas::copy(incoming.promised(), incoming.accepted().cloned()))))
        }
        _ => merge(held, incoming),
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
