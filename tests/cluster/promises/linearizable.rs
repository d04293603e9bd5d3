//! Linearizable per key, through crashes, partitions, pauses and clock errors.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use quorate_jepsen::{
    checker::{
        Linearizable,
        linearizable::{Limits, Register, RegisterAction, SiblingAction, Siblings},
    },
    history::Operation,
};
use tokio::task::JoinSet;

use super::{stood_in::StoodIn, *};
use crate::{link::Shapes, relay::Relay};

#[tokio::test]
async fn linearizable_at_one_is_not_promised() {
    let (mut nodes, _client, tables) = start().await;
    ALL.put(&tables[0], "k", "old").await;
    nodes.kill(1);
    nodes.kill(2);
    ONE.put(&tables[0], "k", "new").await;
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

/// Another client reads after the write was acknowledged, and sees what it replaced.
async fn reads_go_back(column: Column) {
    let mut scene = StoodIn::start(column).await;
    let other = scene.nodes.client().await.table("carts").await.expect("the table");
    scene.swap();
    assert_eq!(texts(&read(&other, StoodIn::KEY, Consistency::Quorum).await), ["before"], "{column:?}");
    scene.nodes.stop();
}

#[tokio::test]
async fn linearizable_at_sloppy_is_not_promised() {
    reads_go_back(SLOPPY).await;
}

#[tokio::test]
async fn linearizable_at_any_is_not_promised() {
    reads_go_back(ANY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linearizable_at_quorum() {
    stays_linearizable(QUORUM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linearizable_at_all() {
    stays_linearizable(ALL).await;
}

/// Clients that write and read a few keys while nodes die, are cut off, pause and have wrong clocks; their histories are
/// judged.
async fn stays_linearizable(column: Column) {
    let mut nodes = Nodes::prepare(tempfile::tempdir().expect("a directory"), 3);
    nodes.has_faults = true;
    let relay = begin_behind_relay(&mut nodes).await;
    let tables = create_both(&client(&nodes, 0).await).await;
    let clock = Arc::new(AtomicU64::new(1));
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for process in 1..=8_u64 {
        let client = client(&nodes, process as usize).await;
        let tables =
            [client.table("register").await, client.table("siblings").await].map(|t| t.expect("a table"));
        let (clock, over) = (Arc::clone(&clock), Arc::clone(&over));
        clients.spawn(async move { converse(process, column.level, &tables, &clock, &over).await });
    }
    trouble(&mut nodes, &relay).await;
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
        let (of_register, of_siblings) = (served(registers), served(siblings));
        let is_served = of_register > 50 && of_siblings > 50;
        assert!(is_served, "the clients were served {of_register} and {of_siblings} times only");
        let verdict = Linearizable::new(Limits::default()).check(&Register::new(None), registers);
        assert!(verdict.is_valid(), "register {key} in {column:?}: {verdict:?}");
        let verdict = Linearizable::new(Limits::default()).check(&Siblings::new(), siblings);
        assert!(verdict.is_valid(), "siblings {key} in {column:?}: {verdict:?}");
    }
    drop(tables);
    nodes.stop();
}

/// One thing after the other: what is broken at a time leaves a quorum.
async fn trouble(nodes: &mut Nodes, relay: &Relay) {
    let some_time = |tenths| tokio::time::sleep(PAUSE * tenths);
    for victim in 0..3 {
        some_time(5).await;
        nodes.kill(victim);
        some_time(8).await;
        nodes.restart(victim);
    }
    // Longer than it takes to give a silent peer up.
    for victim in 0..2 {
        some_time(5).await;
        relay.set("partition", cut(3, &[victim]));
        some_time(24).await;
        relay.set("partition", Shapes::new());
    }
    some_time(5).await;
    nodes.signal(2, "STOP");
    some_time(24).await;
    nodes.signal(2, "CONT");
    for (victim, offset_us) in [(0, 300_000), (1, 20_000_000), (2, -20_000_000)] {
        some_time(5).await;
        nodes.set_clock(victim, offset_us);
        some_time(8).await;
        nodes.set_clock(victim, 0);
    }
    some_time(5).await;
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
    level: Consistency,
    tables: &[TableHandle; 2],
    clock: &AtomicU64,
    over: &AtomicBool,
) -> Histories {
    let mut histories = Histories::default();
    let tick = || clock.fetch_add(1, Ordering::SeqCst);
    let mut round = process;
    while !over.load(Ordering::Relaxed) {
        round += 1;
        tokio::time::sleep(BREATH).await;
        let at = (round % KEYS as u64) as usize;
        let key = format!("k{at}");
        let invoked = tick();
        let read = tables[0].get(key.clone()).consistency(level).timeout(PATIENCE).await;
        if let Ok(read) = read {
            let value = read.value().expect("registers have no siblings").map(|value| number(value));
            let action = RegisterAction::Read(Some(value));
            histories.registers[at].push(Operation::applied(process, invoked, tick(), action));
        }
        let (invoked, value) = (tick(), tick());
        let written =
            tables[0].put(key.clone(), value.to_string()).consistency(level).timeout(PATIENCE).await;
        let action = RegisterAction::Write(Some(value));
        let outcome = written.map_or_else(|error| error.outcome(), |_| Outcome::Applied);
        histories.registers[at].push(operation(&mut process, invoked, tick(), outcome, action));

        let invoked = tick();
        let Ok(read) = tables[1].get(key.clone()).consistency(level).timeout(PATIENCE).await else {
            continue;
        };
        let mut values: Vec<_> = read.values().iter().map(|value| number(value)).collect();
        values.sort_unstable();
        let action = SiblingAction::Read(Some(values.clone()));
        histories.siblings[at].push(Operation::applied(process, invoked, tick(), action));
        let (invoked, value) = (tick(), tick());
        let put = tables[1].put(key, value.to_string()).context(read.context()).consistency(level);
        let put = put.timeout(PATIENCE).await;
        let action = SiblingAction::Put { value: Some(value), context: Some(values) };
        let outcome = put.map_or_else(|error| error.outcome(), |_| Outcome::Applied);
        histories.siblings[at].push(operation(&mut process, invoked, tick(), outcome, action));
    }
    histories
}

/// How many took effect.
fn served<A>(operations: &[Operation<A>]) -> usize {
    let is_applied = |one: &&Operation<A>| one.outcome == quorate_jepsen::history::Outcome::Applied;
    operations.iter().filter(is_applied).count()
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
/// Enough happens with it, and the histories are judged in seconds.
const BREATH: Duration = Duration::from_millis(10);
