//! Three real processes: what the promises of the README are worth when nodes are killed.
//!
//! `QUORATE_TEST_CSV` names a larger data set than the excerpt in `tests/data` (two columns, `key` and `value`, with
//! a header).

#![expect(clippy::disallowed_methods, reason = "this waits for real processes")]

mod admin;
mod backup;
mod databases;
mod drain;
mod failures;
mod full;
mod heals;
#[allow(dead_code, reason = "the harness cuts in more ways")]
#[path = "../../jepsen/src/cluster/link.rs"]
mod link;
mod lost;
mod names;
mod nodes;
mod output;
mod promises;
mod racks;
#[allow(dead_code, reason = "the harness counts, and pins clients to nodes")]
#[path = "../../jepsen/src/cluster/relay.rs"]
mod relay;
mod requests;
mod traces;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use quorate::{
    client::{Client, TableHandle},
    ring::{Consistency, TableKind},
    wire::{Failure, Outcome},
};

use self::nodes::Nodes;

type Rows = BTreeMap<String, String>;

#[tokio::test]
async fn real_data_survives_killed_nodes() {
    let csv = data_set();
    let mut expected = read_csv(&csv);
    let mut nodes = Nodes::start(3);
    let client = nodes.client().await;
    let table = create_table(&client, "packages").await;

    // Import, with one node killed under it.
    let import = nodes.shell(&format!("COPY packages FROM '{}' WITH header = true", csv.display()));
    until_present(&table, expected.keys().nth(expected.len() / 20).expect("rows")).await;
    nodes.kill(1);
    let done = import.wait_with_output().expect("the shell ends");
    assert!(done.status.success(), "COPY: {}", String::from_utf8_lossy(&done.stderr));
    assert_holds(&table, &expected, Consistency::Quorum).await;
    assert_scans(&table, &expected).await;

    // One node down: ALL is refused before anything is sent, QUORUM goes on.
    let refused = unavailable(&table, Consistency::All).await;
    assert_eq!(refused, (3, 2));
    for key in expected.keys().step_by(7).cloned().collect::<Vec<_>>() {
        let value = format!("{key} while n2 was down");
        put(&table, &key, &value, Consistency::Quorum).await;
        expected.insert(key, value);
    }

    // Back again, and brought up to date by reads of all replicas.
    nodes.restart(1);
    assert_scans(&table, &expected).await;
    until_all_agree(&table, &expected).await;

    // Two nodes down: QUORUM is refused at once, ONE serves from the node that was killed first.
    nodes.kill(0);
    nodes.kill(2);
    assert_eq!(unavailable(&table, Consistency::Quorum).await, (2, 1));
    assert_holds(&table, &expected, Consistency::One).await;

    // Nothing acknowledged is missing when they are back.
    nodes.restart(0);
    nodes.restart(2);
    assert_holds(&table, &expected, Consistency::Quorum).await;
    assert_scans(&table, &expected).await;
    nodes.stop();
}

#[tokio::test]
async fn what_quorum_acknowledged_outlives_the_death_of_each_node() {
    let mut nodes = Nodes::start(3);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    let mut expected = Rows::new();
    for victim in 0..3 {
        for n in 0..50 {
            let (key, value) = (format!("k{n}"), format!("before the death of {victim}"));
            put(&table, &key, &value, Consistency::Quorum).await;
            expected.insert(key, value);
        }
        nodes.kill(victim);
        assert_holds(&table, &expected, Consistency::Quorum).await;
        nodes.restart(victim);
        assert_holds(&table, &expected, Consistency::Quorum).await;
    }
    nodes.stop();
}

