//! The client: its view of the cluster, and how a request finds its way.

#![expect(clippy::disallowed_methods, reason = "the cluster map is kept fresh by a task")]

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use quorate_ring::{Epoch, NodeId};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    BuildError, ClientBuilder,
    budget::RetryBudget,
    connection::Connection,
    errors::{CallError, Cause},
    node::{Keeping, Node},
    policy::{Nature, Next, judge},
    routing::{Map, Route},
};
use crate::{
    transport::{ClientConnection, Connector},
    wire::{ChangeName, ClientMessage, ClusterInfo, DescribeCluster, Outcome},
};

/// A client of one cluster. Clones share everything; the connections close when the last one and the last
/// [`TableHandle`](super::TableHandle) are gone.
#[derive(Clone, Debug)]
pub struct Client {
    session: Arc<Session>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) timeout: Duration,
    pub(super) in_flight_max: usize,
}

/// What all clones share.
#[derive(Debug)]
pub(super) struct Session {
    settings: Settings,
    /// The node that the contact points led to.
    contact: NodeId,
    keeping: Keeping,
    retries: RetryBudget,
    cluster: RwLock<Arc<Cluster>>,
}

/// The cluster map with a connection, or the way to one, for each member.
#[derive(Debug)]
struct Cluster {
    map: Map,
    nodes: BTreeMap<NodeId, Arc<Node>>,
}

impl Client {
    /// Begins a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }
}

impl Session {
    /// Begins with the connection to a contact point.
    pub(super) fn start(
        connector: Connector,
        (address, open): (String, ClientConnection),
        settings: Settings,
    ) -> Result<Arc<Self>, BuildError> {
        let map = Map::new(&open.info)?;
        let keeping = Keeping {
            connector,
            changes: watch::Sender::new(0),
            newest: watch::Sender::new(map.epoch()),
            in_flight_max: settings.in_flight_max,
        };
        // The address that just worked is kept for that node: the cluster may know it by another.
        let node = Node::new(open.info.node, address);
        let contact = node.id();
        node.keep(&keeping, Some(open));
        let cluster = Arc::new(Cluster::new(map, &BTreeMap::from([(contact, node)])));
        let news = keeping.newest.subscribe();
        let cluster = RwLock::new(cluster);
        let session = Arc::new(Self { settings, contact, keeping, retries: RetryBudget::default(), cluster });
        tokio::spawn(follow(Arc::downgrade(&session), news));
        Ok(session)
    }

    /// The node that the contact points led to.
    pub(super) fn contact(&self) -> NodeId {
        self.contact
    }

    /// When a request that starts now must be done.
    pub(super) fn deadline(&self, timeout: Option<Duration>) -> Instant {
        let timeout = timeout.unwrap_or(self.settings.timeout).min(TIMEOUT_MAX);
        Instant::now() + timeout
    }

    /// Carries a request out: picks a node, sends, and tries again where that is safe, until `deadline`.
    pub(super) async fn request(
        &self,
        message: ClientMessage,
        route: Route<'_>,
        nature: Nature,
        deadline: Instant,
    ) -> Result<(NodeId, ClientMessage), CallError> {
        let mut avoid = Vec::new();
        let mut attempt = 0;
        let mut maybe_applied = false;
        self.retries.earn();
        loop {
            attempt += 1;
            let (node, error) = match self.attempt(&message, route, &avoid, deadline).await {
                Ok(answered) => return Ok(answered),
                Err(failed) => failed,
            };
            maybe_applied |= error.outcome == Outcome::Unknown;
            let next = match judge(nature, attempt, &error) {
                Next::Later(_) if !self.retries.spend() => Next::GiveUp,
                // Those who were turned away together do not come back together.
                Next::Later(pause) => Next::After(pause.mul_f32(1.0 + rand::random::<f32>())),
                next => next,
            };
            // An attempt that may have been applied is not undone by a later one that was not.
            let outcome = match nature {
                Nature::Read => Outcome::NotApplied,
                Nature::Write { .. } if maybe_applied => Outcome::Unknown,
                Nature::Write { .. } => error.outcome,
            };
            let error = CallError { outcome, ..error };
            match next {
                Next::Elsewhere if Instant::now() < deadline => avoid.extend(node),
                Next::After(pause) if Instant::now() + pause < deadline => {
                    avoid.clear();
                    avoid.extend(node);
                    sleep_until(Instant::now() + pause).await;
                }
                _ => return Err(error),
            }
        }
    }

    async fn attempt(
        &self,
        message: &ClientMessage,
        route: Route<'_>,
        avoid: &[NodeId],
        deadline: Instant,
    ) -> Result<(NodeId, ClientMessage), (Option<NodeId>, CallError)> {
        let (id, epoch, connection) =
            self.connection(route, avoid, deadline).await.map_err(|error| (None, error))?;
        match connection.call(message.clone(), epoch, deadline).await {
            Ok(answer) => Ok((id, answer)),
            Err(error) => Err((Some(id), error)),
        }
    }

    /// The best node's connection that is up; one that does not answer or is to be avoided only if there is no other. Waits for the first to
    /// come up if none is.
    async fn connection(
        &self,
        route: Route<'_>,
        avoid: &[NodeId],
        deadline: Instant,
    ) -> Result<(NodeId, Epoch, Arc<Connection>), CallError> {
        let mut changes = self.keeping.changes.subscribe();
        loop {
            let cluster = self.cluster();
            let up =
                |id| cluster.nodes.get(&id)?.connection(&self.keeping).map(|connection| (id, connection));
            let fresh = |id| if avoid.contains(&id) { None } else { up(id) };
            let lively = |id| fresh(id).filter(|(_, connection)| !connection.is_silent());
            let chosen = cluster.map.choose(route, lively).or_else(|| cluster.map.choose(route, fresh));
            let chosen = chosen.or_else(|| cluster.map.choose(route, up));
            if let Some((id, connection)) = chosen {
                return Ok((id, self.newest_epoch(), connection));
            }
            // The sender lives in this session: a change or the deadline comes.
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

    /// Names a change of the cluster's tables.
    pub(super) fn change_name(&self) -> ChangeName {
        ChangeName { since: self.newest_epoch(), number: rand::random() }
    }

    /// Every member of the newest map that is known here.
    pub(super) fn members(&self) -> Vec<NodeId> {
        self.cluster().nodes.keys().copied().collect()
    }

    fn cluster(&self) -> Arc<Cluster> {
        self.cluster.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Routes by a newer map from now on. A map that makes no ring is ignored: routing is a matter of speed.
    fn install(&self, info: &ClusterInfo) {
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

impl Drop for Session {
    fn drop(&mut self) {
        for node in self.cluster().nodes.values() {
            node.abandon();
        }
    }
}

/// Asks for the cluster map whenever an answer came from a newer epoch. Ends with the session.
async fn follow(session: Weak<Session>, mut news: watch::Receiver<Epoch>) {
    while news.changed().await.is_ok() {
        let Some(session) = session.upgrade() else { return };
        let newest = *news.borrow_and_update();
        if newest <= session.cluster().map.epoch() {
            continue;
        }
        let deadline = session.deadline(None);
        let asked = session.request(DescribeCluster {}.into(), Route::Anyone, Nature::Read, deadline).await;
        if let Ok((_, ClientMessage::ClusterInfo(info))) = asked {
            session.install(&info);
        }
    }
}

/// Longer than this a frame cannot say.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
