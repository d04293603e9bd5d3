use bytes::Bytes;
use proptest::prelude::*;
use quorate_ring::{
    Actor, ClusterId, Epoch, Hlc, Incarnation, NodeId, Table, TableId, TableKind, Tag, Token,
};

use super::*;
use crate::{Content, Register, Row, State, arbitrary::states, encode};

fn row(token: i64, key: &'static str) -> Row {
    Row::new(Token(token), TableId(9), key)
}

fn register(hlc: u64, content: Content) -> State {
    State::Register(Register { tag: Tag { hlc: Hlc(hlc), actor: Actor(2) }, content })
}

fn value(hlc: u64, value: &'static str) -> State {
    register(hlc, Content::Value(Bytes::from(value)))
}

fn data_file(rows: &[(Row, State)]) -> (Vec<u8>, BackupData) {
    let mut bytes = Vec::new();
    let mut writer = BackupWriter::new(&mut bytes).unwrap();
    for (row, state) in rows {
        let key = row.to_storage_key();
        writer.write(&key, &encode(&key, state)).unwrap();
    }
    let data = writer.data();
    (bytes, data)
}

/// All rows, and what was read when they had been.
fn read_all(bytes: &[u8]) -> Result<(Vec<(Row, State)>, BackupData), BackupError> {
    let mut reader = BackupReader::new(bytes)?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next()? {
        rows.push(row);
    }
    Ok((rows, reader.data()))
}

fn two() -> Vec<(Row, State)> {
    vec![(row(-5, "k"), value(0x10000, "v")), (row(7, "gone"), register(0x20000, Content::Tombstone))]
}

#[test]
fn golden_data_file() {
    let (bytes, data) = data_file(&two());
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = concat!(
        "71756f7261746501", // "quorate", 1
        "000d",             // a key of 13 bytes
        "00000018",         // a record of 24
        "7ffffffffffffffb000000096b",
        "010108e3b3e40000000000010000000000000000000200",
        "76",
        "0010",
        "00000017",
        "800000000000000700000009676f6e65",
        "0101649fa7200000000000020000000000000000000201",
    );
    assert_eq!(hex, expected);
    assert_eq!((data.records, data.bytes), (2, bytes.len() as u64));
    assert_eq!(read_all(&bytes), Ok((two(), data)));
}

#[test]
fn a_cut_file_is_noticed_wherever_it_is_cut() {
    let (bytes, data) = data_file(&two());
    for cut in 0..bytes.len() {
        match read_all(&bytes[..cut]) {
            // Cut between two records: only the manifest tells.
            Ok((rows, found)) => assert!(rows.len() < 2 && found != data, "{cut}"),
            Err(BackupError::NoData) => assert!(cut < 8),
            Err(BackupError::Truncated { at }) => assert!((at as usize) < cut, "{cut}"),
            Err(other) => panic!("{cut}: {other}"),
        }
    }
}

#[test]
fn a_flipped_bit_is_noticed_wherever_it_is() {
    let (bytes, data) = data_file(&two());
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(read_all(&bytes).is_err_and(|error| !matches!(error, BackupError::Io(_))), "bit {bit}");
        assert_ne!(xxhash_rust::xxh3::xxh3_64(&bytes), data.digest);
    }
}

#[test]
fn records_out_of_order_are_refused() {
    let mut rows = two();
    rows.reverse();
    assert!(matches!(read_all(&data_file(&rows).0), Err(BackupError::OutOfOrder { .. })));
    let twice = [two().remove(0), two().remove(0)];
    assert!(matches!(read_all(&data_file(&twice).0), Err(BackupError::OutOfOrder { .. })));
}

fn manifest() -> BackupManifest {
    let table = Table::new(TableId(9), "t", TableKind::Register, 3);
    BackupManifest {
        format: BackupManifest::FORMAT,
        cluster: ClusterId(0xab),
        cluster_name: "shop".to_owned(),
        nodes: 3,
        epoch: Epoch(4),
        node: NodeId(1),
        node_name: "db1".to_owned(),
        incarnation: Incarnation(0xcd),
        taken_us: 5,
        tables: vec![BackupTable { table, whole: true, records: 2 }],
        damaged: 0,
        data: data_file(&two()).1,
    }
}

