//! Golden bytes of protocol version 2, round trips, and hostile bytes.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use quorate_ring::{Consistency, Duration, Epoch, Instant, TableId, TableKind};

use super::*;

mod backup;
mod cas;
mod healing;
#[cfg(feature = "server")]
mod repair;

const NOW: Instant = Instant(7_000_000);

fn frame<M>(message: M) -> Frame<M> {
    let deadline = NOW + Duration::from_millis(250);
    Frame { header: Header { id: RequestId(0x0102), epoch: Epoch(3), deadline }, message }
}

fn get() -> ClientMessage {
    let get = Get::new(TableId(9), Bytes::from_static(b"alice"), Consistency::Quorum);
    get.into()
}

fn encoded<M: Message>(frame: &Frame<M>) -> BytesMut {
    let mut out = BytesMut::new();
    encode(frame, NOW, &mut out);
    out
}

fn decoded<M: Message>(mut bytes: BytesMut) -> Frame<M> {
    let body = split(&mut bytes, 1 << 20).unwrap().unwrap();
    assert!(bytes.is_empty());
    decode(&body, NOW).unwrap()
}

#[test]
fn golden_get() {
    let bytes = encoded(&frame(get()));
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    // length, kind 0x40, id, epoch, 250,000 microseconds, [9, bin "alice", "Quorum", false]
    assert_eq!(
        hex,
        concat!(
            "00000026",
            "40",
            "0000000000000102",
            "0000000000000003",
            "0003d090",
            "94",
            "09",
            "c405616c696365",
            "a651756f72756d",
            "c2"
        )
    );
    assert_eq!(decoded::<ClientMessage>(bytes), frame(get()));
}

#[test]
fn golden_changes_of_tables() {
    let (change, name) = (ChangeName { since: Epoch(3), number: 9 }, "t".to_owned());
    let (read_consistency, write_consistency) = (Some(Consistency::One), None);
    let messages: [(ClientMessage, &str); 5] = [
        (CreateTable::new(change, "t", TableKind::Register).into(), CREATE),
        (
            AlterTable { change, name: name.clone(), read_consistency, write_consistency }.into(),
            "94920309a174a34f6e65c0",
        ),
        (DropTable { change, name: name.clone() }.into(), "92920309a174"),
        (TruncateTable { change, name }.into(), "92920309a174"),
        (TableChanged { table: None }.into(), "91c0"),
    ];
    for ((message, golden), kind) in messages.into_iter().zip([0x43, 0x46, 0x47, 0x48, 0x66]) {
        let frame = frame(message);
        let bytes = encoded(&frame);
        assert_eq!(bytes[4], kind, "{frame:?}");
        let hex: String = bytes[25..].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, golden, "{frame:?}");
        assert_eq!(decoded::<ClientMessage>(bytes), frame);
    }
}

#[test]
fn golden_scan() {
    let scan =
        Scan { after: Some(Bytes::from_static(b"c")), ..Scan::new(TableId(9), 500, Consistency::Quorum) };
    let tag = quorate_ring::Tag { hlc: quorate_ring::Hlc(7), actor: quorate_ring::Actor(2) };
    let value = VersionedValue { value: Bytes::from_static(b"v"), tag, expires: None };
    let row =
        ScannedRow { key: Bytes::from_static(b"k"), values: vec![value], context: Bytes::from_static(b"x") };
    let receipt = Receipt {
        coordinator: quorate_ring::NodeId(1),
        epoch: Epoch(3),
        consistency: Consistency::Quorum,
        replicas: Vec::new(),
        answered: Vec::new(),
        tag: None,
        repaired: false,
        monotone: false,
        rounds: 1,
        reports: Vec::new(),
        hinted: Vec::new(),
        forwarded_by: None,
        operation: Some(OperationId(0x2a)),
        request_id: None,
    };
    let scanned = Scanned { rows: vec![row], next: None, receipt };
    let messages: [(ClientMessage, u8, &str); 2] = [
        // [9, bin "c", 500, "Quorum", false]
        (scan.into(), 0x50, "9509c40163cd01f4a651756f72756dc2"),
        // [[[bin "k", [[bin "v", [7, 2], nil]], bin "x"]], nil, [1, 3, "Quorum", [], [], nil, false, false, 1, [], [], nil, 42]]
        (
            scanned.into(),
            0x70,
            "939193c4016b9193c40176920702c0c40178c09d0103a651756f72756d9090c0c2c2019090c02a",
        ),
    ];
    for (message, kind, golden) in messages {
        let frame = frame(message);
        let bytes = encoded(&frame);
        assert_eq!(bytes[4], kind, "{frame:?}");
        let hex: String = bytes[25..].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, golden, "{frame:?}");
        assert_eq!(decoded::<ClientMessage>(bytes), frame);
    }
}

