//! One version with two contents: rule V4.

use quorate_storage::{MergeError, Page, Row, WriteError};

use super::*;
use crate::wire::{Failure, Fetch, FetchPage, PageFetched, RequestError, Want};

fn key() -> Bytes {
    Bytes::from_static(b"k")
}

fn row(key: Bytes) -> Row {
    Row { token: quorate_ring::token_of(&key), table: TableId(1), key }
}

fn value(text: &'static str) -> Content {
    Content::Value(Bytes::from_static(text.as_bytes()))
}

fn register(tag: Tag) -> State {
    State::Register(Register { tag, content: value("v") })
}

fn siblings() -> Siblings {
    Siblings::first(TAG, &VersionVector::new(), value("v"))
}

/// What the disk is asked for.
fn tickets(effects: &[Effect]) -> Vec<Ticket> {
    let ticket = |effect: &Effect| match effect {
        Effect::Disk(request) => Some(request.ticket.clone()),
        _ => None,
    };
    effects.iter().filter_map(ticket).collect()
}

fn ticket(effects: &[Effect]) -> Ticket {
    tickets(effects).pop().unwrap_or_else(|| panic!("the disk is asked: {effects:?}"))
}

/// The disk of n1, on which is `held`, refuses what n2 sends, which is another content under [`TAG`].
fn meet_another_content(node: &mut Node, held: State) -> Vec<Effect> {
    let store =
        Store { table: TableId(1), key: key(), state: held, report: false, defer: false, fresh: false };
    let stores = ticket(&handle(node, says(2, RequestId(8), store)));
    let why = WriteError::Merge(MergeError::EqualTagDifferentBytes(TAG));
    handle(node, Input::DiskDone { ticket: stores, result: DiskResult::Written(Err(why)) })
}

/// n1 with a conflict, on whose disk is `held`.
fn node_in_conflict(held: &State) -> Node {
    let mut node = node_with(held.kind());
    meet_another_content(&mut node, held.clone());
    node
}

/// What n1 tells n2, which asks for a key of which `held` is on the disk.
fn told(node: &mut Node, key: Bytes, want: Want, held: &State) -> PeerMessage {
    let fetch = Fetch { table: TableId(1), key, want };
    let mut effects = handle(node, says(2, RequestId(7), fetch));
    for ticket in tickets(&effects) {
        let result = DiskResult::Read(Ok(Some(held.clone())));
        effects.extend(handle(node, Input::DiskDone { ticket, result }));
    }
    said_to_peer(&effects)
}

fn said_to_peer(effects: &[Effect]) -> PeerMessage {
    let said = effects.iter().find_map(|effect| match effect {
        Effect::ToPeer { peer: NodeId(2), frame } => Some(frame.message.clone()),
        _ => None,
    });
    said.unwrap_or_else(|| panic!("nothing is said: {effects:?}"))
}

fn is_refused(message: &PeerMessage) -> bool {
    matches!(message, PeerMessage::Refused(Refused { refusal: PeerRefusal::Damaged(_) }))
}

fn failure(effects: &[Effect]) -> Option<RequestError> {
    effects.iter().find_map(|effect| match effect {
        Effect::ToClient { frame: Frame { message: ClientMessage::RequestError(error), .. }, .. } => {
            Some(error.clone())
        }
        _ => None,
    })
}

fn client(message: impl Into<ClientMessage>) -> Input {
    let header = Header { id: RequestId(1), epoch: Epoch(1), deadline: NOW.mono + Duration::from_secs(1) };
    Input::Client { client: ClientId(1), frame: Frame { header, message: message.into() } }
}

#[test]
fn a_key_with_two_contents_under_one_tag_is_told_of_and_not_served() {
    let (mut node, held) = (node(), register(TAG));
    assert_eq!(told(&mut node, key(), Want::State, &held), fetched(Answer::State(Some(held.clone()))));
    let refused = meet_another_content(&mut node, held.clone());
    let is_alarm = |effect: &Effect| matches!(effect, Effect::Alarm(Alarm::TagConflict { key: told, tag: Some(TAG), .. }) if *told == key());
    assert!(refused.iter().any(is_alarm), "{refused:?}");
    // Remembered or read from the disk.
    for _ in 0..2 {
        for want in [Want::State, Want::Digest] {
            let told = told(&mut node, key(), want, &held);
            assert!(is_refused(&told), "{told:?}");
        }
        node.surroundings.cache.forget(&row(key()));
    }
    let version = fetched(Answer::Version(Some(held.version())));
    assert_eq!(told(&mut node, key(), Want::Version, &held), version, "writes go above it");
    let other = fetched(Answer::State(Some(held.clone())));
    assert_eq!(told(&mut node, Bytes::from_static(b"other"), Want::State, &held), other);
    assert!(
        is_refused(&said_to_peer(&meet_another_content(&mut node, held))),
        "stores are refused as before"
    );
}

fn fetched(answer: Answer) -> PeerMessage {
    Fetched { answer, clock: None }.into()
}

/// A later write replaces both contents: there is nothing in question any more.
#[test]
fn a_key_is_served_again_once_it_is_written_anew() {
    let held = register(TAG);
    let mut node = node_in_conflict(&held);
    let later = register(Tag { hlc: Hlc(6), ..TAG });
    let result = DiskResult::Changed(vec![(row(key()), Some(later.clone()))]);
    handle(&mut node, Input::DiskDone { ticket: Ticket::Changed, result });
    assert_eq!(told(&mut node, key(), Want::State, &later), fetched(Answer::State(Some(later.clone()))));
}

