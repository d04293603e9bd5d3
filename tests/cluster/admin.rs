//! What nodes say over HTTP.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use quorate::ring::Consistency;

use super::{ATTEMPTS, PAUSE, create_table, nodes::Nodes, put, read};

#[tokio::test]
async fn a_node_is_ready_once_it_serves_and_says_why_it_is_not() {
    let mut nodes = Nodes::start(3);
    for node in 0..3 {
        until_ready(&nodes, node).await;
        let live = nodes.http(node, "GET /livez").expect("an answer");
        assert!(live.starts_with("HTTP/1.1 200 ") && live.ends_with("\r\n\r\nalive\n"), "{live}");
    }
    assert_eq!(nodes.admin("hints", 0), "no hints\n", "no frame around nothing");
    assert!(nodes.http(0, "GET /").expect("an answer").starts_with("HTTP/1.1 404 "));
    assert!(nodes.http(0, "POST /readyz").expect("an answer").starts_with("HTTP/1.1 405 "));
    let head = nodes.http(0, "HEAD /readyz").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");

    // Peers that are down make no node unready, but one that starts alone has nobody to tell it the newest map.
    nodes.kill(1);
    nodes.kill(2);
    assert!(ready(&nodes, 0).0);
    nodes.kill(0);
    nodes.restart(0);
    let (is_ready, says) = ready(&nodes, 0);
    assert!(!is_ready && says.contains("not ready: the node waits for the newest cluster map"), "{says}");
    assert!(
        nodes.http(0, "GET /livez").expect("an answer").starts_with("HTTP/1.1 200 "),
        "it lives all the same"
    );
    nodes.restart(1);
    until_ready(&nodes, 0).await;
    nodes.restart(2);
    nodes.stop();
}

/// For whatever collects logs.
#[tokio::test]
async fn a_log_is_objects_if_it_is_asked_to_be() {
    let mut nodes = Nodes::prepare(tempfile::tempdir().expect("a directory"), 1);
    let listen = nodes.listen().iter().map(ToString::to_string).collect();
    nodes.begin(listen, "log_format = \"json\"\nlog = \"info\"\n");
    until_ready(&nodes, 0).await;
    nodes.end(0);
    let log = nodes.log(0);
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    assert!(lines.iter().any(|line| line["message"] == "stopped" && line["level"] == "INFO"), "{log}");
}

#[tokio::test]
async fn metrics_are_those_of_the_reference_and_say_what_happened() {
    let nodes = Nodes::start(3);
    let client = nodes.client().await;
    let table = create_table(&client, "t").await;
    for n in 0..30 {
        put(&table, &format!("k{n}"), "v", Consistency::Quorum).await;
        read(&table, &format!("k{n}"), Consistency::One).await;
    }
    let reference = reference();
    let (mut written, mut got) = (0.0, 0.0);
    for node in 0..3 {
        let answer = nodes.http(node, "GET /metrics").expect("an answer");
        let (head, text) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let value: f64 = value.parse().expect("a number");
            let (name, labels) = name_and_labels(series);
            let known = reference.get(&name).unwrap_or_else(|| panic!("METRICS.md does not know {series}"));
            assert_eq!(&labels, known, "{series}");
            for what in ["HELP", "TYPE"] {
                let described = text.lines().filter(|line| line.starts_with(&format!("# {what} {name} ")));
                assert_eq!(described.count(), 1, "# {what} {name}");
            }
            let is = |parts: &[&str]| parts.iter().all(|part| series.contains(part));
            if is(&["quorate_requests_total", "\"put\"", "\"QUORUM\"", "\"client\"", "\"ok\""]) {
                written += value;
            }
            if is(&["quorate_request_seconds_count", "\"get\"", "\"ONE\"", "\"client\""]) {
                got += value;
            }
        }
        for series in ["quorate_ready 1", "quorate_clients 1", "quorate_peers_up 2"] {
            assert!(text.lines().any(|line| line == series), "n{}: {series} is not in\n{text}", node + 1);
        }
        let info =
            format!("quorate_info{{node=\"n{}\",version=\"{}\"}} 1", node + 1, env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&info), "{info}");
        let packets = text.lines().filter(|line| line.starts_with("quorate_peer_sent_packets_total{"));
        assert_eq!(packets.count(), 2, "one series for each peer");
    }
    assert!(written >= 30.0 && got >= 30.0, "{written} writes and {got} reads were counted");
    nodes.stop();
}

/// A number of a table that is gone would look well for ever.
#[tokio::test]
async fn metrics_say_how_long_ago_replicas_agreed_on_each_range_until_the_table_is_dropped() {
    let nodes = Nodes::start(3);
    let client = nodes.client().await;
    let table = create_table(&client, "gone").await;
    let stays = create_table(&client, "stays").await;
    for n in 0..30 {
        put(&table, &format!("k{n}"), "v", Consistency::Quorum).await;
        put(&stays, &format!("k{n}"), "v", Consistency::Quorum).await;
    }
    let mut said = String::new();
    let waiting = client.wait_for_convergence(|waiting| said = waiting.to_string());
    assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok(), "after a minute: {said}");
    let both = until_agreed(&nodes, 2).await;
    client.drop_table("gone").await.expect("dropped");
    let left = until_agreed(&nodes, 1).await;
    assert!(left.is_subset(&both), "{left:?} of {both:?}");
    nodes.stop();
}

