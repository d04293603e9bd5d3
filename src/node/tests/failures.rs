//! What a client hears of the replicas of a request that failed (rule Q12).

use super::*;
use crate::wire::{Failure, Forwarded, Message, RequestError, Scan};

const DEADLINE: Instant = Instant(NOW.mono.0 + 1_000_000_000);

fn ask(node: &mut Node, message: impl Into<ClientMessage>) -> Vec<Effect> {
    let header = Header { id: RequestId(1), epoch: Epoch(1), deadline: DEADLINE };
    handle(node, Input::Client { client: ClientId(1), frame: Frame { header, message: message.into() } })
}

fn put(table: u32, key: impl Into<Bytes>, level: Consistency) -> Put {
    Put::new(TableId(table), key.into(), Bytes::from_static(b"w"), level)
}

fn get() -> Get {
    Get::new(TableId(1), Bytes::from_static(b"k"), Consistency::Quorum)
}

fn error_in(effects: &[Effect]) -> RequestError {
    let error = effects.iter().find_map(|effect| match effect {
        Effect::ToClient { frame: Frame { message: ClientMessage::RequestError(error), .. }, .. } => {
            Some(error.clone())
        }
        _ => None,
    });
    error.unwrap_or_else(|| panic!("nothing has failed: {effects:?}"))
}

/// Who did what, in the order of the receipt.
fn parts(receipt: &Receipt) -> Vec<(u32, Part, u32, &str)> {
    receipt.reports.iter().map(|r| (r.node.0, r.part, r.latency_us, r.why.as_str())).collect()
}

fn asked_peer(effects: &[Effect]) -> u32 {
    if effects.iter().any(|e| matches!(e, Effect::ToPeer { peer: NodeId(2), .. })) { 2 } else { 3 }
}

fn refuses(why: &str) -> Refused {
    Refused { refusal: PeerRefusal::Disk(why.to_owned()) }
}

/// n1 stores a write at QUORUM; of n2 and n3 nothing is heard.
#[test]
fn a_write_that_timed_out_names_who_acknowledged_and_who_did_not() {
    let mut node = node();
    let mut effects = ask(&mut node, put(1, "k", Consistency::Quorum));
    let peer = asked_peer(&effects);
    let id = request_to(peer, &effects);
    effects = own_disk(&mut node, &effects);
    effects.extend(handle(&mut node, says(peer, id, Fetched { answer: Answer::Version(None), clock: None })));
    // The clock's reservation comes first.
    let sent = own_disk(&mut node, &effects);
    let tag = sent.iter().find_map(|effect| match effect {
        Effect::ToPeer { frame: Frame { message: PeerMessage::Store(store), .. }, .. } => {
            Some(store.state.tag())
        }
        _ => None,
    });
    own_disk(&mut node, &sent);
    let error = error_in(&handle_at(&mut node, DEADLINE, Input::Tick));
    assert_eq!(error.failure, Failure::Timeout { required: 2, answered: 1 });
    assert_eq!(error.outcome, Outcome::Unknown);
    let receipt = error.receipt.expect("replicas were asked");
    let mut parts = parts(&receipt);
    parts.sort_unstable_by_key(|(node, ..)| *node);
    assert_eq!(
        parts,
        [(1, Part::Agreed, 0, ""), (2, Part::NoAnswer, 1_000_000, ""), (3, Part::NoAnswer, 1_000_000, "")]
    );
    assert_eq!((&receipt.answered[..], receipt.replicas.len()), (&[NodeId(1)][..], 3));
    assert_eq!((receipt.tag, receipt.rounds), (tag, 2), "the version that may be there");
    assert_eq!(receipt.operation, Some(Step::from_request_id(request_to(2, &sent)).operation));
    let mut hinted = receipt.hinted.clone();
    hinted.sort_unstable();
    assert_eq!(hinted, [2, 3].map(NodeId), "rule H1");
}