/// Creates a table; nodes that have just been started may not have met yet, and are refused until they have.
async fn create_table(client: &Client, name: &str) -> TableHandle {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match client.create_table(name).kind(TableKind::Register).await {
            Ok(_) => return client.table(name).await.expect("the table"),
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("no table: {last:?}");
}

/// Writes, and again while the outcome is unknown or a node that is being found out as dead was asked.
async fn put(table: &TableHandle, key: &str, value: &str, level: Consistency) {
    for _ in 0..ATTEMPTS {
        let put = table.put(key.to_owned(), value.to_owned()).consistency(level).idempotent(true);
        if put.await.is_ok() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("no write of {key} at {level} was acknowledged");
}

async fn assert_holds(table: &TableHandle, expected: &Rows, level: Consistency) {
    for (key, value) in expected {
        let read = read(table, key, level).await;
        let held = read.value().expect("registers have no siblings").map(|bytes| bytes.to_vec());
        let held = held.map(|bytes| String::from_utf8(bytes).expect("text"));
        assert_eq!(held.as_ref(), Some(value), "{key} at {level}");
    }
}

/// A scan at QUORUM gives what is expected and nothing else, whatever happens to nodes.
async fn assert_scans(table: &TableHandle, expected: &Rows) {
    let (mut scan, mut found, mut failed) = (table.scan().consistency(Consistency::Quorum), Rows::new(), 0);
    loop {
        match scan.next().await {
            Ok(Some(row)) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                let value = text(row.value().expect("registers have no siblings"));
                assert_eq!(found.insert(text(row.key()), value), None, "twice");
            }
            Ok(None) => break,
            Err(error) => {
                failed += 1;
                assert!(failed < ATTEMPTS, "a page fails again and again: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    assert!(found == *expected, "{} rows of {}", found.len(), expected.len());
}

/// Waits until an import that is under way has come to `key`.
async fn until_present(table: &TableHandle, key: &str) {
    for _ in 0..ATTEMPTS * 100 {
        if read(table, key, Consistency::Quorum).await.value().expect("registers have no siblings").is_some()
        {
            return;
        }
    }
    panic!("the import does not come to {key}");
}

async fn read(table: &TableHandle, key: &str, level: Consistency) -> quorate::client::Read {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match table.get(key.to_owned()).consistency(level).await {
            Ok(read) => return read,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("no read of {key} at {level} was answered: {last:?}");
}

/// Reads at ALL until no replica has to be brought up to date.
async fn until_all_agree(table: &TableHandle, expected: &Rows) {
    for _ in 0..ATTEMPTS {
        let mut repaired = 0;
        for key in expected.keys() {
            repaired += u32::from(read(table, key, Consistency::All).await.receipt().repaired);
        }
        if repaired == 0 {
            return;
        }
    }
    panic!("the replicas still differ");
}

/// What a write is refused with, once the node asked knows who is down: required and alive.
async fn unavailable(table: &TableHandle, level: Consistency) -> (u8, u8) {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let refused = table.put("unavailable", "x").consistency(level).timeout(Duration::from_secs(1)).await;
        let error = refused.expect_err("too few nodes are up");
        if let Some(Failure::Unavailable { required, alive, .. }) = error.failure() {
            assert_eq!(error.outcome(), Outcome::NotApplied);
            return (*required, *alive);
        }
        last = Some(error);
        tokio::time::sleep(PAUSE).await;
    }
    panic!("never refused as unavailable: {last:?}");
}

fn data_set() -> PathBuf {
    let excerpt = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/packages.csv");
    std::env::var_os("QUORATE_TEST_CSV").map_or_else(|| excerpt.into(), PathBuf::from)
}

fn read_csv(path: &std::path::Path) -> Rows {
    let mut reader = csv::Reader::from_path(path).expect("a readable CSV file");
    reader.deserialize().map(|row| row.expect("two columns of text")).collect()
}

/// Far more than it takes to find a dead node out.
const ATTEMPTS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(100);

/// A client connected to all nodes.
impl Nodes {
    async fn client(&self) -> Client {
        let client = Client::builder().contact_points(self.addresses()).tls(self.identity()).build().await;
        client.expect("a client")
    }

    /// A client whose questions about the cluster one node answers.
    async fn client_of(&self, node: usize) -> Client {
        let address = self.addresses().swap_remove(node);
        let client = Client::builder().contact_points([address]).tls(self.identity()).build().await;
        client.expect("a client")
    }
}
