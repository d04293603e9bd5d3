//! What a node does not do: work that is too late, work beyond its bounds (rule Q11), and a second forward (rule V5).

use super::*;
use crate::wire::{Advance, Failure, Fetch, Forward, Forwarded, RequestError, Want};

fn key() -> Bytes {
    Bytes::from_static(b"k")
}

/// n2's request with an id of 7.
fn asks(deadline: Instant, message: impl Into<PeerMessage>) -> Input {
    let header = Header { id: RequestId(7), epoch: Epoch(1), deadline };
    Input::Peer { from: NodeId(2), frame: Frame { header, message: message.into() } }
}

fn fetch() -> Fetch {
    Fetch { table: TableId(1), key: key(), want: Want::State }
}

fn held() -> State {
    State::Register(Register { tag: TAG, content: Content::Value(Bytes::from_static(b"v")) })
}

fn store() -> Store {
    Store { table: TableId(1), key: key(), state: held(), report: false, defer: false, fresh: false }
}

fn put(key: Bytes) -> Put {
    Put::new(TableId(1), key, Bytes::from_static(b"w"), Consistency::One)
}

fn tickets(effects: &[Effect]) -> Vec<Ticket> {
    let ticket = |effect: &Effect| match effect {
        Effect::Disk(request) => Some(request.ticket.clone()),
        _ => None,
    };
    effects.iter().filter_map(ticket).collect()
}

/// What n2 is told about its request.
fn told(effects: &[Effect]) -> Vec<PeerMessage> {
    let said = |effect: &Effect| match effect {
        Effect::ToPeer { peer: NodeId(2), frame } if frame.header.id == RequestId(7) => {
            Some(frame.message.clone())
        }
        _ => None,
    };
    effects.iter().filter_map(said).collect()
}

fn is_expired(effect: &Effect) -> bool {
    matches!(effect, Effect::Observe(Observation::Expired))
}

fn is_overloaded(message: &PeerMessage) -> bool {
    matches!(message, PeerMessage::Refused(Refused { refusal: PeerRefusal::Overloaded }))
}

#[test]
fn what_a_peer_asks_too_late_is_dropped() {
    let late: [PeerMessage; 4] =
        [fetch().into(), store().into(), Advance { to: Hlc(1) }.into(), Forward::Put(put(key())).into()];
    for message in late {
        let effects = handle(&mut node(), asks(NOW.mono, message.clone()));
        assert!(matches!(effects[..], [Effect::Observe(Observation::Expired)]), "{message:?}: {effects:?}");
        let in_time = handle(&mut node(), asks(NOW.mono + Duration::from_millis(1), message));
        assert!(!in_time.iter().any(is_expired), "{in_time:?}");
    }
}

/// The disk was slow: nobody waits for the answer any more.
#[test]
fn what_the_disk_does_too_late_for_a_peer_is_not_told() {
    let deadline = NOW.mono + Duration::from_millis(10);
    let stored = || DiskResult::Written(Ok(Written::Stored { held: TAG, more: None }));
    let read = || DiskResult::Read(Ok(Some(held())));
    let requests: [(PeerMessage, &dyn Fn() -> DiskResult); 2] =
        [(fetch().into(), &read), (store().into(), &stored)];
    for (message, result) in requests {
        for late in [false, true] {
            let mut node = node();
            let asked = handle(&mut node, asks(deadline, message.clone()));
            let [ticket] = &tickets(&asked)[..] else { panic!("{asked:?}") };
            let at = if late { deadline } else { deadline - Duration::from_millis(1) };
            let done = Input::DiskDone { ticket: ticket.clone(), result: result() };
            let effects = handle_at(&mut node, at, done);
            assert_eq!(
                (told(&effects).is_empty(), effects.iter().any(is_expired)),
                (late, late),
                "{effects:?}"
            );
        }
    }
}

