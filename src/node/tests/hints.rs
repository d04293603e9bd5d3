//! Which hints a target that is up is given, and how they are looked for (rule H1).

use quorate_storage::{HintChange, HintPage, Row};

use super::*;
use crate::{
    handoff::{Hint, Keeper},
    wire::KeepHint,
};

const TARGET: NodeId = NodeId(3);

fn row(key: &'static [u8]) -> Row {
    Row { token: quorate_ring::token_of(key), table: TableId(1), key: Bytes::from_static(key) }
}

fn state() -> State {
    State::Register(Register { tag: TAG, content: Content::Value(Bytes::from_static(b"v")) })
}

/// A hint is on the disk of n1. What follows.
fn keep(node: &mut Node, key: &'static [u8]) -> Vec<Effect> {
    let mut effects = Effects::default();
    let hint = Hint { target: TARGET, row: row(key), state: state(), keeper: Keeper::Nobody };
    let Node { surroundings, handoff, .. } = node;
    handoff.keep(&mut surroundings.turn(NOW, &mut effects), hint);
    let effects = effects.drain().collect::<Vec<_>>();
    let [Effect::Disk(DiskRequest { ticket, operation: DiskOperation::Write(Write::Hint { .. }), .. })] =
        &effects[..]
    else {
        panic!("it is written first: {effects:?}");
    };
    disk_says(node, ticket, changed(1))
}

fn changed(hints: i64) -> DiskResult {
    DiskResult::Written(Ok(Written::Hints(HintChange { hints, bytes: hints * 100 })))
}

fn disk_says(node: &mut Node, ticket: &Ticket, result: DiskResult) -> Vec<Effect> {
    handle(node, Input::DiskDone { ticket: ticket.clone(), result })
}

/// The question for hints in `effects`: of which keys, or of all.
fn page_wanted(effects: &[Effect]) -> Option<(Ticket, Option<Vec<Bytes>>)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Disk(DiskRequest { ticket, operation: DiskOperation::ReadHints { rows, .. }, .. }) => {
            let keys = rows.as_ref().map(|rows| rows.iter().map(|row| row.key.clone()).collect());
            Some((ticket.clone(), keys))
        }
        _ => None,
    })
}

