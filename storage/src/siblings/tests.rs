use proptest::prelude::*;
use quorate_ring::{Actor, Hlc};

use super::*;
use crate::State;

fn dot(hlc: u64, actor: u64) -> Tag {
    Tag { hlc: Hlc(hlc), actor: Actor(actor) }
}

fn value(text: &'static str) -> Content {
    Content::Value(Bytes::from(text))
}

fn sibling(dot: Tag) -> Sibling {
    Sibling { dot, content: value("v") }
}

fn vector(dots: &[Tag]) -> VersionVector {
    VersionVector::from_entries(dots.iter().map(|dot| (dot.actor, dot.hlc)))
}

#[test]
fn a_write_keeps_what_its_writer_had_not_seen() {
    let first = Siblings::first(dot(1, 1), &VersionVector::new(), value("a"));
    let blind = first.written(dot(2, 2), &VersionVector::new(), value("b"));
    assert_eq!(blind.siblings().len(), 2);
    let one_seen = blind.written(dot(3, 1), first.vector(), value("c"));
    let dots: Vec<_> = one_seen.siblings().iter().map(|sibling| sibling.dot).collect();
    assert_eq!(dots, [dot(2, 2), dot(3, 1)]);
    let all_seen = one_seen.written(dot(4, 3), one_seen.vector(), Content::Tombstone);
    assert_eq!(all_seen.siblings(), [Sibling { dot: dot(4, 3), content: Content::Tombstone }]);
    assert_eq!(*all_seen.vector(), vector(&[dot(3, 1), dot(2, 2), dot(4, 3)]));
}

#[test]
fn a_context_from_elsewhere_is_remembered() {
    let context = vector(&[dot(7, 9)]);
    let state = Siblings::first(dot(8, 1), &context, value("a"));
    assert!(state.vector().covers(dot(7, 9)), "what was superseded must not come back");
}

#[test]
#[should_panic(expected = "rule V5")]
fn a_dot_that_would_hide_is_a_bug_of_the_caller() {
    let state = Siblings::first(dot(5, 1), &VersionVector::new(), value("a"));
    let _ = state.written(dot(5, 2), &VersionVector::new(), value("b"));
}

#[test]
fn what_is_no_state_is_refused() {
    let ok = |entries: &[Tag], dots: &[Tag]| {
        Siblings::try_from((vector(entries), dots.iter().copied().map(sibling).collect())).is_ok()
    };
    assert!(ok(&[dot(2, 1)], &[dot(1, 1), dot(2, 1)]));
    assert!(ok(&[dot(2, 1)], &[]));
    assert!(!ok(&[], &[]), "a state has seen something");
    assert!(!ok(&[dot(2, 1)], &[dot(2, 1), dot(1, 1)]), "out of order");
    assert!(!ok(&[dot(2, 1)], &[dot(2, 1), dot(2, 1)]), "twice");
    assert!(!ok(&[dot(2, 1)], &[dot(3, 1)]), "not covered");
    assert!(!ok(&[dot(2, 1)], &[dot(1, 2)]), "of an actor that is not known");
}

/// What a peer sends is checked as it is decoded: nothing malformed gets past the border.
#[test]
fn malformed_siblings_on_the_wire_are_refused() {
    type Parts = (Vec<(u64, u64)>, Vec<((u64, u64), Content)>);
    let decode = |parts: &Parts| {
        let parts = std::collections::BTreeMap::from([("Siblings", parts)]);
        rmp_serde::from_slice::<State>(&rmp_serde::to_vec(&parts).unwrap())
    };
    let good: Parts = (vec![(1, 5), (2, 6)], vec![((4, 1), value("a")), ((6, 2), value("b"))]);
    let state = decode(&good).unwrap();
    assert_eq!(state.contents().map(|(dot, _)| dot).collect::<Vec<_>>(), [dot(4, 1), dot(6, 2)]);
    for bad in [
        (vec![(2, 6), (1, 5)], good.1.clone()),
        (vec![(1, 5), (1, 6), (2, 6)], good.1.clone()),
        (vec![(1, 5)], good.1.clone()),
        (vec![(1, 5), (2, 5)], good.1.clone()),
        (good.0.clone(), vec![good.1[1].clone(), good.1[0].clone()]),
        (good.0.clone(), vec![good.1[0].clone(), good.1[0].clone()]),
        (vec![], vec![]),
    ] {
        assert!(decode(&bad).is_err(), "{bad:?}");
    }
}

proptest! {
    /// No bytes panic; what decodes is a state and comes back the same.
    #[test]
    fn hostile_bytes_are_an_error_or_a_state(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        state in crate::arbitrary::siblings(),
    ) {
        let mut bytes = rmp_serde::to_vec(&state).unwrap();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(decoded) = rmp_serde::from_slice::<Siblings>(&bytes) {
            let (vector, siblings) = decoded.clone().into();
            prop_assert_eq!(Siblings::try_from((vector, siblings)), Ok(decoded));
        }
    }
}