/// One peer asks for more and more; another one still finds room.
#[test]
fn a_peer_that_asks_for_too_much_is_refused_and_the_others_are_not() {
    let config = NodeConfig { replica_requests_max: 4, ..NodeConfig::new(NodeId(1), Actor(1), "test") };
    let mut node = configured_node(TableKind::Register, 3, config);
    let deadline = NOW.mono + Duration::from_secs(1);
    let taken: Vec<_> = (0..2).flat_map(|_| tickets(&handle(&mut node, asks(deadline, fetch())))).collect();
    assert_eq!(taken.len(), 2);
    for message in [fetch().into(), Advance { to: Hlc(1) }.into()] {
        let refused: PeerMessage = message;
        let told = told(&handle(&mut node, asks(deadline, refused)));
        assert!(matches!(&told[..], [one] if is_overloaded(one)), "{told:?}");
    }
    let header = Header { id: RequestId(7), epoch: Epoch(1), deadline };
    let other = Input::Peer { from: NodeId(3), frame: Frame { header, message: fetch().into() } };
    assert_eq!(tickets(&handle(&mut node, other)).len(), 1);
    for ticket in taken {
        handle(&mut node, Input::DiskDone { ticket, result: DiskResult::Read(Ok(None)) });
    }
    let again = handle(&mut node, asks(deadline, store()));
    assert_eq!(tickets(&again).len(), 1, "there is room again: {again:?}");
}

/// What a write that n2 forwards to n1 comes to.
fn refusal_of_forward(effects: &[Effect]) -> Option<RequestError> {
    told(effects).into_iter().find_map(|message| match message {
        PeerMessage::Forwarded(Forwarded { result: Err(error) }) => Some(error),
        _ => None,
    })
}

#[test]
fn a_forwarded_write_is_not_forwarded_once_more() {
    let deadline = NOW.mono + Duration::from_secs(1);
    let (mut own, mut foreign) = (0, 0);
    for key in 0..20_u8 {
        let mut node = node_of(TableKind::Siblings, 1);
        let key = Bytes::from(vec![key]);
        let is_own = node.ring().replicas(quorate_ring::token_of(&key), 1) == [NodeId(1)];
        let effects = handle(&mut node, asks(deadline, Forward::Put(put(key))));
        assert_eq!(forwards(&effects), 0, "{effects:?}");
        let refusal = refusal_of_forward(&effects);
        if is_own {
            own += 1;
            assert_eq!((refusal, tickets(&effects).is_empty()), (None, false), "{effects:?}");
            continue;
        }
        foreign += 1;
        let error = refusal.unwrap_or_else(|| panic!("n2 is told: {effects:?}"));
        assert_eq!((error.failure, error.outcome), (Failure::NotAReplica, Outcome::NotApplied));
        assert!(tickets(&effects).is_empty(), "nothing is written: {effects:?}");
        let late = handle_at(&mut node, deadline, Input::Tick);
        assert_eq!(forwards(&late), 0, "nor later: {late:?}");
    }
    assert!(own > 0 && foreign > 0, "{own} keys are n1's, {foreign} are not");
}

#[test]
fn a_node_that_is_full_refuses_a_write_before_it_is_sent_anywhere() {
    let config = NodeConfig { requests_max: 1, ..NodeConfig::new(NodeId(1), Actor(1), "test") };
    let mut node = configured_node(TableKind::Register, 3, config);
    let deadline = NOW.mono + Duration::from_secs(1);
    let mut write = |number| {
        let put = Put::new(TableId(1), key(), Bytes::from_static(b"w"), Consistency::Quorum);
        let header = Header { id: RequestId(number), epoch: Epoch(1), deadline };
        handle(
            &mut node,
            Input::Client { client: ClientId(number), frame: Frame { header, message: put.into() } },
        )
    };
    let is_sent = |effect: &Effect| matches!(effect, Effect::ToPeer { .. } | Effect::Disk(_));
    assert!(write(1).iter().any(is_sent));
    let effects = write(2);
    assert!(!effects.iter().any(is_sent), "{effects:?}");
    let error = effects.iter().find_map(|effect| match effect {
        Effect::ToClient { client: ClientId(2), frame } => match &frame.message {
            ClientMessage::RequestError(error) => Some(error),
            _ => None,
        },
        _ => None,
    });
    let error = error.unwrap_or_else(|| panic!("it is told at once: {effects:?}"));
    assert!(matches!(error.failure, Failure::Overloaded { retry_after_ms: 1.. }), "{error:?}");
    assert_eq!(error.outcome, Outcome::NotApplied, "rule Q10");
    assert!(effects.iter().any(|e| matches!(e, Effect::Observe(Observation::Overloaded))));
}
