//! Nodes of which the first few are cut off from the others, each part with a client that sees it alone.

use super::*;

pub(super) struct Split {
    pub(super) nodes: Nodes,
    relay: Relay,
    /// Asks the first node.
    pub(super) minority: Vec<TableHandle>,
    /// Asks the last one.
    pub(super) majority: Vec<TableHandle>,
}

impl Split {
    /// Cuts the first `few` of `count` nodes off, which have tables of these kinds by then.
    pub(super) async fn start(count: usize, few: usize, kinds: &[TableKind]) -> Self {
        let mut nodes = Nodes::prepare(tempfile::tempdir().expect("a directory"), count);
        let relay = begin_behind_relay(&mut nodes).await;
        let clients =
            [client_behind(&nodes, &relay, 1, 0).await, client_behind(&nodes, &relay, 2, count - 1).await];
        let (mut minority, mut majority) = (Vec::new(), Vec::new());
        for kind in kinds {
            minority.push(create(&clients[0], &kind.to_string(), *kind).await);
            majority.push(clients[1].table(&kind.to_string()).await.expect("the table"));
        }
        relay.set("partition", cut(count, &(0..few).collect::<Vec<_>>()));
        Self { nodes, relay, minority, majority }
    }

    pub(super) fn heal(&self) {
        self.relay.set("partition", Shapes::new());
    }
}
