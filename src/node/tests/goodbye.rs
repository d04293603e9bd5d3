//! How a node that drains tells the others.

use quorate_gossip::{Effect as GossipEffect, Gossip, Input as GossipInput, Life as GossipLife, MemberState};

use super::*;

/// What a peer's gossip makes of an input: the datagrams that it sends to n1.
fn peer_handles(peer: &mut Gossip, at: Instant, input: GossipInput<'_>) -> Vec<Bytes> {
    let mut effects = Vec::new();
    peer.handle(at, input, &mut effects).unwrap();
    let to_n1 = effects.into_iter().filter_map(|effect| match effect {
        GossipEffect::Datagram { to: NodeId(1), bytes } => Some(Bytes::from(bytes)),
        _ => None,
    });
    to_n1.collect()
}

fn datagrams_to(peer: u32, effects: Vec<Effect>) -> Vec<Bytes> {
    let sent = effects.into_iter().filter_map(|effect| match effect {
        Effect::Gossip { peer: to, packet } if to == NodeId(peer) => Some(packet),
        _ => None,
    });
    sent.collect()
}

/// n1, which has heard of n2, and the gossip of n2.
fn acquainted() -> (Node, Gossip) {
    let mut node = node();
    let config = NodeConfig::new(NodeId(1), Actor(1), "test").gossip;
    let mut peer = Gossip::new(config, NodeId(2), GossipLife(1), 7, [NodeId(1)], NOW.mono).unwrap();
    let mut heard = Vec::new();
    let mut at = NOW.mono;
    while heard.is_empty() {
        at = peer.next_timer().unwrap();
        heard = peer_handles(&mut peer, at, GossipInput::Tick);
    }
    for packet in heard {
        handle_at(&mut node, at, Input::Gossip { from: NodeId(2), packet });
    }
    assert_eq!(node.verdict(NodeId(2)), crate::wire::Verdict::Alive);
    (node, peer)
}

#[test]
fn a_node_has_said_goodbye_once_it_was_told_so_often_that_losses_do_not_matter() {
    let (mut node, mut peer) = acquainted();
    assert!(!node.has_said_goodbye());
    let mut at = peer.next_timer().unwrap();
    let mut told = datagrams_to(2, handle_at(&mut node, at, Input::Drain));
    assert!(!node.has_said_goodbye(), "one datagram may be lost");
    while !node.has_said_goodbye() {
        at = node.next_timer().unwrap();
        told.extend(datagrams_to(2, handle_at(&mut node, at, Input::Tick)));
    }
    assert!(told.len() >= 4, "{told:?}");
    // The last one does as well as the first.
    let last = told.pop().unwrap();
    peer_handles(&mut peer, at, GossipInput::Datagram { from: NodeId(1), bytes: &last });
    assert_eq!(peer.state(NodeId(1)), Some(MemberState::Left));
}

/// It is connected to its peers, but gossip has not heard of them.
#[test]
fn a_node_that_has_just_begun_says_goodbye_too() {
    let mut node = node();
    let told = handle(&mut node, Input::Drain);
    assert!(!node.has_said_goodbye());
    assert_eq!((datagrams_to(2, told.clone()).len(), datagrams_to(3, told).len()), (1, 1));
}
