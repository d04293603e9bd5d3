//! Replicas that missed writes become whole although nobody reads and no hint is left (rules H1, A2).

use std::path::Path;

use quorate::{
    ring::NodeId,
    storage::{Committer, Engine, FjallEngine, FjallOptions, Space, Write, read_hints, recover},
};

use super::*;

#[tokio::test]
async fn anti_entropy_alone_brings_back_what_no_hint_is_left_for() {
    let mut nodes = Nodes::start(3);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    put(&table, "before", "everybody has it", Consistency::All).await;
    nodes.kill(2);
    let mut expected = Rows::new();
    for n in 0..KEYS {
        let (key, value) = (format!("k{n}"), format!("written while n3 was down: {n}"));
        put(&table, &key, &value, Consistency::Quorum).await;
        expected.insert(key, value);
    }
    let mut forgotten = 0;
    for node in 0..2 {
        nodes.kill(node);
        forgotten += forget_hints(&nodes.data_dir(node).join("db"), NodeId(3));
        nodes.restart(node);
    }
    assert!(forgotten >= KEYS, "{forgotten} hints had been kept for {KEYS} writes");
    nodes.restart(2);

    // Only what is on the third node's own disk counts, and nobody reads meanwhile.
    until_converged(&client).await;
    nodes.kill(2);
    assert_eq!(records(&nodes.data_dir(2).join("db")), KEYS + 1);
    nodes.restart(2);
    // A node that has just started serves once another one has told it the newest map.
    read(&table, "before", Consistency::All).await;
    nodes.kill(0);
    nodes.kill(1);
    assert_holds(&table, &expected, Consistency::One).await;
    nodes.restart(0);
    nodes.restart(1);
    nodes.stop();
}

/// Who waits is told what is missing, for as long as it is missing; and what an operator is shown agrees with it.
#[tokio::test]
async fn waiting_ends_once_replicas_are_whole() {
    let mut nodes = Nodes::start(3);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    put(&table, "k", "old", Consistency::All).await;
    until_converged(&client).await;
    nodes.kill(2);
    put(&table, "k", "new", Consistency::Quorum).await;
    let mut said = String::new();
    let hints = client.wait_for_hints(|waiting| said = waiting.to_string());
    assert!(tokio::time::timeout(Duration::from_secs(5), hints).await.is_err(), "a node is down");
    assert!(said.contains("1 hints are kept") && said.contains("no answer from n3"), "{said}");
    assert!(nodes.admin("hints", 0).contains("n3"), "{}", nodes.admin("hints", 0));
    let shown = nodes.admin("key t k", 0);
    assert_eq!((shown.matches("new").count(), shown.matches("no answer").count()), (2, 1), "{shown}");
    let shell =
        nodes.shell("WAIT FOR CONVERGENCE USING TIMEOUT '200ms'").wait_with_output().expect("it ends");
    let complaint = String::from_utf8_lossy(&shell.stderr).into_owned();
    assert!(shell.status.code() == Some(2) && complaint.contains("not within 200ms"), "{complaint}");

    nodes.restart(2);
    let shell = nodes.shell("WAIT FOR HINTS; WAIT FOR CONVERGENCE").wait_with_output().expect("it ends");
    assert!(shell.status.success(), "{}", String::from_utf8_lossy(&shell.stderr));
    let shown = nodes.admin("key t k", 1);
    assert_eq!((shown.matches("new").count(), shown.matches("no answer").count()), (3, 0), "{shown}");
    assert!(!nodes.admin("hints", 0).contains("n3"));
    let shown = nodes.admin("repair --now --table t --range n3,n1,n2", 2);
    assert_eq!(shown.matches("n1,n2,n3").count(), 6, "two nodes have a say on each pair: {shown}");
    let shown = nodes.admin("scrub --now", 0);
    assert_eq!(shown.matches(" t").count(), 0, "{shown}");
    nodes.stop();
}

