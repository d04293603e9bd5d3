//! Rounds of `cas` keys, one message at a time: rules C1 to C4.

use quorate_storage::{Accepted, Acceptor, MergeError, WriteError};

use super::*;
use crate::wire::{CompareAndSet, ComparedAndSet, Condition, Failure, PeerRefusal, Refused, Store, Stored};

fn client(number: u64, message: impl Into<ClientMessage>) -> Input {
    let deadline = NOW.mono + Duration::from_secs(1);
    let header = Header { id: RequestId(number), epoch: Epoch(1), deadline };
    Input::Client { client: ClientId(1), frame: Frame { header, message: message.into() } }
}

fn put(consistency: Consistency) -> Put {
    Put::new(TableId(1), Bytes::from_static(b"k"), Bytes::from_static(b"new"), consistency)
}

fn swap(condition: Condition) -> CompareAndSet {
    let (table, key) = (TableId(1), Bytes::from_static(b"k"));
    let value = Some(Bytes::from_static(b"new"));
    CompareAndSet { table, key, condition, value, consistency: Consistency::Quorum }
}

/// What peers are sent to be stored: to whom, under which id, what.
fn stores(effects: &[Effect]) -> Vec<(u32, RequestId, Acceptor)> {
    let of = |effect: &Effect| {
        let Effect::ToPeer { peer, frame: Frame { header, message: PeerMessage::Store(store) } } = effect
        else {
            return None;
        };
        let State::Cas(acceptor) = &store.state else { return None };
        Some((peer.0, header.id, acceptor.clone()))
    };
    effects.iter().filter_map(of).collect()
}

/// The message to the first peer of those that are sent one.
fn sent(effects: &[Effect]) -> (u32, RequestId, Acceptor) {
    stores(effects).into_iter().next().expect("peers are sent something")
}

/// The node's own disk does what it is asked, holding nothing before, and the ballot is promised by one peer that tells
/// what it accepted.
fn promise(node: &mut Node, effects: &[Effect], accepted: Option<Accepted>) -> Vec<Effect> {
    let (peer, id, message) = sent(effects);
    assert_eq!(message.accepted(), None, "first a promise is asked for");
    let held = message.promised();
    own_disk_is_done(node, effects, held);
    let more = accepted.map(|accepted| State::Cas((held, Some(accepted), false).try_into().unwrap()));
    handle(node, says(peer, id, Stored { held, more }))
}

/// A client asks. The clock's bound is reserved as soon as the node wants it (rule V1).
fn ask(node: &mut Node, input: Input) -> Vec<Effect> {
    let mut effects = handle(node, input);
    let bound = effects.iter().find_map(|effect| match effect {
        Effect::Disk(DiskRequest { ticket: ticket @ Ticket::ClockBound(_), .. }) => Some(ticket.clone()),
        _ => None,
    });
    let reserved =
        bound.map(|ticket| Input::DiskDone { ticket, result: DiskResult::Written(Ok(Written::Meta)) });
    effects.extend(reserved.into_iter().flat_map(|input| handle(node, input)));
    effects
}

/// The own replica promises or accepts, having accepted nothing before.
fn own_disk_is_done(node: &mut Node, effects: &[Effect], held: Tag) -> Vec<Effect> {
    let tickets = effects.iter().filter_map(|effect| match effect {
        Effect::Disk(DiskRequest { ticket: ticket @ Ticket::Operation { .. }, .. }) => Some(ticket.clone()),
        _ => None,
    });
    let done = |ticket| {
        let result = DiskResult::Written(Ok(Written::Stored { held, more: None }));
        Input::DiskDone { ticket, result }
    };
    tickets.map(done).flat_map(|input| handle(node, input)).collect()
}

fn answer(effects: &[Effect]) -> Option<ClientMessage> {
    effects.iter().find_map(|effect| match effect {
        Effect::ToClient { frame, .. } => Some(frame.message.clone()),
        _ => None,
    })
}

fn proposal(hlc: u64, value: &'static str) -> Accepted {
    let ballot = Tag { hlc: Hlc(hlc), actor: Actor(7) };
    let replaced = Tag { hlc: Hlc(0), actor: Actor(0) };
    Accepted { ballot, write: ballot, replaced, content: Content::Value(value.into()) }
}

