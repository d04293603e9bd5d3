//! Pages of tables.

use quorate_storage::Page;

use super::*;
use crate::wire::{Failure, FetchPage, PageFetched, Scan, Scanned, Want};

fn held() -> State {
    State::Register(Register { tag: TAG, content: Content::Value(Bytes::from_static(b"v")) })
}

fn digest() -> Answer {
    Answer::Digest(Some((held().version(), held().digest())))
}

fn page(rows: &[(&'static str, Answer)]) -> PageFetched {
    let rows =
        rows.iter().map(|(key, answer)| (Bytes::from_static(key.as_bytes()), answer.clone())).collect();
    PageFetched { rows, damaged: Vec::new(), until: None, clock: None, lives: Vec::new() }
}

fn scan(node: &mut Node) -> (Vec<Effect>, Ticket) {
    let header = Header { id: RequestId(1), epoch: Epoch(1), deadline: NOW.mono + Duration::from_secs(1) };
    let message = Scan::new(TableId(1), 10, Consistency::Quorum).into();
    let asked = handle(node, Input::Client { client: ClientId(1), frame: Frame { header, message } });
    let own = asked.iter().find_map(|effect| match effect {
        Effect::Disk(request) => Some(request.ticket.clone()),
        _ => None,
    });
    (asked, own.expect("the own replica is asked"))
}

fn asked_for_a_page(effects: &[Effect]) -> Vec<(NodeId, RequestId, FetchPage)> {
    let page = |effect: &Effect| match effect {
        Effect::ToPeer { peer, frame: Frame { header, message: PeerMessage::FetchPage(fetch) } } => {
            Some((*peer, header.id, fetch.clone()))
        }
        _ => None,
    };
    effects.iter().filter_map(page).collect()
}

fn answered(effects: &[Effect]) -> Option<Scanned> {
    effects.iter().find_map(|effect| match effect {
        Effect::ToClient { frame: Frame { message: ClientMessage::Scanned(page), .. }, .. } => {
            Some(page.clone())
        }
        _ => None,
    })
}

fn own_page(keys: &[&'static str]) -> DiskResult {
    let states = keys.iter().map(|key| (Bytes::from_static(key.as_bytes()), held())).collect();
    DiskResult::Scanned(Ok(Page { states, ..Page::default() }))
}

/// The second replica tells of the keys as well as the first, which was late, while one of them is being read.
#[test]
fn a_replica_that_tells_of_a_page_too_late_changes_nothing() {
    let mut node = node();
    let (asked, own) = scan(&mut node);
    let [(first, first_request, fetch)] = &asked_for_a_page(&asked)[..] else { panic!("{asked:?}") };
    assert_eq!((fetch.want, fetch.rows_max), (Want::Digest, 10), "the own replica has the states");
    let late = handle_at(&mut node, NOW.mono + Duration::from_millis(25), Input::Tick);
    let [(second, second_request, _)] = &asked_for_a_page(&late)[..] else { panic!("{late:?}") };
    assert_ne!(first, second);
    assert!(
        answered(&handle(&mut node, Input::DiskDone { ticket: own, result: own_page(&["a", "b"]) }))
            .is_none()
    );

    let lacks_one = page(&[("a", digest())]);
    let reading = handle(&mut node, says(first.0, *first_request, lacks_one));
    assert!(answered(&reading).is_none(), "replicas disagree on b");
    let both = page(&[("a", digest()), ("b", digest())]);
    assert!(answered(&handle(&mut node, says(second.0, *second_request, both))).is_none());
    let told = Fetched { answer: Answer::State(Some(held())), clock: None };
    let done = handle(&mut node, says(second.0, request_to(second.0, &reading), told));
    let scanned = answered(&done).expect("a quorum agrees");
    let mut keys: Vec<_> = scanned.rows.iter().map(|row| &row.key[..]).collect();
    keys.sort_unstable();
    assert_eq!((keys, scanned.next), (vec![&b"a"[..], b"b"], None), "each once");
}

/// What a replica has told before it lost its state counts no more (rule R7).
#[test]
fn a_page_ends_with_a_replica_that_loses_its_state() {
    let mut node = node();
    let (asked, _) = scan(&mut node);
    let (peer, request, _) = asked_for_a_page(&asked)[0].clone();
    handle(&mut node, says(peer.0, request, page(&[("a", digest())])));
    let life = Life { incarnation: Incarnation(99), ..LIFE };
    let effects = handle(&mut node, Input::PeerUp { peer, life, wall: NOW.wall });
    let error = effects.iter().find_map(|effect| match effect {
        Effect::ToClient { frame: Frame { message: ClientMessage::RequestError(error), .. }, .. } => {
            Some(error)
        }
        _ => None,
    });
    let failure = &error.expect("the page ends").failure;
    assert!(matches!(failure, Failure::ReplicasFailed { .. }), "{failure}");
}

/// A node that acts as a replica tells of the whole of what it was asked for, and of no more keys than were wanted.
#[test]
fn a_page_for_a_peer_is_cut_where_it_is_full() {
    let mut node = node();
    let ranges = vec![quorate_ring::TokenRange::FULL];
    let fetch = FetchPage { table: TableId(1), ranges, after: None, rows_max: 1, want: Want::State };
    let effects = handle(&mut node, says(2, RequestId(7), fetch));
    let ticket = effects.into_iter().find_map(|effect| match effect {
        Effect::Disk(request) => Some(request.ticket),
        _ => None,
    });
    let ticket = ticket.expect("the disk is asked");
    let effects = handle(&mut node, Input::DiskDone { ticket, result: own_page(&["a", "b"]) });
    let fetched = effects.iter().find_map(|effect| match effect {
        Effect::ToPeer { frame: Frame { message: PeerMessage::PageFetched(fetched), .. }, .. } => {
            Some(fetched)
        }
        _ => None,
    });
    let fetched = fetched.expect("a page");
    assert_eq!(fetched.rows, [(Bytes::from_static(b"a"), Answer::State(Some(held())))]);
    assert_eq!(fetched.until.as_ref().map(|row| &row.key[..]), Some(&b"a"[..]));
}
