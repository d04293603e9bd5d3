use quorate_ring::{Actor, Hlc, TableId, Tag, Token};
use quorate_storage::{Content, Register, Row, State, read};
use tempfile::TempDir;

use super::*;

const OWNER: Owner<'_> = Owner { cluster: ClusterId(7), cluster_name: "shop", node: NodeId(3), name: "n3" };

fn reopen(directory: &TempDir) -> Opened {
    open(directory.path(), &OWNER, &ProcessSettings::default()).unwrap()
}

fn refused(directory: &TempDir, owner: &Owner<'_>) -> String {
    open(directory.path(), owner, &ProcessSettings::default()).err().expect("refused").to_string()
}

fn row(key: u8) -> Row {
    Row::new(Token(i64::from(key)), TableId(1), vec![key])
}

/// Makes a write durable, as the commit thread does.
fn put(opened: &mut Opened, key: u8) {
    let tag = Tag { hlc: Hlc(u64::from(key) + 1), actor: Actor(1) };
    let state = State::Register(Register { tag, content: Content::Value(vec![key; 100].into()) });
    let results = opened.committer.run(&*opened.engine, &[Write::store(row(key), state)]);
    assert!(results[0].is_ok());
    opened.mark.advance(opened.committer.sequence());
}

fn holds(opened: &Opened, key: u8) -> bool {
    read(&*opened.engine, &row(key)).unwrap().is_some()
}

/// A directory with ten writes, closed; and its incarnation.
fn used() -> (TempDir, Incarnation) {
    let directory = tempfile::tempdir().unwrap();
    let mut opened = reopen(&directory);
    (0..10).for_each(|key| put(&mut opened, key));
    (directory, opened.mark.promise().incarnation)
}

/// Opens what must count as lost: empty, another life, the old database kept.
fn assert_lost(directory: &TempDir, incarnation: Incarnation, aside: u32) {
    let mut opened = reopen(directory);
    assert_ne!(opened.mark.promise().incarnation, incarnation);
    assert_eq!(opened.recovered.starts, 1, "nothing of the old database is in use");
    assert!((0..10).all(|key| !holds(&opened, key)));
    assert!(directory.path().join(format!("db.lost-{aside}")).is_dir());
    put(&mut opened, 1);
    let life = opened.mark.promise().incarnation;
    drop(opened);
    let again = reopen(directory);
    assert!(again.mark.promise().incarnation == life && holds(&again, 1), "a new life is a life");
}

fn journal(directory: &TempDir) -> PathBuf {
    directory.path().join("db/0.jnl")
}

/// How much of the journal is in use.
fn journal_len(directory: &TempDir) -> usize {
    let bytes = fs::read(journal(directory)).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

fn change_journal(directory: &TempDir, change: impl FnOnce(&mut Vec<u8>)) {
    let len = journal_len(directory);
    let mut bytes = fs::read(journal(directory)).unwrap();
    bytes.truncate(len);
    change(&mut bytes);
    fs::write(journal(directory), bytes).unwrap();
}

#[test]
fn a_life_goes_on_over_restarts() {
    let (directory, incarnation) = used();
    let opened = reopen(&directory);
    assert_eq!(opened.mark.promise().incarnation, incarnation);
    assert!((0..10).all(|key| holds(&opened, key)));
    assert_eq!(opened.recovered.starts, 2);
    assert_eq!(opened.committer.sequence(), opened.mark.promise().sequence);
}

#[test]
fn what_is_damaged_or_missing_counts_as_lost() {
    let (directory, incarnation) = used();
    change_journal(&directory, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
    });
    assert_lost(&directory, incarnation, 1);
    let life = reopen(&directory).mark.promise().incarnation;
    change_journal(&directory, |bytes| bytes.truncate(bytes.len() - 3));
    assert_lost(&directory, life, 2);
    let life = reopen(&directory).mark.promise().incarnation;
    fs::remove_file(directory.path().join("db/version")).unwrap();
    assert_lost(&directory, life, 3);
    assert!(directory.path().join("db.lost-1").is_dir(), "what was put aside stays");
}

#[test]
fn a_database_that_is_gone_counts_as_lost() {
    let (directory, incarnation) = used();
    fs::remove_dir_all(directory.path().join("db")).unwrap();
    assert_ne!(reopen(&directory).mark.promise().incarnation, incarnation);
}

