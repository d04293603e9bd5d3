//! How often peers are asked how far they have come.

use quorate_ring::TokenRange;

use super::*;
use crate::wire::{AskStanding, Standing};

/// So many milliseconds after the start.
fn at(millis: u64) -> Instant {
    NOW.mono + Duration::from_millis(millis)
}

/// Whom a node asks when it is called then.
fn asked(node: &mut Node, millis: u64) -> Vec<NodeId> {
    let effects = handle_at(node, at(millis), Input::Tick);
    let peers = effects.iter().filter_map(|effect| match effect {
        Effect::ToPeer { peer, frame: Frame { message: PeerMessage::AskStanding(AskStanding {}), .. } } => {
            Some(*peer)
        }
        _ => None,
    });
    peers.collect()
}

/// A peer says whether it acts as a member, and what it recovers.
fn hear(node: &mut Node, millis: u64, from: u32, serves: bool, recovering: &[TableId]) {
    let recovering = recovering.iter().map(|table| (*table, vec![TokenRange::FULL])).collect();
    handle_at(node, at(millis), says(from, RequestId(0), Standing { serves, recovering, wall: NOW.wall }));
}

#[test]
fn peers_are_asked_again_until_they_are_done() {
    let mut node = node();
    assert_eq!(asked(&mut node, 499), []);
    assert_eq!(asked(&mut node, 500), [NodeId(2), NodeId(3)], "they have not said anything");
    hear(&mut node, 501, 2, true, &[]);
    hear(&mut node, 501, 3, false, &[]);
    assert_eq!(asked(&mut node, 999), []);
    assert_eq!(asked(&mut node, 1_000), [NodeId(3)], "it does not act as a member");
    hear(&mut node, 1_001, 3, true, &[TableId(1)]);
    assert_eq!(asked(&mut node, 1_500), [NodeId(3)], "it recovers");
    hear(&mut node, 1_501, 3, true, &[]);
    assert_eq!(asked(&mut node, 2_000), []);
    assert_eq!(asked(&mut node, 5_000), []);
}

#[test]
fn a_peer_that_is_not_done_any_more_is_asked_although_nobody_was() {
    let mut node = node();
    for peer in [2, 3] {
        hear(&mut node, 1, peer, true, &[]);
    }
    assert_eq!(asked(&mut node, 500), []);
    hear(&mut node, 2_100, 3, true, &[TableId(1)]);
    assert_eq!(asked(&mut node, 2_599), []);
    assert_eq!(asked(&mut node, 2_600), [NodeId(3)], "it recovers");
    hear(&mut node, 2_601, 3, true, &[]);
    assert_eq!(asked(&mut node, 3_100), []);
    hear(&mut node, 3_200, 2, false, &[]);
    assert_eq!(asked(&mut node, 3_700), [NodeId(2)], "it does not act as a member");
}

#[test]
fn a_peer_is_asked_while_it_is_connected_and_anew_over_the_next_connection() {
    let mut node = node();
    hear(&mut node, 1, 2, true, &[]);
    handle_at(&mut node, at(2), Input::PeerDown(NodeId(3)));
    assert_eq!(asked(&mut node, 500), []);
    handle_at(&mut node, at(600), Input::PeerUp { peer: NodeId(3), life: LIFE, wall: NOW.wall });
    assert_eq!(asked(&mut node, 1_099), []);
    assert_eq!(asked(&mut node, 1_100), [NodeId(3)]);
}