/// The disk answers with hints. What is sent, once the budget has room.
fn given(node: &mut Node, ticket: &Ticket, keys: &[&'static [u8]]) -> Vec<Effect> {
    let mut effects = disk_says(node, ticket, page(keys));
    effects.extend(handle_at(node, NOW.mono + Duration::from_millis(100), Input::Tick));
    effects
}

fn page(keys: &[&'static [u8]]) -> DiskResult {
    let hints = keys.iter().map(|key| (row(key), state())).collect();
    DiskResult::Hints(Ok(HintPage { hints, ..HintPage::default() }))
}

/// The target holds the one hint that it was given in `effects`. What follows, and who asked for the hint to be forgotten.
fn takes(node: &mut Node, effects: &[Effect]) -> (Vec<Effect>, Ticket) {
    let stored = Stored { held: TAG, more: None };
    let follows = handle(node, says(TARGET.0, request_to(TARGET.0, effects), stored));
    let ticket = follows.iter().find_map(|effect| match effect {
        Effect::Disk(DiskRequest {
            ticket, operation: DiskOperation::Write(Write::Unhint { .. }), ..
        }) => Some(ticket.clone()),
        _ => None,
    });
    let ticket = ticket.expect("it is forgotten");
    (follows, ticket)
}

#[test]
fn a_hint_for_who_is_up_is_looked_for_by_itself() {
    let mut node = node();
    let (ticket, keys) = page_wanted(&keep(&mut node, b"a")).expect("it is given at once");
    assert_eq!(keys, Some(vec![Bytes::from_static(b"a")]), "not all that was ever kept is passed again");
    assert!(page_wanted(&keep(&mut node, b"b")).is_none(), "one pass at a time");
    let sent = given(&mut node, &ticket, &[b"a"]);
    let (follows, unhint) = takes(&mut node, &sent);
    let (ticket, keys) = page_wanted(&follows).expect("the next one follows");
    assert_eq!(keys, Some(vec![Bytes::from_static(b"b")]));
    assert!(page_wanted(&disk_says(&mut node, &unhint, changed(-1))).is_none());
    let sent = given(&mut node, &ticket, &[b"b"]);
    let (follows, _) = takes(&mut node, &sent);
    assert!(page_wanted(&follows).is_none(), "that was the last one");
}

#[test]
fn what_was_kept_before_is_read_from_the_first_on() {
    let backlog = HintBacklog { hints: 2, bytes: 200 };
    let hints = [(TARGET, backlog)].into();
    let recovered = Recovered { hints, ..Recovered::default() };
    let config = NodeConfig::new(NodeId(1), Actor(1), "test");
    let mut node = recovered_node(TableKind::Register, 3, config, recovered);
    handle(&mut node, Input::PeerDown(TARGET));
    let up = || Input::PeerUp { peer: TARGET, life: LIFE, wall: NOW.wall };
    let (late, keys) = page_wanted(&handle(&mut node, up())).expect("it is given at once");
    assert_eq!(keys, None, "all of them");
    handle(&mut node, Input::PeerDown(TARGET));
    let (ticket, keys) = page_wanted(&handle(&mut node, up())).expect("it is given at once");
    assert_eq!(keys, None, "what was on its way is not given");
    let next = Some(row(b"b"));
    let result =
        DiskResult::Hints(Ok(HintPage { hints: vec![(row(b"b"), state())], next, ..HintPage::default() }));
    disk_says(&mut node, &late, result);
    let sent = given(&mut node, &ticket, &[b"a"]);
    let stores = sent.iter().filter_map(|effect| match effect {
        Effect::ToPeer { frame: Frame { message: PeerMessage::Store(store), .. }, .. } => {
            Some(store.key.clone())
        }
        _ => None,
    });
    assert_eq!(stores.collect::<Vec<_>>(), ["a"], "a page of an earlier pass is worth nothing");
}

#[test]
fn what_a_full_disk_does_not_forget_is_neither_given_for_ever_nor_left_alone() {
    let mut node = node();
    let (ticket, _) = page_wanted(&keep(&mut node, b"a")).unwrap();
    let sent = given(&mut node, &ticket, &[b"a"]);
    let (_, unhint) = takes(&mut node, &sent);
    let full = DiskResult::Written(Err(quorate_storage::EngineError::Full.into()));
    assert!(page_wanted(&disk_says(&mut node, &unhint, full)).is_none(), "not at once");
    let effects = handle_at(&mut node, NOW.mono + Duration::from_millis(900), Input::Tick);
    assert!(page_wanted(&effects).is_none());
    let effects = handle_at(&mut node, NOW.mono + Duration::from_secs(1), Input::Tick);
    let (_, keys) = page_wanted(&effects).expect("a second later");
    assert_eq!(keys, None, "nobody knows what else there is");
}

#[test]
fn what_was_refused_is_tried_again_by_itself() {
    let mut node = node();
    let (ticket, _) = page_wanted(&keep(&mut node, b"a")).unwrap();
    let sent = given(&mut node, &ticket, &[b"a"]);
    let refused = Refused { refusal: PeerRefusal::Overloaded };
    let follows = handle(&mut node, says(TARGET.0, request_to(TARGET.0, &sent), refused));
    assert!(page_wanted(&follows).is_none(), "not at once");
    let effects = handle_at(&mut node, NOW.mono + Duration::from_secs(1), Input::Tick);
    let (_, keys) = page_wanted(&effects).expect("a second later");
    assert_eq!(keys, Some(vec![Bytes::from_static(b"a")]));
}

#[test]
fn a_hint_for_this_node_itself_or_a_stranger_is_not_kept() {
    let mut node = node();
    for owner in [1, 9] {
        let keep = KeepHint { owner: NodeId(owner), table: TableId(1), key: row(b"a").key, state: state() };
        let effects = handle(&mut node, says(2, RequestId(7), keep));
        let [Effect::ToPeer { peer: NodeId(2), frame: Frame { message: PeerMessage::Refused(refused), .. } }] =
            &effects[..]
        else {
            panic!("nobody would ever be given it: {effects:?}");
        };
        assert_eq!(refused.refusal, PeerRefusal::WrongOwner);
    }
}

/// The target answers what it was given in `sent` as if it held something else under the same tag.
fn contradicts(node: &mut Node, at: Instant, sent: &[Effect]) -> Vec<Effect> {
    let refused = Refused { refusal: PeerRefusal::Damaged("another content under that tag".to_owned()) };
    handle_at(node, at, says(TARGET.0, request_to(TARGET.0, sent), refused))
}

#[test]
fn a_hint_that_is_contradicted_is_given_ever_more_seldom_and_holds_no_other_up() {
    let mut node = node();
    let (ticket, _) = page_wanted(&keep(&mut node, b"a")).unwrap();
    let mut sent = given(&mut node, &ticket, &[b"a"]);
    let mut now = NOW.mono + Duration::from_millis(100);
    for pause in [1, 2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs) {
        assert!(page_wanted(&contradicts(&mut node, now, &sent)).is_none(), "not at once");
        let effects = handle_at(&mut node, now + pause - Duration::from_millis(1), Input::Tick);
        assert!(page_wanted(&effects).is_none(), "not before {pause:?}");
        now = now + pause;
        let (ticket, keys) = page_wanted(&handle_at(&mut node, now, Input::Tick)).expect("tried again");
        assert_eq!(keys, Some(vec![Bytes::from_static(b"a")]));
        sent = handle_at(&mut node, now, Input::DiskDone { ticket, result: page(&[b"a"]) });
        now = now + Duration::from_millis(100);
        sent.extend(handle_at(&mut node, now, Input::Tick));
    }
    contradicts(&mut node, now, &sent);
    let (_, keys) = page_wanted(&keep(&mut node, b"b")).expect("another one is given at once");
    assert_eq!(keys, Some(vec![Bytes::from_static(b"b")]));
    handle_at(&mut node, now, Input::PeerDown(TARGET));
    let up = Input::PeerUp { peer: TARGET, life: LIFE, wall: NOW.wall };
    let (_, keys) = page_wanted(&handle_at(&mut node, now, up)).expect("who returns may hold something else");
    assert_eq!(keys, Some([b"a", b"b"].map(|key| Bytes::from_static(key)).to_vec()));
}
