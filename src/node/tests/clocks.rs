//! What nodes make of each other's wall clocks.

use std::collections::BTreeSet;

use quorate_ring::WallMicros;

use super::*;
use crate::wire::{AskStanding, Standing};

/// So many milliseconds after the start, by both clocks.
fn at(millis: u64) -> Now {
    Now { mono: NOW.mono + Duration::from_millis(millis), wall: WallMicros(WALL.0 + millis * 1_000) }
}

fn step(node: &mut Node, now: Now, input: Input) -> Vec<Effect> {
    let mut effects = Effects::default();
    node.handle(now, input, &mut effects);
    node.validate();
    effects.drain().collect()
}

fn standing(wall: WallMicros) -> Standing {
    Standing { serves: true, recovering: Vec::new(), wall }
}

/// The peers that are asked how far they are, under names that the answers must repeat.
fn asked(effects: &[Effect]) -> Vec<(u32, RequestId)> {
    let questions = effects.iter().filter_map(|effect| match effect {
        Effect::ToPeer { peer, frame: Frame { header, message: PeerMessage::AskStanding(_) } } => {
            Some((peer.0, header.id))
        }
        _ => None,
    });
    questions.filter(|(_, id)| *id != RequestId(0)).collect()
}

#[test]
fn peers_are_asked_for_their_clocks_again_and_again() {
    let (mut node, mut names, mut unanswered) = (node(), BTreeSet::new(), Vec::new());
    assert_eq!(node.clock_offset(NodeId(2)), None);
    for round in 1..=3 {
        let start = round * 10_000;
        assert_eq!(asked(&step(&mut node, at(start - 1), Input::Tick)), []);
        let questions = asked(&step(&mut node, at(start), Input::Tick));
        let [(2, n2), (3, n3)] = questions[..] else { panic!("both peers are asked: {questions:?}") };
        assert!(names.insert(n2) && names.insert(n3), "no name is used twice");

        // A quarter of a second ahead, each time by a millisecond more; 4 ms for both ways.
        let theirs = WallMicros(at(start + 2).wall.0 + 250_000 + round * 1_000);
        step(&mut node, at(start + 4), says(2, n2, standing(theirs)));
        let offset = node.clock_offset(NodeId(2)).expect("it has answered");
        assert_eq!(offset.ahead_us, 250_000 + round as i64 * 1_000);
        assert!((2_000..2_010).contains(&offset.error.as_micros()), "{offset:?}");
        unanswered.push(n3);
    }
    for id in unanswered {
        assert_eq!(node.clock_offset(NodeId(3)), None, "a question is given up when the next one is asked");
        step(&mut node, at(30_004), says(3, id, standing(at(30_002).wall)));
    }
    assert_eq!(node.clock_offset(NodeId(3)).map(|offset| offset.ahead_us), Some(0), "the last one is not");

    step(&mut node, at(31_000), says(2, RequestId(0), standing(WallMicros(1))));
    assert_eq!(
        node.clock_offset(NodeId(2)).map(|offset| offset.ahead_us),
        Some(253_000),
        "news, not an answer"
    );
    step(&mut node, at(32_000), Input::PeerDown(NodeId(2)));
    assert_eq!(node.clock_offset(NodeId(2)), None);
    let questions = asked(&step(&mut node, at(40_000), Input::Tick));
    assert!(matches!(questions[..], [(3, _)]), "{questions:?}");
}

#[test]
fn a_node_that_is_asked_shows_its_clock_under_the_name_of_the_question() {
    let effects = step(&mut node(), at(7), says(3, RequestId(42), AskStanding {}));
    let answered = |effect: &Effect| match effect {
        Effect::ToPeer { peer, frame: Frame { header, message: PeerMessage::Standing(said) } } => {
            (*peer, header.id, said.wall) == (NodeId(3), RequestId(42), at(7).wall)
        }
        _ => false,
    };
    assert!(effects.iter().any(answered), "{effects:?}");
}

/// When the nodes start.
const WALL: WallMicros = WallMicros(1_800_000_000_000_000);
