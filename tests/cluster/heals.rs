//! Replicas that missed writes become whole although nobody reads and no hint is left (rules H1, A2).

use std::path::Path;

use quorate::ring::NodeId;

use super::{
    databases::{forget_hints, records},
    *,
};

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
    until_hints_are_kept(&client, KEYS).await;
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

/// Waits until so many hints are on the disks of those that run. Nobody who writes waits for that (rule H1), so that a
/// node which is killed right after a write may have lost its hint.
async fn until_hints_are_kept(client: &Client, hints: usize) {
    let mut kept = 0;
    for _ in 0..ATTEMPTS {
        let running = client.healing().await.into_values().filter_map(Result::ok);
        kept = running.flat_map(|node| node.hints).map(|target| target.hints).sum();
        if kept >= u64::try_from(hints).expect("few") {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{kept} hints are kept, not {hints}");
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
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let heard = async {
        // The hint is left once the node is known to be down.
        for _ in 0..ATTEMPTS {
            let said: String = heard.recv().await.expect("it is told again");
            assert!(said.contains("n3 cannot say"), "{said}");
            if said.contains("1 hint is kept") {
                return;
            }
        }
        panic!("no hint is left");
    };
    tokio::select! {
        () = heard => {}
        () = client.wait_for_hints(|waiting| told.send(waiting.to_string()).expect("heard")) => panic!("n3 is down"),
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    for (question, shows) in [("hints", "n3"), ("key t k", "no_answer")] {
        let output = nodes.admin_output(question, 0);
        let shown = text(output.stdout);
        assert!(output.status.code() == Some(2) && shown.contains(shows), "{question}: {shown}");
        assert!(text(output.stderr).contains("not every node has answered: n3"), "{question}");
    }
    let shell =
        nodes.shell("WAIT FOR CONVERGENCE USING TIMEOUT '200ms'").wait_with_output().expect("it ends");
    let complaint = String::from_utf8_lossy(&shell.stderr).into_owned();
    assert!(shell.status.code() == Some(2) && complaint.contains("not within 200ms"), "{complaint}");

    nodes.restart(2);
    let shell = nodes.shell("WAIT FOR HINTS; WAIT FOR CONVERGENCE").wait_with_output().expect("it ends");
    assert!(shell.status.success(), "{}", String::from_utf8_lossy(&shell.stderr));
    let shown = nodes.admin("key t k", 1);
    assert_eq!(shown.matches("new").count(), 3, "{shown}");
    assert!(!nodes.admin("hints", 0).contains("n3"));
    let shown = nodes.admin("repair --now --table t --range n3,n1,n2", 2);
    assert_eq!(shown.matches("n1,n2,n3").count(), 3, "{shown}");
    nodes.admin("scrub --now --timeout 60s", 0);
    for (node, said) in client.healing().await {
        let scrub = said.expect("an answer").scrub;
        assert!(scrub.rounds >= 1 && scrub.records >= 1 && scrub.damaged == 0, "{node}: {scrub:?}");
    }
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

    // The engine's own checksum refuses whole blocks, so that no single record can be fetched again: the node stops, and begins
    // anew. A record that fails its own checksum is the simulator's (`damaged_record`).
    until_present(&table, "k0").await;
    for _ in 0..ATTEMPTS {
        // Whom it reaches tells nothing: only the scrub is asked.
        client.scrub_now().await;
        if nodes.has_ended(2) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
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

const KEYS: usize = 300;
/// Enough to be written out as tables of 1 MiB, a few times.
const ROTTEN_KEYS: usize = 6_000;
