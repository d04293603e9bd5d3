//! `cargo bench --bench load`: durable QUORUM writes and reads per second against three real node processes on this
//! machine, 64 closed-loop clients, 100-byte values. First figures; `--seconds N` for longer runs.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the clock and prints")]

#[allow(dead_code, reason = "the tests kill nodes and run shells, the bench does not")]
#[path = "../cluster/nodes.rs"]
mod nodes;

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use quorate::{
    client::{Client, TableHandle},
    ring::{Consistency, TableKind},
};

use self::nodes::Nodes;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let given =
        arguments.iter().position(|a| a == "--seconds").and_then(|at| arguments.get(at + 1)?.parse().ok());
    let seconds = Duration::from_secs(given.unwrap_or(5));
    let began = Instant::now();
    let nodes = Nodes::start(3);
    let client = Client::builder().contact_points(nodes.addresses()).tls(nodes.identity()).build().await;
    let client = client.expect("a client");
    while client.create_table("bench").kind(TableKind::Register).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let table = client.table("bench").await.expect("the table");
    table.put("first", "write").await.expect("a write");
    println!("start to first acknowledged QUORUM write: {:?}", began.elapsed());
    println!("resident, idle: {:?} KiB", nodes.resident_kib());
    let writes = async |table: TableHandle, key: String| {
        table.put(key, vec![b'v'; 100]).consistency(Consistency::Quorum).await.is_ok()
    };
    let reads =
        async |table: TableHandle, key: String| table.get(key).consistency(Consistency::Quorum).await.is_ok();
    for round in 1..=3 {
        run(&format!("write {round}"), &nodes, &table, seconds, writes).await;
        run(&format!("read {round}"), &nodes, &table, seconds, reads).await;
    }
    println!("resident, after: {:?} KiB", nodes.resident_kib());
    nodes.stop();
}

/// Runs `CLIENTS` loops of `operation` for `seconds` and prints what they did.
async fn run<F: Future<Output = bool> + 'static>(
    name: &str,
    nodes: &Nodes,
    table: &TableHandle,
    seconds: Duration,
    operation: impl Fn(TableHandle, String) -> F + Copy + 'static,
) {
    let latencies = Rc::new(RefCell::new(Vec::<u32>::new()));
    let local = tokio::task::LocalSet::new();
    let (began, cpu) = (Instant::now(), nodes.cpu_micros());
    for client in 0..CLIENTS {
        let (table, latencies) = (table.clone(), Rc::clone(&latencies));
        local.spawn_local(async move {
            let mut n = client;
            while began.elapsed() < seconds {
                let asked = Instant::now();
                // A multiplicative walk over the keys: spread, and the same in every run.
                n = (n * 48_271 + 1) % KEYS;
                assert!(operation(table.clone(), format!("key{n:013}")).await, "a request failed");
                latencies.borrow_mut().push(asked.elapsed().as_micros() as u32);
            }
        });
    }
    local.await;
    let mut latencies = latencies.borrow_mut();
    latencies.sort_unstable();
    let at = |share: f64| f64::from(latencies[((latencies.len() - 1) as f64 * share) as usize]) / 1e3;
    let rate = latencies.len() as f64 / began.elapsed().as_secs_f64();
    let cpu = (nodes.cpu_micros() - cpu) as f64 / latencies.len() as f64;
    println!(
        "{name}: {rate:.0}/s, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, nodes' CPU {cpu:.1} us/op",
        at(0.5),
        at(0.99),
        at(0.999)
    );
}

const CLIENTS: u64 = 64;
const KEYS: u64 = 100_000;
