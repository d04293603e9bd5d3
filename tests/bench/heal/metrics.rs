//! What nodes say that they have counted.

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::task::spawn_blocking;

use super::nodes::{Nodes, http};

/// The metrics of one node.
#[derive(Clone, Default)]
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Of the node at an address; none while it does not run.
    fn of(address: SocketAddr) -> Self {
        let text = http(address, "GET /metrics").unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        Self(lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    /// Of all three nodes. A thread of its own waits for them: that of the clients, whose latency is measured, goes on.
    pub(crate) async fn of_all(nodes: &Nodes) -> [Self; 3] {
        let addresses = nodes.listen();
        spawn_blocking(move || [0, 1, 2].map(|node| Self::of(addresses[node]))).await.expect("they are read")
    }

    /// The sum over all series of a name that have these labels, written as `peer="n2"`.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let is_asked = |series: &&String| {
            series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && labels.iter().all(|label| series.contains(label))
        };
        self.0.iter().filter(|(series, _)| is_asked(series)).map(|(_, value)| value).sum()
    }

    /// Whether there is such a series.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.keys().any(|series| series.starts_with(name))
    }
}

/// The sum over the three nodes.
pub(crate) fn total(all: &[Metrics; 3], name: &str, labels: &[&str]) -> f64 {
    all.iter().map(|metrics| metrics.sum(name, labels)).sum()
}

/// Bytes that comparisons and what they led to have moved, of all nodes.
pub(crate) fn repair_bytes(all: &[Metrics; 3]) -> f64 {
    total(all, "quorate_peer_sent_bytes_total", &["work=\"repair\""])
}

/// Whether each pair has found itself equal since `before`.
pub(crate) fn have_agreed(before: &[Metrics; 3], now: &[Metrics; 3]) -> bool {
    let agreed = |all: &[Metrics; 3], a: usize, b: usize| {
        let labels = [format!("peer=\"n{}\"", b + 1), "outcome=\"agreed\"".to_owned()];
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        all[a].sum("quorate_repair_comparisons_total", &labels)
    };
    [(0, 1), (0, 2), (1, 2)]
        .into_iter()
        .all(|(a, b)| agreed(now, a, b) > agreed(before, a, b) || agreed(now, b, a) > agreed(before, b, a))
}
