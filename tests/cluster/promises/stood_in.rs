//! Five nodes of which the three replicas of a key die; the others take a write for them.

use quorate::client::Context;

use super::*;

pub(super) struct StoodIn {
    pub(super) nodes: Nodes,
    pub(super) table: TableHandle,
    pub(super) replicas: Vec<usize>,
    pub(super) holders: Vec<usize>,
    /// That of "before".
    pub(super) context: Context,
}

impl StoodIn {
    pub(super) const KEY: &str = "k";

    /// Every replica has "before", its replicas are down, and those that hold "stood in" are up.
    pub(super) async fn start(column: Column) -> Self {
        Self::start_with(column, Nodes::start(5)).await
    }

    /// The same behind a relay.
    pub(super) async fn start_behind_relay(column: Column) -> (Self, Relay) {
        let mut nodes = Nodes::prepare(tempfile::tempdir().expect("a directory"), 5);
        let relay = begin_behind_relay(&mut nodes).await;
        (Self::start_with(column, nodes).await, relay)
    }

    async fn start_with(column: Column, mut nodes: Nodes) -> Self {
        let client = client(&nodes, 0).await;
        let table = create(&client, "carts", TableKind::Siblings).await;
        ALL.put(&table, Self::KEY, "before").await;
        let seen = read(&table, Self::KEY, Consistency::Quorum).await;
        let replicas: Vec<_> = seen.receipt().replicas.iter().map(|id| id.0 as usize - 1).collect();
        assert_eq!(replicas.len(), 3);
        replicas.iter().for_each(|replica| nodes.kill(*replica));
        let holders: Vec<_> = (0..5).filter(|node| !replicas.contains(node)).collect();
        for _ in 0..ATTEMPTS {
            if let Ok(written) = column.write(&table, Self::KEY, "stood in").await {
                assert_held_by(&written, &holders);
                return Self { nodes, table, replicas, holders, context: seen.context() };
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("no fallback takes the write in {column:?}");
    }

    /// The holders go and the replicas come.
    pub(super) fn swap(&mut self) {
        self.holders.iter().for_each(|holder| self.nodes.kill(*holder));
        self.replicas.iter().for_each(|replica| self.nodes.restart(*replica));
    }

    /// The replicas come, and the holders give them what they hold, until all replicas have these values.
    pub(super) async fn hand_over(&mut self, values: &[&str]) {
        self.replicas.iter().for_each(|replica| self.nodes.restart(*replica));
        let mut last = Vec::new();
        for _ in 0..ATTEMPTS {
            let read = read(&self.table, Self::KEY, Consistency::All).await;
            last = texts(&read);
            if last == values && !read.receipt().repaired {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("handoff does not bring the writes to their replicas, which have {last:?}");
    }
}

/// Nobody but fallbacks counted.
pub(super) fn assert_held_by(written: &Written, holders: &[usize]) {
    let mut answered = written.receipt().answered.iter();
    assert!(
        answered.all(|node| holders.iter().any(|holder| id(*holder) == *node)),
        "{:?}",
        written.receipt()
    );
}
