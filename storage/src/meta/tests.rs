use quorate_ring::{TableKind, Token};

use super::*;
use crate::MemoryEngine;

fn table(id: u32, stage: TableStage) -> TableRecord {
    let table = Table::new(TableId(id), format!("table_{id}"), TableKind::Register, 3);
    TableRecord { table, stage }
}

const ATTEMPT: Tag = Tag { hlc: Hlc(5), actor: Actor(6) };
const COMMITTED: TableStage = TableStage::Committed { attempt: ATTEMPT };

fn identity() -> Identity {
    Identity {
        cluster: ClusterId(7),
        cluster_name: "prod".into(),
        node: NodeId(3),
        name: "berlin-3".into(),
        incarnation: Incarnation(99),
    }
}

fn peer(node: u32) -> PeerRecord {
    let life = Life { incarnation: Incarnation(u64::MAX), starts: 7, actor: Actor(8) };
    PeerRecord {
        node: NodeId(node),
        life,
        heard: Some(Incarnation(8)),
        retired: vec![Incarnation(9), Incarnation(10)],
    }
}

fn commit(engine: &MemoryEngine, writes: &[MetaWrite]) {
    let mut batch = Batch::new();
    writes.iter().for_each(|write| put(&mut batch, write));
    engine.commit(&batch).unwrap();
}

#[test]
fn a_fresh_directory_knows_nothing() {
    assert_eq!(recover(&MemoryEngine::new()), Ok(Recovered::default()));
}

#[test]
fn what_was_written_is_recovered() {
    let stages = [
        COMMITTED,
        TableStage::Prepared {
            attempt: ATTEMPT,
            coordinator: NodeId(2),
            lives: vec![(NodeId(2), Incarnation(4))],
        },
        TableStage::Refused { attempt: ATTEMPT },
        TableStage::Recovering { attempt: ATTEMPT, left: vec![TokenRange::new(Token(1), Token(-1))] },
    ];
    let tables: Vec<_> = (1..).zip(stages).map(|(id, stage)| table(id, stage)).collect();
    let engine = MemoryEngine::new();
    commit(&engine, &[MetaWrite::Identity(identity()), MetaWrite::HlcBound(Hlc(1 << 40))]);
    commit(
        &engine,
        &[
            MetaWrite::Starts(3),
            MetaWrite::Starts(4),
            MetaWrite::Peer(peer(1)),
            MetaWrite::Peer(peer(2)),
            MetaWrite::TablesKnown,
        ],
    );
    let puts: Vec<_> = tables.iter().cloned().map(MetaWrite::PutTable).collect();
    commit(&engine, &puts);
    let identity = Some(identity());
    let peers = vec![peer(1), peer(2)];
    let expected = Recovered {
        identity,
        hlc_bound: Hlc(1 << 40),
        tables,
        starts: 4,
        peers,
        tables_known: true,
        ..Recovered::default()
    };
    assert_eq!(recover(&engine), Ok(expected));
}

#[test]
fn each_process_has_a_start_of_its_own_and_all_of_them_one_identity() {
    let engine = MemoryEngine::new();
    for start in 1..4 {
        let mut recovered = recover(&engine).unwrap();
        let fresh = || Identity { incarnation: Incarnation(start), ..identity() };
        commit(&engine, &recovered.begin(fresh));
        let life = Life { incarnation: Incarnation(1), starts: start, actor: Actor(start) };
        assert_eq!(recovered.life(Actor(start)), life);
    }
}

#[test]
fn a_table_is_replaced_and_forgotten_by_its_id() {
    let engine = MemoryEngine::new();
    commit(&engine, &[MetaWrite::PutTable(table(1, TableStage::Refused { attempt: ATTEMPT }))]);
    commit(&engine, &[MetaWrite::PutTable(table(1, COMMITTED))]);
    assert_eq!(recover(&engine).unwrap().tables, [table(1, COMMITTED)]);
    commit(&engine, &[MetaWrite::RemoveTable(TableId(1))]);
    assert_eq!(recover(&engine).unwrap().tables, []);
}

#[test]
fn more_tables_than_one_scan_takes_are_recovered() {
    let tables: Vec<_> = (0..SCAN_RECORDS as u32 * 2 + 3).map(|id| table(id, COMMITTED)).collect();
    let engine = MemoryEngine::new();
    let puts: Vec<_> = tables.iter().cloned().map(MetaWrite::PutTable).collect();
    commit(&engine, &puts);
    assert_eq!(recover(&engine).unwrap().tables, tables);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let engine = MemoryEngine::new();
    commit(&engine, &[MetaWrite::Identity(identity())]);
    let bits = engine.get(Space::Meta, KEY_IDENTITY).unwrap().unwrap().len() * 8;
    for bit in 0..bits {
        assert!(engine.flip_bit(Space::Meta, KEY_IDENTITY, bit));
        assert!(matches!(recover(&engine), Err(MetaError::Corrupt { .. })), "bit {bit}");
        engine.flip_bit(Space::Meta, KEY_IDENTITY, bit);
    }
    assert_eq!(recover(&engine).unwrap().identity, Some(identity()));
}

/// These bytes are on disks: a change here is a new format version.
#[test]
fn golden_content_of_version_1() {
    let mut batch = Batch::new();
    put(&mut batch, &MetaWrite::HlcBound(Hlc(0x0102_0304_0506_0708)));
    put(&mut batch, &MetaWrite::PutTable(table(1, COMMITTED)));
    put_sequence(&mut batch, 0x1112);
    put(&mut batch, &MetaWrite::Starts(7));
    put(&mut batch, &MetaWrite::Peer(peer(1)));
    put(&mut batch, &MetaWrite::TablesKnown);
    let contents: Vec<_> = batch
        .iter()
        .map(|(_, key, record)| {
            let content = &record.unwrap()[envelope::HEADER_BYTES..];
            (key.escape_ascii().to_string(), content.escape_ascii().to_string())
        })
        .collect();
    let expected = [
        ("commit_sequence", r"\xcd\x11\x12"),
        ("hlc_bound", r"\xcf\x01\x02\x03\x04\x05\x06\x07\x08"),
        (r"peer/\x00\x00\x00\x01", r"\x94\x01\x93\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x07\x08\x08\x92\t\n"),
        ("starts", r"\x07"),
        (
            r"table/\x00\x00\x00\x01",
            r"\x92\x96\x01\xa7table_1\xa8Register\x03\xa6Quorum\xa6Quorum\x81\xa9Committed\x91\x92\x05\x06",
        ),
        ("tables_known", r"\xc3"),
    ];
    assert_eq!(contents, expected.map(|(key, content)| (key.to_string(), content.to_string())));
}
