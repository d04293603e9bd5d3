//! Concurrent writes kept.

use std::future::IntoFuture;

use super::{
    stood_in::{StoodIn, assert_held_by},
    *,
};

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

/// The replicas are down, and each of two fallbacks makes a write under the same context.
async fn fallbacks_keep_concurrent_writes(column: Column) {
    let (mut scene, relay) = StoodIn::start_behind_relay(column).await;
    let mut tables = Vec::new();
    for (number, holder) in (1..).zip(&scene.holders) {
        let client = client_behind(&scene.nodes, &relay, number, *holder).await;
        tables.push(client.table("carts").await.expect("the table"));
    }
    let write = |nth: usize, value| {
        column.write(&tables[nth], StoodIn::KEY, value).context(&scene.context).into_future()
    };
    let (one, two) = tokio::join!(write(0, "one"), write(1, "two"));
    for (written, holder) in [one, two].into_iter().zip(&scene.holders) {
        let written = written.expect("acknowledged");
        assert_held_by(&written, &scene.holders);
        assert_eq!(written.receipt().coordinator, id(*holder), "{column:?}");
    }
    // Neither has seen the other, nor "stood in"; both have seen "before".
    scene.hand_over(&["one", "stood in", "two"]).await;
    let all = read(&scene.table, StoodIn::KEY, Consistency::Quorum).await;
    let merged = QUORUM.write(&scene.table, StoodIn::KEY, "merged").context(all.context()).await;
    merged.expect("acknowledged");
    assert_eq!(texts(&read(&scene.table, StoodIn::KEY, Consistency::Quorum).await), ["merged"], "{column:?}");
    scene.nodes.stop();
}

#[tokio::test]
async fn concurrent_writes_kept_at_sloppy_by_fallbacks() {
    fallbacks_keep_concurrent_writes(SLOPPY).await;
}

#[tokio::test]
async fn concurrent_writes_kept_at_any_by_fallbacks() {
    fallbacks_keep_concurrent_writes(ANY).await;
}