/// Table files of one node rot: it finds out, keeps no quorum from anybody, gives its disk up, and gets everything back from
/// the others (rules S3, S4, R7).
#[tokio::test]
async fn rotten_table_files_are_found_and_their_node_is_made_whole_by_the_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut nodes = Nodes::start_in(directory, 3, "write_buffer_bytes = \"1MiB\"\n");
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    let mut expected = Rows::new();
    let value = |n: usize| format!("{n}:").repeat(200);
    for first in (0..ROTTEN_KEYS).step_by(64) {
        let writes = (first..ROTTEN_KEYS.min(first + 64)).map(|n| {
            let (table, value) = (table.clone(), value(n));
            async move { put(&table, &format!("k{n}"), &value, Consistency::All).await }
        });
        let mut under_way = tokio::task::JoinSet::new();
        writes.for_each(|write| drop(under_way.spawn(write)));
        while let Some(written) = under_way.join_next().await {
            written.expect("written");
        }
    }
    (0..ROTTEN_KEYS).step_by(97).for_each(|n| drop(expected.insert(format!("k{n}"), value(n))));
    nodes.kill(2);
    let files = table_files(&nodes.data_dir(2).join("db/keyspaces"));
    assert!(!files.is_empty(), "nothing was written out as a table");
    for file in &files {
        let mut bytes = std::fs::read(file).expect("a table");
        // Blocks of records come first; what says where they are is at the end.
        let end = bytes.len() / 2;
        bytes[64..end].iter_mut().step_by(512).for_each(|byte| *byte ^= 0x40);
        std::fs::write(file, bytes).expect("written");
    }
    nodes.restart(2);

    // The scrub comes upon it before anybody reads it.
    client.scrub_now().await;
    for _ in 0..ATTEMPTS {
        assert_holds(&table, &expected, Consistency::Quorum).await;
        if nodes.has_ended(2) {
            break;
        }
    }
    assert!(nodes.has_ended(2), "the node goes on: {}", nodes.log(2));
    assert_holds(&table, &expected, Consistency::Quorum).await;
    nodes.kill(2);
    nodes.restart(2);
    assert!(nodes.log(2).contains("counts as lost"), "{}", nodes.log(2));
    assert_holds(&table, &expected, Consistency::Quorum).await;
    until_converged(&client).await;
    nodes.kill(2);
    assert_eq!(records(&nodes.data_dir(2).join("db")), ROTTEN_KEYS);
    nodes.restart(2);
    nodes.stop();
}

async fn until_converged(client: &Client) {
    let mut said = String::new();
    let waiting = client.wait_for_convergence(|waiting| said = waiting.to_string());
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "after a minute: {said}");
}

/// Every file of records below a directory.
fn table_files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files.extend(table_files(&path)),
            // The small ones are the engine's own.
            false if path.metadata().is_ok_and(|file| file.len() > 100_000) => files.push(path),
            false => {}
        }
    }
    files
}

/// Removes what is kept for `target`, as if it had been lost. Says how much that was.
fn forget_hints(db: &Path, target: NodeId) -> usize {
    let engine = open(db);
    let mut committer = Committer::new(&recover(&engine).expect("a sound directory"));
    let page = read_hints(&engine, target, None, usize::MAX).expect("readable hints");
    let forget = |row| Write::Unhint { target, row, given: None };
    let writes: Vec<_> = page.hints.into_iter().map(|(row, _)| forget(row)).collect();
    assert!(committer.run(&engine, &writes).iter().all(Result::is_ok));
    writes.len()
}

fn records(db: &Path) -> usize {
    let all = std::ops::Bound::Unbounded;
    open(db).scan(Space::Data, all, all, usize::MAX, usize::MAX).expect("readable records").len()
}

fn open(db: &Path) -> FjallEngine {
    FjallEngine::open(db, &FjallOptions::default()).expect("the database of a node that is down")
}

const KEYS: usize = 300;
/// Enough to be written out as tables of 1 MiB, a few times.
const ROTTEN_KEYS: usize = 6_000;
