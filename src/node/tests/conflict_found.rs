//! One version with two contents, met by a read (rule V4): whoever holds one of them hears of it.

use std::collections::VecDeque;

use super::*;
use crate::wire::{Failure, RequestError, Want};

/// A second write, of which every replica holds the same.
const BESIDE: Tag = Tag { hlc: Hlc(4), actor: Actor(2) };

fn register(text: &'static str) -> State {
    State::Register(Register { tag: TAG, content: value(text) })
}

fn siblings(text: &'static str) -> State {
    let disputed = Siblings::first(TAG, &VersionVector::new(), value(text));
    let beside = Siblings::first(BESIDE, &VersionVector::new(), value("beside"));
    State::Siblings(disputed.join(&beside).unwrap())
}

fn value(text: &'static str) -> Content {
    Content::Value(Bytes::from_static(text.as_bytes()))
}

/// What came of a read.
#[derive(Debug, Default)]
struct Came {
    answered: bool,
    error: Option<RequestError>,
    alarms: Vec<Option<Tag>>,
    /// How often digests were found to disagree.
    mismatches: u32,
    /// Who was sent what.
    sent: Vec<(u32, State)>,
}

/// The replicas n1 to n3, of which n1 is the node itself.
struct Replicas {
    hold: [State; 3],
    /// Whether the peers answer when they are asked for a state.
    send_states: bool,
    /// A peer that is lost after all others have said what they say.
    lost: Option<NodeId>,
}

impl Replicas {
    fn read(&self, node: &mut Node, consistency: Consistency) -> Came {
        let get = Get::new(TableId(1), Bytes::from_static(b"k"), consistency);
        let header =
            Header { id: RequestId(1), epoch: Epoch(1), deadline: NOW.mono + Duration::from_secs(1) };
        let input = Input::Client { client: ClientId(1), frame: Frame { header, message: get.into() } };
        let mut came = Came::default();
        let mut inputs = VecDeque::from([input]);
        // Twice: what does not come is late.
        for after in [Duration::ZERO, Duration::from_millis(500)] {
            let mono = NOW.mono + after;
            while let Some(input) = inputs.pop_front() {
                for effect in handle_at(node, mono, input) {
                    inputs.extend(self.follows(&mut came, effect));
                }
            }
            inputs.extend(self.lost.map(Input::PeerDown));
            inputs.push_back(Input::Tick);
        }
        came
    }

    fn follows(&self, came: &mut Came, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Disk(DiskRequest { ticket, operation: DiskOperation::Read(_), .. }) => {
                Some(Input::DiskDone { ticket, result: DiskResult::Read(Ok(Some(self.hold[0].clone()))) })
            }
            Effect::ToPeer { peer, frame: Frame { header, message: PeerMessage::Fetch(fetch) } } => {
                let state = &self.hold[peer.0 as usize - 1];
                let answer = match fetch.want {
                    Want::State if !self.send_states => return None,
                    Want::State => Answer::State(Some(state.clone())),
                    _ => Answer::Digest(Some((state.version(), state.digest()))),
                };
                Some(says(peer.0, header.id, Fetched { answer, clock: None }))
            }
            Effect::ToPeer { peer, frame: Frame { message: PeerMessage::Store(store), .. } } => {
                came.sent.push((peer.0, store.state));
                None
            }
            Effect::ToClient { frame: Frame { message, .. }, .. } => {
                match message {
                    ClientMessage::RequestError(error) => came.error = Some(error),
                    _ => came.answered = true,
                }
                None
            }
            Effect::Alarm(Alarm::TagConflict { tag, .. }) => {
                came.alarms.push(tag);
                None
            }
            Effect::Observe(Observation::DigestMismatch) => {
                came.mismatches += 1;
                None
            }
            _ => None,
        }
    }
}

fn is_refused(came: &Came) -> bool {
    !came.answered
        && matches!(
            &came.error,
            Some(RequestError { failure: Failure::ReplicasFailed { .. }, outcome: Outcome::NotApplied, .. })
        )
}

/// With a further write, which the others lack.
fn more(text: &'static str) -> State {
    let State::Siblings(held) = siblings(text) else { unreachable!() };
    let tag = Tag { hlc: Hlc(6), actor: Actor(3) };
    State::Siblings(held.written(tag, &VersionVector::new(), value("more")))
}

fn replicas(hold: [State; 3]) -> Replicas {
    Replicas { hold, send_states: true, lost: None }
}

