//! Maps as values: what changes do to them, and how they are written.

use std::collections::BTreeMap;

use proptest::prelude::*;
use quorate_ring::{Consistency, Epoch, Incarnation, NodeId, TableId, TableKind};

use super::world::{first_life, founded, founding, light};
use crate::membership::map::{
    Change, ChangeId, ClusterMap, History, MAP_BYTES_MAX, MapError, NewTable, Refused, Settings, TableOptions,
};

const QUORUM: TableOptions =
    TableOptions { read_consistency: Consistency::Quorum, write_consistency: Consistency::Quorum };

fn create(name: &str, replication: u8) -> Change {
    let name = name.to_owned();
    Change::CreateTable(NewTable { name, kind: TableKind::Register, replication, options: QUORUM })
}

fn alter(name: &str, writes: Consistency) -> Change {
    Change::AlterTable { name: name.to_owned(), read_consistency: None, write_consistency: Some(writes) }
}

fn next(map: &ClusterMap, change: &Change) -> Result<ClusterMap, Refused> {
    map.apply(ChangeId { since: map.epoch(), number: map.epoch().0 }, change)
}

fn three() -> ClusterMap {
    (*founded(&founding(3))).clone()
}

#[test]
fn a_truncated_table_is_another_one() {
    let map = next(&three(), &create("a", 3)).unwrap();
    let old = map.table("a").unwrap().clone();
    let map = next(&map, &Change::TruncateTable { name: "a".to_owned() }).unwrap();
    let new = map.table("a").unwrap();
    assert_ne!(old.id, new.id);
    assert_eq!((new.kind, new.replication), (old.kind, old.replication));
    assert!(map.is_retired(old.id) && !map.is_retired(new.id) && !map.is_retired(TableId(3)));
    let map = next(&map, &Change::DropTable { name: "a".to_owned() }).unwrap();
    let map = next(&map, &create("a", 1)).unwrap();
    assert_eq!(map.table("a").unwrap().id, TableId(3), "ids are never given out again");
}

#[test]
fn a_change_happens_once() {
    let id = ChangeId { since: Epoch(2), number: 7 };
    let map = three().apply(id, &create("a", 1)).unwrap();
    let again = map.apply(id, &create("a", 1));
    assert_eq!(again, Err(Refused::Repeated { epoch: Epoch(3) }));
    let map = next(&map, &Change::DropTable { name: "a".to_owned() }).unwrap();
    assert_eq!(map.apply(id, &create("a", 1)), Err(Refused::Repeated { epoch: Epoch(3) }));
}

#[test]
fn what_is_forgotten_is_refused() {
    let id = ChangeId { since: Epoch(2), number: 1_000_000 };
    let mut map = three().apply(id, &create("a", 1)).unwrap();
    for _ in 1..History::CHANGES_MAX {
        map = next(&map, &Change::Settings(Settings::default())).unwrap();
    }
    assert_eq!(map.apply(id, &create("a", 1)), Err(Refused::Repeated { epoch: Epoch(3) }));
    map = next(&map, &Change::Settings(Settings::default())).unwrap();
    assert_eq!(map.apply(id, &create("a", 1)), Err(Refused::Forgotten { since: Epoch(2), oldest: Epoch(3) }));
    map.validate().unwrap();
    assert_eq!(ClusterMap::decode(&map.encode()), Ok(map));
}

#[test]
fn what_does_not_fit_is_refused() {
    let map = next(&three(), &create("a", 3)).unwrap();
    let name = || "b".to_owned();
    let refused = |change: Change| next(&map, &change).unwrap_err();
    assert_eq!(refused(create("a", 1)), Refused::TableExists("a".to_owned()));
    assert_eq!(refused(create("A", 1)), Refused::BadTableName("A".to_owned()));
    assert_eq!(refused(create("b", 4)), Refused::BadReplication { replication: 4, most: 3 });
    assert_eq!(refused(create("b", 0)), Refused::BadReplication { replication: 0, most: 3 });
    assert_eq!(refused(Change::DropTable { name: name() }), Refused::NoSuchTable(name()));
    assert_eq!(refused(Change::TruncateTable { name: name() }), Refused::NoSuchTable(name()));
    assert_eq!(refused(alter(&name(), Consistency::Quorum)), Refused::NoSuchTable(name()));
    let bad_level = Refused::BadLevel { level: Consistency::Any, replication: 3 };
    assert_eq!(refused(alter("a", Consistency::Any)), bad_level);
    assert_eq!(refused(Change::Found { lives: BTreeMap::new() }), Refused::Founded);
    assert_eq!(refused(Change::Remove { node: NodeId(9) }), Refused::NotMember(NodeId(9)));
    let too_few = Refused::TooFewLeft { table: "a".to_owned(), replication: 3, left: 2 };
    assert_eq!(refused(Change::Remove { node: NodeId(1) }), too_few);
    let (node, claimed, known) = (NodeId(1), Incarnation(5), first_life(NodeId(1)));
    let renew = Change::Renew { node, lost: claimed, incarnation: Incarnation(6) };
    assert_eq!(refused(renew), Refused::OtherLife { node, known, claimed });
    assert!(matches!(refused(Change::Join { node: light(1), incarnation: claimed }), Refused::Ring(_)));
    assert_eq!(next(&founding(3), &create("a", 1)), Err(Refused::NotFounded));
    let early = ChangeId { since: Epoch(9), number: 1 };
    assert_eq!(map.apply(early, &create("b", 1)), Err(Refused::Ahead { since: Epoch(9), known: Epoch(3) }));
}

