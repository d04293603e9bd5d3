//! States for property tests: few tags and short values, so that collisions happen.

use bytes::Bytes;
use proptest::prelude::*;
use quorate_ring::{Actor, Hlc, Tag};

use crate::{Accepted, Acceptor, Content, Register, Sibling, Siblings, State, VersionVector};

pub(crate) fn tags() -> impl Strategy<Value = Tag> {
    (0_u64..6, 0_u64..3).prop_map(|(hlc, actor)| Tag { hlc: Hlc(hlc), actor: Actor(actor) })
}

pub(crate) fn contents() -> impl Strategy<Value = Content> {
    let value = || proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    prop_oneof![
        4 => value().prop_map(Content::Value),
        1 => (value(), any::<u64>())
            .prop_map(|(value, expires)| Content::Expiring { value, expires: Hlc(expires) }),
        1 => Just(Content::Tombstone),
    ]
}

/// Registers, siblings and acceptors with any tags at all and no relation between tag and content.
pub(crate) fn states() -> impl Strategy<Value = State> {
    prop_oneof![registers(), siblings().prop_map(State::Siblings), acceptors().prop_map(State::Cas)]
}

fn registers() -> impl Strategy<Value = State> {
    (any::<u64>(), any::<u64>(), contents()).prop_map(|(hlc, actor, content)| {
        State::Register(Register { tag: Tag { hlc: Hlc(hlc), actor: Actor(actor) }, content })
    })
}

/// Acceptors with ballots in order; a ballot names one proposal.
pub(crate) fn acceptors() -> impl Strategy<Value = Acceptor> {
    let accepted = proptest::option::of(tags());
    (tags(), accepted, any::<bool>()).prop_filter_map("no ballot", |(promised, accepted, copied)| {
        let accepted = accepted.map(|ballot| {
            let replaced = Tag { hlc: Hlc(ballot.hlc.0 / 2), actor: Actor(0) };
            Accepted { ballot, write: ballot, replaced, content: written(ballot) }
        });
        Acceptor::try_from((promised, accepted, copied)).ok()
    })
}

/// Siblings in order and covered; their vector may cover more.
pub(crate) fn siblings() -> impl Strategy<Value = Siblings> {
    let dots = (any::<u64>(), 0_u64..4).prop_map(|(hlc, actor)| Tag { hlc: Hlc(hlc), actor: Actor(actor) });
    let kept = proptest::collection::btree_map(dots, contents(), 0..4);
    let more = proptest::collection::btree_map((0_u64..6).prop_map(Actor), any::<u64>().prop_map(Hlc), 1..4);
    (kept, more).prop_map(|(kept, more)| {
        let mut vector = VersionVector::from_entries(more);
        kept.keys().for_each(|dot| vector.advance(*dot));
        let kept = kept.into_iter().map(|(dot, content)| Sibling { dot, content });
        Siblings::try_from((vector, kept.collect())).expect("in order, and covered")
    })
}

/// Registers as the protocol makes them: a tag names one write, so the content follows from the tag.
pub(crate) fn written_registers() -> impl Strategy<Value = State> {
    tags().prop_map(|tag| State::Register(Register { tag, content: written(tag) }))
}

/// What the write of `tag` wrote.
pub(crate) fn written(tag: Tag) -> Content {
    let seed = tag.hlc.0 * 3 + tag.actor.0;
    match seed % 5 {
        0 => Content::Tombstone,
        1 => Content::Expiring { value: seed.to_string().into(), expires: Hlc(seed * 2) },
        _ => Content::Value(seed.to_string().into()),
    }
}
