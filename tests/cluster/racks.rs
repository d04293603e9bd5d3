//! Where the requests of a client go that is in a rack of a cluster that spans three.

use std::{
    collections::BTreeSet,
    future::IntoFuture,
    time::{Duration, Instant},
};

use quorate::{
    client::{Client, Receipt, TableHandle},
    ring::{Consistency, NodeId},
};

use crate::{ATTEMPTS, Nodes, PAUSE, create_table, put, read};

#[tokio::test]
async fn a_client_asks_the_node_in_its_rack() {
    let nodes = start();
    let anywhere = nodes.client().await;
    let table = create_table(&anywhere, "t").await;
    // Of each key the first replica, whichever rack that is in; the same for a client whose rack is nobody's.
    let is_first = |receipt: &Receipt| receipt.coordinator == receipt.replicas[0];
    until(&table, is_first).await;
    let stray = client(&nodes, "elsewhere", 0).await.table("t").await.expect("the table");
    until(&stray, is_first).await;

    let racks = ["a", "b", "c"];
    for (n, rack) in racks.into_iter().enumerate() {
        // The way to the cluster leads through another rack.
        let client = client(&nodes, rack, (n + 1) % 3).await;
        let (local, table) = (NodeId(n as u32 + 1), client.table("t").await.expect("the table"));
        until_asked(&table, local).await;
        for key in keys() {
            let written = table.put(key, "v").await.expect("written");
            assert_eq!(written.receipt().coordinator, local);
        }
        let mut scan = table.scan();
        while let Some(page) = scan.next_page().await.expect("a page") {
            assert_eq!(page.receipt.coordinator, local);
        }
        assert_eq!(client.cluster_info().await.expect("an answer").node, local, "what concerns no key");
    }
    nodes.stop();
}

/// The node in the client's rack is killed under load. It is a while until that is noticed, but no read fails for it, and then
/// they go elsewhere at once; when it is back, they go there again.
#[tokio::test]
async fn reads_go_on_elsewhere_while_the_node_in_the_rack_is_down() {
    let mut nodes = start();
    let client = client(&nodes, "b", 1).await;
    let table = create_table(&client, "t").await;
    put(&table, "k", "v", Consistency::All).await;
    until_asked(&table, LOCAL).await;

    let load = tokio::spawn(load(table.clone(), Duration::from_secs(6)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    nodes.kill(1);
    let killed = Instant::now();
    let mut late = BTreeSet::new();
    for (began, took, coordinator) in load.await.expect("the load ends") {
        if began >= killed + NOTICED {
            assert!(took < NOTICED, "a read takes {took:?} {:?} after the node was killed", began - killed);
            late.insert(coordinator);
        }
    }
    assert!(!late.is_empty() && !late.contains(&LOCAL), "{late:?}");

    nodes.restart(1);
    until_asked(&table, LOCAL).await;
    nodes.stop();
}

/// The client has asked nobody but the node in its rack. When that one stops in its tracks, another takes the next request:
/// the client need not look for the way there first.
#[tokio::test]
async fn a_node_in_the_rack_that_hangs_is_replaced_at_once() {
    let nodes = start();
    let client = client(&nodes, "b", 1).await;
    // A request that comes before the connection is in its place looks for others.
    tokio::time::sleep(PAUSE).await;
    let table = create_table(&client, "t").await;
    put(&table, "k", "v", Consistency::All).await;
    assert_eq!(table.get("k").await.expect("an answer").receipt().coordinator, LOCAL);

    nodes.signal(1, "STOP");
    let hangs = tokio::spawn(table.get("k").into_future());
    tokio::time::sleep(NOTICED).await;
    let (began, read) = (Instant::now(), table.get("k").await.expect("an answer"));
    let took = began.elapsed();
    assert_ne!(read.receipt().coordinator, LOCAL);
    assert!(took < Duration::from_millis(700), "the next request takes {took:?}");
    // The first one goes there too, once the connection is given up.
    let read = hangs.await.expect("it ends").expect("a read is made again elsewhere");
    assert_ne!(read.receipt().coordinator, LOCAL);

    nodes.signal(1, "CONT");
    until_asked(&table, LOCAL).await;
    nodes.stop();
}

/// Three nodes, each in a rack of its own.
fn start() -> Nodes {
    let mut nodes = Nodes::prepare(tempfile::tempdir().expect("a directory"), 3);
    nodes.racks = vec!["a", "b", "c"];
    let listen = nodes.listen().iter().map(ToString::to_string).collect();
    nodes.begin(listen, "");
    nodes
}

/// A client in a rack that finds the cluster through a node.
async fn client(nodes: &Nodes, rack: &str, contact_point: usize) -> Client {
    let address = nodes.addresses().swap_remove(contact_point);
    let client = Client::builder().contact_points([address]).tls(nodes.identity()).local_rack(rack);
    client.build().await.expect("a client")
}

/// Reads all keys until this node coordinates all of the reads.
async fn until_asked(table: &TableHandle, node: NodeId) {
    until(table, |receipt| receipt.coordinator == node).await;
}

/// Reads all keys until all receipts are as wanted: connections come up, and are found broken, in their own time.
async fn until(table: &TableHandle, is_wanted: impl Fn(&Receipt) -> bool) {
    let mut other = None;
    for _ in 0..ATTEMPTS {
        other = None;
        for key in keys() {
            let receipt = read(table, &key, Consistency::Quorum).await.receipt().clone();
            if !is_wanted(&receipt) {
                other = Some((key, receipt));
            }
        }
        if other.is_none() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("still otherwise: {other:?}");
}

/// Reads a key every ten milliseconds, whether earlier reads are answered or not: when each was to begin, how long it took
/// from then on, and who coordinated it.
async fn load(table: TableHandle, time: Duration) -> Vec<(Instant, Duration, NodeId)> {
    let (start, mut reads) = (Instant::now(), tokio::task::JoinSet::new());
    while start.elapsed() < time {
        let (began, get) = (Instant::now(), table.get("k"));
        reads.spawn(async move {
            let read = get.await.unwrap_or_else(|error| panic!("a read fails: {error}"));
            (began, began.elapsed(), read.receipt().coordinator)
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    reads.join_all().await
}

fn keys() -> impl Iterator<Item = String> {
    (0..50).map(|n| format!("k{n}"))
}

/// The node in rack b.
const LOCAL: NodeId = NodeId(2);
/// When a client takes its requests elsewhere: longer than it gives a node that does not answer.
const NOTICED: Duration = Duration::from_millis(1_000);
