//! Available in a minority partition.

use std::time::Instant;

use super::{split::Split, *};

#[tokio::test]
async fn available_in_a_minority_at_one() {
    let (mut nodes, _client, tables) = start().await;
    nodes.kill(0);
    nodes.kill(1);
    until_alone(&tables[0]).await;
    for table in &tables {
        for n in 0..20 {
            ONE.put(table, &format!("k{n}"), "alone").await;
            assert_eq!(texts(&read(table, &format!("k{n}"), Consistency::One).await), ["alone"]);
        }
    }
    nodes.stop();
}

#[tokio::test]
async fn available_in_a_minority_at_one_when_it_is_cut_off() {
    let split = Split::start(3, 1, &KINDS).await;
    until_alone(&split.minority[0]).await;
    for (minority, majority) in split.minority.iter().zip(&split.majority) {
        for n in 0..20 {
            let key = format!("k{n}");
            for (table, side) in [(minority, "of few"), (majority, "of many")] {
                ONE.put(table, &key, side).await;
                assert_eq!(texts(&read(table, &key, Consistency::One).await), [side], "{key}");
            }
        }
    }
    split.heal();
    for n in 0..20 {
        let both = read(&split.minority[1], &format!("k{n}"), Consistency::All).await;
        assert_eq!(texts(&both), ["of few", "of many"], "k{n}");
    }
    split.nodes.stop();
}

/// Waits until the one of three nodes that answers knows that it is alone.
async fn until_alone(table: &TableHandle) {
    for _ in 0..ATTEMPTS {
        if unavailable(table, Consistency::All).await == (3, 1) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("it does not find out");
}

async fn is_refused_at_once(column: Column, required: u8) {
    let (mut nodes, _client, tables) = start().await;
    nodes.kill(0);
    nodes.kill(1);
    assert_refused(&tables, column, required).await;
    nodes.stop();
}

async fn is_refused_when_cut_off(column: Column, required: u8) {
    let split = Split::start(3, 1, &KINDS).await;
    assert_refused(&split.minority, column, required).await;
    for (minority, majority) in split.minority.iter().zip(&split.majority) {
        QUORUM.put(majority, "k", "of many").await;
        // What was written meanwhile is not to be seen from here.
        let error = minority.get("k").consistency(column.level).await.expect_err("nobody else is heard");
        assert!(matches!(error.failure(), Some(Failure::Unavailable { alive: 1, .. })), "{error}");
    }
    split.heal();
    for table in &split.minority {
        assert_eq!(texts(&read(table, "k", column.level).await), ["of many"], "{column:?}");
    }
    split.nodes.stop();
}

/// One of three nodes answers, and says so.
async fn assert_refused(tables: &[TableHandle], column: Column, required: u8) {
    for table in tables {
        // Two deaths are noticed one after the other, and the first one is enough for a refusal at ALL.
        until_alone(table).await;
        assert_eq!(unavailable(table, column.level).await, (required, 1));
        let error = table.get("k").consistency(column.level).await.expect_err("too few nodes are up");
        let Some(Failure::Unavailable { required: wanted, alive: 1, .. }) = error.failure() else {
            panic!("{error}");
        };
        assert_eq!(*wanted, required);
        let mut fastest = Duration::MAX;
        for _ in 0..5 {
            let began = Instant::now();
            let again = table.put("k", "x").consistency(column.level).await;
            again.expect_err("too few nodes are up");
            fastest = fastest.min(began.elapsed());
        }
        assert!(fastest < AT_ONCE, "a refusal takes {fastest:?} at best");
    }
}

#[tokio::test]
async fn available_in_a_minority_at_quorum_is_refused_at_once() {
    is_refused_at_once(QUORUM, 2).await;
}

#[tokio::test]
async fn available_in_a_minority_at_all_is_refused_at_once() {
    is_refused_at_once(ALL, 3).await;
}

#[tokio::test]
async fn available_in_a_minority_at_quorum_is_refused_at_once_when_it_is_cut_off() {
    is_refused_when_cut_off(QUORUM, 2).await;
}

#[tokio::test]
async fn available_in_a_minority_at_all_is_refused_at_once_when_it_is_cut_off() {
    is_refused_when_cut_off(ALL, 3).await;
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

/// Two of five nodes are cut off. What they take is with its replicas once they are back.
async fn is_available_when_cut_off(column: Column) {
    let split = Split::start(5, 2, &[TableKind::Siblings]).await;
    let few = [0, 1].map(id);
    let mut without_replica = 0;
    for n in 0..20 {
        let key = format!("k{n}");
        let mut written = column.write(&split.minority[0], &key, "taken").idempotent(true).await;
        for _ in 0..ATTEMPTS {
            if written.is_ok() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            written = column.write(&split.minority[0], &key, "taken").idempotent(true).await;
        }
        let written = written.expect("acknowledged");
        let receipt = written.receipt();
        assert!(receipt.answered.iter().all(|node| few.contains(node)), "{receipt:?}");
        without_replica += u32::from(receipt.replicas[..3].iter().all(|node| !few.contains(node)));
    }
    assert!(without_replica > 0, "every key has a replica among the few");
    split.heal();
    for n in 0..20 {
        let key = format!("k{n}");
        let mut last = Vec::new();
        for _ in 0..ATTEMPTS {
            last = texts(&read(&split.majority[0], &key, Consistency::Quorum).await);
            if last.contains(&"taken".to_owned()) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        assert!(last.contains(&"taken".to_owned()), "{key} after handoff: {last:?}");
    }
    split.nodes.stop();
}

#[tokio::test]
async fn available_in_a_minority_at_sloppy_when_it_is_cut_off() {
    is_available_when_cut_off(SLOPPY).await;
}

#[tokio::test]
async fn available_in_a_minority_at_any_when_it_is_cut_off() {
    is_available_when_cut_off(ANY).await;
}

/// Far less than it takes to find out whom nobody hears.
const AT_ONCE: Duration = Duration::from_millis(500);