/// Nothing was sent to be stored: who has told its version has not acknowledged anything.
#[test]
fn a_write_that_failed_before_it_was_sent_claims_no_acknowledgement() {
    let mut node = node();
    let mut effects = ask(&mut node, put(1, "k", Consistency::Quorum));
    own_disk(&mut node, &effects);
    let (peer, other) = if asked_peer(&effects) == 2 { (2, 3) } else { (3, 2) };
    let id = request_to(peer, &effects);
    effects = handle(&mut node, says(peer, id, refuses("broken")));
    let error = error_in(&handle(&mut node, says(other, request_to(other, &effects), refuses("worn"))));
    assert_eq!(error.outcome, Outcome::NotApplied);
    let receipt = error.receipt.expect("replicas were asked");
    assert_eq!(
        parts(&receipt),
        [
            (1, Part::Answered, 0, ""),
            (peer, Part::Failed, 0, "cannot use its disk: broken"),
            (other, Part::Failed, 0, "cannot use its disk: worn")
        ]
    );
    assert_eq!((receipt.tag, receipt.rounds, &receipt.hinted[..]), (None, 1, &[][..]));
}

/// What replicas say of themselves has no bound, what a client hears of it has.
#[test]
fn a_read_that_replicas_refused_names_why_and_stays_small() {
    let mut node = node();
    let effects = ask(&mut node, get());
    own_disk(&mut node, &effects);
    let (peer, other) = if asked_peer(&effects) == 2 { (2, 3) } else { (3, 2) };
    let long = "ö".repeat(10_000);
    let effects = handle(&mut node, says(peer, request_to(peer, &effects), refuses(&long)));
    let error = error_in(&handle(&mut node, says(other, request_to(other, &effects), refuses("no room"))));
    assert!(matches!(error.failure, Failure::ReplicasFailed { required: 2, answered: 1, .. }), "{error}");
    let receipt = error.receipt.as_deref().expect("replicas were asked");
    assert_eq!(receipt.answered, [NodeId(1)]);
    let parts = parts(receipt);
    assert_eq!((parts[0].0, parts[0].1), (1, Part::Answered));
    assert!(parts[1].3.starts_with("cannot use its disk: öö"), "{parts:?}");
    assert_eq!(parts[2], (other, Part::Failed, 0, "cannot use its disk: no room"));
    let mut body = bytes::BytesMut::new();
    ClientMessage::RequestError(error).encode_body(&mut body);
    assert!(body.len() < 1_000, "{} bytes", body.len());
}

#[test]
fn a_read_that_timed_out_tells_those_that_are_silent_from_those_not_asked() {
    let mut node = node();
    let effects = ask(&mut node, get());
    own_disk(&mut node, &effects);
    let peer = asked_peer(&effects);
    // At one moment the deadline is over and others would be asked: nobody else is.
    let error = error_in(&handle_at(&mut node, DEADLINE, Input::Tick));
    assert_eq!(error.outcome, Outcome::NotApplied);
    let receipt = error.receipt.expect("replicas were asked");
    assert_eq!(parts(&receipt), [(1, Part::Answered, 0, ""), (peer, Part::NoAnswer, 1_000_000, "")]);
    assert_eq!((receipt.replicas.len(), receipt.rounds, receipt.repaired), (3, 1, false));
}

#[test]
fn an_error_before_any_replica_is_concerned_has_no_receipt() {
    let mut node = node();
    let error = error_in(&ask(&mut node, Get { table: TableId(77), ..get() }));
    assert!(matches!(error.failure, Failure::UnknownTable { .. }), "{error}");
    assert_eq!(error.receipt, None);
    // The clock is never reserved, so the write is never sent.
    assert!(writes_to_disk(&ask(&mut node, put(1, "k", Consistency::One))));
    let error = error_in(&handle_at(&mut node, DEADLINE, Input::Tick));
    assert_eq!((error.outcome, error.receipt), (Outcome::NotApplied, None));
}