#[test]
fn a_put_asks_for_promises_and_replaces_what_they_tell_of() {
    let mut node = node_with(TableKind::Cas);
    let asked = ask(&mut node, client(1, put(Consistency::Quorum)));
    assert_eq!(stores(&asked).len(), 2, "all that are up are asked");
    let proposed = promise(&mut node, &asked, Some(proposal(0, "old")));
    let (peer, id, message) = sent(&proposed);
    let accepted = message.accepted().expect("now a proposal");
    assert_eq!((accepted.ballot, accepted.write), (message.promised(), message.promised()));
    assert_eq!(accepted.replaced, proposal(0, "old").write);
    assert_eq!(accepted.content, Content::Value("new".into()));
    assert!(answer(&proposed).is_none(), "one vote is no quorum");
    own_disk_is_done(&mut node, &proposed, message.promised());
    let done = handle(&mut node, says(peer, id, Stored { held: message.promised(), more: None }));
    let Some(ClientMessage::Written(written)) = answer(&done) else { panic!("{done:?}") };
    assert_eq!(written.receipt.tag, Some(message.promised()));
}

#[test]
fn a_condition_that_one_replica_shows_unmet_is_proposed_again_before_it_is_answered() {
    let mut node = node_with(TableKind::Cas);
    let asked = ask(&mut node, client(1, swap(Condition::Absent)));
    let proposed = promise(&mut node, &asked, Some(proposal(0, "old")));
    assert!(answer(&proposed).is_none(), "nobody knows whether it is chosen (rule C3)");
    let (peer, id, message) = sent(&proposed);
    let accepted = message.accepted().unwrap();
    assert_eq!((accepted.write, &accepted.content), (proposal(0, "old").write, &proposal(0, "old").content));
    own_disk_is_done(&mut node, &proposed, message.promised());
    let done = handle(&mut node, says(peer, id, Stored { held: message.promised(), more: None }));
    let Some(ClientMessage::ComparedAndSet(ComparedAndSet { applied: false, found, .. })) = answer(&done)
    else {
        panic!("{done:?}")
    };
    assert_eq!(found.unwrap().value, "old");
}

#[test]
fn a_condition_on_a_key_of_which_a_quorum_has_nothing_is_answered_at_once() {
    let mut node = node_with(TableKind::Cas);
    let asked = ask(&mut node, client(1, swap(Condition::Value("old".into()))));
    let done = promise(&mut node, &asked, None);
    let Some(ClientMessage::ComparedAndSet(ComparedAndSet { applied: false, found: None, .. })) =
        answer(&done)
    else {
        panic!("{done:?}")
    };
    assert!(stores(&done).is_empty(), "nothing is proposed");
}

#[test]
fn whoever_is_outbid_tries_a_later_round_and_requests_of_one_key_take_turns() {
    let mut node = node_with(TableKind::Cas);
    let asked = ask(&mut node, client(1, put(Consistency::Quorum)));
    assert!(stores(&handle(&mut node, client(2, put(Consistency::Quorum)))).is_empty(), "it waits its turn");
    let (_, id, message) = sent(&asked);
    let promised = Tag { hlc: Hlc(message.promised().hlc.0 + 9), actor: Actor(7) };
    for peer in [2, 3] {
        let refusal = PeerRefusal::Outbid { promised, accepted: None };
        assert!(stores(&handle(&mut node, says(peer, id, Refused { refusal }))).is_empty());
    }
    let later = handle_at(&mut node, NOW.mono + Duration::from_millis(9), Input::Tick);
    let (_, _, again) = sent(&later);
    assert!(again.promised() > promised && again.accepted().is_none(), "{again:?}");
    // The second begins when the first has ended.
    let late = NOW.mono + Duration::from_secs(2);
    let ended = handle_at(&mut node, late, Input::Tick);
    let Some(ClientMessage::RequestError(error)) = answer(&ended) else { panic!("{ended:?}") };
    assert_eq!(error.outcome, Outcome::NotApplied, "nothing was proposed");
}

#[test]
fn what_was_proposed_and_not_accepted_in_time_is_unknown() {
    let mut node = node_with(TableKind::Cas);
    let asked = ask(&mut node, client(1, put(Consistency::Quorum)));
    let proposed = promise(&mut node, &asked, None);
    assert!(sent(&proposed).2.accepted().is_some());
    let ended = handle_at(&mut node, NOW.mono + Duration::from_secs(2), Input::Tick);
    let Some(ClientMessage::RequestError(error)) = answer(&ended) else { panic!("{ended:?}") };
    assert_eq!(error.outcome, Outcome::Unknown);
}

