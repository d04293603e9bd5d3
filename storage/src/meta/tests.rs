use quorate_ring::Token;

use super::*;
use crate::MemoryEngine;

fn recovery(id: u32) -> RecoveryRecord {
    RecoveryRecord { table: TableId(id), left: vec![TokenRange::new(Token(1), Token(-1))] }
}

fn done(id: u32) -> RecoveryRecord {
    RecoveryRecord { table: TableId(id), left: Vec::new() }
}

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
    let engine = MemoryEngine::new();
    commit(&engine, &[MetaWrite::Identity(identity()), MetaWrite::HlcBound(Hlc(1 << 40))]);
    commit(
        &engine,
        &[
            MetaWrite::Starts(3),
            MetaWrite::Starts(4),
            MetaWrite::Peer(peer(1)),
            MetaWrite::Peer(peer(2)),
            MetaWrite::Recovery(recovery(1)),
            MetaWrite::Recovery(done(2)),
            MetaWrite::ClusterMap(Bytes::from_static(b"an older map")),
            MetaWrite::ClusterMap(Bytes::from_static(b"a map")),
        ],
    );
    let identity = Some(identity());
    let peers = vec![peer(1), peer(2)];
    let expected = Recovered {
        identity,
        hlc_bound: Hlc(1 << 40),
        cluster_map: Some(Bytes::from_static(b"a map")),
        recoveries: vec![recovery(1), done(2)],
        starts: 4,
        peers,
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
fn a_recovery_is_replaced_and_forgotten_by_its_table() {
    let engine = MemoryEngine::new();
    commit(&engine, &[MetaWrite::Recovery(recovery(1))]);
    commit(&engine, &[MetaWrite::Recovery(done(1))]);
    assert_eq!(recover(&engine).unwrap().recoveries, [done(1)]);
    commit(&engine, &[MetaWrite::ForgetRecovery(TableId(1))]);
    assert_eq!(recover(&engine).unwrap().recoveries, []);
}

#[test]
fn more_records_than_one_scan_takes_are_found() {
    let recoveries: Vec<_> = (0..SCAN_RECORDS as u32 * 2 + 3).map(recovery).collect();
    let engine = MemoryEngine::new();
    let puts: Vec<_> = recoveries.iter().cloned().map(MetaWrite::Recovery).collect();
    commit(&engine, &puts);
    assert_eq!(recover(&engine).unwrap().recoveries, recoveries);
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
    put(&mut batch, &MetaWrite::Recovery(recovery(1)));
    put(&mut batch, &MetaWrite::ClusterMap(Bytes::from_static(b"map")));
    put_sequence(&mut batch, 0x1112);
    put(&mut batch, &MetaWrite::Starts(7));
    put(&mut batch, &MetaWrite::Peer(peer(1)));
    let contents: Vec<_> = batch
        .iter()
        .map(|(_, key, record)| {
            let content = &record.unwrap()[envelope::HEADER_BYTES..];
            (key.escape_ascii().to_string(), content.escape_ascii().to_string())
        })
        .collect();
    let expected = [
        ("cluster_map", r"\xc4\x03map"),
        ("commit_sequence", r"\xcd\x11\x12"),
        ("hlc_bound", r"\xcf\x01\x02\x03\x04\x05\x06\x07\x08"),
        (r"peer/\x00\x00\x00\x01", r"\x94\x01\x93\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x07\x08\x08\x92\t\n"),
        (r"recovery/\x00\x00\x00\x01", r"\x92\x01\x91\x92\x01\xff"),
        ("starts", r"\x07"),
    ];
    assert_eq!(contents, expected.map(|(key, content)| (key.to_string(), content.to_string())));
}
