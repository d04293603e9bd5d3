//! Golden bytes of what nodes say of their hints, comparisons and records.

use quorate_ring::{Actor, Founder, Hlc, Incarnation, Layout, NodeId, Tag};

use super::*;

/// Kind and body, without the length and the header, which all frames share.
pub(super) fn hex(message: ClientMessage) -> String {
    hex_of(message)
}

/// The same of a message of either sort.
pub(super) fn hex_of<M: Message + Clone + PartialEq + std::fmt::Debug>(message: M) -> String {
    let bytes = encoded(&frame(message.clone()));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(decoded::<M>(bytes), frame(message));
    format!("{} {}", &hex[8..10], &hex[10 + 2 * 20..])
}

#[test]
fn golden_questions() {
    assert_eq!(hex(DescribeHealing { agreements: true }.into()), "4a 91c3");
    assert_eq!(hex(CompareNow {}.into()), "4b 90");
    assert_eq!(hex(ScrubNow {}.into()), "4c 90");
    let read = ReadReplica { table: TableId(9), key: Bytes::from_static(b"alice") };
    assert_eq!(hex(read.into()), "4d 9209c405616c696365");
}

#[test]
fn golden_goodbye() {
    assert_eq!(hex(Drain {}.into()), "4e 90");
    assert_eq!(hex(Draining { node: NodeId(1), hints: 2 }.into()), "6a 920102");
}

#[test]
fn golden_answers() {
    let described = HealingDescribed {
        node: NodeId(1),
        hints: vec![HintsFor { target: NodeId(2), hints: 3, bytes: 4, oldest_ms: None }],
        hints_under_way: 15,
        agreements: Some(vec![Agreed {
            peer: NodeId(3),
            table: TableId(9),
            replicas: vec![NodeId(1), NodeId(3)],
            ago_ms: Some(5),
        }]),
        given: 6,
        cells_unknown: 7,
        scrub: Scrubbing { cell: 8, cells: 9, rounds: 10, asked: true, records: 11, bytes: 12, damaged: 13 },
        quarantined: 14,
    };
    assert_eq!(hex(described.into()), "68 98019194020304c00f919403099201030506079708090ac30b0c0d0e");
    let tag = Tag { hlc: Hlc(5), actor: Actor(7) };
    let value = HeldVersion { tag, value: Some(Bytes::from_static(b"v")), expires: Some(Hlc(6)) };
    let delete = HeldVersion { tag, value: None, expires: None };
    let held = Held::Record { seen: vec![tag], versions: vec![value, delete] };
    let read = ReplicaRead { node: NodeId(1), counts: true, held };
    assert_eq!(hex(read.into()), "69 9301c381a65265636f726492919205079293920507c401760693920507c0c0");
    let absent = ReplicaRead { node: NodeId(1), counts: false, held: Held::Absent };
    assert_eq!(hex(absent.into()), "69 9301c2a6416273656e74");
    let damaged = ReplicaRead { node: NodeId(1), counts: false, held: Held::Damaged("why".to_owned()) };
    assert_eq!(hex(damaged.into()), "69 9301c281a744616d61676564a3776879");
}

/// What a node knows of the members: of one everything, of one nothing.
#[test]
fn golden_nodes() {
    assert_eq!(hex(DescribeNodes {}.into()), "49 90");
    let heard = NodeStatus {
        node: NodeId(1),
        verdict: Verdict::Alive,
        connected: true,
        about: Some(About {
            address: "a".to_owned(),
            rack: "r".to_owned(),
            incarnation: Incarnation(2),
            starts: 3,
            version: "v".to_owned(),
        }),
        progress: Some(Progress { epoch: Epoch(4), serves: true, recovering: 5 }),
        unreachable: Some(vec![NodeId(6)]),
        vitals: Some(Vitals { requests_per_s: 7, hints: 8, agreed_ago_s: None, disk_used: 9, disk_free: 10 }),
    };
    let unheard = NodeStatus {
        node: NodeId(2),
        verdict: Verdict::Unheard,
        connected: false,
        about: None,
        progress: None,
        unreachable: None,
        vitals: None,
    };
    let layout = Layout::found("test", &[Founder::new("n1", "127.0.0.1:1")]).unwrap();
    let cluster = ClusterInfo {
        protocol: PROTOCOL_VERSION,
        cluster_name: "test".to_owned(),
        node: NodeId(1),
        epoch: layout.epoch,
        layout,
        up: Vec::new(),
        value_bytes_max: 1,
    };
    let described = NodesDescribed { cluster: cluster.clone(), nodes: vec![heard, unheard] };
    let bytes = hex(described.into());
    let (_, nodes) = bytes.split_at(bytes.len() - NODES.len());
    assert_eq!(nodes, NODES);
    let described = NodesDescribed { cluster, nodes: Vec::new() };
    assert_eq!(bytes.strip_suffix(NODES), hex(described.into()).strip_suffix("90"));
}

/// [1, "Alive", true, ["a", "r", 2, 3, "v"], [4, true, 5], [6], [7, 8, nil, 9, 10]] and [2, "Unheard", false, 4 nil]
const NODES: &str =
    "929701a5416c697665c395a161a1720203a1769304c3059106950708c0090a9702a7556e6865617264c2c0c0c0c0";
