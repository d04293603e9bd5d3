//! The nodes of a cluster: its map, and a connection, or the way to one, for each member.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use quorate_ring::{Epoch, NodeId};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tracing::warn;

use super::{
    BuildError, Cause,
    connection::Connection,
    errors::CallError,
    node::{Keeping, Node},
    routing::{Health, Map, Route},
};
use crate::{
    transport::{ClientConnection, Connector},
    wire::ClusterInfo,
};

/// All nodes of the newest map that is known.
#[derive(Debug)]
pub(super) struct Nodes {
    /// The node that the contact points led to.
    contact: NodeId,
    /// Where the client is; empty if nobody said.
    local_rack: String,
    keeping: Keeping,
    cluster: RwLock<Arc<Cluster>>,
}

/// The cluster at an epoch.
#[derive(Debug)]
struct Cluster {
    map: Map,
    nodes: BTreeMap<NodeId, Arc<Node>>,
}

impl Nodes {
    /// Begins with the connection to a contact point.
    pub(super) fn start(
        connector: Connector,
        (address, open): (String, ClientConnection),
        in_flight_max: usize,
        local_rack: String,
    ) -> Result<Self, BuildError> {
        let map = Map::new(&open.info, &local_rack)?;
        if let Some(trouble) = map.trouble_with(&local_rack) {
            warn!("{trouble}");
        }
        let keeping = Keeping {
            connector,
            changes: watch::Sender::new(0),
            newest: watch::Sender::new(map.epoch()),
            in_flight_max,
        };
        // The address that just worked is kept for that node: the cluster may know it by another.
        let node = Node::new(open.info.node, address);
        let contact = node.id();
        node.keep(&keeping, Some(open));
        let cluster = Cluster::new(map, &BTreeMap::from([(contact, node)]));
        let nodes = Self { contact, local_rack, keeping, cluster: RwLock::new(Arc::new(cluster)) };
        nodes.reach_out();
        Ok(nodes)
    }

    /// A client in a rack asks nobody else for as long as it can, so that it would have nobody else to ask once it cannot: it
    /// connects to all nodes beforehand.
    fn reach_out(&self) {
        if !self.local_rack.is_empty() {
            for node in self.cluster().nodes.values() {
                node.keep(&self.keeping, None);
            }
        }
    }

    /// The node that the contact points led to.
    pub(super) fn contact(&self) -> NodeId {
        self.contact
    }

    /// The best node's connection that is up; one that does not answer or is to be avoided only if there is no other.
    /// Waits for the first to come up if none is.
    pub(super) async fn connection(
        &self,
        route: Route<'_>,
        avoid: &[NodeId],
        deadline: Instant,
    ) -> Result<(NodeId, Arc<Connection>), CallError> {
        let mut changes = self.keeping.changes.subscribe();
        loop {
            let cluster = self.cluster();
            let look = |id| {
                let connection = cluster.nodes.get(&id)?.connection(&self.keeping)?;
                let health = match avoid.contains(&id) {
                    true => Health::Tried,
                    false if connection.is_silent() => Health::Silent,
                    false => Health::Well,
                };
                Some((health, (id, connection)))
            };
            if let Some(chosen) = cluster.map.choose(route, look) {
                return Ok(chosen);
            }
            // The sender lives here: a change or the deadline comes.
            if timeout_at(deadline, changes.changed()).await.is_err() {
                let asked = |node: &&Arc<Node>| !matches!(route, Route::Only(only) if node.id() != only);
                let troubles: Vec<_> =
                    cluster.nodes.values().filter(asked).filter_map(|node| node.trouble()).collect();
                let reason =
                    if troubles.is_empty() { "no answer yet".to_owned() } else { troubles.join("; ") };
                return Err(CallError::not_applied(Cause::Unreachable { reason }));
            }
        }
    }

    /// The newest epoch that any node has told of: a node that knows less asks for the map first (rule M5).
    pub(super) fn newest_epoch(&self) -> Epoch {
        *self.keeping.newest.borrow()
    }

    /// Rises when a node tells of a newer epoch.
    pub(super) fn news(&self) -> watch::Receiver<Epoch> {
        self.keeping.newest.subscribe()
    }

    /// The epoch of the map that requests are routed by.
    pub(super) fn epoch(&self) -> Epoch {
        self.cluster().map.epoch()
    }

    /// Every member of the newest map that is known here.
    pub(super) fn members(&self) -> Vec<NodeId> {
        self.cluster().nodes.keys().copied().collect()
    }

    fn cluster(&self) -> Arc<Cluster> {
        self.cluster.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Routes by a newer map from now on. A map that makes no ring is ignored: routing is a matter of speed.
    pub(super) fn install(&self, info: &ClusterInfo) {
        let mut cluster = self.cluster.write().unwrap_or_else(PoisonError::into_inner);
        if info.epoch <= cluster.map.epoch() {
            return;
        }
        if let Ok(map) = Map::new(info, &self.local_rack) {
            let next = Cluster::new(map, &cluster.nodes);
            for (id, node) in &cluster.nodes {
                if !next.nodes.contains_key(id) {
                    node.abandon();
                }
            }
            *cluster = Arc::new(next);
            drop(cluster);
            self.reach_out();
        }
    }
}

impl Cluster {
    /// Nodes that are known keep their connections.
    fn new(map: Map, known: &BTreeMap<NodeId, Arc<Node>>) -> Self {
        let members = map.ring().members().iter();
        let nodes = members.map(|member| {
            let node = known.get(&member.id).cloned();
            (member.id, node.unwrap_or_else(|| Node::new(member.id, member.address.clone())))
        });
        let nodes = nodes.collect();
        Self { map, nodes }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in self.cluster().nodes.values() {
            node.abandon();
        }
    }
}
