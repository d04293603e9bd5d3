//! Whom a coordinator asks, and how often one more: rules Q1 and Q9.

use super::*;

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
