//! Whom a coordinator asks, how often one more, and whom it compares afterwards: rules Q1, Q8 and Q9.

use super::*;
use crate::wire::Want;

/// So many milliseconds after the start.
fn at(millis: u64) -> Instant {
    NOW.mono + Duration::from_millis(millis)
}

fn read(number: u64) -> Input {
    let get = Get::new(TableId(1), Bytes::from(number.to_string()), Consistency::Quorum);
    let header = Header { id: RequestId(number), epoch: Epoch(1), deadline: at(1_000) };
    Input::Client { client: ClientId(1), frame: Frame { header, message: get.into() } }
}

/// The peers that are asked for what they hold, and under which ids.
fn asked(effects: &[Effect]) -> Vec<(u32, RequestId)> {
    let fetches = effects.iter().filter_map(|effect| match effect {
        Effect::ToPeer { peer, frame: Frame { header, message: PeerMessage::Fetch(_) } } => {
            Some((peer.0, header.id))
        }
        _ => None,
    });
    fetches.collect()
}

#[test]
fn a_replica_that_answers_sooner_is_asked_first() {
    let mut node = node();
    let first = asked(&handle_at(&mut node, at(0), read(1)));
    let [(slow, id)] = first[..] else {
        panic!("two of three are a quorum, this node one of them: {first:?}")
    };
    handle_at(&mut node, at(20), says(slow, id, Fetched { answer: Answer::Digest(None), clock: None }));
    // Keys have preferences of their own: those of many go by what answered sooner.
    for number in 2..20 {
        let next = asked(&handle_at(&mut node, at(20), read(number)));
        assert!(matches!(next[..], [(peer, _)] if peer != slow), "{slow} took 20 ms: {next:?}");
    }
}

#[test]
fn late_answers_have_few_reads_ask_one_replica_more() {
    let mut node = node();
    let reads = 60;
    for number in 1..=reads {
        assert_eq!(asked(&handle_at(&mut node, at(0), read(number))).len(), 1);
    }
    let delay = NodeConfig::new(NodeId(1), Actor(1), "test").hedge_delay;
    let hedged = asked(&handle_at(&mut node, NOW.mono + delay + Duration::from_millis(1), Input::Tick)).len();
    assert!((1..=reads as usize / 3).contains(&hedged), "{hedged} of {reads} asked one more (rule Q9)");
}

/// Whom QUORUM reads of many keys ask beside their own node.
fn asked_for_many(node: &mut Node) -> Vec<u32> {
    let one = |number| match asked(&handle_at(node, at(0), read(number)))[..] {
        [(peer, _)] => peer,
        ref asked => panic!("two of three are a quorum, this node one of them: {asked:?}"),
    };
    let mut peers: Vec<_> = (1..20).map(one).collect();
    peers.sort_unstable();
    peers.dedup();
    peers
}

#[test]
fn a_replica_that_gossip_doubts_is_asked_last() {
    assert_eq!(asked_for_many(&mut node()), [2, 3], "keys have preferences of their own");
    for (doubted, other) in [(2, 3), (3, 2)] {
        let mut node = node();
        node.surroundings.up.set_suspected(NodeId(doubted), true);
        assert_eq!(asked_for_many(&mut node), [other]);
        // It answers sooner, and is still the last to be asked.
        for (peer, took) in [(doubted, 0), (other, 20)] {
            node.surroundings.health.answered(at(0), NodeId(peer), Duration::from_millis(took));
        }
        assert_eq!(asked_for_many(&mut node), [other]);
        node.surroundings.up.set_suspected(NodeId(doubted), false);
        assert_eq!(asked_for_many(&mut node), [doubted]);
    }
}

#[test]
fn a_replica_in_the_same_rack_is_asked_first() {
    for (racks, first) in [(["a", "b", "a"], [3]), (["a", "a", "b"], [2])] {
        let founders =
            [1, 2, 3].map(|n| Founder::new(format!("n{n}"), format!("n{n}:1")).in_rack(racks[n - 1]));
        let config = NodeConfig::new(NodeId(1), Actor(1), "test");
        let mut node = founded_node(&founders, TableKind::Register, 3, config, Recovered::default());
        assert_eq!(asked_for_many(&mut node), first);
    }
}

