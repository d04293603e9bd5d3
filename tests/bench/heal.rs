//! `cargo bench --bench heal [-- SCENARIO...] [--keys N] [--seconds N] [--svg FILE]`: how replicas that differ become equal, and
//! what that costs. Three real node processes on this machine, a `register` table with N = 3, 100-byte values, a million
//! keys unless `--keys` says otherwise. Bytes are those that the nodes count themselves, before encryption. Scenarios:
//!
//! - `compare`: what comparing equal replicas moves, and what 100 keys that differ take;
//! - `wiped`: how fast a replica whose directory is lost gets it back;
//! - `handoff`: a node is down for `--seconds 60` under `--writes 5000` writes and `--reads 500` reads a second, and comes back;
//!   with `--lose-hints` n1 then loses the hints that it keeps; `--svg` draws backlog, differing slices and latency over time;
//! - `foreground`: `--reads 2000` reads a second while a replica is given all keys by anti-entropy, and after it.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the clock and prints")]

#[allow(dead_code, reason = "other benches measure rates")]
#[path = "clients.rs"]
mod clients;
#[path = "../cluster/databases.rs"]
mod databases;
#[path = "heal/foreground.rs"]
mod foreground;
#[path = "heal/handoff.rs"]
mod handoff;
#[path = "heal/machine.rs"]
mod machine;
#[path = "heal/metrics.rs"]
mod metrics;
#[allow(dead_code, reason = "the tests wipe nodes and run shells, the bench does not")]
#[path = "../cluster/nodes.rs"]
mod nodes;
#[path = "heal/picture.rs"]
mod picture;

use std::time::{Duration, Instant};

use quorate::{
    client::TableHandle,
    ring::{NodeId, TableKind},
};
use tokio::{
    task::{LocalSet, spawn_blocking},
    time::sleep,
};

use self::{
    clients::{Load, Until, get, key, put_again, start},
    databases::{forget_hints, records},
    foreground::{Foreground, quantile, usual},
    metrics::{Metrics, have_agreed, repair_bytes, total},
    nodes::Nodes,
};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let text = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, usual: u64| text(name).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let wants = |scenario: &str| {
        let mut named = arguments.iter().filter(|a| SCENARIOS.contains(&a.as_str())).peekable();
        named.peek().is_none() || named.any(|name| name == scenario)
    };
    let keys = number("--keys", 1_000_000);
    if wants("compare") {
        compare(keys).await;
    }
    if wants("wiped") {
        wiped(keys).await;
    }
    if wants("handoff") {
        let plan = handoff::Plan {
            keys,
            seconds: number("--seconds", 60),
            writes: number("--writes", 5_000),
            reads: number("--reads", 500),
            loses_hints: arguments.iter().any(|argument| argument == "--lose-hints"),
            svg: text("--svg"),
        };
        handoff::run(plan).await;
    }
    if wants("foreground") {
        during_repair(keys, number("--reads", 2_000)).await;
    }
}

const SCENARIOS: [&str; 4] = ["compare", "wiped", "handoff", "foreground"];

/// Three nodes and a table in which every key holds something.
async fn filled(keys: u64) -> (Nodes, TableHandle) {
    let (nodes, table) = start(TableKind::Register, "").await;
    fill(&nodes, &table, keys).await;
    (nodes, table)
}

async fn fill(nodes: &Nodes, table: &TableHandle, keys: u64) {
    let load = Load { nodes, table, keys, clients: 256, until: Until::Operations(keys) };
    // A node that has just been stopped may take a request with it.
    load.run("fill", put_again).await;
}

/// Waits until each pair of nodes has found itself equal from now on; says after how many seconds nothing was given any
/// more, and how many states had been.
async fn until_equal(nodes: &Nodes) -> (f64, f64) {
    let (began, before) = (Instant::now(), Metrics::of_all(nodes).await);
    let (mut repaired, mut last) = (0.0, 0.0);
    loop {
        sleep(Duration::from_millis(100)).await;
        let now = Metrics::of_all(nodes).await;
        let given = total(&now, "quorate_repaired_records_total", &[]);
        if given > repaired {
            (repaired, last) = (given, began.elapsed().as_secs_f64());
        }
        if have_agreed(&before, &now) {
            return (last, repaired);
        }
        assert!(began.elapsed() < PATIENCE, "replicas do not become equal: {}", nodes.log(2));
    }
}

async fn compare(keys: u64) {
    let (mut nodes, table) = filled(keys).await;
    until_equal(&nodes).await;
    let before = Metrics::of_all(&nodes).await;
    sleep(QUIET).await;
    let after = Metrics::of_all(&nodes).await;
    let rounds = |all| total(all, "quorate_repair_comparisons_total", &[]);
    let rounds = rounds(&after) - rounds(&before);
    let each = (repair_bytes(&after) - repair_bytes(&before)) / rounds;
    println!("| compare, equal | {keys} keys | {each:.0} bytes per pair and round | {rounds} rounds |");

    nodes.end(2);
    for n in 0..DIFFERING {
        let key = key(n * 7, keys);
        table.put(key, "only two of three hold this").await.expect("a quorum is there");
    }
    restart_without_hints(&mut nodes);
    let (seconds, given) = until_equal(&nodes).await;
    let moved = repair_bytes(&Metrics::of_all(&nodes).await) / 1e3;
    println!(
        "| compare, {DIFFERING} keys differ | {keys} keys | {moved:.0} KB of all pairs | {given} states given | \
         {seconds:.1} s from the return |"
    );
    nodes.kill(2);
    let held = records(&nodes.data_dir(2).join("db")) as u64;
    assert_eq!(held, keys + 1, "the third node holds every key, and the first write");
    nodes.restart(2);
    nodes.stop();
}