/// The batch was not durable, nobody was told of it, and the mark does not promise it.
#[test]
fn a_torn_batch_that_nobody_was_told_of_is_no_loss() {
    let (directory, incarnation) = used();
    let mut opened = reopen(&directory);
    let before = journal_len(&directory);
    let promise = opened.mark.promise();
    put(&mut opened, 10);
    drop(opened);
    Mark::create(directory.path(), promise).unwrap();
    change_journal(&directory, |bytes| bytes.truncate(before + (bytes.len() - before) / 2));
    let opened = reopen(&directory);
    assert_eq!(opened.mark.promise().incarnation, incarnation);
    assert!((0..10).all(|key| holds(&opened, key)) && !holds(&opened, 10));
}

#[test]
fn a_mark_that_is_missing_or_damaged_promises_nothing_that_could_be_kept() {
    let (directory, incarnation) = used();
    fs::remove_file(directory.path().join("mark")).unwrap();
    assert_lost(&directory, incarnation, 1);
    let life = reopen(&directory).mark.promise().incarnation;
    fs::write(directory.path().join("mark"), [1; 1024]).unwrap();
    assert_lost(&directory, life, 2);
}

/// Rule V3: a database that was restored alone, from a backup or another life.
#[test]
fn another_database_in_its_place_counts_as_lost() {
    let (directory, incarnation) = used();
    let (other, _) = used();
    fs::rename(directory.path().join("db"), directory.path().join("mine")).unwrap();
    fs::rename(other.path().join("db"), directory.path().join("db")).unwrap();
    assert_lost(&directory, incarnation, 1);
}

/// Rule S2, and what a damaged table comes to.
#[test]
fn files_that_failed_are_not_trusted_again() {
    let (directory, incarnation) = used();
    let mut opened = reopen(&directory);
    opened.mark.distrust("the sync failed");
    drop(opened);
    assert_lost(&directory, incarnation, 1);
    let life = reopen(&directory).mark.promise().incarnation;
    fs::write(directory.path().join("distrusted"), "an operator's word will do").unwrap();
    assert_lost(&directory, life, 2);
}

#[test]
fn a_start_that_was_cut_short_begins_again() {
    let directory = tempfile::tempdir().unwrap();
    let promise = Promise {
        cluster: OWNER.cluster,
        node: OWNER.node,
        incarnation: Incarnation(1),
        sequence: 0,
        distrusted: false,
    };
    Mark::create(directory.path(), promise).unwrap();
    drop(FjallEngine::open(directory.path().join("db"), &FjallOptions::default()).unwrap());
    let opened = reopen(&directory);
    let incarnation = opened.mark.promise().incarnation;
    drop(opened);
    assert_eq!(reopen(&directory).mark.promise().incarnation, incarnation);
    assert!(!directory.path().join("db.lost-1").exists(), "nothing was lost");
}

/// Refused by name, with nothing changed, even if it is damaged.
#[test]
fn what_is_anothers_is_left_alone() {
    let (directory, incarnation) = used();
    let other = Owner { node: NodeId(4), name: "n4", ..OWNER };
    let why = refused(&directory, &other);
    assert!(why.contains("belongs to node 'n3', not to 'n4'"), "{why}");
    let elsewhere = Owner { cluster: ClusterId(8), cluster_name: "test", ..OWNER };
    let why = refused(&directory, &elsewhere);
    assert!(why.contains("belongs to cluster 'shop'"), "{why}");

    let mark = fs::read(directory.path().join("mark")).unwrap();
    fs::remove_file(directory.path().join("mark")).unwrap();
    let why = refused(&directory, &other);
    assert!(why.contains("belongs to node 'n3', not to 'n4'"), "{why}");
    fs::write(directory.path().join("mark"), mark).unwrap();

    let whole = fs::read(journal(&directory)).unwrap();
    change_journal(&directory, |bytes| bytes[20] ^= 1);
    let why = refused(&directory, &other);
    assert!(why.contains("belongs to node n3 of cluster"), "{why}");
    fs::write(journal(&directory), whole).unwrap();
    assert_eq!(reopen(&directory).mark.promise().incarnation, incarnation);
}

/// However many nodes there are, and whichever of them hold a key, their buffers are full at different times.
#[test]
fn replicas_write_their_buffers_out_at_different_times() {
    let bytes = 16 << 20;
    let buffers: Vec<_> = (0..12).map(|node| staggered(bytes, NodeId(node))).collect();
    assert!(buffers.iter().all(|buffer| (bytes / 4 * 3..=bytes).contains(buffer)), "{buffers:?}");
    for nodes in 3..=12 {
        let mut sorted = buffers[..nodes].to_vec();
        sorted.sort();
        let least = sorted.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        assert!(least > bytes / 4 / nodes as u64 / 3, "{nodes} nodes, {least} bytes apart: {sorted:?}");
    }
    assert_eq!(
        staggered(FjallOptions::WRITE_BUFFER_BYTES_MIN, NodeId(1)),
        FjallOptions::WRITE_BUFFER_BYTES_MIN
    );
}
