//! Available in a minority partition.

use super::*;

#[tokio::test]
async fn available_in_a_minority_at_one() {
    let (mut nodes, _client, tables) = start().await;
    nodes.kill(0);
    nodes.kill(1);
    for table in &tables {
        for n in 0..20 {
            ONE.put(table, &format!("k{n}"), "alone").await;
            assert_eq!(texts(&read(table, &format!("k{n}"), Consistency::One).await), ["alone"]);
        }
    }
    nodes.stop();
}

async fn is_refused_at_once(column: Column, required: u8) {
    let (mut nodes, _client, tables) = start().await;
    nodes.kill(0);
    nodes.kill(1);
    for table in &tables {
        // Two deaths are noticed one after the other, and the first one is enough for a refusal at ALL.
        let mut refusal = unavailable(table, column.level).await;
        for _ in 0..ATTEMPTS {
            if refusal.1 == 1 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            refusal = unavailable(table, column.level).await;
        }
        assert_eq!(refusal, (required, 1));
        let error = table.get("k").consistency(column.level).await.expect_err("too few nodes are up");
        let Some(Failure::Unavailable { required: wanted, alive: 1, .. }) = error.failure() else {
            panic!("{error}");
        };
        assert_eq!(*wanted, required);
    }
    nodes.stop();
}

#[tokio::test]
async fn available_in_a_minority_at_quorum_is_refused_at_once() {
    is_refused_at_once(QUORUM, 2).await;
}

#[tokio::test]
async fn available_in_a_minority_at_all_is_refused_at_once() {
    is_refused_at_once(ALL, 3).await;
}

/// Two of five nodes are left: keys have two replicas among them, one or none.
async fn is_available(column: Column) {
    let mut nodes = Nodes::start(5);
    let client = nodes.client().await;
    let table = create(&client, "carts", TableKind::Siblings).await;
    (0..3).for_each(|node| nodes.kill(node));
    for n in 0..20 {
        column.put(&table, &format!("k{n}"), "taken").await;
    }
    nodes.stop();
}

#[tokio::test]
async fn available_in_a_minority_at_sloppy() {
    is_available(SLOPPY).await;
}

#[tokio::test]
async fn available_in_a_minority_at_any() {
    is_available(ANY).await;
}