/// The node's own coordinator hears no more than a peer's. Both others are asked in its place.
#[test]
fn a_node_does_not_serve_its_own_clients_what_is_in_question() {
    let held = register(TAG);
    let mut node = node_in_conflict(&held);
    for remembered in [false, true] {
        let read = handle(&mut node, client(Get::new(TableId(1), key(), Consistency::One)));
        assert_eq!(tickets(&read).is_empty(), remembered);
        let mut effects = read.clone();
        for ticket in tickets(&read) {
            let result = DiskResult::Read(Ok(Some(held.clone())));
            effects.extend(handle(&mut node, Input::DiskDone { ticket, result }));
        }
        assert!(!is_answered(&effects), "{effects:?}");
        let is_fetch = |e: &&Effect| matches!(e, Effect::ToPeer { frame, .. } if matches!(frame.message, PeerMessage::Fetch(_)));
        assert_eq!(effects.iter().filter(is_fetch).count(), 1, "{effects:?}");
    }
}

/// What a reader's write-back meets in the same record is not told with the acknowledgement.
#[test]
fn an_acknowledgement_does_not_tell_what_is_in_question() {
    let held = State::Siblings(siblings());
    let mut node = node_in_conflict(&held);
    let other = Siblings::first(Tag { hlc: Hlc(7), actor: Actor(3) }, &VersionVector::new(), value("w"));
    let state = State::Siblings(other.clone());
    let store = Store { table: TableId(1), key: key(), state, report: true, defer: false, fresh: false };
    let stores = ticket(&handle(&mut node, says(2, RequestId(8), store)));
    let more = Some(State::Siblings(siblings().join(&other).unwrap()));
    let result = DiskResult::Written(Ok(Written::Stored { held: TAG, more }));
    let told = said_to_peer(&handle(&mut node, Input::DiskDone { ticket: stores, result }));
    assert!(is_refused(&told), "{told:?}");
}

/// In a page the key is named, and nothing of it is told; the others are.
#[test]
fn a_page_does_not_tell_what_is_in_question() {
    let held = register(TAG);
    let mut node = node_in_conflict(&held);
    let ranges = vec![quorate_ring::TokenRange::FULL];
    let wanted = FetchPage { table: TableId(1), ranges, after: None, rows_max: 10, want: Want::State };
    let reads = ticket(&handle(&mut node, says(2, RequestId(9), wanted)));
    let other = Bytes::from_static(b"other");
    let states = vec![(key(), held.clone()), (other.clone(), held.clone())];
    let result = DiskResult::Scanned(Ok(Page { states, damaged: Vec::new(), next: None }));
    let effects = handle(&mut node, Input::DiskDone { ticket: reads, result });
    let PeerMessage::PageFetched(PageFetched { rows, damaged, .. }) = said_to_peer(&effects) else {
        panic!("{effects:?}")
    };
    assert_eq!((rows, damaged), (vec![(other, Answer::State(Some(held)))], vec![key()]));
    assert!(tickets(&effects).is_empty(), "nothing is put in quarantine and refetched: {effects:?}");
}

/// The mints that n1's disk is asked for by a put at ONE, and how else it ended.
fn minted(node: &mut Node, context: Option<Bytes>) -> (usize, Option<RequestError>) {
    let mut put = Put::new(TableId(1), key(), Bytes::from_static(b"w"), Consistency::One);
    put.context = context;
    let effects = handle(node, client(put));
    // The clock's reservation comes first.
    let is_bound =
        |effect: &&Effect| matches!(effect, Effect::Disk(DiskRequest { ticket: Ticket::ClockBound(_), .. }));
    let bounds: Vec<_> = effects.iter().filter(is_bound).cloned().collect();
    let follows = own_disk(node, &bounds);
    let is_mint = |effect: &&Effect| {
        matches!(
            effect,
            Effect::Disk(DiskRequest { operation: DiskOperation::Write(Write::Mint { .. }), .. })
        )
    };
    let all: Vec<_> = effects.into_iter().chain(follows).collect();
    (all.iter().filter(is_mint).count(), failure(&all))
}

/// What a reader gets who finds `held`.
fn context(held: Option<State>) -> Bytes {
    let mut node = node_with(TableKind::Siblings);
    let ticket = ticket(&handle(&mut node, client(Get::new(TableId(1), key(), Consistency::One))));
    let effects = handle(&mut node, Input::DiskDone { ticket, result: DiskResult::Read(Ok(held)) });
    let context = effects.iter().find_map(|effect| match effect {
        Effect::ToClient { frame: Frame { message: ClientMessage::Got(got), .. }, .. } => {
            Some(got.context.clone())
        }
        _ => None,
    });
    context.unwrap_or_else(|| panic!("the read is answered: {effects:?}"))
}

#[test]
fn nothing_is_minted_beside_what_is_in_question() {
    let held = State::Siblings(siblings());
    let mut node = node_in_conflict(&held);
    let (mints, error) = minted(&mut node, Some(context(None)));
    let error = error.expect("who has not seen it would carry it on");
    assert!(matches!(error.failure, Failure::ReplicasFailed { .. }), "{error:?}");
    assert_eq!((mints, error.outcome), (0, Outcome::NotApplied));
    let mut node = node_in_conflict(&held);
    assert_eq!(
        minted(&mut node, Some(context(Some(held.clone())))),
        (1, None),
        "who has seen it replaces it"
    );
    let mut node = node_in_conflict(&held);
    assert_eq!(minted(&mut node, None), (1, None), "as does who replaces all that is here");

    let mut node = node_in_conflict(&held);
    let dot = Tag { hlc: Hlc(6), ..TAG };
    let above = State::Siblings(siblings().written(dot, siblings().vector(), value("w")));
    let result = DiskResult::Changed(vec![(row(key()), Some(above))]);
    handle(&mut node, Input::DiskDone { ticket: Ticket::Changed, result });
    assert_eq!(minted(&mut node, Some(context(None))), (1, None), "there is nothing in question any more");
}
