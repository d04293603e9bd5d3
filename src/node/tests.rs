//! Single steps of a node that whole clusters hardly ever reach.

use bytes::Bytes;
use std::sync::Arc;

use quorate_ring::{
    Actor, Consistency, Duration, Epoch, Founder, Hlc, Incarnation, Instant, NodeId, Now, Ring, TableId,
    TableKind, Tag,
};
use quorate_storage::{
    Content, HintBacklog, Life, PeerRecord, Recovered, Register, Siblings, State, VersionVector, Write,
    Written,
};

use super::*;
use crate::{
    coordinator::Step,
    membership::{
        map::{Change, ChangeId, ClusterMap, MapRecord, NewTable, Settings, TableOptions},
        synod::Ballot,
    },
    replica::Deferrals,
    wire::{
        Answer, ClientMessage, Compare, Fetched, Frame, Get, Header, MapFetched, Outcome, Part, PeerMessage,
        PeerRefusal, Put, Receipt, Refused, RequestId, Store, Stored,
    },
};

mod agreed;
mod asking;
mod behind;
mod bounds;
mod cas;
mod clocks;
mod conflict;
mod conflict_found;
mod contended;
mod failures;
mod goodbye;
mod hints;
mod memory;
mod scans;
mod scrubs;
mod standings;

const TAG: Tag = Tag { hlc: Hlc(5), actor: Actor(9) };
const NOW: Now = Now { mono: Instant(1_000_000_000), wall: quorate_ring::WallMicros(1) };

/// Of both peers.
const LIFE: Life = Life { incarnation: Incarnation(1), starts: 1, actor: Actor(2) };

/// n1 of three nodes that all hold the tables, with both peers up.
fn node() -> Node {
    node_with(TableKind::Register)
}

fn node_with(kind: TableKind) -> Node {
    node_of(kind, 3)
}

fn node_of(kind: TableKind, replication: u8) -> Node {
    configured_node(kind, replication, NodeConfig::new(NodeId(1), Actor(1), "test"))
}

fn configured_node(kind: TableKind, replication: u8, config: NodeConfig) -> Node {
    recovered_node(kind, replication, config, Recovered::default())
}

/// The same with what its disk gave back, beside the cluster.
fn recovered_node(kind: TableKind, replication: u8, config: NodeConfig, recovered: Recovered) -> Node {
    let founders = ["n1", "n2", "n3"].map(|name| Founder::new(name, format!("{name}:1")));
    founded_node(&founders, kind, replication, config, recovered)
}

/// The same as one of three nodes that were founded so.
fn founded_node(
    founders: &[Founder],
    kind: TableKind,
    replication: u8,
    config: NodeConfig,
    recovered: Recovered,
) -> Node {
    let ring = Ring::found("test", founders).unwrap();
    let map = map_with(&ring, [("t", kind), ("s", TableKind::Siblings)], replication);
    let epoch = map.epoch();
    let record =
        MapRecord { map: Arc::new(map), promised: Ballot::ZERO, accepted: None, named_at: Some(TableId(1)) };
    let peers =
        [2, 3].map(|id| PeerRecord { node: NodeId(id), life: LIFE, heard: None, retired: Vec::new() });
    let cluster_map = Some(record.encode());
    let recovered = Recovered { cluster_map, peers: peers.into(), ..recovered };
    let asker = config.actor;
    let mut node = Node::new(config, ring, recovered);
    for peer in [2, 3] {
        handle(&mut node, Input::PeerUp { peer: NodeId(peer), life: LIFE, wall: NOW.wall });
    }
    // Whoever has not asked for the newest map serves nothing (rule M1).
    handle(
        &mut node,
        says(2, RequestId(0), MapFetched { asker, map: None, epoch, incarnation: LIFE.incarnation }),
    );
    assert_eq!(node.peers_up(), 2);
    node
}