/// Waits until every node shows that it agreed with each of the two others on each of so many tables, by table and by range, a
/// moment ago, and shows of no other. Which tables those are.
async fn until_agreed(nodes: &Nodes, tables: usize) -> BTreeSet<String> {
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        let texts: Vec<_> = (0..3).map(|node| nodes.http(node, "GET /metrics").expect("an answer")).collect();
        let mut shown = BTreeSet::new();
        let mut are_all_shown = true;
        for (node, text) in texts.iter().enumerate() {
            let (by_table, by_range) = (
                ages(text, "quorate_repair_agreed_seconds_ago"),
                ages(text, "quorate_repair_range_agreed_seconds_ago"),
            );
            are_all_shown &= by_table.len() == 2 * tables && by_table.values().all(|age| *age < 60.0);
            let ranges = by_table.iter().map(|(labels, age)| (format!("{labels},range=\"n1,n2,n3\""), *age));
            are_all_shown &= by_range == ranges.collect();
            let own = format!("peer=\"n{}\"", node + 1);
            assert!(!by_table.keys().any(|labels| labels.contains(&own)), "{by_table:?}");
            shown.extend(by_table.keys().filter_map(|labels| Some(labels.split_once(',')?.1.to_owned())));
        }
        if are_all_shown && shown.len() == tables {
            return shown;
        }
        last = texts.concat();
        tokio::time::sleep(PAUSE).await;
    }
    panic!("not {tables} tables:\n{last}");
}

/// Of one metric each series' labels with its value.
fn ages(text: &str, metric: &str) -> BTreeMap<String, f64> {
    let series =
        text.lines().filter_map(|line| line.strip_prefix(metric)?.strip_prefix('{')?.split_once("} "));
    series.map(|(labels, age)| (labels.to_owned(), age.parse().expect("a number"))).collect()
}

/// One of three clocks is a fifth of a second ahead: its node finds both others behind, and each of these finds it alone ahead.
#[tokio::test]
async fn metrics_say_how_far_the_clocks_of_peers_are_off() {
    let mut nodes = Nodes::prepare(tempfile::tempdir().expect("a directory"), 3);
    nodes.has_faults = true;
    nodes.set_clock(1, 200_000);
    let listen = nodes.listen().iter().map(ToString::to_string).collect();
    nodes.begin(listen, "");
    for (node, peer, expected) in [(0, "n2", 0.2), (0, "n3", 0.0), (1, "n1", -0.2), (2, "n2", 0.2)] {
        let (offset, error) = until_compared(&nodes, node, peer).await;
        let wrong_by = (offset - expected).abs();
        assert!(wrong_by <= error, "n{} finds {peer} {offset} s ahead, give or take {error}", node + 1);
    }
    nodes.stop();
}

/// How far a node finds a peer's clock ahead, and how wrong that may be, once it is not by much.
async fn until_compared(nodes: &Nodes, node: usize, peer: &str) -> (f64, f64) {
    let mut last = (f64::NAN, f64::NAN);
    for _ in 0..ATTEMPTS * 2 {
        let text = nodes.http(node, "GET /metrics").expect("an answer");
        let value = |name: &str| {
            let series = format!("{name}{{peer=\"{peer}\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&series)).expect("one for each peer");
            value.parse::<f64>().expect("a number")
        };
        last = (value("quorate_clock_offset_seconds"), value("quorate_clock_offset_error_seconds"));
        if last.1 < 0.05 {
            return last;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("n{} does not know how far {peer}'s clock is ahead: {last:?}", node + 1);
}

/// Label names of every metric, from the reference.
fn reference() -> BTreeMap<String, Vec<String>> {
    let page = include_str!("../../src/runtime/METRICS.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `quorate_"));
    rows.map(|row| {
        let cells: Vec<_> = row.split(" | ").map(str::trim).collect();
        let labels = cells[3].split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (format!("quorate_{}", cells[0].trim_end_matches('`')), labels)
    })
    .collect()
}

/// Without what a histogram adds to its name and labels.
fn name_and_labels(series: &str) -> (String, Vec<String>) {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let stem = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
    let labels = labels.map(|(label, _)| label.to_owned()).filter(|label| label != "le").collect();
    (stem.unwrap_or(name).to_owned(), labels)
}

/// Whether a node says that it is ready, and what it says.
fn ready(nodes: &Nodes, node: usize) -> (bool, String) {
    let answer = nodes.http(node, "GET /readyz").unwrap_or_default();
    (answer.starts_with("HTTP/1.1 200 "), answer)
}

pub(super) async fn until_ready(nodes: &Nodes, node: usize) {
    for _ in 0..ATTEMPTS {
        if ready(nodes, node).0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("n{} does not become ready: {}; its log:\n{}", node + 1, ready(nodes, node).1, nodes.log(node));
}
