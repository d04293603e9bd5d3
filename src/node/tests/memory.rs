//! What a replica remembers of its disk: see `replica::cache`.

use quorate_storage::{Page, RecordError, Row, WriteError};

use super::*;
use crate::wire::{Fetch, FetchPage, Want};

fn key() -> Bytes {
    Bytes::from_static(b"k")
}

fn held(hlc: u64) -> State {
    let tag = Tag { hlc: Hlc(hlc), actor: Actor(9) };
    State::Register(Register { tag, content: Content::Value(Bytes::from_static(b"v")) })
}

/// n2 asks n1 for the state of a key.
fn fetch(node: &mut Node) -> Vec<Effect> {
    let fetch = Fetch { table: TableId(1), key: key(), want: Want::State };
    handle(node, says(2, RequestId(7), fetch))
}

/// The ticket of what the disk is asked for.
fn ticket(effects: &[Effect]) -> Option<Ticket> {
    effects.iter().find_map(|effect| match effect {
        Effect::Disk(request) => Some(request.ticket.clone()),
        _ => None,
    })
}

/// What n2 is told.
fn told(effects: &[Effect]) -> Option<State> {
    effects.iter().find_map(|effect| match effect {
        Effect::ToPeer { frame: Frame { message: PeerMessage::Fetched(fetched), .. }, .. } => {
            match &fetched.answer {
                Answer::State(state) => state.clone(),
                _ => None,
            }
        }
        _ => None,
    })
}

fn read(ticket: Ticket, state: State) -> Input {
    Input::DiskDone { ticket, result: DiskResult::Read(Ok(Some(state))) }
}

fn changed(state: State) -> Input {
    let row = Row { token: quorate_ring::token_of(&key()), table: TableId(1), key: key() };
    Input::DiskDone { ticket: Ticket::Changed, result: DiskResult::Changed(vec![(row, Some(state))]) }
}

#[test]
fn what_was_read_lately_is_told_without_the_disk_and_as_of_the_last_batch() {
    let mut node = node();
    let asked = ticket(&fetch(&mut node)).expect("nothing is remembered yet");
    assert_eq!(told(&handle(&mut node, read(asked, held(5)))), Some(held(5)));
    let again = fetch(&mut node);
    assert!(ticket(&again).is_none());
    assert_eq!(told(&again), Some(held(5)));
    handle(&mut node, changed(held(6)));
    assert_eq!(told(&fetch(&mut node)), Some(held(6)));
}

/// A write was acknowledged while the read was under way: to remember what it found would be to forget the write.
#[test]
fn a_read_from_before_a_batch_is_not_remembered() {
    let mut node = node();
    let asked = ticket(&fetch(&mut node)).expect("nothing is remembered yet");
    handle(&mut node, changed(held(6)));
    handle(&mut node, read(asked, held(5)));
    assert!(ticket(&fetch(&mut node)).is_some(), "the disk is asked");
}

#[test]
fn nothing_is_told_of_a_damaged_record() {
    let mut node = node();
    let asked = ticket(&fetch(&mut node)).expect("nothing is remembered yet");
    handle(&mut node, read(asked, held(5)));
    let store =
        Store { table: TableId(1), key: key(), state: held(6), report: false, defer: false, fresh: true };
    let stores = ticket(&handle(&mut node, says(2, RequestId(8), store))).expect("the disk stores it");
    let why = WriteError::Corrupt(RecordError::Malformed("bits".to_owned()));
    handle(&mut node, Input::DiskDone { ticket: stores, result: DiskResult::Written(Err(why)) });
    let again = fetch(&mut node);
    assert_eq!((told(&again), ticket(&again).is_some()), (None, true), "rule S3");
}

#[test]
fn a_node_told_to_remember_nothing_asks_the_disk_each_time() {
    let config = NodeConfig { state_cache_bytes: 0, ..NodeConfig::new(NodeId(1), Actor(1), "test") };
    let mut node = configured_node(TableKind::Register, 3, config);
    for _ in 0..2 {
        let asked = ticket(&fetch(&mut node)).expect("the disk is asked");
        assert_eq!(told(&handle(&mut node, read(asked, held(5)))), Some(held(5)));
    }
}

/// A page of a scan shows a batch that is durable and not reported yet. Nobody may be told less afterwards.
#[test]
fn a_page_brings_what_is_remembered_up_to_date() {
    let mut node = node();
    let asked = ticket(&fetch(&mut node)).expect("nothing is remembered yet");
    handle(&mut node, read(asked, held(5)));
    let ranges = vec![quorate_ring::TokenRange::FULL];
    let wanted = FetchPage { table: TableId(1), ranges, after: None, rows_max: 10, want: Want::State };
    let pages = ticket(&handle(&mut node, says(2, RequestId(9), wanted))).expect("the disk reads the page");
    let page = Page { states: vec![(key(), held(6))], damaged: Vec::new(), next: None };
    handle(&mut node, Input::DiskDone { ticket: pages, result: DiskResult::Scanned(Ok(page)) });
    assert_eq!(told(&fetch(&mut node)), Some(held(6)));
}
