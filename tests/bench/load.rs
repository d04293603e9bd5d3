//! `cargo bench --bench load [-- SCENARIO...] [--seconds N]`: three real node processes on this machine under load, 64
//! closed-loop clients and 100-byte values unless a scenario says otherwise. Scenarios:
//!
//! - `register`: blind QUORUM writes and reads of a `register` table, three rounds;
//! - `siblings`: QUORUM writes of a `siblings` table without a context, and with one;
//! - `repair`: QUORUM reads that agree, and reads each of which must repair a replica;
//! - `hot-key`: `--puts N` blind QUORUM writes of one siblings key from 16 clients; neither memory nor siblings may grow;
//! - `overload`: `--factor 2` times as many writes a second, whatever becomes of them, as are done when 256 are always under way;
//!   those and these in turns, `--rounds 5` times: what is still served;
//! - `curve`: from 10 to 200 % of that peak asked for, whatever becomes of it: what is served in time, and when. The peak is
//!   measured anew before each.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the clock and prints")]

#[path = "clients.rs"]
mod clients;
#[path = "flood.rs"]
mod flood;
#[allow(dead_code, reason = "the tests wipe nodes and run shells, the bench does not")]
#[path = "../cluster/nodes.rs"]
mod nodes;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use quorate::{client::TableHandle, ring::TableKind};

use self::{
    clients::{Done, Load, Until, get, put, put_again, start},
    flood::{Flood, Pace},
};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse().ok()
    };
    let seconds = Duration::from_secs(number("--seconds").unwrap_or(5));
    let wants = |scenario: &str| {
        let mut named = arguments.iter().filter(|a| SCENARIOS.contains(&a.as_str())).peekable();
        named.peek().is_none() && scenario == "register" || named.any(|name| name == scenario)
    };
    if wants("register") {
        register(seconds).await;
    }
    if wants("siblings") {
        siblings(seconds).await;
    }
    if wants("repair") {
        repair().await;
    }
    if wants("hot-key") {
        hot_key(number("--puts").unwrap_or(1_000_000)).await;
    }
    if wants("overload") {
        overload(seconds, number("--rounds").unwrap_or(5), number("--factor").unwrap_or(2) as f64).await;
    }
    if wants("curve") {
        curve(seconds).await;
    }
}

const SCENARIOS: [&str; 6] = ["register", "siblings", "repair", "hot-key", "overload", "curve"];

async fn register(seconds: Duration) {
    let (nodes, table) = start(TableKind::Register, "").await;
    for round in 1..=3 {
        let load = Load {
            nodes: &nodes,
            table: &table,
            keys: KEYS,
            clients: CLIENTS,
            until: Until::Seconds(seconds),
        };
        load.run(&format!("write {round}"), put).await;
        load.run(&format!("read {round}"), get).await;
    }
    println!("resident, after: {:?} KiB", nodes.resident_kib());
    nodes.stop();
}

async fn siblings(seconds: Duration) {
    let (nodes, table) = start(TableKind::Siblings, "").await;
    let until = Until::Seconds(seconds);
    let load = Load { nodes: &nodes, table: &table, keys: KEYS, clients: CLIENTS, until };
    // Every key holds something, so that all writes find the same work.
    Load { until: Until::Operations(KEYS), ..load }.run("fill", put).await;
    for round in 1..=3 {
        load.run(&format!("write without context {round}"), put).await;
        // A context is that of the write before, so that only the write itself is measured.
        let contexts = Rc::new(RefCell::new(BTreeMap::new()));
        let with_context = move |table: TableHandle, key: String| {
            let contexts = Rc::clone(&contexts);
            async move {
                let context = contexts.borrow_mut().remove(&key);
                let mut put = table.put(key.clone(), vec![b'v'; 100]);
                if let Some(context) = context {
                    put = put.context(context);
                }
                let Ok(written) = put.await else { return Done::Failed };
                if let Some(context) = written.context() {
                    contexts.borrow_mut().insert(key, context);
                }
                Done::Well
            }
        };
        Load { until: Until::Operations(KEYS), ..load }
            .run(&format!("contexts {round}"), with_context.clone())
            .await;
        load.run(&format!("write with context {round}"), with_context).await;
        load.run(&format!("read {round}"), get).await;
    }
    println!("resident, after: {:?} KiB", nodes.resident_kib());
    nodes.stop();
}

