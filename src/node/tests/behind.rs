//! Reads while a replica lacks what the others hold.

use super::*;
use crate::wire::Want;

fn held() -> State {
    State::Register(Register { tag: TAG, content: Content::Value(Bytes::from_static(b"v")) })
}

/// A read at n1, and who is asked: peers with what is wanted of them, n1's own disk as 1.
fn asked(node: &mut Node, number: u64, consistency: Consistency) -> (Vec<Effect>, Vec<u32>) {
    let get = Get::new(TableId(1), Bytes::from(number.to_string()), consistency);
    let header =
        Header { id: RequestId(number), epoch: Epoch(1), deadline: NOW.mono + Duration::from_secs(1) };
    let effects =
        handle(node, Input::Client { client: ClientId(1), frame: Frame { header, message: get.into() } });
    let whom = effects.iter().filter_map(|effect| match effect {
        Effect::Disk(_) => Some(1),
        Effect::ToPeer { peer, frame: Frame { message: PeerMessage::Fetch(_), .. } } => Some(peer.0),
        _ => None,
    });
    let mut whom: Vec<_> = whom.collect();
    whom.sort_unstable();
    (effects, whom)
}

/// Answers whatever replicas are asked, as nodes do of which one lacks everything, until the client has its answer.
fn carry_out(node: &mut Node, mut effects: Vec<Effect>, lacking: u32) {
    let holds = |replica| (replica != lacking).then(held);
    while !is_answered(&effects) {
        let inputs: Vec<_> = effects
            .drain(..)
            .filter_map(|effect| match effect {
                Effect::Disk(DiskRequest { ticket, operation: DiskOperation::Read(_), .. }) => {
                    Some(Input::DiskDone { ticket, result: DiskResult::Read(Ok(holds(1))) })
                }
                Effect::ToPeer { peer, frame: Frame { header, message: PeerMessage::Fetch(fetch) } } => {
                    let state = holds(peer.0);
                    let answer = match fetch.want {
                        Want::State => Answer::State(state),
                        _ => Answer::Digest(state.map(|state| (state.version(), state.digest()))),
                    };
                    Some(says(peer.0, header.id, Fetched { answer, clock: None }))
                }
                _ => None,
            })
            .collect();
        assert!(!inputs.is_empty(), "nobody is asked, and there is no answer");
        effects.extend(inputs.into_iter().flat_map(|input| handle(node, input)));
    }
}

#[test]
fn a_replica_that_lacks_much_is_asked_last() {
    let mut node = node();
    for number in 1..=20 {
        let (effects, _) = asked(&mut node, number, Consistency::Quorum);
        carry_out(&mut node, effects, 3);
    }
    for number in 21..=40 {
        let (effects, whom) = asked(&mut node, number, Consistency::Quorum);
        assert_eq!(whom, [1, 2], "n3 lacks what was asked for so far");
        carry_out(&mut node, effects, 3);
    }
}

#[test]
fn a_replica_that_does_not_answer_is_asked_after_one_that_lacks_much() {
    let mut node = node();
    for number in 1..=20 {
        let (effects, _) = asked(&mut node, number, Consistency::Quorum);
        carry_out(&mut node, effects, 3);
    }
    node.surroundings.up.set_suspected(NodeId(2), true);
    let (_, whom) = asked(&mut node, 21, Consistency::Quorum);
    assert_eq!(whom, [1, 3], "one more round is shorter than a wait");
}

/// What n1 itself acknowledged at ONE is on its own disk alone at first: whoever reads there at ONE is to find it.
#[test]
fn a_coordinator_that_lacks_much_asks_others_first_but_for_one_replica() {
    let mut node = node();
    for number in 1..=10 {
        let (effects, whom) = asked(&mut node, number, Consistency::Quorum);
        assert!(number > 1 || whom.contains(&1), "it is the nearest");
        carry_out(&mut node, effects, 1);
    }
    let (_, whom) = asked(&mut node, 11, Consistency::Quorum);
    assert_eq!(whom, [2, 3]);
    let (_, whom) = asked(&mut node, 12, Consistency::One);
    assert_eq!(whom, [1]);
}

/// n3 lacks the state, and n2 is slow to tell that it has it: the merge goes out, but is not waited for any more when n2 tells.
#[test]
fn a_late_state_counts_when_it_is_what_is_written_back() {
    let mut node = node();
    let (first, mut whom) = asked(&mut node, 1, Consistency::Quorum);
    whom.retain(|replica| *replica != 1);
    let [asked_first] = whom[..] else { panic!("two of three are a quorum: {whom:?}") };
    let other = 5 - asked_first;
    let ticket = first.iter().find_map(|effect| match effect {
        Effect::Disk(request) => Some(request.ticket.clone()),
        _ => None,
    });
    let own =
        Input::DiskDone { ticket: ticket.expect("its own"), result: DiskResult::Read(Ok(Some(held()))) };
    handle(&mut node, own);
    let nothing = Fetched { answer: Answer::Digest(None), clock: None };
    let second = handle(&mut node, says(asked_first, request_to(asked_first, &first), nothing));
    let absent = Fetched { answer: Answer::State(None), clock: None };
    handle(&mut node, says(asked_first, request_to(asked_first, &second), absent));
    let later = NOW.mono + NodeConfig::new(NodeId(1), Actor(1), "test").hedge_delay;
    let third = handle_at(&mut node, later, Input::Tick);
    assert!(!is_answered(&third));
    let stores = third.iter().filter(|effect| {
        matches!(effect, Effect::ToPeer { frame: Frame { message: PeerMessage::Store(_), .. }, .. })
    });
    assert_eq!(stores.count(), 2, "{third:?}");
    let late = Fetched { answer: Answer::State(Some(held())), clock: None };
    assert!(is_answered(&handle_at(&mut node, later, says(other, request_to(other, &second), late))));
}