/// The founded cluster with tables, of which the first has id 1.
fn map_with(ring: &Ring, tables: [(&str, TableKind); 2], replication: u8) -> ClusterMap {
    let founding = ClusterMap::founding_on(Arc::new(ring.clone())).unwrap();
    let life = |node: NodeId| (node, if node == NodeId(1) { Incarnation(0) } else { LIFE.incarnation });
    let lives = founding.members().map(life).collect();
    let options =
        TableOptions { read_consistency: Consistency::Quorum, write_consistency: Consistency::Quorum };
    let create = |(name, kind): (&str, TableKind)| {
        Change::CreateTable(NewTable { name: name.to_owned(), kind, replication, options })
    };
    let changes = [Change::Found { lives }].into_iter().chain(tables.map(create));
    changes.fold(founding, |map, change| {
        let id = ChangeId { since: map.epoch(), number: map.epoch().0 };
        map.apply(id, &change).unwrap()
    })
}

fn handle(node: &mut Node, input: Input) -> Vec<Effect> {
    handle_at(node, NOW.mono, input)
}

fn handle_at(node: &mut Node, mono: Instant, input: Input) -> Vec<Effect> {
    let mut effects = Effects::default();
    node.handle(Now { mono, ..NOW }, input, &mut effects);
    node.validate();
    effects.drain().collect()
}

fn get(deadline: Instant) -> Input {
    let get = Get::new(TableId(1), Bytes::from_static(b"k"), Consistency::Quorum);
    let header = Header { id: RequestId(1), epoch: Epoch(1), deadline };
    Input::Client { client: ClientId(1), frame: Frame { header, message: get.into() } }
}

fn says(from: u32, id: RequestId, message: impl Into<PeerMessage>) -> Input {
    let header = Header { id, epoch: Epoch(1), deadline: NOW.mono + Duration::from_secs(1) };
    Input::Peer { from: NodeId(from), frame: Frame { header, message: message.into() } }
}

fn request_to(peer: u32, effects: &[Effect]) -> RequestId {
    let sent = effects.iter().find_map(|effect| match effect {
        Effect::ToPeer { peer: to, frame } if *to == NodeId(peer) => Some(frame.header.id),
        _ => None,
    });
    sent.unwrap_or_else(|| panic!("nothing was sent to n{peer}: {effects:?}"))
}

fn is_answered(effects: &[Effect]) -> bool {
    effects.iter().any(
        |e| matches!(e, Effect::ToClient { frame, .. } if matches!(frame.message, ClientMessage::Got(_))),
    )
}

#[test]
fn a_request_past_its_deadline_is_dropped() {
    let effects = handle(&mut node(), get(NOW.mono));
    assert!(matches!(effects[..], [Effect::Observe(Observation::Expired)]), "rule Q11: {effects:?}");
}

/// Only the word that it is stored ends a write-back (rule Q5).
#[test]
fn a_state_is_no_acknowledgement_of_a_write_back() {
    let mut node = node();
    let asked = handle(&mut node, get(NOW.mono + Duration::from_secs(1)));
    let first = request_to(3, &asked);
    let own = asked.into_iter().find_map(|effect| match effect {
        Effect::Disk(request) => Some(request.ticket),
        _ => None,
    });
    let held = State::Register(Register { tag: TAG, content: Content::Value(Bytes::from_static(b"v")) });
    let ticket = own.expect("the own replica is asked");
    handle(&mut node, Input::DiskDone { ticket, result: DiskResult::Read(Ok(Some(held.clone()))) });
    // n3's digest disagrees with the own state: everybody is asked for theirs, then for keeping the merge.
    let mut second = handle(&mut node, says(3, first, Fetched { answer: Answer::Digest(None), clock: None }));
    let absent = || Fetched { answer: Answer::State(None), clock: None };
    for peer in [2, 3] {
        second = handle(&mut node, says(peer, request_to(peer, &second), absent()))
            .into_iter()
            .chain(second)
            .collect();
    }
    let store = request_to(2, &second);
    assert!(!is_answered(&handle(
        &mut node,
        says(2, store, Fetched { answer: Answer::State(Some(held)), clock: None })
    )));
    assert!(is_answered(&handle(&mut node, says(2, store, Stored { held: TAG, more: None }))));
}