/// n3 is down while the keys are written, n1 while they are read: n2 and n3 must come to agree on each.
async fn repair() {
    let (mut nodes, table) = start(TableKind::Siblings, "").await;
    let until = Until::Operations(KEYS);
    Load { nodes: &nodes, table: &table, keys: KEYS, clients: CLIENTS, until }.run("fill", put).await;
    nodes.kill(2);
    Load { nodes: &nodes, table: &table, keys: KEYS, clients: CLIENTS, until }
        .run("write with n3 down", put_again)
        .await;
    nodes.kill(0);
    nodes.restart(2);
    while get(table.clone(), "first".to_owned()).await == Done::Failed {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let load = Load { nodes: &nodes, table: &table, keys: KEYS, clients: CLIENTS, until };
    load.run("read that repairs", get).await;
    load.run("read that agrees", get).await;
    nodes.stop();
}

async fn hot_key(puts: u64) {
    let (nodes, table) = start(TableKind::Siblings, "").await;
    let (mut most, mut resident) = (0, Vec::new());
    for part in 1..=10 {
        let load = Load {
            nodes: &nodes,
            table: &table,
            keys: KEYS,
            clients: 16,
            until: Until::Operations(puts / 10),
        };
        load.run(&format!("hot key, {part}0 %"), |table: TableHandle, _: String| async move {
            table.put("hot", vec![b'v'; 100]).await.is_ok().into()
        })
        .await;
        let siblings = table.get("hot").await.map_or(0, |read| read.values().len());
        most = most.max(siblings);
        resident.push(nodes.resident_kib());
        println!("  siblings {siblings}, resident {:?} KiB", resident[part - 1]);
    }
    assert!(most <= 16, "{most} siblings from 16 clients");
    match puts >= JUDGED_FROM_PUTS {
        true => assert_settled(&resident[4], &resident[9]),
        false => println!("memory is judged from {JUDGED_FROM_PUTS} puts on"),
    }
    nodes.stop();
}

/// No node's memory, in KiB, may have grown by much between half of the puts and all of them.
fn assert_settled(half: &[u64], whole: &[u64]) {
    for (node, (half, whole)) in half.iter().zip(whole).enumerate() {
        let (most, name) = (half + half * GROWTH_MAX_PERCENT / 100, node + 1);
        assert!(
            *whole <= most,
            "n{name} has grown from {half} to {whole} KiB in the second half of the puts"
        );
    }
}

/// Peak and overload take turns, so that both see the same machine.
async fn overload(seconds: Duration, rounds: u64, factor: f64) {
    let (nodes, _) = start(TableKind::Register, "").await;
    let flood = Flood::start(&nodes, KEYS).await;
    let peak = Pace::InFlight(256);
    flood.run("warm up", peak, seconds).await;
    let (mut shares, mut per_cpu) = (Vec::new(), Vec::new());
    let mut before = flood.run("peak, 256 in flight", peak, seconds).await;
    for round in 1..=rounds {
        let asked = Pace::PerSecond(before.rate() * factor);
        let during = flood.run(&format!("overload {round}"), asked, seconds).await;
        let after = flood.run(&format!("peak, 256 in flight {round}"), peak, seconds).await;
        shares.push(200.0 * during.rate() / (before.rate() + after.rate()));
        per_cpu.push(50.0 * (before.cpu_us() + after.cpu_us()) / during.cpu_us());
        before = after;
    }
    shares.sort_by(f64::total_cmp);
    per_cpu.sort_by(f64::total_cmp);
    println!("served at {factor} times the peak, in % of it, sorted: {shares:.0?}");
    // What asks has the nodes' cores, and the more the more it asks.
    println!("the same for each second of the nodes' CPU: {per_cpu:.0?}");
    nodes.stop();
}

/// What is served in time, and how fast, at so much of the peak.
async fn curve(seconds: Duration) {
    let (nodes, _) = start(TableKind::Register, "").await;
    let flood = Flood::start(&nodes, KEYS).await;
    let peak = Pace::InFlight(256);
    flood.run("warm up", peak, seconds).await;
    let mut rows = Vec::new();
    for percent in [10, 25, 50, 75, 90, 100, 110, 125, 150, 200] {
        let full = flood.run("peak, 256 in flight", peak, seconds).await.rate();
        let asked = Pace::PerSecond(full * f64::from(percent) / 100.0);
        let tally = flood.run(&format!("{percent} %"), asked, seconds).await;
        let served = 100.0 * tally.rate() / full;
        rows.push(format!(
            "| {percent} | {served:.0} | {:.1} | {:.1} | {:.0} |",
            tally.millis(0.5),
            tally.millis(0.99),
            tally.cpu_us()
        ));
    }
    println!("| asked, % of the peak | served, % of the peak | p50 ms | p99 ms | nodes' CPU, us each |");
    println!("|---|---|---|---|---|");
    rows.iter().for_each(|row| println!("{row}"));
    nodes.stop();
}

const CLIENTS: u64 = 64;
const KEYS: u64 = 100_000;
/// How much more memory a node may use after all puts of the hot key than after half of them.
const GROWTH_MAX_PERCENT: u64 = 20;
/// With fewer puts half of them do not fill caches and write buffers.
const JUDGED_FROM_PUTS: u64 = 300_000;