/// As many as the level needs are identical, but what another holds beside its own contradicts them.
#[test]
fn a_quorum_does_not_outvote_another_content() {
    let mut refused = 0;
    for hold in [["v", "+w", "v"], ["v", "v", "+w"], ["+w", "v", "v"]] {
        let state = |text: &'static str| text.strip_prefix('+').map_or_else(|| siblings(text), more);
        let mut node = node_with(TableKind::Siblings);
        let came = replicas(hold.map(state)).read(&mut node, Consistency::Quorum);
        assert!(came.answered || is_refused(&came), "{came:?}");
        assert_eq!(came.alarms.is_empty(), came.answered, "nobody who has seen both serves one: {came:?}");
        refused += u32::from(is_refused(&came));
    }
    assert_eq!(refused, 2, "one of the three does not come to know of it");
}

/// There is no hope of the level any more while states are under way.
#[test]
fn a_conflict_is_told_although_a_peer_is_lost() {
    for state in [register, siblings] {
        let hold = ["v", "w", "w"].map(state);
        let replicas = Replicas { send_states: false, lost: Some(NodeId(3)), ..replicas(hold) };
        let mut node = node_with(replicas.hold[0].kind());
        let came = replicas.read(&mut node, Consistency::All);
        assert!(is_refused(&came), "{came:?}");
        assert_eq!(came.alarms.len(), 1, "{came:?}");
    }
}

/// Whichever replicas hold one of the contents, and however many were asked at first.
#[test]
fn a_read_that_finds_two_contents_tells_all_who_hold_them() {
    for state in [register, siblings] {
        for hold in [["v", "w", "v"], ["v", "w", "w"], ["v", "v", "w"]] {
            let (own, replicas) = (state(hold[0]), replicas(hold.map(state)));
            let mut node = node_with(own.kind());
            let came = replicas.read(&mut node, Consistency::All);
            assert!(is_refused(&came), "nothing is picked: {came:?}");
            assert_eq!(came.alarms, [Some(TAG)]);
            let mut told: Vec<_> = came.sent.iter().map(|(peer, _)| *peer).collect();
            told.sort_unstable();
            assert_eq!(told, [2, 3], "{came:?}");
            let differs = |(peer, sent): &(u32, State)| *sent != replicas.hold[*peer as usize - 1];
            assert!(came.sent.iter().all(differs), "each is sent another content: {came:?}");
            let own = Replicas { send_states: false, ..replicas }.read(&mut node, Consistency::One);
            assert!(!own.answered, "it is not served here any more: {own:?}");
        }
    }
}

/// A digest does not tell which of several siblings is concerned. It is enough to have the replica told that gave it.
#[test]
fn a_conflict_is_told_to_a_replica_that_does_not_send_its_state() {
    for state in [register, siblings] {
        let replicas = Replicas { send_states: false, ..replicas(["v", "w", "w"].map(state)) };
        let mut node = node_with(replicas.hold[0].kind());
        let came = replicas.read(&mut node, Consistency::Quorum);
        assert!(is_refused(&came), "{came:?}");
        let own = replicas.hold[0].clone();
        assert!(came.sent.iter().any(|(peer, sent)| *peer < 4 && *sent == own), "{came:?}");
        assert_eq!(came.alarms.len(), 1);
        let own = replicas.read(&mut node, Consistency::One);
        assert!(!own.answered, "it is not served here any more: {own:?}");
    }
}

/// Below QUORUM a sample of the reads looks at the other replicas after the answer (rule Q8).
#[test]
fn a_comparison_finds_two_contents() {
    for state in [register, siblings] {
        let replicas = replicas(["v", "v", "w"].map(state));
        let mut config = NodeConfig::new(NodeId(1), Actor(1), "test");
        config.compare_one_in = 1;
        let mut node = configured_node(replicas.hold[0].kind(), 3, config);
        let came = replicas.read(&mut node, Consistency::One);
        assert!(came.answered, "it knew nothing of it: {came:?}");
        assert_eq!(came.alarms, [Some(TAG)], "{came:?}");
        assert!(came.sent.contains(&(3, state("v"))), "{came:?}");
        let again = Replicas { send_states: false, ..replicas }.read(&mut node, Consistency::One);
        assert!(!again.answered, "it is not served here any more: {again:?}");
    }
}

/// Once for each such read, however many replicas differ.
#[test]
fn reads_whose_digests_disagree_are_counted() {
    let earlier = || State::Register(Register { tag: BESIDE, content: value("earlier") });
    for (hold, mismatches) in
        [([register("v"), register("v"), register("v")], 0), ([register("v"), earlier(), earlier()], 1)]
    {
        let mut node = node_with(TableKind::Register);
        let came = replicas(hold).read(&mut node, Consistency::All);
        assert_eq!((came.mismatches, came.alarms.len()), (mismatches, 0), "{came:?}");
    }
}