/// n3 is down: n1 and n2 stop as well, forget what they keep for it, and all three begin again, nodes that are whole first.
fn restart_without_hints(nodes: &mut Nodes) {
    for node in 0..2 {
        nodes.end(node);
        forget_hints(&nodes.data_dir(node).join("db"), NodeId(3));
    }
    (0..3).for_each(|node| nodes.restart(node));
}

async fn wiped(keys: u64) {
    let (mut nodes, table) = filled(keys).await;
    until_equal(&nodes).await;
    nodes.kill(2);
    nodes.wipe(2);
    let cpu = nodes.cpu_micros();
    nodes.restart(2);
    let began = Instant::now();
    let left = "quorate_recovery_ranges_left";
    loop {
        sleep(Duration::from_millis(100)).await;
        let [_, _, metrics] = Metrics::of_all(&nodes).await;
        if metrics.has(left) && metrics.sum(left, &[]) == 0.0 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "it does not recover: {}", nodes.log(2));
    }
    let cpu = (nodes.cpu_micros() - cpu) as f64 / keys as f64;
    let seconds = recovery_seconds(&nodes.log(2));
    let moved =
        total(&Metrics::of_all(&nodes).await, "quorate_peer_sent_bytes_total", &["work=\"recovery\""]) / 1e6;
    println!(
        "| wiped | {keys} keys | whole after {seconds:.1} s | {:.0} keys/s | {moved:.0} MB | {cpu:.0} us of the nodes' CPU per key |",
        keys as f64 / seconds
    );
    until_equal(&nodes).await;
    assert!(get(table, key(1, keys)).await == clients::Done::Well);
    nodes.stop();
}

/// From the line in which the last start of a node says that it listens to the one in which it is whole.
fn recovery_seconds(log: &str) -> f64 {
    // `2026-01-02T03:04:05.678901Z ...`
    let seconds = |line: &str| {
        let clock = line.split_once('T')?.1.split_once('Z')?.0;
        let parts = clock.split(':').map(|part| part.parse::<f64>().ok());
        parts.collect::<Option<Vec<_>>>().map(|parts| parts.iter().fold(0.0, |sum, part| sum * 60.0 + part))
    };
    let last = |words: &str| log.lines().rev().find(|line| line.contains(words)).and_then(seconds);
    let (began, ended) = (last("listening"), last("ranges recovered from peers"));
    let passed = ended.expect("it says so") - began.expect("it says so");
    passed.rem_euclid(24.0 * 3600.0)
}

/// n3 lacks everything, and gets it from n1 and n2 by comparison while clients read.
async fn during_repair(keys: u64, reads: u64) {
    let (mut nodes, table) = start(TableKind::Register, "").await;
    nodes.end(2);
    fill(&nodes, &table, keys).await;
    nodes = spawn_blocking(move || {
        restart_without_hints(&mut nodes);
        nodes
    })
    .await
    .expect("restarted");
    let foreground = Foreground::new();
    let local = LocalSet::new();
    let asking = (foreground.clone(), table.clone());
    local.spawn_local(async move { asking.0.run(&asking.1, keys, 0, reads).await });
    let (whole, given) = local
        .run_until(async {
            let (_, given) = until_equal(&nodes).await;
            let whole = foreground.seconds();
            sleep(QUIET).await;
            foreground.end();
            (whole, given)
        })
        .await;
    local.await;
    let (requests, machine) = (foreground.requests(), foreground.machine());
    let (during, after) = ((2.0, whole), (whole + 5.0, foreground.seconds()));
    let figure = |share, time| {
        (quantile(&requests, false, time, share), usual(&requests, &machine, false, time, share).0)
    };
    let ((p99, usual_p99), (quiet, usual_quiet)) = (figure(0.99, during), figure(0.99, after));
    let failed = requests.iter().filter(|request| !request.is_ok).count();
    println!(
        "| foreground | {keys} keys, {given} states given within {whole:.0} s, {reads} reads/s | read p99 {p99:.2} ms, after it {quiet:.2} ms: {:+.0} % | \
         median second's p99 {usual_p99:.2} ms, after it {usual_quiet:.2} ms: {:+.0} % | {failed} failed |",
        (p99 / quiet - 1.0) * 100.0,
        (usual_p99 / usual_quiet - 1.0) * 100.0
    );
    nodes.stop();
}

/// How long equal replicas are watched.
const QUIET: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(300);
const DIFFERING: u64 = 100;
