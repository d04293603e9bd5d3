use bytes::Bytes;
use quorate_ring::{
    Actor, ClusterId, Epoch, Hlc, Incarnation, NodeId, Table, TableId, TableKind, Tag, Token,
};
use quorate_storage::{
    BackupData, BackupError, BackupName, BackupReader, BackupTable, Batch, Content, MemoryEngine, Register,
    State, encode,
};

use super::*;

fn row(token: i64, table: u32) -> Row {
    Row::new(Token(token), TableId(table), format!("k{token}"))
}

fn state(bytes: usize) -> State {
    let tag = Tag { hlc: Hlc(1), actor: Actor(1) };
    State::Register(Register { tag, content: Content::Value(Bytes::from(vec![7; bytes])) })
}

fn store(engine: &dyn Engine, row: &Row, state: &State) {
    let (mut batch, key) = (Batch::new(), row.to_storage_key());
    batch.put(Space::Data, key.clone(), encode(&key, state));
    engine.commit(&batch).unwrap();
}

fn order(name: &str) -> BackupOrder {
    let table = |id, name: &str| BackupTable {
        table: Table::new(TableId(id), name, TableKind::Register, 3),
        whole: id == 2,
        records: 0,
    };
    let manifest = BackupManifest {
        format: BackupManifest::FORMAT,
        cluster: ClusterId(1),
        cluster_name: "test".to_owned(),
        nodes: 3,
        epoch: Epoch(1),
        node: NodeId(1),
        node_name: "n1".to_owned(),
        incarnation: Incarnation(1),
        taken_us: 1,
        tables: vec![table(2, "t"), table(5, "u")],
        damaged: 0,
        data: BackupData::default(),
    };
    BackupOrder { name: BackupName::try_from(name.to_owned()).unwrap(), bytes_per_s: None, manifest }
}

fn begin(backups: &mut Backups, order: BackupOrder) -> Result<BackupStatus, String> {
    backups.carry_out(BackupWork::Begin(Box::new(order))).map(Option::unwrap)
}

/// Waits until the backup that is under way has ended.
fn end(backups: &mut Backups) -> BackupStatus {
    while !backups.last.as_ref().unwrap().1.is_finished() {
        thread::park_timeout(Duration::from_millis(1));
    }
    backups.carry_out(BackupWork::Describe).unwrap().unwrap()
}

#[test]
fn a_backup_holds_what_was_there_and_says_so_last() {
    let (dir, engine) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
    let rows = [row(-9, 2), row(1, 5), row(3, 2)];
    rows.iter().for_each(|row| store(&*engine, row, &state(10)));
    store(&*engine, &row(2, 4), &state(10)); // of a table that was dropped
    store(&*engine, &row(5, 2), &state(10));
    assert!(engine.flip_bit(Space::Data, &row(5, 2).to_storage_key(), 99));
    let mut backups = Backups::new(dir.path(), engine.clone(), 1);
    assert_eq!(backups.carry_out(BackupWork::Describe), Ok(None));
    assert_eq!(begin(&mut backups, order("a")).unwrap().stage, BackupStage::Running);
    let status = end(&mut backups);
    assert_eq!(
        (&status.stage, status.records, status.damaged, status.percent),
        (&BackupStage::Done, 3, 1, 100)
    );
    assert_eq!(status.recovering, ["u"]);

    let directory = dir.path().join("backups/a");
    let manifest = BackupManifest::decode(&fs::read(directory.join("manifest")).unwrap()).unwrap();
    let records: Vec<_> = manifest.tables.iter().map(|table| table.records).collect();
    assert_eq!((records, manifest.damaged), (vec![2, 1], 1));
    let mut reader = BackupReader::new(File::open(directory.join("data")).unwrap()).unwrap();
    let found: Vec<_> = std::iter::from_fn(|| reader.next().unwrap()).collect();
    assert_eq!(found, rows.map(|row| (row, state(10))));
    assert_eq!(reader.data(), manifest.data);
}

