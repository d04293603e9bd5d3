use quorate_ring::{Actor, TableKind};

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
        TableStage::Prepared { attempt: ATTEMPT, coordinator: NodeId(2) },
        TableStage::Refused { attempt: ATTEMPT },
    ];
    let tables: Vec<_> = (1..).zip(stages).map(|(id, stage)| table(id, stage)).collect();
    let engine = MemoryEngine::new();
    commit(&engine, &[MetaWrite::Identity(identity()), MetaWrite::HlcBound(Hlc(1 << 40))]);
    let puts: Vec<_> = tables.iter().cloned().map(MetaWrite::PutTable).collect();
    commit(&engine, &puts);
    let expected =
        Recovered { identity: Some(identity()), hlc_bound: Hlc(1 << 40), tables, ..Recovered::default() };
    assert_eq!(recover(&engine), Ok(expected));
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
        (
            r"table/\x00\x00\x00\x01",
            r"\x92\x96\x01\xa7table_1\xa8Register\x03\xa6Quorum\xa6Quorum\x81\xa9Committed\x91\x92\x05\x06",
        ),
    ];
    assert_eq!(contents, expected.map(|(key, content)| (key.to_string(), content.to_string())));
}
