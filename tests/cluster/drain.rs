//! Nodes that are told to stop while clients go on.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use quorate::{client::TableHandle, ring::Consistency};
use serde_json::Value;

use super::{ATTEMPTS, PAUSE, admin::until_ready, create_table, nodes::Nodes, read};

/// Clients go on while this waits for processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_do_not_notice_that_nodes_are_drained_one_after_the_other() {
    let mut nodes = Nodes::start(3);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    let load = Load::begin(&table);
    for node in 0..3 {
        load.goes_on().await;
        match node {
            0 => {
                let other = nodes.admin_output(&format!("drain n{}", node + 1), (node + 1) % 3);
                let says = String::from_utf8_lossy(&other.stderr);
                assert!(other.status.success(), "{says}");
                assert!(says.starts_with("n1 takes no requests any more and stops"), "{says}");
                assert!(says.ends_with("n1 has stopped\n"), "{says}");
            }
            _ => nodes.signal(node, "TERM"),
        }
        nodes.end_in_order(node);
        for other in [(node + 1) % 3, (node + 2) % 3] {
            assert_eq!(gone(&nodes, node, other).await, "stopped", "in the eyes of n{}", other + 1);
        }
        load.goes_on().await;
        nodes.restart(node);
        until_ready(&nodes, node).await;
    }
    let (operations, failures) = load.end().await;
    assert_eq!(failures, Vec::<String>::new(), "of {operations} operations");
    let unknown = nodes.admin_output("drain n9", 0);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("there is no node n9: the cluster has n1, n2, n3")
    );
    nodes.stop();
}

#[tokio::test]
async fn a_draining_node_is_not_ready_and_ends_what_is_under_way() {
    let mut nodes = Nodes::start(3);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    // A node is ready once it has met one other: here the other two must reach each other as soon as they go on.
    for node in 0..3 {
        until_ready(&nodes, node).await;
        let has_met_all = |metrics: &String| metrics.lines().any(|line| line == "quorate_peers_up 2");
        loop_until(|| nodes.http(node, "GET /metrics").filter(has_met_all)).await;
    }
    // Nobody acknowledges anything: what n1 coordinates stays under way.
    nodes.signal(1, "STOP");
    nodes.signal(2, "STOP");
    let writes = (0..24).map(|n| {
        let put = table.put(format!("k{n}"), "v").consistency(Consistency::Quorum);
        tokio::spawn(async move { put.idempotent(true).timeout(Duration::from_secs(20)).await })
    });
    let writes: Vec<_> = writes.collect();
    tokio::time::sleep(PAUSE).await;
    let in_vain = nodes.admin_output("drain n1 --timeout 300ms", 0);
    let says = String::from_utf8_lossy(&in_vain.stderr);
    assert_eq!(in_vain.status.code(), Some(2), "{says}");
    assert!(
        says.contains("not within 300ms: n1 takes no requests any more, and has not stopped yet"),
        "{says}"
    );
    let says = loop_until(|| nodes.http(0, "GET /readyz").filter(|says| says.contains("drains"))).await;
    assert!(says.starts_with("HTTP/1.1 503 "), "{says}");
    assert!(nodes.http(0, "GET /livez").is_some_and(|says| says.starts_with("HTTP/1.1 200 ")));
    nodes.signal(1, "CONT");
    nodes.signal(2, "CONT");
    for write in writes {
        write.await.expect("no panic").expect("written");
    }
    nodes.end_in_order(0);
    assert!(!nodes.log(0).contains("still under way"), "{}", nodes.log(0));
    for n in 0..24 {
        let held = read(&table, &format!("k{n}"), Consistency::Quorum).await;
        assert_eq!(held.value(), Ok(Some(&"v".into())));
    }
    nodes.restart(0);
    nodes.stop();
}

/// What `asked` calls a node that has ended, once it does not call it up any more.
async fn gone(nodes: &Nodes, node: usize, asked: usize) -> String {
    let connect = nodes.addresses().swap_remove(asked);
    loop_until(|| {
        let told = nodes.run(&["admin", "nodes", "--output", "json", "--connect", &connect]);
        let rows: Vec<Value> = serde_json::from_slice(&told.stdout).expect("an array");
        let state = rows[node]["state"].as_str().expect("a state").to_owned();
        (!["up", "stopping"].contains(&&*state)).then_some(state)
    })
    .await
}

async fn loop_until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    for _ in 0..ATTEMPTS * 10 {
        if let Some(found) = found() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it does not come");
}

/// Clients that write and read without pause, and forgive nothing.
struct Load {
    stop: Arc<AtomicBool>,
    operations: Arc<AtomicU64>,
    clients: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn begin(table: &TableHandle) -> Self {
        let (stop, operations) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |number: u64| {
            let (table, stop, operations) = (table.clone(), stop.clone(), operations.clone());
            tokio::spawn(async move {
                let mut failures = Vec::new();
                for n in (0_u64..).take_while(|_| !stop.load(Relaxed)) {
                    let key = format!("{number}-{}", n % 100);
                    if let Err(error) = table.put(key.clone(), n.to_string()).await {
                        failures.push(format!("put: {error}"));
                    }
                    match table.get(key).await.map(|read| read.value().ok().flatten().cloned()) {
                        Ok(Some(value)) if value == n.to_string() => {}
                        Ok(value) => failures.push(format!("{value:?} was read after {n} was written")),
                        Err(error) => failures.push(format!("get: {error}")),
                    }
                    operations.fetch_add(2, Relaxed);
                }
                failures
            })
        };
        let clients = (0..16).map(client).collect();
        Self { stop, operations, clients }
    }

    /// Waits until so much more has been done that every node has had its part.
    async fn goes_on(&self) {
        let before = self.operations.load(Relaxed);
        loop_until(|| (self.operations.load(Relaxed) > before + 500).then_some(())).await;
    }

    async fn end(self) -> (u64, Vec<String>) {
        self.stop.store(true, Relaxed);
        let mut failures = Vec::new();
        for client in self.clients {
            failures.extend(client.await.expect("no panic"));
        }
        (self.operations.load(Relaxed), failures)
    }
}

/// Nobody else can tell that it has stopped.
#[tokio::test]
async fn a_node_that_is_alone_is_waited_for() {
    let mut nodes = Nodes::start(1);
    until_ready(&nodes, 0).await;
    let drained = nodes.run(&["admin", "drain", "n1", "--output", "jsonl"]);
    let row: Value = serde_json::from_slice(&drained.stdout).expect("a row");
    assert_eq!((drained.status.code(), &row["state"]), (Some(0), &"stopped".into()), "{row}");
    nodes.end_in_order(0);
}

#[test]
fn systemd_hears_of_the_start_and_of_the_stop() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let mut nodes = Nodes::prepare(tempfile::tempdir().expect("a directory"), 1);
    let listen = nodes.listen()[0].to_string();
    nodes.configure(vec![listen], "");
    let mut process = nodes.serve_command(0).env("NOTIFY_SOCKET", &path).spawn().expect("a node");
    let heard = || {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).expect("systemd hears something");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert!(heard().starts_with("READY=1\n"));
    let pid = process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    assert!(heard().starts_with("STOPPING=1\n"));
    assert!(process.wait().expect("it ends").success());
}
