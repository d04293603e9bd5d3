//! Acknowledged write survives the loss of N-Q disks.

use super::{stood_in::StoodIn, *};

#[tokio::test]
async fn acknowledged_write_survives_loss_of_disks_at_one_is_not_promised() {
    let (mut nodes, _client, tables) = start().await;
    nodes.kill(1);
    nodes.kill(2);
    ONE.put(&tables[0], "k", "only copy").await;
    nodes.kill(0);
    nodes.wipe(0);
    for node in 0..3 {
        nodes.restart(node);
    }
    let read = read(&tables[0], "k", Consistency::Quorum).await;
    assert!(read.values().is_empty(), "one copy was all, and its disk is gone");
    nodes.stop();
}

#[tokio::test]
async fn acknowledged_write_survives_loss_of_disks_at_quorum() {
    let (mut nodes, _client, tables) = start().await;
    // The writes are on the two that are up, one of which then loses its disk.
    nodes.kill(1);
    write_forty(&tables, QUORUM).await;
    nodes.kill(0);
    nodes.wipe(0);
    nodes.restart(1);
    assert_forty(&tables).await;
    nodes.stop();
}

#[tokio::test]
async fn acknowledged_write_survives_loss_of_disks_at_all() {
    let (mut nodes, _client, tables) = start().await;
    write_forty(&tables, ALL).await;
    nodes.kill(0);
    nodes.wipe(0);
    assert_forty(&tables).await;
    // Once it has recovered another one may lose its disk.
    nodes.restart(0);
    for table in &tables {
        for n in 0..40 {
            assert_eq!(texts(&read(table, &format!("k{n}"), Consistency::All).await), ["kept"], "k{n}");
        }
    }
    nodes.kill(1);
    nodes.wipe(1);
    assert_forty(&tables).await;
    nodes.stop();
}

async fn write_forty(tables: &[TableHandle], column: Column) {
    for table in tables {
        for n in 0..40 {
            column.put(table, &format!("k{n}"), "kept").await;
        }
    }
}

async fn assert_forty(tables: &[TableHandle]) {
    for table in tables {
        for n in 0..40 {
            let key = format!("k{n}");
            assert_eq!(texts(&read(table, &key, Consistency::Quorum).await), ["kept"], "{key}");
        }
    }
}

async fn survives_after_handoff(column: Column) {
    let mut scene = StoodIn::start(column).await;
    scene.hand_over(&["before", "stood in"]).await;
    let lost = scene.replicas[0];
    scene.nodes.kill(lost);
    scene.nodes.wipe(lost);
    let read = read(&scene.table, StoodIn::KEY, Consistency::Quorum).await;
    assert_eq!(texts(&read), ["before", "stood in"], "{column:?}");
    scene.nodes.stop();
}

#[tokio::test]
async fn acknowledged_write_survives_loss_of_disks_at_sloppy_after_handoff() {
    survives_after_handoff(SLOPPY).await;
}

#[tokio::test]
async fn acknowledged_write_survives_loss_of_disks_at_any_after_handoff() {
    survives_after_handoff(ANY).await;
}
