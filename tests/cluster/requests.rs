//! Following one request through the logs of the nodes.

use quorate::ring::Consistency;

use super::{ATTEMPTS, PAUSE, create_table, nodes::Nodes};

#[tokio::test]
async fn a_request_is_found_in_the_logs_of_its_coordinator_and_its_replicas() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut nodes = Nodes::prepare(dir, 3);
    nodes.follows_requests = true;
    let listen = nodes.listen().iter().map(ToString::to_string).collect();
    nodes.begin(listen, "");
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    // A table needs a majority only: the third node may still be on its way.
    let mut is_whole = false;
    for _ in 0..ATTEMPTS {
        is_whole = table.delete("nothing").consistency(Consistency::All).await.is_ok();
        if is_whole {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    assert!(is_whole, "not all nodes are there: {}", nodes.log(0));
    let (mut requests, mut told) = (Vec::new(), Vec::new());
    let statement = client.prepare("INSERT INTO t (key, value) VALUES (?, 'v') USING CONSISTENCY ALL");
    let statement = statement.expect("a statement");
    for n in 0..5 {
        let key = format!("k{n}");
        let written = match n % 2 {
            0 => table.put(key, "v").consistency(Consistency::All).await.expect("written"),
            _ => statement.execute((key,)).await.expect("written").written().expect("a write"),
        };
        let receipt = written.receipt();
        let request_id = receipt.request_id.expect("the client has drawn one");
        let operation = receipt.operation.expect("replicas were asked");
        told.push((request_id.to_string(), operation.to_string()));
    }
    for coordinator in 0..3 {
        let log = nodes.log(coordinator);
        for line in log.lines().filter(|line| line.contains("request ended") && line.contains("\"put\"")) {
            let field = |name: &str| {
                let value = line.split(&format!(" {name}=")).nth(1).expect("a field");
                value.split(' ').next().expect("a value").to_owned()
            };
            assert_eq!(field("request").len(), 16, "{line}");
            assert_eq!((field("origin"), field("outcome")), ("\"client\"".into(), "\"ok\"".into()), "{line}");
            requests.push((field("request"), field("operation")));
            let operation = format!("operation={} ", field("operation"));
            let said = |node: usize, what: &str| {
                let log = nodes.log(node);
                log.lines()
                    .any(|line| line.contains(&operation) && line.contains(&format!("what=\"{what}\"")))
            };
            assert!(
                said(coordinator, "store") && said(coordinator, "stored"),
                "n{}: {line}",
                coordinator + 1
            );
            for replica in (0..3).filter(|node| *node != coordinator) {
                assert!(said(replica, "store") && said(replica, "stored"), "n{}: {operation}", replica + 1);
            }
        }
    }
    requests.sort_unstable();
    requests.dedup();
    assert_eq!(requests.len(), 5, "each write has ids of its own: {requests:?}");
    told.sort_unstable();
    assert_eq!(requests, told, "receipts have the ids of the logs");
    nodes.stop();
}