#[test]
fn golden_manifest() {
    let bytes = manifest().encode().unwrap();
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), GOLDEN_MANIFEST);
    assert_eq!(BackupManifest::decode(&bytes), Ok(manifest()));
}

#[test]
fn a_manifest_that_is_not_whole_is_refused() {
    let bytes = manifest().encode().unwrap();
    for cut in 0..bytes.len() {
        assert!(matches!(BackupManifest::decode(&bytes[..cut]), Err(BackupError::Manifest(_))), "{cut}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(BackupManifest::decode(&bytes), Err(BackupError::Manifest(_))), "bit {bit}");
    }
}

#[test]
fn a_later_format_is_called_that() {
    let later = BackupManifest { format: 2, ..manifest() }.encode().unwrap();
    assert_eq!(BackupManifest::decode(&later), Err(BackupError::UnknownVersion(2)));
    let (mut bytes, _) = data_file(&[]);
    bytes[7] = 2;
    assert_eq!(read_all(&bytes), Err(BackupError::UnknownVersion(2)));
}

fn merged(files: &[&[u8]]) -> Vec<(Row, Result<State, crate::MergeError>)> {
    let readers = files.iter().map(|bytes| BackupReader::new(*bytes).unwrap()).collect();
    let mut merged = MergedBackups::new(readers).unwrap();
    let rows = std::iter::from_fn(|| merged.next().unwrap()).collect();
    assert_eq!(merged.bytes(), files.iter().map(|bytes| bytes.len() as u64).sum::<u64>());
    rows
}

#[test]
fn a_delete_that_one_backup_missed_stays_a_delete() {
    let deleted = || register(2, Content::Tombstone);
    let knows = data_file(&[(row(1, "a"), deleted()), (row(3, "c"), value(3, "c"))]).0;
    let missed = data_file(&[(row(1, "a"), value(1, "old")), (row(2, "b"), value(4, "b"))]).0;
    let expected = [(row(1, "a"), deleted()), (row(2, "b"), value(4, "b")), (row(3, "c"), value(3, "c"))];
    for files in [[&knows[..], &missed[..]], [&missed[..], &knows[..]]] {
        assert_eq!(merged(&files), expected.clone().map(|(row, state)| (row, Ok(state))));
    }
}

#[test]
fn backups_that_contradict_each_other_tell_nothing_of_the_key() {
    let [one, other] = ["one", "other"]
        .map(|text| data_file(&[(row(1, "a"), value(1, text)), (row(2, "b"), value(1, "b"))]).0);
    let rows = merged(&[&one, &other]);
    assert_eq!(rows[0], (row(1, "a"), Err(crate::MergeError::EqualTagDifferentBytes(value(1, "one").tag()))));
    assert_eq!(rows[1], (row(2, "b"), Ok(value(1, "b"))), "the others are told");
}

proptest! {
    #[test]
    fn any_states_come_back(states in proptest::collection::vec(states(), 0..8)) {
        let rows: Vec<_> = (0..).zip(states).map(|(token, state)| (row(token, "k"), state)).collect();
        let (bytes, data) = data_file(&rows);
        prop_assert_eq!(read_all(&bytes), Ok((rows.clone(), data)));
        // Twice the same adds nothing.
        let expected: Vec<_> = rows.into_iter().map(|(row, state)| (row, Ok(state.as_message()))).collect();
        prop_assert_eq!(merged(&[&bytes, &bytes]), expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = BackupManifest::decode(&bytes);
        let with_head = [&b"quorate\x01"[..], &bytes].concat();
        let _ = read_all(&with_head);
        let _ = read_all(&bytes);
    }
}

const GOLDEN_MANIFEST: &str = r#"{
  "format": 1,
  "cluster": "00000000000000ab",
  "cluster_name": "shop",
  "nodes": 3,
  "epoch": 4,
  "node": 1,
  "node_name": "db1",
  "incarnation": "00000000000000cd",
  "taken_us": 5,
  "tables": [
    {
      "id": 9,
      "name": "t",
      "kind": "Register",
      "replication": 3,
      "read_consistency": "Quorum",
      "write_consistency": "Quorum",
      "whole": true,
      "records": 2
    }
  ],
  "damaged": 0,
  "data": {
    "records": 2,
    "bytes": 96,
    "digest": "f06ba90cf2ff0dcc"
  }
}
crc32 d9282cbf
"#;