/// What a read at ONE leads to, with [`held`] on the node's disk, and how many frames go to peers before the answer.
fn read_at_one(node: &mut Node) -> (Vec<Effect>, usize) {
    let get = Get::new(TableId(1), Bytes::from_static(b"k"), Consistency::One);
    let header = Header { id: RequestId(1), epoch: Epoch(1), deadline: at(1_000) };
    let mut effects = handle_at(
        node,
        at(0),
        Input::Client { client: ClientId(1), frame: Frame { header, message: get.into() } },
    );
    let ticket = effects.iter().find_map(|effect| match effect {
        Effect::Disk(request) => Some(request.ticket.clone()),
        _ => None,
    });
    let ticket = ticket.expect("the own replica is asked");
    let result = DiskResult::Read(Ok(Some(held())));
    effects.extend(handle_at(node, at(0), Input::DiskDone { ticket, result }));
    let answer = effects.iter().position(|e| matches!(e, Effect::ToClient { .. }));
    let before = answer.expect("nobody else is waited for (rule Q8)");
    let sent_before = effects[..before].iter().filter(|e| matches!(e, Effect::ToPeer { .. })).count();
    assert!(is_answered(&effects));
    (effects, sent_before)
}

fn held() -> State {
    State::Register(Register { tag: TAG, content: Content::Value(Bytes::from_static(b"v")) })
}

fn sampling_node(compare_one_in: u32) -> Node {
    let config = NodeConfig { compare_one_in, ..NodeConfig::new(NodeId(1), Actor(1), "test") };
    configured_node(TableKind::Register, 3, config)
}

/// Who is sent a state to be kept.
fn repaired(effects: &[Effect]) -> Vec<(u32, State)> {
    let stores = effects.iter().filter_map(|effect| match effect {
        Effect::ToPeer { peer, frame: Frame { message: PeerMessage::Store(store), .. } } => {
            Some((peer.0, store.state.clone()))
        }
        _ => None,
    });
    stores.collect()
}

#[test]
fn a_sampled_read_at_one_is_answered_first_and_repairs_the_others_afterwards() {
    let mut node = sampling_node(1);
    let (effects, sent_before) = read_at_one(&mut node);
    assert_eq!(sent_before, 0, "{effects:?}");
    let digests = |effect: &Effect| match effect {
        Effect::ToPeer { peer, frame: Frame { message: PeerMessage::Fetch(fetch), .. } } => {
            Some((peer.0, fetch.want))
        }
        _ => None,
    };
    let mut compared: Vec<_> = effects.iter().filter_map(digests).collect();
    compared.sort_unstable_by_key(|(peer, _)| *peer);
    assert_eq!(compared, [(2, Want::Digest), (3, Want::Digest)]);

    let same = Fetched { answer: Answer::Digest(Some((held().version(), held().digest()))), clock: None };
    let nothing = Fetched { answer: Answer::Digest(None), clock: None };
    let first = handle_at(&mut node, at(1), says(2, request_to(2, &effects), same));
    assert_eq!(repaired(&first), [], "n3 has yet to answer");
    let second = handle_at(&mut node, at(2), says(3, request_to(3, &effects), nothing));
    assert_eq!(repaired(&second), [(3, held())], "n2 holds it");
    assert!(![first, second].iter().flatten().any(|e| matches!(e, Effect::ToClient { .. })));
}

#[test]
fn a_read_at_one_that_is_no_sample_asks_nobody() {
    let mut node = sampling_node(0);
    let (effects, _) = read_at_one(&mut node);
    let is_sent = |effect: &Effect| matches!(effect, Effect::ToPeer { .. });
    assert!(!effects.iter().any(is_sent), "{effects:?}");
    assert_eq!(asked(&handle_at(&mut node, at(900), Input::Tick)), [], "not later either");
}