#[test]
fn golden_errors() {
    let failure = || Failure::Timeout { required: 2, answered: 1 };
    let report = |node, latency_us, part| {
        let (node, why) = (quorate_ring::NodeId(node), String::new());
        ReplicaReport { node, latency_us, part, why }
    };
    let receipt = Receipt {
        coordinator: quorate_ring::NodeId(1),
        epoch: Epoch(3),
        consistency: Consistency::Quorum,
        replicas: [1, 2].map(quorate_ring::NodeId).to_vec(),
        answered: vec![quorate_ring::NodeId(1)],
        tag: None,
        repaired: false,
        monotone: false,
        rounds: 2,
        reports: vec![report(1, 310, Part::Agreed), report(2, 250_000, Part::NoAnswer)],
        hinted: vec![quorate_ring::NodeId(2)],
        forwarded_by: None,
        operation: Some(OperationId(0x2a)),
        request_id: None,
    };
    let errors = [
        // [{"Timeout": [2, 1]}, "Unknown", nil]
        (RequestError::unknown(failure()), "9381a754696d656f7574920201a7556e6b6e6f776ec0".to_owned()),
        (
            RequestError::unknown(failure()).with_receipt(receipt),
            format!("9381a754696d656f7574920201a7556e6b6e6f776e{RECEIPT}"),
        ),
    ];
    for (error, golden) in errors {
        let frame = frame(ClientMessage::RequestError(error));
        let bytes = encoded(&frame);
        assert_eq!(bytes[4], 0x7f, "{frame:?}");
        let hex: String = bytes[25..].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, golden, "{frame:?}");
        assert_eq!(decoded::<ClientMessage>(bytes), frame);
    }
}

/// [1, 3, "Quorum", [1, 2], [1], nil, false, false, 2, [[1, 310, "Agreed", ""], [2, 250000, "NoAnswer", ""]], [2], nil, 42]
const RECEIPT: &str = "9d0103a651756f72756d9201029101c0c2c202929401cd0136a6416772656564a09402ce0003d090\
    a84e6f416e73776572a09102c02a";

/// [[3, 9], "t", "Register", nil, "Quorum", "Quorum"]
const CREATE: &str = "96920309a174a85265676973746572c0a651756f72756da651756f72756d";

#[test]
fn what_is_left_of_a_deadline_travels_not_the_deadline() {
    let mut bytes = encoded(&frame(get()));
    let body = split(&mut bytes, 1 << 20).unwrap().unwrap();
    let elsewhere = Instant(90);
    let there: Frame<ClientMessage> = decode(&body, elsewhere).unwrap();
    assert_eq!(there.header.deadline, elsewhere + Duration::from_millis(250));
}

#[test]
fn a_deadline_in_the_past_arrives_as_passed() {
    let mut late = frame(get());
    late.header.deadline = NOW - Duration::from_millis(1);
    assert_eq!(decoded::<ClientMessage>(encoded(&late)).header.deadline, NOW);
}

#[test]
fn a_frame_in_pieces_waits_for_its_end() {
    let whole = encoded(&frame(get()));
    for cut in 0..whole.len() {
        let mut buffer = BytesMut::from(&whole[..cut]);
        assert_eq!(split(&mut buffer, 1 << 20).unwrap(), None, "{cut} bytes");
        assert_eq!(buffer.len(), cut, "nothing is taken of a frame in pieces");
    }
}

#[test]
fn lengths_are_checked_before_anything_is_kept() {
    let long = split(&mut BytesMut::from(&[0xff, 0xff, 0xff, 0xff, 1][..]), 1 << 20);
    assert_eq!(long, Err(FrameError::TooLong { bytes: 0xffff_ffff, bytes_max: 1 << 20 }));
    let short = split(&mut BytesMut::from(&[0, 0, 0, 3, 1, 2, 3][..]), 1 << 20);
    assert_eq!(short, Err(FrameError::TooShort(3)));
}

