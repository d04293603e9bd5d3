//! Minting (rule V5): one step per key, on the newest state, durable or not.

use proptest::prelude::*;

use super::*;
use crate::{Sibling, State, read};

fn dot(hlc: u64) -> Tag {
    Tag { hlc: Hlc(hlc), actor: Actor(1) }
}

fn value(text: &'static str) -> Content {
    Content::Value(Bytes::from_static(text.as_bytes()))
}

fn mint(key: u8, hlc: u64, seen: Seen, content: Content) -> Write {
    Write::Mint { row: row(key), dot: dot(hlc), seen, content, horizon: Horizon::default() }
}

fn blind() -> Seen {
    Seen::Context(VersionVector::new())
}

fn minted(result: &WriteResult) -> &Siblings {
    match result {
        Ok(Written::Minted(State::Siblings(state))) => state,
        other => panic!("{other:?}"),
    }
}

fn held(engine: &MemoryEngine, key: u8) -> Siblings {
    match read(engine, &row(key)) {
        Ok(Some(State::Siblings(state))) => state,
        other => panic!("{other:?}"),
    }
}

fn dots(state: &Siblings) -> Vec<u64> {
    state.siblings().iter().map(|sibling| sibling.dot.hlc.0).collect()
}

/// A state as a peer might send it; what a dot wrote follows from the dot.
fn states() -> impl Strategy<Value = State> {
    let parts = (proptest::collection::btree_set(tags(), 1..4), proptest::collection::vec(tags(), 0..3));
    parts.prop_map(|(kept, seen)| {
        let mut vector = VersionVector::new();
        kept.iter().chain(&seen).for_each(|dot| vector.advance(*dot));
        let siblings = kept.into_iter().map(|dot| Sibling { dot, content: crate::arbitrary::written(dot) });
        State::Siblings(Siblings::try_from((vector, siblings.collect())).expect("in order, and covered"))
    })
}

#[derive(Clone, Debug)]
enum Step {
    Store(u8, State),
    Mint(u8, Tag, Option<Vec<Tag>>, Content),
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let dots = || (0_u64..40, 0_u64..3).prop_map(|(hlc, actor)| Tag { hlc: Hlc(hlc), actor: Actor(actor) });
    let seen = proptest::option::of(proptest::collection::vec(tags(), 0..3));
    let step = prop_oneof![
        1 => (0_u8..3, states()).prop_map(|(key, state)| Step::Store(key, state)),
        2 => (0_u8..3, dots(), seen, contents())
            .prop_map(|(key, dot, seen, content)| Step::Mint(key, dot, seen, content)),
    ];
    proptest::collection::vec(proptest::collection::vec(step, 1..8), 1..5)
}

proptest! {
    /// The slow obvious twin makes each write durable alone; what is durable when a batch is staged is what
    /// it was before the first of its writes.
    #[test]
    fn a_batch_of_mints_does_what_its_writes_do_one_by_one(batches in steps()) {
        let ((engine, mut committer), (twin, mut twin_committer)) = (start(), start());
        for batch in batches {
            let durable: Vec<_> = (0..3).map(|key| read(&twin, &row(key)).unwrap()).collect();
            let vector = |key: u8| match &durable[usize::from(key)] {
                Some(State::Siblings(held)) => held.vector().clone(),
                _ => VersionVector::new(),
            };
            let (mut writes, mut expected) = (Vec::new(), Vec::new());
            for step in batch {
                let (write, alone) = match step {
                    Step::Store(key, state) => (store(key, state.clone()), store(key, state)),
                    Step::Mint(key, dot, seen, content) => {
                        let context = match &seen {
                            Some(seen) => VersionVector::from_entries(seen.iter().map(|d| (d.actor, d.hlc))),
                            None => vector(key),
                        };
                        let context = Seen::Context(context);
                        let seen = seen.map_or(Seen::Durable, |_| context.clone());
                        let mint = |seen| {
                            let horizon = Horizon::default();
                            Write::Mint { row: row(key), dot, seen, content: content.clone(), horizon }
                        };
                        (mint(seen), mint(context))
                    }
                };
                expected.extend(twin_committer.run(&twin, &[alone]));
                writes.push(write);
            }
            prop_assert_eq!(committer.run(&engine, &writes), expected);
            prop_assert_eq!(committer.hlc_bound(), twin_committer.hlc_bound());
            for key in 0..3 {
                prop_assert_eq!(read(&engine, &row(key)), read(&twin, &row(key)));
            }
        }
    }
}

/// The trap of rule V5: both puts were staged on one durable state; neither may take the other for seen.
#[test]
fn two_puts_in_flight_on_one_state_are_both_kept() {
    let (engine, mut committer) = start();
    committer.run(&engine, &[mint(1, 5, blind(), value("old"))]);
    let both = [mint(1, 8, Seen::Durable, value("a")), mint(1, 9, Seen::Durable, value("b"))];
    let results = committer.run(&engine, &both);
    assert_eq!(dots(minted(&results[0])), [8]);
    assert_eq!(dots(minted(&results[1])), [8, 9], "the second is sent with the first, whole");
    assert_eq!(held(&engine, 1), *minted(&results[1]));
    let results = committer.run(&engine, &[mint(1, 10, Seen::Durable, value("c"))]);
    assert_eq!(dots(minted(&results[0])), [10], "by now both are durable, and seen");
}

