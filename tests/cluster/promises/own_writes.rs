//! Read after own write, same coordinator alive.

use super::{stood_in::StoodIn, *};

async fn reads_its_own_writes(column: Column) {
    let (mut nodes, _client, tables) = start().await;
    let level = column.reads_at();
    for (round, table) in tables.iter().enumerate() {
        for n in 0..100 {
            let (key, value) = (format!("{round} {n}"), n.to_string());
            column.put(table, &key, &value).await;
            assert_eq!(texts(&read(table, &key, level).await), [value], "{key} in {column:?}");
        }
    }
    // One node less: the coordinators that are left keep their word. At ALL there is none to give before it is back.
    nodes.kill(2);
    if column.level == Consistency::All {
        nodes.restart(2);
    }
    for table in &tables {
        for n in 0..30 {
            let key = format!("less {n}");
            column.put(table, &key, "first").await;
            column.put(table, &key, "then").await;
            let seen = texts(&read(table, &key, level).await);
            assert!(seen.contains(&"then".to_owned()), "{seen:?} in {column:?}");
        }
    }
    nodes.stop();
}

#[tokio::test]
async fn read_after_own_write_at_one() {
    reads_its_own_writes(ONE).await;
}

#[tokio::test]
async fn read_after_own_write_at_quorum() {
    reads_its_own_writes(QUORUM).await;
}

#[tokio::test]
async fn read_after_own_write_at_all() {
    reads_its_own_writes(ALL).await;
}

/// The replicas do not know of the write while its holders are away.
async fn misses_its_own_write(column: Column) {
    let mut scene = StoodIn::start(column).await;
    scene.swap();
    let read = read(&scene.table, StoodIn::KEY, Consistency::Quorum).await;
    assert_eq!(texts(&read), ["before"], "{column:?}");
    scene.nodes.stop();
}

#[tokio::test]
async fn read_after_own_write_at_sloppy_is_not_promised() {
    misses_its_own_write(SLOPPY).await;
}

#[tokio::test]
async fn read_after_own_write_at_any_is_not_promised() {
    misses_its_own_write(ANY).await;
}