#[test]
fn kinds_of_another_stream_are_refused() {
    let mut bytes = encoded(&frame(get()));
    let body = split(&mut bytes, 1 << 20).unwrap().unwrap();
    assert_eq!(decode::<HandshakeMessage>(&body, NOW), Err(FrameError::UnknownKind(0x40)));
}

#[test]
fn bytes_left_over_are_an_error() {
    let mut out = encoded(&frame(get()));
    let length = u32::from_be_bytes(out[..4].try_into().unwrap()) + 1;
    out[..4].copy_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[0xc0]);
    let body = split(&mut out, 1 << 20).unwrap().unwrap();
    assert!(matches!(decode::<ClientMessage>(&body, NOW), Err(FrameError::Body { kind: 0x40, .. })));
}

fn requests() -> impl Strategy<Value = ClientMessage> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let level = prop_oneof![
        Just(Consistency::One),
        Just(Consistency::All),
        (1u8..).prop_map(|n| Consistency::Count(n.try_into().unwrap()))
    ];
    (any::<u32>(), bytes(), bytes(), level, proptest::option::of(bytes())).prop_flat_map(
        |(table, key, value, consistency, context)| {
            let table = TableId(table);
            let condition = prop_oneof![
                Just(Condition::Absent),
                Just(Condition::Present),
                Just(Condition::Value(value.clone()))
            ];
            let (new, of) = (context.clone(), key.clone());
            let compare_and_set = condition.prop_map(move |condition| {
                CompareAndSet { table, key: of.clone(), condition, value: new.clone(), consistency }.into()
            });
            prop_oneof![
                compare_and_set,
                Just(ClientMessage::from(Get::new(table, key.clone(), consistency))),
                Just(
                    Put { context: context.clone(), ..Put::new(table, key.clone(), value, consistency) }
                        .into()
                ),
                Just(Delete { context, ..Delete::new(table, key, consistency) }.into()),
            ]
        },
    )
}

proptest! {
    #[test]
    fn requests_survive_the_wire(message in requests()) {
        let frame = frame(message);
        prop_assert_eq!(decoded::<ClientMessage>(encoded(&frame)), frame);
    }

    #[test]
    fn any_bytes_end_in_a_frame_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = decode::<ClientMessage>(&bytes, NOW);
        let _ = decode::<HandshakeMessage>(&bytes, NOW);
        #[cfg(feature = "server")]
        let _ = decode::<PeerMessage>(&bytes, NOW);
        let _ = split(&mut BytesMut::from(&bytes[..]), 100);
    }

    /// Random bytes hardly ever reach a body's decoder; bent frames do.
    #[test]
    fn bent_frames_end_in_a_frame_or_an_error(message in requests(), at in any::<usize>(), to in any::<u8>()) {
        let mut bytes = encoded(&frame(message));
        let at = 4 + at % (bytes.len() - 4);
        bytes[at] = to;
        let body = split(&mut bytes, 1 << 20).unwrap().unwrap();
        let _ = decode::<ClientMessage>(&body, NOW);
    }
}

#[cfg(feature = "server")]
mod peers {
    use quorate_ring::{Actor, Hlc, Incarnation, NodeId, Tag, Token, TokenRange};
    use quorate_storage::{Content, Register, Row, State, Version, VersionVector};

    use super::*;
    use crate::membership::{
        map::{MapDigest, MapName},
        synod::Ballot,
    };

    const TAG: Tag = Tag { hlc: Hlc(0x01_0000), actor: Actor(2) };

    fn state() -> State {
        State::Register(Register { tag: TAG, content: Content::Value(Bytes::from_static(b"v")) })
    }

