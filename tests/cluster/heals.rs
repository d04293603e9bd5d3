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
    for _ in 0..ATTEMPTS {
        tokio::time::sleep(Duration::from_secs(2)).await;
        nodes.kill(2);
        let held = records(&nodes.data_dir(2).join("db"));
        nodes.restart(2);
        if held == KEYS + 1 {
            // A node that has just started serves once another one has told it the newest map.
            read(&table, "before", Consistency::All).await;
            nodes.kill(0);
            nodes.kill(1);
            assert_holds(&table, &expected, Consistency::One).await;
            nodes.restart(0);
            nodes.restart(1);
            return nodes.stop();
        }
    }
    panic!("the third node does not become whole");
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