/// A peer's reader writes back, and wants new writes of the key to wait; then a client writes.
fn deferred_put(node: &mut Node, timeout: Duration) -> Vec<Effect> {
    let vector = VersionVector::new();
    let state = State::Siblings(Siblings::first(TAG, &vector, Content::Value(Bytes::from_static(b"v"))));
    let key = Bytes::from_static(b"k");
    let store = Store { table: TableId(1), key: key.clone(), state, report: true, defer: true, fresh: false };
    handle(node, says(2, RequestId(7), store));
    let put = Put::new(TableId(1), key, Bytes::from_static(b"w"), Consistency::One);
    let header = Header { id: RequestId(1), epoch: Epoch(1), deadline: NOW.mono + timeout };
    handle(node, Input::Client { client: ClientId(1), frame: Frame { header, message: put.into() } })
}

fn writes_to_disk(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Disk(_)))
}

#[test]
fn a_new_write_waits_for_readers_that_cannot_agree_for_a_moment() {
    let mut node = node_with(TableKind::Siblings);
    assert!(!writes_to_disk(&deferred_put(&mut node, Duration::from_secs(1))), "rule Q5");
    let end = NOW.mono + Deferrals::MOMENT;
    assert_eq!(node.next_timer(), Some(end));
    assert!(writes_to_disk(&handle_at(&mut node, end, Input::Tick)));
}

#[test]
fn a_write_that_waits_for_readers_ends_with_its_deadline() {
    let mut node = node_with(TableKind::Siblings);
    deferred_put(&mut node, Deferrals::MOMENT / 2);
    let effects = handle_at(&mut node, NOW.mono + Deferrals::MOMENT / 2, Input::Tick);
    let error = effects.iter().find_map(|effect| match effect {
        Effect::ToClient { frame: Frame { message: ClientMessage::RequestError(error), .. }, .. } => {
            Some(error)
        }
        _ => None,
    });
    assert_eq!(error.map(|error| error.outcome), Some(Outcome::NotApplied), "nothing was sent (rule Q10)");
}

/// What the disk of n1, on which is nothing, does with `effects`, and what follows.
fn own_disk(node: &mut Node, effects: &[Effect]) -> Vec<Effect> {
    let mut follows = Vec::new();
    for effect in effects {
        let Effect::Disk(DiskRequest { ticket, operation, .. }) = effect else {
            continue;
        };
        let result = match operation {
            DiskOperation::Write(Write::Store { state, .. }) => {
                DiskResult::Written(Ok(Written::Stored { held: state.tag(), more: None }))
            }
            DiskOperation::Write(_) => DiskResult::Written(Ok(Written::Meta)),
            _ => DiskResult::Read(Ok(None)),
        };
        follows.extend(handle(node, Input::DiskDone { ticket: ticket.clone(), result }));
    }
    follows
}

fn receipt_in(effects: &[Effect]) -> &Receipt {
    let written = effects.iter().find_map(|effect| match effect {
        Effect::ToClient { frame: Frame { message: ClientMessage::Written(written), .. }, .. } => {
            Some(written)
        }
        _ => None,
    });
    &written.unwrap_or_else(|| panic!("nothing is acknowledged: {effects:?}")).receipt
}

