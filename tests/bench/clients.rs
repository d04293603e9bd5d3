//! What the benches on real processes share: three nodes, and clients that keep asking.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use quorate::{
    client::{Client, TableHandle},
    ring::{Consistency, TableKind},
};
use tokio::task::LocalSet;

use super::nodes::Nodes;

/// Three nodes with these settings, and a table.
pub(crate) async fn start(kind: TableKind, settings: &str) -> (Nodes, TableHandle) {
    let began = Instant::now();
    let nodes = Nodes::start_in(tempfile::tempdir().expect("a directory"), 3, settings);
    let client = Client::builder().contact_points(nodes.addresses()).tls(nodes.identity()).build().await;
    let client = client.expect("a client");
    while client.create_table("bench").kind(kind).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let table = client.table("bench").await.expect("the table");
    table.put("first", "write").await.expect("a write");
    println!("start to first acknowledged QUORUM write: {:?}", began.elapsed());
    println!("resident, idle: {:?} KiB", nodes.resident_kib());
    (nodes, table)
}

/// What became of one operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Well,
    Failed,
}

impl From<bool> for Done {
    fn from(well: bool) -> Self {
        if well { Self::Well } else { Self::Failed }
    }
}

/// A blind write at QUORUM.
pub(crate) async fn put(table: TableHandle, key: String) -> Done {
    let put = table.put(key, vec![b'v'; 100]).consistency(Consistency::Quorum).await;
    put.inspect_err(|error| println!("  {error}")).is_ok().into()
}

/// A write that a dying node may leave unknown.
pub(crate) async fn put_again(table: TableHandle, key: String) -> Done {
    for _ in 0..100 {
        if table.put(key.clone(), vec![b'w'; 100]).idempotent(true).await.is_ok() {
            return Done::Well;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Done::Failed
}

/// A read at QUORUM.
pub(crate) async fn get(table: TableHandle, key: String) -> Done {
    let got = table.get(key).consistency(Consistency::Quorum).await;
    got.inspect_err(|error| println!("  {error}")).is_ok().into()
}

/// Closed-loop clients.
#[derive(Clone, Copy)]
pub(crate) struct Load<'a> {
    pub(crate) nodes: &'a Nodes,
    pub(crate) table: &'a TableHandle,
    /// How many keys there are.
    pub(crate) keys: u64,
    pub(crate) clients: u64,
    pub(crate) until: Until,
}

#[derive(Clone, Copy)]
pub(crate) enum Until {
    Seconds(Duration),
    /// So many in all, each key once as long as there are keys.
    Operations(u64),
}

impl Load<'_> {
    /// Runs loops of `operation`, and prints what they did.
    pub(crate) async fn run<F: Future<Output = Done> + 'static>(
        &self,
        name: &str,
        operation: impl Fn(TableHandle, String) -> F + Clone + 'static,
    ) {
        let latencies = Rc::new(RefCell::new(Vec::<u32>::new()));
        let next = Rc::new(Cell::new(0_u64));
        let (began, cpu, until, keys) = (Instant::now(), self.nodes.cpu_micros(), self.until, self.keys);
        let local = LocalSet::new();
        for _ in 0..self.clients {
            let (table, operation) = (self.table.clone(), operation.clone());
            let (latencies, next) = (Rc::clone(&latencies), Rc::clone(&next));
            local.spawn_local(async move {
                loop {
                    let n = next.replace(next.get() + 1);
                    match until {
                        Until::Seconds(seconds) if began.elapsed() >= seconds => return,
                        Until::Operations(operations) if n >= operations => return,
                        _ => {}
                    }
                    let asked = Instant::now();
                    assert!(operation(table.clone(), key(n, keys)).await == Done::Well, "a request failed");
                    latencies.borrow_mut().push(asked.elapsed().as_micros() as u32);
                }
            });
        }
        local.await;
        let mut latencies = latencies.take();
        latencies.sort_unstable();
        let at = |share: f64| f64::from(latencies[((latencies.len() - 1) as f64 * share) as usize]) / 1e3;
        let rate = latencies.len() as f64 / began.elapsed().as_secs_f64();
        let cpu = (self.nodes.cpu_micros() - cpu) as f64 / latencies.len() as f64;
        println!(
            "{name}: {rate:.0}/s, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, nodes' CPU {cpu:.1} us/op",
            at(0.5),
            at(0.99),
            at(0.999)
        );
    }
}

/// The `n`th key that is asked for, out of `keys`: each in turn, in an order without pattern.
pub(crate) fn key(n: u64, keys: u64) -> String {
    // A prime that does not divide the number of keys.
    format!("key{:013}", n * 48_271 % keys)
}
