//! A node whose disk lies about what was acknowledged (rules S4, V3).

use std::{fs, path::Path};

use super::*;

#[tokio::test]
async fn a_node_that_lost_acknowledged_writes_begins_a_new_life_and_says_so() {
    let mut nodes = Nodes::start(3);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    let mut expected = Rows::new();
    for n in 0..100 {
        let (key, value) = (format!("k{n}"), format!("v{n}"));
        put(&table, &key, &value, Consistency::All).await;
        expected.insert(key, value);
    }

    // One bit, in the middle of what was acknowledged.
    nodes.kill(0);
    change_journal(&nodes.data_dir(0), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
    });
    nodes.restart(0);
    assert_began_anew(&nodes, 0, "is damaged at byte");
    nodes.kill(0);
    nodes.restart(0);
    assert_eq!(lives(&nodes, 0), 2, "the new life goes on");
    // It serves once it has recovered everything from the others, and counts toward quorums again (rule R7).
    assert_holds(&table, &expected, Consistency::All).await;
    nodes.kill(2);
    assert_holds(&table, &expected, Consistency::Quorum).await;
    nodes.restart(2);
    assert_holds(&table, &expected, Consistency::All).await;

    // Whole batches cut off, as if they had never been written.
    nodes.kill(1);
    change_journal(&nodes.data_dir(1), |bytes| {
        // The last one may have been written in the moment of the kill, promised to nobody.
        for _ in 0..3 {
            let at = bytes.windows(TRAILER.len()).rposition(|window| window == TRAILER).expect("a batch");
            bytes.truncate(at);
        }
        let at = bytes.windows(TRAILER.len()).rposition(|window| window == TRAILER).expect("a batch");
        bytes.truncate(at + TRAILER.len());
    });
    nodes.restart(1);
    assert_began_anew(&nodes, 1, "were made durable, only");

    // A kill alone takes nothing.
    nodes.kill(2);
    nodes.restart(2);
    assert_eq!(lives(&nodes, 2), 1);
    nodes.stop();
}

fn assert_began_anew(nodes: &Nodes, node: usize, why: &str) {
    let log = nodes.log(node);
    assert!(log.contains("counts as lost") && log.contains(why), "{log}");
    assert_eq!(lives(nodes, node), 2, "{log}");
    assert!(log.contains("db.lost-1"), "{log}");
    assert!(nodes.data_dir(node).join("db.lost-1/0.jnl").is_file(), "the old database is kept");
}

/// How many times a node began with an empty database.
fn lives(nodes: &Nodes, node: usize) -> usize {
    nodes.log(node).matches("fresh data directory").count()
}

fn change_journal(data_dir: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let path = data_dir.join("db/0.jnl");
    let mut bytes = fs::read(&path).expect("a journal");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("batches") + 1;
    bytes.truncate(end);
    change(&mut bytes);
    fs::write(&path, bytes).expect("written");
}

/// What each batch in a journal ends with.
const TRAILER: &[u8] = b"FJL\x03";
