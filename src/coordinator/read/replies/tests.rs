use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use quorate_ring::{Actor, Tag};
use quorate_storage::{Content, Register, Siblings, VersionVector};

use super::*;

const NOW: Instant = Instant(5_000_000);

fn register(hlc: u64) -> State {
    let tag = Tag { hlc: Hlc(hlc), actor: Actor(1) };
    State::Register(Register { tag, content: Content::Value(Bytes::from(hlc.to_string())) })
}

/// The siblings after the writes whose bits are set, each by an actor of its own and none aware of another.
fn siblings(writes: u8) -> Option<State> {
    let written = |n: u8| {
        let dot = Tag { hlc: Hlc(u64::from(n) + 1), actor: Actor(u64::from(n)) };
        Siblings::first(dot, &VersionVector::new(), Content::Value(Bytes::from(vec![n])))
    };
    let states = (0..8).filter(|n| writes & (1 << n) != 0).map(written);
    states.reduce(|one, other| one.join(&other).unwrap()).map(State::Siblings)
}

fn heard(of: Vec<Option<(u8, bool)>>) -> Replies {
    let mut replies = Replies::new(of.len());
    for (place, said) in of.into_iter().enumerate() {
        if let Some((writes, whole)) = said {
            let state = siblings(writes);
            let said = if whole {
                Said::State(state)
            } else {
                Said::Digest(state.map(|state| (state.version(), state.digest())))
            };
            replies.heard(NOW, place, 0, said);
        }
    }
    replies
}

proptest! {
    /// The slow obvious twin: sets of writes.
    #[test]
    fn agrees_with_sets(of in proptest::collection::vec(proptest::option::of((0_u8..6, any::<bool>())), 1..9)) {
        let replies = heard(of.clone());
        let mut counts = BTreeMap::<u8, usize>::new();
        of.iter().flatten().for_each(|(writes, _)| *counts.entry(*writes).or_default() += 1);
        let largest = replies.largest_agreement(replies.speakers()).unwrap();
        prop_assert_eq!(largest.len(), counts.values().copied().max().unwrap_or(0));
        let members: Vec<_> = largest.iter().map(|place| of[place].unwrap().0).collect();
        prop_assert!(members.windows(2).all(|pair| pair[0] == pair[1]));
        let whole = of.iter().flatten().filter(|(_, whole)| *whole).fold(0, |all, (writes, _)| all | writes);
        let joined = replies.join(None).unwrap();
        prop_assert_eq!(&joined, &siblings(whole));
        let beyond: Vec<_> = replies.beyond(joined.as_ref()).iter().collect();
        let expected: Vec<_> = (0..of.len())
            .filter(|place| matches!(of[*place], Some((writes, false)) if writes & !whole != 0))
            .collect();
        prop_assert_eq!(beyond, expected);
        if let Some(joined) = &joined {
            let behind: Vec<_> = replies.behind(joined).unwrap().iter().collect();
            let expected: Vec<_> = (0..of.len())
                .filter(|place| of[*place].is_some_and(|(writes, _)| writes & !whole == 0 && writes != whole))
                .collect();
            prop_assert_eq!(behind, expected);
        }
    }
}

/// Rule V4.
#[test]
fn one_version_with_two_contents_is_a_conflict() {
    let State::Register(Register { tag, .. }) = register(7) else { unreachable!() };
    let other = State::Register(Register { tag, content: Content::Tombstone });
    for said in [Said::State(Some(other.clone())), Said::of(&other)] {
        for first in [Said::State(Some(register(7))), Said::of(&register(7))] {
            let mut replies = Replies::new(3);
            replies.heard(NOW, 0, 0, first);
            replies.heard(NOW, 2, 0, said.clone());
            assert_eq!(replies.largest_agreement(replies.speakers()), Err(Conflict(Some(tag))));
        }
    }
}

#[test]
fn the_newest_word_counts_and_of_one_round_the_fullest() {
    let mut replies = Replies::new(1);
    let places = |replies: &Replies| replies.holders(&Said::of(&register(2))).unwrap().len();
    replies.heard(NOW, 0, 1, Said::State(Some(register(2))));
    replies.heard(NOW, 0, 1, Said::Digest(None));
    replies.heard(NOW, 0, 0, Said::State(Some(register(1))));
    assert_eq!(places(&replies), 1);
    replies.heard(NOW, 0, 2, Said::of(&register(3)));
    assert_eq!(places(&replies), 0);
    assert_eq!(replies.since(2).len(), 1);
    assert_eq!(replies.since(3).len(), 0);
}

#[test]
fn reports_come_in_the_order_of_the_first_words_with_the_slowest() {
    let mut replies = Replies::new(3);
    (0..3).for_each(|place| replies.asked(NOW, place));
    replies.heard(NOW + Duration::from_micros(40), 2, 0, Said::State(None));
    replies.failed(NOW + Duration::from_micros(50), 0);
    replies.told_clock(NOW + Duration::from_micros(90), 2, Hlc(1));
    assert_eq!(replies.by_time().collect::<Vec<_>>(), [(2, 90, false), (0, 50, true)]);
}