#[test]
fn a_name_is_used_once_and_an_unfinished_backup_is_called_that() {
    let (dir, engine) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
    let mut backups = Backups::new(dir.path(), engine, 0);
    begin(&mut backups, order("a")).unwrap();
    end(&mut backups);
    assert!(begin(&mut backups, order("a")).unwrap_err().contains("there is a backup 'a' already"));
    // As a process leaves it that was killed.
    fs::create_dir(dir.path().join("backups/b")).unwrap();
    assert!(begin(&mut backups, order("b")).unwrap_err().contains("was never finished"));
    assert_eq!(
        BackupManifest::decode(b""),
        Err(BackupError::Manifest("its last line is not the checksum of the others".to_owned()))
    );
    begin(&mut backups, order("c")).unwrap();
    assert_eq!(end(&mut backups).stage, BackupStage::Done);
}

#[test]
fn one_is_written_at_a_time_and_given_up_with_the_node() {
    let (dir, engine) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
    store(&*engine, &row(1, 2), &state(16 << 20)); // minutes, at this pace
    let mut backups = Backups::new(dir.path(), engine, 0);
    let slow = || BackupOrder { bytes_per_s: Some(1), ..order("slow") };
    begin(&mut backups, slow()).unwrap();
    assert_eq!(begin(&mut backups, slow()).unwrap().name, "slow", "asked again it says how far it is");
    assert!(begin(&mut backups, order("other")).unwrap_err().contains("'slow' is under way"));
    backups.stop();
    assert!(!dir.path().join("backups/slow").exists(), "nothing of it is left");
}

#[test]
fn room_is_left_to_the_node() {
    let (dir, engine) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
    // The engine has u64::MAX bytes free.
    let mut backups = Backups::new(dir.path(), engine.clone(), u64::MAX - 1);
    begin(&mut backups, order("a")).unwrap();
    assert_eq!(end(&mut backups).stage, BackupStage::Done);
    let little = Arc::new(Little(engine));
    let mut backups = Backups::new(dir.path(), little, 100);
    begin(&mut backups, order("b")).unwrap();
    let BackupStage::Failed(why) = end(&mut backups).stage else { panic!("there is no room") };
    assert!(why.contains("149 bytes are free: below 150"), "{why}");
    assert!(!dir.path().join("backups/b").exists());
}

/// A file system with little room.
struct Little(Arc<MemoryEngine>);

impl Engine for Little {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, quorate_storage::EngineError> {
        self.0.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        from: std::ops::Bound<&[u8]>,
        to: std::ops::Bound<&[u8]>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, quorate_storage::EngineError> {
        self.0.scan(space, from, to, limit, bytes_max)
    }

    fn records(&self, space: Space) -> Result<quorate_storage::Records, quorate_storage::EngineError> {
        self.0.records(space)
    }

    fn commit(&self, batch: &Batch) -> Result<(), quorate_storage::EngineError> {
        self.0.commit(batch)
    }

    fn stats(&self) -> quorate_storage::EngineStats {
        quorate_storage::EngineStats { free_bytes: 149, ..self.0.stats() }
    }
}

#[test]
fn the_pace_is_kept() {
    let (dir, engine) = (tempfile::tempdir().unwrap(), Arc::new(MemoryEngine::new()));
    (0..4).for_each(|token| store(&*engine, &row(token, 2), &state(300 << 10)));
    let mut backups = Backups::new(dir.path(), engine, 0);
    begin(&mut backups, BackupOrder { bytes_per_s: Some(4 << 20), ..order("a") }).unwrap();
    let status = end(&mut backups);
    assert!(status.took_ms >= 4 * 300 * 1_000 / (4 << 10), "{} ms for 1.2 MiB at 4 MiB/s", status.took_ms);
}

#[test]
fn the_ring_is_a_hundred_percent() {
    assert_eq!([i64::MIN, -1, 0, i64::MAX].map(|token| percent(Token(token))), [0, 49, 50, 99]);
}
