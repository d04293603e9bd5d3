//! What clients feel when a node dies or stops for a while, and what the others make of it.

use std::time::{Duration, Instant};

use quorate::{
    client::{Client, NodesDescribed, TableHandle, Verdict},
    ring::{Consistency, NodeId},
    wire::{Failure, Outcome},
};

use crate::{ATTEMPTS, Nodes, PAUSE, create_table, put};

/// A request that ended: when it was to begin, how long it took from then on, and what went wrong.
struct Ended {
    began: Instant,
    took: Duration,
    error: Option<String>,
}

/// One of five nodes is killed under load. Requests that were under way to it fail or wait; two seconds later nobody who
/// asks fails or waits for it any more. They come one every ten milliseconds, whether the earlier ones are answered or
/// not: those that hang must not keep others from being asked.
#[tokio::test]
async fn a_killed_node_is_forgotten_within_two_seconds() {
    let mut nodes = Nodes::start(5);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    put(&table, "k", "v", Consistency::All).await;
    let load = tokio::spawn(load(table.clone(), Duration::from_secs(8)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let killed = Instant::now();
    nodes.kill(2);
    let ended = load.await.expect("the load ends");
    let late: Vec<_> = ended.iter().filter(|ended| ended.began >= killed + FORGOTTEN).collect();
    assert!(late.len() > 300, "{} requests of {}", late.len(), ended.len());
    let failed: Vec<_> = late.iter().filter_map(|ended| ended.error.as_ref()).collect();
    assert!(failed.is_empty(), "{} requests failed two seconds later: {}", failed.len(), failed[0]);
    let slowest = late.iter().map(|ended| ended.took).max().unwrap_or_default();
    assert!(slowest < WAITS_FOR_THE_DEAD, "two seconds later a request takes {slowest:?}");

    let mut refused = 0;
    for n in 0..50 {
        if let Err(error) = table.put(format!("all {n}"), "v").consistency(Consistency::All).await {
            assert!(
                matches!(error.failure(), Some(Failure::Unavailable { required: 3, alive: 2, .. })),
                "{error}"
            );
            assert_eq!(error.outcome(), Outcome::NotApplied);
            refused += 1;
        }
    }
    assert!((1..50).contains(&refused), "of 50 keys {refused} have the killed node among their replicas");
    let dead = |nodes: &NodesDescribed| verdict(nodes, NodeId(3)) == (Verdict::Dead, false);
    until(&nodes.client_of(1).await, "the killed node is called dead", dead).await;
    let status = nodes.admin("status", 1);
    for line in [
        "cluster 'test' is degraded: 4 of 5 nodes up, 1 table; one more failure can cost keys their quorum",
        "- n3 is down: it answers neither the node that was asked nor its helpers",
        "as n2 sees it",
    ] {
        assert!(status.contains(line), "{line} in {status}");
    }
    // Whoever is known to be down is not asked, and all commands say it in the same words.
    for question in ["hints", "repair", "scrub"] {
        let done = nodes.admin_output(question, 1);
        let says = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{question}: {says}");
        assert!(says.ends_with("not every node has answered: n3 is down\n"), "{question}: {says}");
    }
    nodes.stop();
}

/// A process that is stopped for half a minute is called dead, and calls nobody dead when it goes on: it is back without a
/// restart.
#[tokio::test]
async fn a_stopped_node_comes_back_without_a_restart() {
    let nodes = Nodes::start(5);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    let (stopped, asked) = (NodeId(4), 0);
    until(&nodes.client_of(asked).await, "everybody is heard of", all_alive).await;
    let starts = starts_of(&nodes.client_of(asked).await.nodes().await.expect("nodes"), stopped);

    nodes.signal(3, "STOP");
    let went = Instant::now();
    let eyes = nodes.client_of(asked).await;
    until(&eyes, "the stopped node is called dead", |nodes| {
        verdict(nodes, stopped) == (Verdict::Dead, false)
    })
    .await;
    for n in 0..20 {
        put(&table, &format!("k{n}"), "while one was stopped", Consistency::Quorum).await;
    }
    tokio::time::sleep_until((went + Duration::from_secs(30)).into()).await;
    nodes.signal(3, "CONT");
    for asked in 0..5 {
        until(&nodes.client_of(asked).await, "everybody is alive again", all_alive).await;
    }
    for n in 0..20 {
        put(&table, &format!("k{n}"), "by all of them", Consistency::All).await;
    }
    let described = eyes.nodes().await.expect("nodes");
    assert_eq!(starts_of(&described, stopped), starts, "it was not started again");
    let log = nodes.log(3);
    assert!(log.contains("this process was stopped, or starved"), "{log}");
    assert!(!log.contains("gossip: the node is dead"), "it blames nobody: {log}");
    nodes.stop();
}

/// Writes and reads at QUORUM, one every ten milliseconds for so long.
async fn load(table: TableHandle, lasts: Duration) -> Vec<Ended> {
    let (begin, mut under_way) = (Instant::now(), Vec::new());
    for n in 0_u32.. {
        let began = begin + EVERY * n;
        if began >= begin + lasts {
            break;
        }
        tokio::time::sleep_until(began.into()).await;
        let (table, key) = (table.clone(), format!("w{}", n % 400));
        under_way.push(tokio::spawn(async move {
            let error = if n % 2 == 0 {
                table.put(key, format!("{n}")).await.err().map(|error| error.to_string())
            } else {
                table.get(key).await.err().map(|error| error.to_string())
            };
            Ended { began, took: began.elapsed(), error }
        }));
    }
    let mut ended = Vec::new();
    for request in under_way {
        ended.push(request.await.expect("a request ends"));
    }
    ended
}

async fn until(client: &Client, what: &str, holds: impl Fn(&NodesDescribed) -> bool) {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let described = client.nodes().await;
        if described.as_ref().is_ok_and(&holds) {
            return;
        }
        last = Some(described);
        tokio::time::sleep(PAUSE).await;
    }
    panic!("it never comes to it that {what}: {last:?}");
}

fn all_alive(nodes: &NodesDescribed) -> bool {
    nodes.nodes.iter().all(|node| {
        (node.verdict, node.connected) == (Verdict::Alive, true)
            && node.about.is_some()
            && node.unreachable.as_ref().is_some_and(Vec::is_empty)
    })
}

fn verdict(nodes: &NodesDescribed, node: NodeId) -> (Verdict, bool) {
    nodes
        .nodes
        .iter()
        .find(|status| status.node == node)
        .map_or((Verdict::Unheard, false), |status| (status.verdict, status.connected))
}

fn starts_of(nodes: &NodesDescribed, node: NodeId) -> Option<u64> {
    nodes.nodes.iter().find(|status| status.node == node)?.about.as_ref().map(|about| about.starts)
}

const EVERY: Duration = Duration::from_millis(10);
/// After this nobody waits for a dead node any more.
const FORGOTTEN: Duration = Duration::from_secs(2);
/// Who begins with a dead node waits until its connection is given up: two seconds. Half of it is far more than any
/// other request takes.
const WAITS_FOR_THE_DEAD: Duration = Duration::from_secs(1);
