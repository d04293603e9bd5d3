//! Golden bytes of what replicas say to find out where they differ, and of gossip that goes over a stream.

use quorate_ring::{Token, TokenRange};
use quorate_storage::Row;

use super::{healing::hex_of as hex, *};

const TABLE: TableId = TableId(9);

fn key() -> Bytes {
    Bytes::from_static(b"k")
}

/// [slicing, [[table, set, at, span, digest]]]
#[test]
fn golden_comparison() {
    let branch = Branch { table: TABLE, set: 1, at: 2, span: 16, digest: 7 };
    let compare = PeerMessage::from(Compare { slicing: 3, branches: vec![branch] });
    assert_eq!(hex(compare), "12 920391950901021007");
    let comparisons = vec![Comparison::Same, Comparison::Differs(vec![1, 2]), Comparison::Unknown];
    let compared = PeerMessage::from(Compared { comparisons });
    assert_eq!(hex(compared), "22 9193a453616d6581a744696666657273920102a7556e6b6e6f776e");
}

/// [table, [[-1, 5]], place, place or nil, [[bin "k", hash]], [bin "d"]]
#[test]
fn golden_keys() {
    let place = || Some(Row::new(Token(2), TABLE, key()));
    let ranges = vec![TokenRange::new(Token(-1), Token(5))];
    let damaged = vec![Bytes::from_static(b"d")];
    let keys =
        CompareKeys { table: TABLE, ranges, after: place(), until: None, keys: vec![(key(), 7)], damaged };
    assert_eq!(hex(PeerMessage::from(keys)), "13 96099192ff05930209c4016bc09192c4016b0791c40164");
    let compared = KeysCompared { wanted: vec![key()], given: 3, unknown: 4, next: place() };
    assert_eq!(hex(PeerMessage::from(compared)), "2e 9491c4016b0304930209c4016b");
}

#[test]
fn golden_gossip() {
    let packet = Bytes::from_static(b"packet");
    assert_eq!(hex(PeerMessage::from(Gossip { packet })), "2d 91c4067061636b6574");
}