/// n1 writes at QUORUM; n2 has no room, n3 has.
#[test]
fn a_receipt_of_a_write_says_what_each_replica_did() {
    let mut node = node();
    let put = Put::new(TableId(1), Bytes::from_static(b"k"), Bytes::from_static(b"w"), Consistency::Quorum);
    let deadline = NOW.mono + Duration::from_secs(1);
    let header = Header { id: RequestId(1), epoch: Epoch(1), deadline };
    let frame = Frame { header, message: put.into() };
    let mut effects = handle(&mut node, Input::Client { client: ClientId(1), frame });
    let peer =
        if effects.iter().any(|e| matches!(e, Effect::ToPeer { peer: NodeId(2), .. })) { 2 } else { 3 };
    let nothing = Fetched { answer: Answer::Version(None), clock: None };
    let id = request_to(peer, &effects);
    effects = own_disk(&mut node, &effects);
    effects.extend(handle(&mut node, says(peer, id, nothing)));
    // The clock's reservation comes first.
    effects = own_disk(&mut node, &effects);
    let refusal = PeerRefusal::Disk("no room".to_owned());
    handle(&mut node, says(2, request_to(2, &effects), Refused { refusal }));
    own_disk(&mut node, &effects);
    let later = NOW.mono + Duration::from_millis(3);
    let asked = request_to(3, &effects);
    let stored = says(3, asked, Stored { held: TAG, more: None });
    let acknowledged = handle_at(&mut node, later, stored);
    let receipt = receipt_in(&acknowledged);
    let parts: Vec<_> =
        receipt.reports.iter().map(|r| (r.node.0, r.part, r.latency_us, r.why.as_str())).collect();
    let why = "cannot use its disk: no room";
    assert_eq!(
        parts,
        [(2, Part::Failed, 0, why), (1, Part::Agreed, 0, ""), (3, Part::Agreed, 3_000, "")],
        "rule Q12"
    );
    assert_eq!((receipt.rounds, receipt.hinted.as_slice()), (2, [NodeId(2)].as_slice()));
    assert_eq!(receipt.operation, Some(Step::from_request_id(asked).operation), "what replicas log");
}

fn forwards(effects: &[Effect]) -> usize {
    let is_forward = |effect: &&Effect| {
        matches!(effect, Effect::ToPeer { frame: Frame { message: PeerMessage::Forward(_), .. }, .. })
    };
    effects.iter().filter(is_forward).count()
}

/// A forwarded write that arrived twice would be carried out twice: whatever happens, it is sent once.
#[test]
fn a_forwarded_write_is_not_sent_again() {
    let mut node = node_of(TableKind::Siblings, 1);
    let deadline = NOW.mono + Duration::from_secs(1);
    // One of these keys is not n1's.
    for key in 0..20_u8 {
        let put = Put::new(TableId(1), Bytes::from(vec![key]), Bytes::from_static(b"w"), Consistency::One);
        let header = Header { id: RequestId(u64::from(key)), epoch: Epoch(1), deadline };
        let frame = Frame { header, message: put.into() };
        let effects = handle(&mut node, Input::Client { client: ClientId(1), frame });
        if forwards(&effects) == 0 {
            continue;
        }
        let lost: Vec<_> =
            [2, 3].into_iter().flat_map(|n| handle(&mut node, Input::PeerDown(NodeId(n)))).collect();
        let found: Vec<_> = [2, 3]
            .into_iter()
            .flat_map(|n| handle(&mut node, Input::PeerUp { peer: NodeId(n), life: LIFE, wall: NOW.wall }))
            .collect();
        let late = handle_at(&mut node, deadline, Input::Tick);
        let after: Vec<_> = lost.into_iter().chain(found).chain(late).collect();
        let is_unknown = |effect: &Effect| {
            matches!(effect, Effect::ToClient { frame: Frame { message: ClientMessage::RequestError(error), .. }, .. }
                if error.outcome == Outcome::Unknown)
        };
        assert!(after.iter().any(is_unknown), "rule Q10: {after:?}");
        return assert_eq!(forwards(&after), 0, "{after:?}");
    }
    panic!("no key of another node");
}