    #[test]
    fn golden_store() {
        let (table, key) = (TableId(9), Bytes::from_static(b"k"));
        let store = Store { table, key, state: state(), report: false, defer: true, fresh: true };
        let bytes = encoded(&frame(PeerMessage::from(store)));
        let hex: String = bytes[25..].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, GOLDEN_STORE);
    }

    #[test]
    fn golden_pages() {
        let (table, key) = (TableId(9), Bytes::from_static(b"k"));
        let ranges = vec![TokenRange::new(Token(-1), Token(5))];
        let place = Some(Row::new(Token(2), table, key.clone()));
        let fetch = FetchPage { table, ranges, after: place.clone(), rows_max: 500, want: Want::Digest };
        let fetched = PageFetched {
            rows: vec![(key, Answer::Digest(Some((Version::Tag(TAG), 7))))],
            damaged: vec![Bytes::from_static(b"d")],
            until: place,
            clock: Some(Hlc(3)),
            lives: vec![(NodeId(2), Incarnation(4))],
        };
        let messages: [(PeerMessage, u8, &str); 2] =
            [(fetch.into(), 0x14, GOLDEN_FETCH_PAGE), (fetched.into(), 0x30, GOLDEN_PAGE_FETCHED)];
        for (message, kind, golden) in messages {
            let frame = frame(message);
            let bytes = encoded(&frame);
            assert_eq!(bytes[4], kind, "{frame:?}");
            let hex: String = bytes[25..].iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, golden, "{frame:?}");
            assert_eq!(decoded::<PeerMessage>(bytes), frame);
        }
    }

    /// [9, [[-1, 5]], [2, 9, bin "k"], 500, "Digest"]
    const GOLDEN_FETCH_PAGE: &str = "95099192ff05930209c4016bcd01f4a6446967657374";
    /// [[[bin "k", {"Digest": [{"Tag": [65536, 2]}, 16 bytes]}]], [bin "d"], [2, 9, bin "k"], 3, [[2, 4]]]
    const GOLDEN_PAGE_FETCHED: &str = "959192c4016b81a64469676573749281a354616792ce0001000002c41000000000000000000000000000000007\
         91c40164930209c4016b0391920204";

    #[test]
    fn peer_messages_survive_the_wire() {
        let answers = [
            Answer::State(Some(state())),
            Answer::State(None),
            Answer::Digest(Some((Version::Tag(TAG), u128::MAX - 5))),
            Answer::Digest(None),
            Answer::Version(Some(Version::Vector(VersionVector::from_entries([(TAG.actor, TAG.hlc)])))),
        ];
        for answer in answers {
            let frame = frame(PeerMessage::from(Fetched { answer, clock: Some(TAG.hlc) }));
            assert_eq!(decoded::<PeerMessage>(encoded(&frame)), frame);
        }
        let refused =
            frame(PeerMessage::from(Refused { refusal: PeerRefusal::WrongEpoch { known: Epoch(4) } }));
        assert_eq!(decoded::<PeerMessage>(encoded(&refused)), refused);
    }

    /// The bytes of each message about the cluster map, without the header.
    #[test]
    fn golden_map_messages() {
        let ballot = Ballot { round: 3, proposer: Actor(4) };
        let (slot, incarnation, map) = (Epoch(6), Incarnation(7), Bytes::from_static(b"m"));
        let name = MapName { epoch: Epoch(5), digest: MapDigest(8) };
        let named = || Parent::Named(name);
        let messages: [(PeerMessage, u8, &str); 9] = [
            (MapPrepare { parent: named(), ballot }.into(), 0x1c, "9281a54e616d6564920508920304"),
            (
                MapAccept { parent: Parent::Whole(map.clone()), ballot, map: map.clone() }.into(),
                0x1d,
                "9381a557686f6c65c4016d920304c4016d",
            ),
            (MapFetch { asker: Actor(4), known: Epoch(5), incarnation }.into(), 0x1e, "93040507"),
            (MapDecided { map: map.clone() }.into(), 0x1f, "91c4016d"),
            (
                MapPromised { slot, ballot, incarnation, accepted: Some((ballot, map.clone())) }.into(),
                0x28,
                "94069203040792920304c4016d",
            ),
            (MapAccepted { slot, ballot, incarnation }.into(), 0x29, "930692030407"),
            (MapOutbid { slot, ballot, incarnation, promised: ballot }.into(), 0x2a, "940692030407920304"),
            (
                MapFetched { asker: Actor(4), map: Some(map), epoch: Epoch(6), incarnation }.into(),
                0x2b,
                "9404c4016d0607",
            ),
            (MapInstalled { epoch: Epoch(6), incarnation }.into(), 0x2c, "920607"),
        ];
        for (message, kind, golden) in messages {
            let frame = frame(message);
            let bytes = encoded(&frame);
            assert_eq!(bytes[4], kind, "{frame:?}");
            let hex: String = bytes[25..].iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, golden, "{frame:?}");
            assert_eq!(decoded::<PeerMessage>(bytes), frame);
        }
    }

    /// [9, bin "k", {"Register": [[clock, actor], {"Value": bin "v"}]}, false, true, true]
    const GOLDEN_STORE: &str = "9609c4016b81a852656769737465729292ce000100000281a556616c7565c40176c2c3c3";
}
