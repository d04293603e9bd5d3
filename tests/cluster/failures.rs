//! What clients feel when a node dies or stops for a while, and what the others make of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use quorate::{
    client::{Client, NodesDescribed, TableHandle, Verdict},
    ring::{Consistency, NodeId},
    wire::{Failure, Outcome},
};

use crate::{ATTEMPTS, Nodes, PAUSE, create_table, put};

/// A request that ended: when it began, how long it took, and what went wrong.
struct Ended {
    began: Instant,
    took: Duration,
    error: Option<String>,
}

/// One of five nodes is killed under load. For a moment requests that were under way to it fail or wait; two seconds
/// later nobody fails or waits any more.
#[tokio::test]
async fn a_killed_node_is_forgotten_within_two_seconds() {
    let mut nodes = Nodes::start(5);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    put(&table, "k", "v", Consistency::All).await;
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..WORKERS).map(|n| tokio::spawn(work(table.clone(), n, stop.clone()))).collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let killed = Instant::now();
    nodes.kill(2);
    tokio::time::sleep(Duration::from_secs(6)).await;
    stop.store(true, Relaxed);
    let mut ended = Vec::new();
    for worker in workers {
        ended.extend(worker.await.expect("a worker ends"));
    }
    let (before, after): (Vec<_>, Vec<_>) = ended.iter().partition(|request| request.began < killed);
    let late: Vec<_> = after.into_iter().filter(|ended| ended.began >= killed + FORGOTTEN).collect();
    assert!(before.len() > 500 && late.len() > 500, "{} before, {} after", before.len(), late.len());
    let failed: Vec<_> = late.iter().filter_map(|ended| ended.error.as_ref()).collect();
    assert!(failed.is_empty(), "{} requests failed two seconds later: {}", failed.len(), failed[0]);
    // Whoever waits for a dead replica does so for longer than the usual request takes at its slowest.
    let bound = slowest_but_one_percent(&before) * 10 + Duration::from_millis(100);
    let slowest = slowest_but_one_percent(&late);
    assert!(slowest <= bound, "two seconds later one in a hundred takes {slowest:?}, not {bound:?}");
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
    let status = nodes.admin("status", 1);
    for line in [
        "cluster 'test' is degraded: 4 of 5 nodes up, 1 table; one more failure can cost keys their quorum",
        "- n3 is down: nobody gets an answer from it",
        "as n2 sees it",
    ] {
        assert!(status.contains(line), "{line} in {status}");
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

/// Writes and reads at QUORUM until told to stop.
async fn work(table: TableHandle, worker: usize, stop: Arc<AtomicBool>) -> Vec<Ended> {
    let mut ended = Vec::new();
    for n in 0_u64.. {
        if stop.load(Relaxed) {
            break;
        }
        let key = format!("w{worker} {}", n % 50);
        let began = Instant::now();
        let error = if n % 2 == 0 {
            table.put(key, format!("{n}")).await.err().map(|error| error.to_string())
        } else {
            table.get(key).await.err().map(|error| error.to_string())
        };
        ended.push(Ended { began, took: began.elapsed(), error });
    }
    ended
}

/// The 99th percentile.
fn slowest_but_one_percent(ended: &[&Ended]) -> Duration {
    let mut took: Vec<_> = ended.iter().map(|ended| ended.took).collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
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

const WORKERS: usize = 8;
/// After this nobody waits for a dead node any more.
const FORGOTTEN: Duration = Duration::from_secs(2);