/// A commit that is under way may yet happen: nobody is told that it did not (rule Q10).
#[test]
fn a_peer_lost_while_a_write_is_minted_changes_nothing() {
    for replaced in [false, true] {
        let mut node = node();
        let put = Put::new(TableId(2), Bytes::from_static(b"k"), Bytes::from_static(b"v"), Consistency::One);
        let header =
            Header { id: RequestId(1), epoch: Epoch(1), deadline: NOW.mono + Duration::from_secs(1) };
        let frame = Frame { header, message: put.into() };
        let asked = handle(&mut node, Input::Client { client: ClientId(1), frame });
        let bound = asked.into_iter().find_map(|effect| match effect {
            Effect::Disk(request) if matches!(request.ticket, Ticket::ClockBound(_)) => Some(request.ticket),
            _ => None,
        });
        let result = DiskResult::Written(Ok(quorate_storage::Written::Meta));
        let ticket = bound.expect("the clock's bound is reserved first (rule V1)");
        let minting = handle(&mut node, Input::DiskDone { ticket, result });
        let is_mint = |effect: &Effect| {
            matches!(effect, Effect::Disk(DiskRequest { operation: DiskOperation::Write(write), .. })
                if matches!(write, quorate_storage::Write::Mint { .. }))
        };
        assert!(minting.iter().any(is_mint), "{minting:?}");
        let mut then = handle(&mut node, Input::PeerDown(NodeId(3)));
        if replaced {
            let life = Life { incarnation: Incarnation(2), ..LIFE };
            then.extend(handle(&mut node, Input::PeerUp { peer: NodeId(3), life, wall: NOW.wall }));
        }
        assert!(!then.iter().any(|effect| matches!(effect, Effect::ToClient { .. })), "{then:?}");
    }
}

/// n1 writes at ONE; all three replicas hold a version that no clock has come to yet.
#[test]
fn a_register_is_written_above_a_version_that_is_ahead_of_every_clock() {
    let mut node = node();
    let put = Put::new(TableId(1), Bytes::from_static(b"k"), Bytes::from_static(b"w"), Consistency::One);
    let header = Header { id: RequestId(1), epoch: Epoch(1), deadline: NOW.mono + Duration::from_secs(1) };
    let frame = Frame { header, message: put.into() };
    let effects = handle(&mut node, Input::Client { client: ClientId(1), frame });
    // The clock's reservation comes first.
    let sent = own_disk(&mut node, &effects);
    let ahead = Tag { hlc: Hlc(1 << 60), actor: Actor(7) };
    let keeps = || Stored { held: ahead, more: None };
    for peer in [2, 3] {
        let id = request_to(peer, &sent);
        assert!(handle(&mut node, says(peer, id, keeps())).is_empty());
    }
    let own = sent.iter().find_map(|effect| match effect {
        Effect::Disk(request) => Some(request.ticket.clone()),
        _ => None,
    });
    let held = Written::Stored { held: ahead, more: None };
    let result = DiskResult::Written(Ok(held));
    let again = handle(&mut node, Input::DiskDone { ticket: own.expect("the own replica is asked"), result });
    let tags = again.iter().filter_map(|effect| match effect {
        Effect::ToPeer { frame: Frame { message: PeerMessage::Store(store), .. }, .. } => {
            Some((store.state.tag(), store.fresh))
        }
        _ => None,
    });
    let tags: Vec<_> = tags.collect();
    assert_eq!(tags.len(), 2, "{again:?}");
    assert!(tags.iter().all(|(tag, fresh)| *tag > ahead && !fresh), "{tags:?}");
    // What is said of the first time again is nobody's word on the second.
    assert!(handle(&mut node, says(2, request_to(2, &sent), keeps())).is_empty());
    assert!(!receipt_in(&own_disk(&mut node, &again)).answered.contains(&NodeId(2)));
}