#[test]
fn settings_are_bounded_and_told_apart() {
    let one = |name: &str, value: &str| Settings::new([(name.to_owned(), value.to_owned())]);
    assert_ne!(one("a", "bc").unwrap().checksum(), one("ab", "c").unwrap().checksum());
    assert!(one("", "x").is_err() && one("Ä", "x").is_err() && one("a", &"x".repeat(257)).is_err());
    assert!(Settings::new((0..65).map(|n| (format!("s{n}"), String::new()))).is_err());
}

#[test]
fn a_removed_id_is_not_given_out_again() {
    let map = next(&three(), &Change::Remove { node: NodeId(3) }).unwrap();
    let map = next(&map, &Change::Join { node: light(3), incarnation: Incarnation(1) }).unwrap();
    assert_eq!(map.members().collect::<Vec<_>>(), [NodeId(1), NodeId(2), NodeId(4)]);
    assert!(map.removed().contains(&NodeId(3)));
    map.validate().unwrap();
}

#[test]
fn bytes_that_are_no_map_are_refused() {
    let bytes = three().encode();
    assert_eq!(ClusterMap::decode(&[]), Err(MapError::Truncated { bytes: 0 }));
    assert_eq!(
        ClusterMap::decode(&vec![0; MAP_BYTES_MAX + 1]),
        Err(MapError::TooLong { bytes: MAP_BYTES_MAX + 1 })
    );
    for at in 0..bytes.len() {
        assert!(ClusterMap::decode(&bytes[..at]).is_err(), "cut off after {at}");
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1;
        assert!(ClusterMap::decode(&flipped).is_err(), "flipped at {at}");
    }
}

fn change() -> impl Strategy<Value = Change> {
    let name = || prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("c".to_owned())];
    prop_oneof![
        3 => (name(), 1..4_u8).prop_map(|(name, replication)| create(&name, replication)),
        1 => name().prop_map(|name| Change::DropTable { name }),
        1 => name().prop_map(|name| Change::TruncateTable { name }),
        1 => name().prop_map(|name| alter(&name, Consistency::Quorum)),
        2 => (4..9_u32).prop_map(|n| Change::Join { node: light(n), incarnation: Incarnation(n.into()) }),
        1 => (1..9_u32).prop_map(|n| Change::Remove { node: NodeId(n) }),
        1 => (1..4_u32).prop_map(|n| {
            let node = NodeId(n);
            Change::Renew { node, lost: first_life(node), incarnation: Incarnation(9) }
        }),
        1 => name().prop_map(|name| Change::Settings(Settings::new([(name, String::new())]).unwrap())),
    ]
}

proptest! {
    /// Whatever happens to a map, it stays one, it is read as it was written, and every change makes another.
    #[test]
    fn maps_stay_sound(changes in prop::collection::vec(change(), 0..30)) {
        let mut map = three();
        for change in changes {
            if let Ok(changed) = next(&map, &change) {
                prop_assert_eq!(changed.parent(), Some(map.name()));
                prop_assert_ne!(changed.name().digest, map.name().digest);
                map = changed;
            }
        }
        prop_assert_eq!(map.validate(), Ok(()));
        prop_assert_eq!(ClusterMap::decode(&map.encode()), Ok(map));
    }

    /// No bytes make the decoder panic, even with the right digest.
    #[test]
    fn decoding_bears_any_bytes(mut content in prop::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = vec![1];
        bytes.extend(quorate_ring::token_of(&content).0.to_be_bytes());
        bytes.append(&mut content);
        prop_assert!(ClusterMap::decode(&bytes).is_err());
        let mut bytes = three().encode().to_vec();
        let at = 9 + at.index(bytes.len() - 9);
        let was = std::mem::replace(&mut bytes[at], byte);
        let digest = quorate_ring::token_of(&bytes[9..]).0.to_be_bytes();
        bytes[1..9].copy_from_slice(&digest);
        if let Ok(map) = ClusterMap::decode(&bytes) {
            prop_assert!(map.validate().is_ok() && (byte == was || map != three()));
        }
    }
}
