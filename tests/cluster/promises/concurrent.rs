//! Concurrent writes kept.

use std::future::IntoFuture;

use super::*;

async fn keeps_concurrent_writes(column: Column) {
    let (nodes, _client, tables) = start().await;
    let (table, level) = (&tables[1], column.reads_at());
    for n in 0..30 {
        let key = format!("cart {n}");
        column.put(table, &key, "base").await;
        let seen = read(table, &key, level).await.context();
        // Two who have read the same state write at once.
        let (one, two) = tokio::join!(
            column.write(table, &key, "one").context(&seen).into_future(),
            column.write(table, &key, "two").context(&seen).into_future(),
        );
        one.expect("acknowledged");
        two.expect("acknowledged");
        let both = read(table, &key, level).await;
        assert_eq!(texts(&both), ["one", "two"], "{key} in {column:?}");
        let merged = column.write(table, &key, "merged").context(both.context()).await;
        merged.expect("acknowledged");
        assert_eq!(texts(&read(table, &key, level).await), ["merged"], "{key} in {column:?}");
    }
    nodes.stop();
}

#[tokio::test]
async fn concurrent_writes_kept_at_one() {
    keeps_concurrent_writes(ONE).await;
}

#[tokio::test]
async fn concurrent_writes_kept_at_quorum() {
    keeps_concurrent_writes(QUORUM).await;
}

#[tokio::test]
async fn concurrent_writes_kept_at_all() {
    keeps_concurrent_writes(ALL).await;
}

#[tokio::test]
async fn concurrent_writes_kept_at_sloppy() {
    keeps_concurrent_writes(SLOPPY).await;
}

#[tokio::test]
async fn concurrent_writes_kept_at_any() {
    keeps_concurrent_writes(ANY).await;
}