/// Nobody was asked, and it is known who could not be (rule Q3).
#[test]
fn too_few_replicas_are_named_by_those_that_are_down() {
    let mut node = node();
    handle(&mut node, Input::PeerDown(NodeId(3)));
    let scan = Scan::new(TableId(1), 10, Consistency::All);
    let requests: [ClientMessage; 3] = [
        put(1, "k", Consistency::All).into(),
        Get { consistency: Consistency::All, ..get() }.into(),
        scan.into(),
    ];
    for request in requests {
        let error = error_in(&ask(&mut node, request));
        assert!(matches!(error.failure, Failure::Unavailable { required: 3, alive: 2, .. }), "{error}");
        let receipt = error.receipt.expect("the replicas are known");
        assert_eq!(parts(&receipt), [(3, Part::Failed, 0, "is down")]);
        assert_eq!((receipt.replicas.len(), receipt.rounds, receipt.operation), (3, 0, None));
    }
}

/// A write of a key that is n2's or n3's alone, where n1 has passed it on; and to whom.
fn forwarded() -> (Node, Vec<Effect>, u32) {
    for key in 0..20_u8 {
        let mut node = node_of(TableKind::Siblings, 1);
        let effects = ask(&mut node, put(1, vec![key], Consistency::One));
        if forwards(&effects) > 0 {
            let peer = asked_peer(&effects);
            return (node, effects, peer);
        }
    }
    panic!("no key of another node");
}

#[test]
fn a_forwarded_write_fails_with_the_receipt_of_its_coordinator() {
    let (mut node, effects, peer) = forwarded();
    let of_coordinator = error_in(&{
        let mut other = self::node();
        let effects = ask(&mut other, get());
        own_disk(&mut other, &effects);
        handle_at(&mut other, DEADLINE, Input::Tick)
    });
    let receipt = Receipt { coordinator: NodeId(peer), ..*of_coordinator.receipt.expect("a receipt") };
    let failure = Failure::Timeout { required: 1, answered: 0 };
    let told = RequestError::unknown(failure).with_receipt(receipt.clone());
    let message = Forwarded { result: Err(told) };
    let error = error_in(&handle(&mut node, says(peer, request_to(peer, &effects), message)));
    assert_eq!(*error.receipt.expect("it travels"), Receipt { forwarded_by: Some(NodeId(1)), ..receipt });
}

#[test]
fn a_forwarded_write_without_an_answer_names_whom_it_was_sent_to() {
    let (mut node, _, peer) = forwarded();
    let error = error_in(&handle_at(&mut node, DEADLINE, Input::Tick));
    assert_eq!(error.outcome, Outcome::Unknown);
    let receipt = error.receipt.expect("a replica was asked");
    assert_eq!(parts(&receipt), [(peer, Part::NoAnswer, 1_000_000, "")]);
    assert_eq!((receipt.coordinator, receipt.rounds), (NodeId(1), 1));

    let (mut node, _, peer) = forwarded();
    let error = error_in(&handle(&mut node, Input::PeerDown(NodeId(peer))));
    let receipt = error.receipt.expect("a replica was asked");
    assert_eq!(parts(&receipt), [(peer, Part::Failed, 0, "its connection was lost")]);

    let (mut node, effects, peer) = forwarded();
    let refused = Forwarded { result: Err(RequestError::not_applied(Failure::ShuttingDown)) };
    let error = error_in(&handle(&mut node, says(peer, request_to(peer, &effects), refused)));
    assert_eq!(error.failure, Failure::ShuttingDown);
    let receipt = error.receipt.expect("a replica was asked");
    assert_eq!(parts(&receipt), [(peer, Part::Failed, 0, "the node is shutting down: ask another node")]);
}

#[test]
fn a_page_that_failed_names_who_has_not_answered() {
    let mut node = node();
    let effects = ask(&mut node, Scan::new(TableId(1), 10, Consistency::All));
    handle(&mut node, says(2, request_to(2, &effects), refuses("no room")));
    let later = Instant(NOW.mono.0 + 5_000_000);
    handle_at(&mut node, later, says(3, request_to(3, &effects), refuses("worn")));
    let error = error_in(&handle_at(&mut node, DEADLINE, Input::Tick));
    let receipt = error.receipt.expect("replicas were asked");
    assert_eq!(
        parts(&receipt),
        [
            (1, Part::NoAnswer, 1_000_000, ""),
            (2, Part::Failed, 0, "cannot use its disk: no room"),
            (3, Part::Failed, 5_000, "cannot use its disk: worn")
        ]
    );
    assert!(receipt.operation.is_some());
}
