//! Receipts as the shell shows them while replicas miss writes (rule Q12).

use quorate::ring::{Consistency, NodeId};

use super::{ATTEMPTS, Nodes, PAUSE, create_table, databases::forget_hints, put};

/// The part that each replica had in each request, and the remarks below.
struct Trace {
    out: String,
    requests: Vec<String>,
}

#[tokio::test]
async fn tracing_shows_hints_that_are_left_and_replicas_that_are_repaired() {
    let mut nodes = Nodes::start(3);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    put(&table, "whole", "everybody has it", Consistency::All).await;
    let quiet =
        traced(&nodes, "INSERT INTO t (key, value) VALUES ('quiet', 'x') USING CONSISTENCY ALL").await;
    assert!(!quiet.requests[0].contains("hints left"), "{}", quiet.requests[0]);

    // Anti-entropy begins half a second after nodes have met, and may be faster than a shell: then it is tried again.
    let mut was_repaired = false;
    for round in 0..ROUNDS {
        let keys: Vec<_> = (0..KEYS).map(|n| format!("missed {round} {n}")).collect();
        nodes.kill(2);
        insert_with_hints(&nodes, &keys).await;
        let mut forgotten = 0;
        for node in 0..2 {
            nodes.end(node);
            forgotten += forget_hints(&nodes.data_dir(node).join("db"), NodeId(3));
        }
        assert!(forgotten >= KEYS, "{forgotten} hints had been kept for {KEYS} writes");
        for node in 0..3 {
            nodes.restart(node);
        }
        if select_repairs(&nodes, &keys).await {
            was_repaired = true;
            break;
        }
    }
    assert!(was_repaired, "no SELECT shows that it repaired, in {ROUNDS} rounds");
    nodes.stop();
}

/// Whether the others know of the death yet or not: a write that waits for the dead node says so.
#[tokio::test]
async fn tracing_names_the_node_that_a_failed_write_wanted() {
    let mut nodes = Nodes::start(3);
    let client = nodes.client().await;
    create_table(&client, "t").await;
    let insert = "INSERT INTO t (key, value) VALUES ('k', 'v') USING CONSISTENCY ALL";
    let whole = traced(&nodes, insert).await.requests.swap_remove(0);
    assert!(whole.contains(": level ALL, coordinated by n"), "{whole}");
    nodes.kill(2);
    let mut complaints = Vec::new();
    for _ in 0..ATTEMPTS {
        let failed = nodes.shell(&format!("TRACING ON; {insert}")).wait_with_output().expect("it ends");
        assert!(!failed.status.success(), "n3 is dead");
        let said = String::from_utf8_lossy(&failed.stderr).into_owned();
        let is_refused = said.contains("error: unavailable(required 3, alive 2)");
        if is_refused || said.contains(" of the required 3 replicas ") {
            assert!(said.contains("\n'k': level ALL asked for, coordinated by n"), "{said}");
            let part = part(&said, "n3");
            assert!(part.starts_with("failed: ") || part == "no answer", "{said}");
        }
        complaints.push(said);
        if is_refused {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let last = complaints.last().expect("there was an attempt");
    assert_eq!(part(last, "n3"), "failed: is down", "{complaints:#?}");
    for other in ["n1", "n2"] {
        assert!(part(last, other).starts_with("not asked"), "{last}");
    }
    nodes.stop();
}

/// Writes while n3 is down, each once it is known to be.
async fn insert_with_hints(nodes: &Nodes, keys: &[String]) {
    for key in keys {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let insert = format!("INSERT INTO t (key, value) VALUES ('{key}', 'of {key}')");
            last = traced(nodes, &insert).await.requests.swap_remove(0);
            if last.ends_with("\n  hints left for n3") {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        assert!(last.ends_with("\n  hints left for n3"), "{last}");
        assert!(part(&last, "n3").starts_with("failed"), "{last}");
        let agreed = ["n1", "n2"].map(|node| part(&last, node));
        assert!(agreed.iter().all(|part| part.starts_with("agreed")), "{last}");
    }
}

/// Reads from all replicas. Whether n3 was still to be brought up to date with any key, and was.
async fn select_repairs(nodes: &Nodes, keys: &[String]) -> bool {
    let select = |key: &String| format!("SELECT value FROM t WHERE key = '{key}' USING CONSISTENCY ALL; ");
    let selects: String = keys.iter().map(select).collect();
    let trace = traced(nodes, &selects).await;
    let expected: String = keys.iter().map(|key| format!("of {key}\n")).collect();
    assert_eq!(trace.out, expected);
    assert_eq!(trace.requests.len(), KEYS, "{:?}", trace.requests);
    let repaired: Vec<_> =
        trace.requests.iter().filter(|request| part(request, "n3") == "repaired").collect();
    for request in &repaired {
        assert!(request.ends_with("\n  repaired: replicas disagreed and were brought together"), "{request}");
        let agreed = ["n1", "n2"].map(|node| part(request, node));
        assert!(agreed.iter().all(|part| part.starts_with("agreed")), "{request}");
    }
    if repaired.is_empty() {
        return false;
    }
    // What was repaired stays so, and a read that finds nothing says nothing.
    for _ in 0..ATTEMPTS {
        let again = traced(nodes, &selects).await.requests;
        if !again.iter().any(|request| request.contains("repaired")) {
            assert!(again.iter().all(|request| part(request, "n3").starts_with("agreed")), "{again:?}");
            return true;
        }
    }
    panic!("reads at ALL go on repairing");
}

/// Runs statements with TRACING, and again until all of them are carried out.
async fn traced(nodes: &Nodes, statements: &str) -> Trace {
    let mut complaint = String::new();
    for _ in 0..ATTEMPTS {
        let shell = nodes.shell(&format!("TRACING ON; {statements}"));
        let done = shell.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        if done.status.success() {
            let out = String::from_utf8_lossy(&done.stdout).into_owned();
            let requests = said.trim_end().split("\n'").map(str::to_owned).collect();
            return Trace { out, requests };
        }
        complaint = said;
        tokio::time::sleep(PAUSE / 4).await;
    }
    panic!("{statements}: {complaint}");
}

/// What a trace says of a node.
fn part(trace: &str, node: &str) -> String {
    let line = trace.lines().find(|line| line.trim_start().starts_with(&format!("{node} ")));
    let line = line.unwrap_or_else(|| panic!("nothing of {node} in {trace}"));
    line.split("  ").last().expect("a part").trim().to_owned()
}

const KEYS: usize = 8;
const ROUNDS: usize = 5;
