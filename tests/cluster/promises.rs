//! The promise table of the README: one test for each cell, named after its row and column.
//!
//! Real processes, killed and restarted; a disk is lost by deleting its directory. Cells that promise nothing are
//! shown by the history that a stronger promise would forbid.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use quorate::client::Read;
use quorate_jepsen::{
    checker::{
        Linearizable,
        linearizable::{Limits, Register, RegisterAction, SiblingAction, Siblings},
    },
    history::Operation,
};
use tokio::task::JoinSet;

use super::*;

const KINDS: [TableKind; 2] = [TableKind::Register, TableKind::Siblings];

/// Three nodes, a client and a table of each kind.
async fn start() -> (Nodes, Client, Vec<TableHandle>) {
    let nodes = Nodes::start(3);
    let client = nodes.client().await;
    let mut tables = Vec::new();
    for kind in KINDS {
        let table = create(&client, &kind.to_string(), kind).await;
        // A majority decides on a table. Tests take nodes away at once, so all must have heard of it.
        put(&table, "known to all", "", Consistency::All).await;
        tables.push(table);
    }
    (nodes, client, tables)
}

async fn create(client: &Client, name: &str, kind: TableKind) -> TableHandle {
    for _ in 0..ATTEMPTS {
        if client.create_table(name).kind(kind).replication(3).await.is_ok() {
            return client.table(name).await.expect("the table");
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("no table {name}");
}

fn texts(read: &Read) -> Vec<String> {
    let mut texts: Vec<_> =
        read.values().iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    texts.sort_unstable();
    texts
}

// ---- read after own write, same coordinator alive

async fn reads_its_own_writes(level: Consistency) {
    let (mut nodes, _client, tables) = start().await;
    for (round, table) in tables.iter().enumerate() {
        for n in 0..100 {
            let (key, value) = (format!("{round} {n}"), n.to_string());
            put(table, &key, &value, level).await;
            assert_eq!(texts(&read(table, &key, level).await), [value], "{key} at {level}");
        }
    }
    // One node less: the coordinators that are left keep their word.
    nodes.kill(2);
    for table in &tables {
        for n in 0..30 {
            put(table, &format!("less {n}"), "first", level).await;
            put(table, &format!("less {n}"), "then", level).await;
            let seen = texts(&read(table, &format!("less {n}"), level).await);
            assert!(seen.contains(&"then".to_owned()), "{seen:?} at {level}");
        }
    }
    nodes.stop();
}

#[tokio::test]
async fn read_after_own_write_at_one() {
    reads_its_own_writes(Consistency::One).await;
}

#[tokio::test]
async fn read_after_own_write_at_quorum() {
    reads_its_own_writes(Consistency::Quorum).await;
}

// ---- acknowledged write survives loss of N-Q disks

#[tokio::test]
async fn acknowledged_write_survives_loss_of_disks_at_one_is_not_promised() {
    let (mut nodes, _client, tables) = start().await;
    nodes.kill(1);
    nodes.kill(2);
    put(&tables[0], "k", "only copy", Consistency::One).await;
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
    for table in &tables {
        for n in 0..40 {
            put(table, &format!("k{n}"), "kept", Consistency::Quorum).await;
        }
    }
    nodes.kill(0);
    nodes.wipe(0);
    nodes.restart(1);
    for table in &tables {
        for n in 0..40 {
            let key = format!("k{n}");
            assert_eq!(texts(&read(table, &key, Consistency::Quorum).await), ["kept"], "{key}");
        }
    }
    nodes.stop();
}

// ---- linearizable per key

#[tokio::test]
async fn linearizable_at_one_is_not_promised() {
    let (mut nodes, _client, tables) = start().await;
    put(&tables[0], "k", "old", Consistency::All).await;
    nodes.kill(1);
    nodes.kill(2);
    put(&tables[0], "k", "new", Consistency::One).await;
    nodes.kill(0);
    // One of them alone would serve nothing: it may have slept through a change of the map (rule M1).
    nodes.restart(1);
    nodes.restart(2);
    assert_eq!(
        texts(&read(&tables[0], "k", Consistency::One).await),
        ["old"],
        "they have not heard of the new"
    );
    nodes.stop();
}

/// Clients that write and read a few keys while one node after the other dies; their histories are judged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linearizable_at_quorum() {
    let (mut nodes, _client, tables) = start().await;
    let clock = Arc::new(AtomicU64::new(1));
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for process in 0..8_u64 {
        let client = nodes.client().await;
        let tables =
            [client.table("register").await, client.table("siblings").await].map(|t| t.expect("a table"));
        let (clock, over) = (Arc::clone(&clock), Arc::clone(&over));
        clients.spawn(async move { converse(process, &tables, &clock, &over).await });
    }
    for victim in 0..3 {
        tokio::time::sleep(PAUSE * 5).await;
        nodes.kill(victim);
        tokio::time::sleep(PAUSE * 10).await;
        nodes.restart(victim);
    }
    tokio::time::sleep(PAUSE * 10).await;
    over.store(true, Ordering::Relaxed);
    let mut histories = Histories::default();
    while let Some(conversation) = clients.join_next().await {
        let Histories { registers, siblings } = conversation.expect("a client's task ends well");
        for key in 0..KEYS {
            histories.registers[key].extend(registers[key].clone());
            histories.siblings[key].extend(siblings[key].clone());
        }
    }
    for key in 0..KEYS {
        let (registers, siblings) = (&histories.registers[key], &histories.siblings[key]);
        assert!(registers.len() > 50 && siblings.len() > 50, "the clients were served");
        let verdict = Linearizable::new(Limits::default()).check(&Register::new(None), registers);
        assert!(verdict.is_valid(), "register {key}: {verdict:?}");
        let verdict = Linearizable::new(Limits::default()).check(&Siblings::new(), siblings);
        assert!(verdict.is_valid(), "siblings {key}: {verdict:?}");
    }
    drop(tables);
    nodes.stop();
}

const KEYS: usize = 4;

#[derive(Default)]
struct Histories {
    registers: [Vec<Operation<RegisterAction<Option<u64>>>>; KEYS],
    siblings: [Vec<Operation<SiblingAction<u64>>>; KEYS],
}

/// One client: reads and writes in turn, each value written once. A process whose write has an unknown outcome
/// goes on under another number, since the write may still take effect.
async fn converse(
    mut process: u64,
    tables: &[TableHandle; 2],
    clock: &AtomicU64,
    over: &AtomicBool,
) -> Histories {
    let mut histories = Histories::default();
    let tick = || clock.fetch_add(1, Ordering::SeqCst);
    let mut round = process;
    while !over.load(Ordering::Relaxed) {
        round += 1;
        let at = (round % KEYS as u64) as usize;
        let key = format!("k{at}");
        let invoked = tick();
        let read = tables[0].get(key.clone()).timeout(PATIENCE).await;
        if let Ok(read) = read {
            let value = read.value().expect("registers have no siblings").map(|value| number(value));
            let action = RegisterAction::Read(Some(value));
            histories.registers[at].push(Operation::applied(process, invoked, tick(), action));
        }
        let (invoked, value) = (tick(), tick());
        let written = tables[0].put(key.clone(), value.to_string()).timeout(PATIENCE).await;
        let action = RegisterAction::Write(Some(value));
        let outcome = written.map_or_else(|error| error.outcome(), |_| Outcome::Applied);
        histories.registers[at].push(operation(&mut process, invoked, tick(), outcome, action));

        let invoked = tick();
        let Ok(read) = tables[1].get(key.clone()).timeout(PATIENCE).await else {
            continue;
        };
        let mut values: Vec<_> = read.values().iter().map(|value| number(value)).collect();
        values.sort_unstable();
        let action = SiblingAction::Read(Some(values.clone()));
        histories.siblings[at].push(Operation::applied(process, invoked, tick(), action));
        let (invoked, value) = (tick(), tick());
        let put = tables[1].put(key, value.to_string()).context(read.context()).timeout(PATIENCE).await;
        let action = SiblingAction::Put { value: Some(value), context: Some(values) };
        let outcome = put.map_or_else(|error| error.outcome(), |_| Outcome::Applied);
        histories.siblings[at].push(operation(&mut process, invoked, tick(), outcome, action));
    }
    histories
}

fn operation<A>(
    process: &mut u64,
    invoked: u64,
    completed: u64,
    outcome: Outcome,
    action: A,
) -> Operation<A> {
    match outcome {
        Outcome::Applied => Operation::applied(*process, invoked, completed, action),
        Outcome::NotApplied => Operation::not_applied(*process, invoked, completed, action),
        Outcome::Unknown => {
            let unknown = Operation::unknown(*process, invoked, action);
            *process += 1_000;
            unknown
        }
    }
}

fn number(value: &[u8]) -> u64 {
    std::str::from_utf8(value).expect("text").parse().expect("a number")
}

const PATIENCE: Duration = Duration::from_secs(2);

// ---- concurrent writes kept

async fn keeps_concurrent_writes(level: Consistency) {
    let (nodes, _client, tables) = start().await;
    let table = &tables[1];
    for n in 0..30 {
        let key = format!("cart {n}");
        put(table, &key, "base", level).await;
        let seen = read(table, &key, level).await.context();
        // Two who have read the same state write at once.
        let (one, two) = tokio::join!(
            table.put(key.clone(), "one").context(&seen).consistency(level).into_future(),
            table.put(key.clone(), "two").context(&seen).consistency(level).into_future(),
        );
        one.expect("acknowledged");
        two.expect("acknowledged");
        let both = read(table, &key, level).await;
        assert_eq!(texts(&both), ["one", "two"], "{key} at {level}");
        let merged = table.put(key.clone(), "merged").context(both.context()).consistency(level).await;
        merged.expect("acknowledged");
        assert_eq!(texts(&read(table, &key, level).await), ["merged"], "{key} at {level}");
    }
    nodes.stop();
}

#[tokio::test]
async fn concurrent_writes_kept_at_one() {
    keeps_concurrent_writes(Consistency::One).await;
}

#[tokio::test]
async fn concurrent_writes_kept_at_quorum() {
    keeps_concurrent_writes(Consistency::Quorum).await;
}

// ---- available in a minority partition

#[tokio::test]
async fn available_in_a_minority_at_one() {
    let (mut nodes, _client, tables) = start().await;
    nodes.kill(0);
    nodes.kill(1);
    for table in &tables {
        for n in 0..20 {
            put(table, &format!("k{n}"), "alone", Consistency::One).await;
            assert_eq!(texts(&read(table, &format!("k{n}"), Consistency::One).await), ["alone"]);
        }
    }
    nodes.stop();
}

#[tokio::test]
async fn available_in_a_minority_at_quorum_is_refused_at_once() {
    let (mut nodes, _client, tables) = start().await;
    nodes.kill(0);
    nodes.kill(1);
    for table in &tables {
        assert_eq!(unavailable(table, Consistency::Quorum).await, (2, 1));
        let error = table.get("k").await.expect_err("too few nodes are up");
        assert!(
            matches!(error.failure(), Some(Failure::Unavailable { required: 2, alive: 1, .. })),
            "{error}"
        );
    }
    nodes.stop();
}

// ---- sloppy, ANY

/// Five nodes; all three replicas of a key die, and a fallback takes a write for them.
#[tokio::test]
async fn sloppy_is_available_loses_nothing_and_promises_no_order() {
    let mut nodes = Nodes::start(5);
    let client = nodes.client().await;
    let table = create(&client, "carts", TableKind::Siblings).await;
    put(&table, "k", "before", Consistency::All).await;
    let seen = read(&table, "k", Consistency::Quorum).await;
    let replicas: Vec<_> = seen.receipt().replicas.iter().map(|id| id.0 as usize - 1).collect();
    assert_eq!(replicas.len(), 3);
    replicas.iter().for_each(|replica| nodes.kill(*replica));

    // available in a minority partition: yes.
    let mut written = None;
    for _ in 0..ATTEMPTS {
        written = table.put("k", "stood in").consistency(Consistency::Any).await.ok();
        if written.is_some() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let written = written.expect("a fallback takes the write");
    let holders: Vec<_> = (0..5).filter(|node| !replicas.contains(node)).collect();
    assert!(written.receipt().answered.iter().all(|id| holders.contains(&(id.0 as usize - 1))));

    // read after own write, linearizable: no promise. The replicas do not know of it while its holders are
    // away.
    holders.iter().for_each(|holder| nodes.kill(*holder));
    replicas.iter().for_each(|replica| nodes.restart(*replica));
    assert_eq!(texts(&read(&table, "k", Consistency::Quorum).await), ["before"]);

    // acknowledged write survives: after handoff. Concurrent writes kept: both are there.
    holders.iter().for_each(|holder| nodes.restart(*holder));
    let mut last = Vec::new();
    for _ in 0..ATTEMPTS {
        last = texts(&read(&table, "k", Consistency::Quorum).await);
        if last == ["before", "stood in"] {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    assert_eq!(last, ["before", "stood in"], "handoff brings the write to its replicas");
    nodes.stop();
}