#[test]
fn what_no_round_can_do_is_refused_before_anything_is_sent() {
    let mut node = node_with(TableKind::Cas);
    let ttl = Put { ttl_ms: Some(5), ..put(Consistency::Quorum) };
    let context = Put { context: Some(Bytes::from_static(b"c")), ..put(Consistency::Quorum) };
    for (number, put) in [put(Consistency::One), ttl, context].into_iter().enumerate() {
        let effects = ask(&mut node, client(number as u64, put));
        let Some(ClientMessage::RequestError(error)) = answer(&effects) else { panic!("{effects:?}") };
        assert!(matches!(error.failure, Failure::BadRequest(_)), "{error}");
        assert_eq!((stores(&effects).len(), error.outcome), (0, Outcome::NotApplied));
    }
    let mut node = node_with(TableKind::Register);
    let effects = ask(&mut node, client(1, swap(Condition::Absent)));
    assert!(matches!(answer(&effects), Some(ClientMessage::RequestError(_))), "only cas tables: {effects:?}");
}

#[test]
fn a_replica_tells_a_proposer_which_round_it_has_promised_itself_to() {
    let mut node = node_with(TableKind::Cas);
    let message = State::Cas(Acceptor::accepting(proposal(0, "old")));
    let (table, key) = (TableId(1), Bytes::from_static(b"k"));
    let store = Store { table, key, state: message, report: false, defer: false, fresh: false };
    let asked = handle(&mut node, says(2, RequestId(9), store));
    let ticket = asked.iter().find_map(|effect| match effect {
        Effect::Disk(request) => Some(request.ticket.clone()),
        _ => None,
    });
    let outbid = MergeError::Outbid { promised: TAG, accepted: None };
    let result = DiskResult::Written(Err(WriteError::Merge(outbid)));
    let told = handle(&mut node, Input::DiskDone { ticket: ticket.unwrap(), result });
    let refusal = told.iter().find_map(|effect| match effect {
        Effect::ToPeer { frame: Frame { message: PeerMessage::Refused(refused), .. }, .. } => Some(refused),
        _ => None,
    });
    assert_eq!(refusal.unwrap().refusal, PeerRefusal::Outbid { promised: TAG, accepted: None });
}

#[test]
fn two_proposals_under_one_ballot_are_an_alarm_and_both_holders_hear_of_it() {
    let mut node = node_with(TableKind::Cas);
    let asked = ask(&mut node, client(1, swap(Condition::Absent)));
    let held = sent(&asked).2.promised();
    let mut told = Vec::new();
    for (peer, value) in [(2, "one"), (3, "other")] {
        let id = sent(&asked).1;
        let more = Some(State::Cas((held, Some(proposal(0, value)), false).try_into().unwrap()));
        told.extend(handle(&mut node, says(peer, id, Stored { held, more })));
    }
    let Some(ClientMessage::RequestError(error)) = answer(&told) else { panic!("{told:?}") };
    assert_eq!(error.outcome, Outcome::NotApplied);
    assert!(told.iter().any(|effect| matches!(effect, Effect::Alarm(Alarm::TagConflict { .. }))));
    let mut passed_on: Vec<_> = stores(&told).into_iter().map(|(peer, _, it)| (peer, it)).collect();
    passed_on.sort_by_key(|(peer, _)| *peer);
    let other = |value| Acceptor::accepting(proposal(0, value));
    assert_eq!(passed_on, [(2, other("other")), (3, other("one"))]);
}

#[test]
fn a_promise_with_a_proposal_that_is_later_than_it_is_none() {
    let mut node = node_with(TableKind::Cas);
    let asked = ask(&mut node, client(1, put(Consistency::Quorum)));
    let (_, id, message) = sent(&asked);
    let held = message.promised();
    let later = Accepted { ballot: held, write: held, ..proposal(0, "v") };
    for peer in [2, 3] {
        let more = Some(State::Cas((held, Some(later.clone()), false).try_into().unwrap()));
        assert!(stores(&handle(&mut node, says(peer, id, Stored { held, more }))).is_empty());
    }
}