/// Whether n1 acknowledges a write at QUORUM that n3 stored, forgot with its disk, and n1 itself stores last.
fn acknowledges_what_was_forgotten(mut node: Node) -> bool {
    let put = Put::new(TableId(1), Bytes::from_static(b"k"), Bytes::from_static(b"w"), Consistency::Quorum);
    let header = Header { id: RequestId(1), epoch: Epoch(1), deadline: NOW.mono + Duration::from_secs(1) };
    let frame = Frame { header, message: put.into() };
    let mut effects = handle(&mut node, Input::Client { client: ClientId(1), frame });
    let is_asked = |e: &Effect| matches!(e, Effect::ToPeer { peer: NodeId(2), .. });
    let peer = if effects.iter().any(is_asked) { 2 } else { 3 };
    let nothing = Fetched { answer: Answer::Version(None), clock: None };
    let id = request_to(peer, &effects);
    effects = own_disk(&mut node, &effects);
    effects.extend(handle(&mut node, says(peer, id, nothing)));
    // The clock's reservation comes first.
    let sent = own_disk(&mut node, &effects);
    handle(&mut node, says(3, request_to(3, &sent), Stored { held: TAG, more: None }));
    handle(&mut node, Input::PeerDown(NodeId(3)));
    let life = Life { incarnation: Incarnation(2), ..LIFE };
    handle(&mut node, Input::PeerUp { peer: NodeId(3), life, wall: NOW.wall });
    let is_acknowledged = |effects: &[Effect]| {
        let is_answer = |e: &Effect| matches!(e, Effect::ToClient { frame, .. } if matches!(frame.message, ClientMessage::Written(_)));
        effects.iter().any(is_answer)
    };
    let early = is_acknowledged(&own_disk(&mut node, &sent));
    let stored = says(2, request_to(2, &sent), Stored { held: TAG, more: None });
    assert!(is_acknowledged(&handle(&mut node, stored)) != early, "n1 and n2 hold it");
    early
}

#[test]
fn an_acknowledgement_of_a_lost_life_counts_no_more() {
    assert!(!acknowledges_what_was_forgotten(node()), "rule R7");
    #[cfg(feature = "mutants")]
    {
        let mut config = NodeConfig::new(NodeId(1), Actor(1), "test");
        config.mutant = Some(Mutant::OldAcksCount);
        assert!(acknowledges_what_was_forgotten(configured_node(TableKind::Register, 3, config)));
    }
}

/// The first member proposes what it runs with, once, if the map says otherwise. Whether it gets there is the simulator's.
#[test]
fn the_first_member_proposes_its_settings_for_the_map() {
    let settings = Settings::new([("value_bytes_max".to_owned(), "1".to_owned())]).unwrap();
    let is_prepare = |effect: &&Effect| matches!(effect, Effect::ToPeer { frame, .. } if matches!(frame.message, PeerMessage::MapPrepare(_)));
    let prepares = |effects: &[Effect]| effects.iter().filter(is_prepare).count();
    let config = NodeConfig { settings, ..NodeConfig::new(NodeId(1), Actor(1), "test") };
    let mut node = configured_node(TableKind::Register, 3, config);
    // It has proposed as soon as it served.
    let proposed = node.agreement.keeper().wants_round();
    assert!(proposed, "the first member proposes");
    assert_eq!(prepares(&handle(&mut node, Input::Tick)), 0, "not at every event");

    let mut other = configured_node(TableKind::Register, 3, NodeConfig::new(NodeId(1), Actor(1), "test"));
    assert!(!other.agreement.keeper().wants_round(), "who has no settings leaves the map as it is");
    assert_eq!(prepares(&handle(&mut other, Input::Tick)), 0);
}

/// What a peer lacks while it is given thousands of hints is mostly these: to compare then would give it all of them twice.
#[test]
fn a_peer_that_is_given_many_hints_is_not_compared_with_yet() {
    let kept = |hints| HintBacklog { hints, bytes: hints * 100 };
    let recovered =
        Recovered { hints: [(NodeId(2), kept(5)), (NodeId(3), kept(5_000))].into(), ..Recovered::default() };
    let config = NodeConfig::new(NodeId(1), Actor(1), "test");
    let mut node = recovered_node(TableKind::Register, 3, config, recovered);
    let asks = |from| says(from, RequestId(u64::MAX), Compare { slicing: 0, branches: Vec::new() });
    let is_refused = |effects: Vec<Effect>| {
        let is_refusal = |effect: &Effect| matches!(effect, Effect::ToPeer { frame, .. } if matches!(frame.message, PeerMessage::Refused(_)));
        effects.iter().any(is_refusal)
    };
    assert!(!is_refused(handle(&mut node, asks(2))), "a few hints are nothing to wait for");
    assert!(is_refused(handle(&mut node, asks(3))));
}
