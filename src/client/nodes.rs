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

use super::{
    BuildError, Cause,
    connection::Connection,
    errors::CallError,
    node::{Keeping, Node},
    routing::{Map, Route},
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
    ) -> Result<Self, BuildError> {
        let map = Map::new(&open.info)?;
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
        Ok(Self { contact, keeping, cluster: RwLock::new(Arc::new(cluster)) })
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
            let up =
                |id| cluster.nodes.get(&id)?.connection(&self.keeping).map(|connection| (id, connection));
            let fresh = |id| if avoid.contains(&id) { None } else { up(id) };
            let lively = |id| fresh(id).filter(|(_, connection)| !connection.is_silent());
            let chosen = cluster.map.choose(route, lively).or_else(|| cluster.map.choose(route, fresh));
            let chosen = chosen.or_else(|| cluster.map.choose(route, up));
            if let Some(chosen) = chosen {
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
        if let Ok(map) = Map::new(info) {
            let next = Cluster::new(map, &cluster.nodes);
            for (id, node) in &cluster.nodes {
                if !next.nodes.contains_key(id) {
                    node.abandon();
                }
            }
            *cluster = Arc::new(next);
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