#[test]
fn a_context_of_an_older_read_keeps_what_came_since() {
    let (engine, mut committer) = start();
    let read = committer.run(&engine, &[mint(1, 5, blind(), value("a"))]);
    let context = minted(&read[0]).vector().clone();
    committer.run(&engine, &[mint(1, 6, blind(), value("b"))]);
    let results = committer.run(&engine, &[mint(1, 7, Seen::Context(context), value("c"))]);
    assert_eq!(dots(minted(&results[0])), [6, 7]);
    let all = Seen::Context(minted(&results[0]).vector().clone());
    let results = committer.run(&engine, &[mint(1, 8, all, Content::Tombstone)]);
    assert_eq!(dots(minted(&results[0])), [8]);
    assert_eq!(recover(&engine).unwrap().hlc_bound, Hlc(9), "rule V1");
}

#[test]
fn a_dot_that_is_too_low_writes_nothing() {
    let (engine, mut committer) = start();
    committer.run(&engine, &[mint(1, 5, blind(), value("a"))]);
    let results = committer.run(&engine, &[mint(1, 5, Seen::Durable, value("b"))]);
    assert_eq!(results, [Err(WriteError::DotTooLow { dot: dot(5), seen: dot(5) })]);
    let ahead = Tag { hlc: Hlc(90), actor: Actor(7) };
    let context = Seen::Context(VersionVector::from_entries([(ahead.actor, ahead.hlc)]));
    let results = committer.run(&engine, &[mint(1, 90, context, value("b"))]);
    assert_eq!(results, [Err(WriteError::DotTooLow { dot: dot(90), seen: ahead })]);
    let end = committer.run(&engine, &[mint(1, u64::MAX, blind(), value("b"))]);
    assert_eq!(end, [Err(WriteError::TagOutOfRange(dot(u64::MAX)))]);
    assert_eq!(dots(&held(&engine, 1)), [5]);
}

#[test]
fn siblings_are_minted_in_their_tables_only() {
    let (engine, mut committer) = start();
    committer.run(&engine, &[store(1, state(5, "register"))]);
    let results = committer.run(&engine, &[mint(1, 9, blind(), value("a"))]);
    let mismatch = MergeError::KindMismatch { held: TableKind::Register, incoming: TableKind::Siblings };
    assert_eq!(results, [Err(mismatch.into())]);
}

/// Rule V6: blind writes beyond the bound are refused with what resolves them; all else goes on.
#[test]
fn only_growth_beyond_the_bound_is_refused() {
    let (engine, mut committer) = start();
    let most = Siblings::SIBLINGS_MAX as u64;
    let writes: Vec<_> = (1..=most + 1).map(|hlc| mint(1, hlc, blind(), value("v"))).collect();
    let results = committer.run(&engine, &writes);
    assert_eq!(minted(&results[most as usize - 1]).siblings().len(), Siblings::SIBLINGS_MAX);
    let full = held(&engine, 1);
    let refused =
        WriteError::TooManySiblings { siblings: full.siblings().len(), context: full.vector().clone() };
    assert_eq!(results[most as usize], Err(refused));

    // A merge of replicas loses nothing, even beyond the bound.
    let other = |hlc, actor| Tag { hlc: Hlc(hlc), actor: Actor(actor) };
    let from_peers: Vec<_> = (2..6)
        .map(|actor| Siblings::first(other(200, actor), &VersionVector::new(), value("p")))
        .map(|state| store(1, State::Siblings(state)))
        .collect();
    assert!(committer.run(&engine, &from_peers).iter().all(Result::is_ok));
    assert_eq!(held(&engine, 1).siblings().len(), Siblings::SIBLINGS_MAX + 4);

    // One for one is no growth, and the context that the error gave resolves all it covers.
    let one = Seen::Context(VersionVector::from_entries([(Actor(2), Hlc(200))]));
    let results = committer.run(&engine, &[mint(1, 300, one, value("x")), mint(1, 301, blind(), value("y"))]);
    assert_eq!(minted(&results[0]).siblings().len(), Siblings::SIBLINGS_MAX + 4);
    assert!(matches!(results[1], Err(WriteError::TooManySiblings { siblings: 68, .. })));
    let resolve = Seen::Context(full.vector().clone());
    let results = committer.run(&engine, &[mint(1, 302, resolve, value("z"))]);
    assert_eq!(dots(minted(&results[0])), [200, 200, 200, 300, 302]);
}

/// A value may be as large as it may be alone; many together may not grow beyond that.
#[test]
fn the_bytes_of_siblings_are_bounded_as_one_value() {
    let (engine, mut committer) = start();
    let big = |mib: usize| Content::Value(Bytes::from(vec![7; mib << 20]));
    let read = committer.run(&engine, &[mint(1, 1, blind(), big(9)), mint(1, 2, blind(), value("small"))]);
    let first = minted(&read[0]).vector().clone();
    let all = minted(&read[1]).vector().clone();
    let too_many = |result: &WriteResult| matches!(result, Err(WriteError::TooManySiblings { .. }));
    assert!(too_many(&committer.run(&engine, &[mint(1, 3, blind(), big(8))])[0]));
    // In place of the small one: as many as before, but more bytes.
    let peer = Siblings::first(Tag { hlc: Hlc(4), actor: Actor(2) }, &all, value("peer's"));
    let beside = committer.run(&engine, &[mint(2, 1, blind(), big(9)), store(2, State::Siblings(peer))]);
    assert!(beside.iter().all(Result::is_ok));
    let in_place = committer.run(&engine, &[mint(1, 5, Seen::Context(first), big(16))]);
    assert!(too_many(&in_place[0]), "the small one stays beside 16 MiB");
    let results = committer.run(&engine, &[mint(1, 6, Seen::Context(all), big(16))]);
    assert_eq!(dots(minted(&results[0])), [6]);
    let alone = committer.run(&engine, &[mint(3, 7, blind(), big(17))]);
    assert!(matches!(alone[0], Err(WriteError::TooLarge { .. })));
}
