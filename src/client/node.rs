//! One node as the client sees it: connected, or on the way there.

#![expect(clippy::disallowed_methods, reason = "the keeper of a connection dials with timeouts and pauses")]

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quorate_ring::{Epoch, NodeId};
use tokio::{
    net::lookup_host,
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{backoff::Backoff, connection::Connection};
use crate::transport::{ClientConnection, Connector};

/// What the keepers of all connections share.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    pub(super) connector: Connector,
    /// Rises whenever a connection comes or goes.
    pub(super) changes: watch::Sender<u64>,
    /// The newest epoch that any node told of.
    pub(super) newest: watch::Sender<Epoch>,
    pub(super) in_flight_max: usize,
}

/// A node with its one connection. A keeper task, started when the node is first wanted, holds the connection
/// and dials again with growing pauses when it is lost, so that no number of callers makes a storm.
#[derive(Debug)]
pub(super) struct Node {
    id: NodeId,
    address: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ready: Option<Arc<Connection>>,
    keeper: Option<AbortHandle>,
    /// What the last attempt to connect met.
    trouble: Option<String>,
}

impl Node {
    pub(super) fn new(id: NodeId, address: String) -> Arc<Self> {
        Arc::new(Self { id, address, state: Mutex::default() })
    }

    pub(super) fn id(&self) -> NodeId {
        self.id
    }

    /// The connection if it is up. Otherwise it is being worked on from now on.
    pub(super) fn connection(self: &Arc<Self>, keeping: &Keeping) -> Option<Arc<Connection>> {
        if let Some(ready) = &self.lock().ready {
            return Some(ready.clone());
        }
        self.keep(keeping, None);
        None
    }

    /// Starts the keeper unless it runs, with a connection that is open already if there is one.
    pub(super) fn keep(self: &Arc<Self>, keeping: &Keeping, open: Option<ClientConnection>) {
        let mut state = self.lock();
        if state.keeper.is_none() {
            let task = tokio::spawn(self.clone().keeper(keeping.clone(), open));
            state.keeper = Some(task.abort_handle());
        }
    }

    /// What the last attempt to connect met, for error messages.
    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// Ends the keeper and with it the connection.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        if let Some(keeper) = state.keeper.take() {
            keeper.abort();
        }
        if let Some(connection) = state.ready.take() {
            connection.close();
        }
    }

    async fn keeper(self: Arc<Self>, keeping: Keeping, mut open: Option<ClientConnection>) {
        let mut backoff = Backoff::of_connections();
        loop {
            let dialled = match open.take() {
                Some(open) => Ok(open),
                None => dial(&keeping.connector, &self.address).await,
            };
            let trouble = match dialled {
                Ok(connection) if connection.info.node == self.id => {
                    backoff.reset();
                    self.serve(&keeping, connection).await
                }
                Ok(connection) => format!("{}: is {}, not {}", self.address, connection.info.node, self.id),
                Err(reason) => reason,
            };
            self.lock().trouble = Some(trouble);
            keeping.changes.send_modify(|count| *count = count.wrapping_add(1));
            sleep(backoff.next(rand::random())).await;
        }
    }

    /// Lets requests use the connection until it is lost, and says why it was.
    async fn serve(&self, keeping: &Keeping, open: ClientConnection) -> String {
        let ClientConnection { info, sender, mut receiver } = open;
        let connection =
            Arc::new(Connection::new(self.id, sender, keeping.in_flight_max, info.value_bytes_max));
        let newer = |epoch: Epoch| {
            keeping.newest.send_if_modified(|newest| {
                let newer = epoch > *newest;
                *newest = epoch.max(*newest);
                newer
            });
        };
        newer(info.epoch);
        self.lock().ready = Some(connection.clone());
        keeping.changes.send_modify(|count| *count = count.wrapping_add(1));
        let reason = connection.receive(&mut receiver, newer).await;
        self.lock().ready = None;
        format!("{}: {reason}", self.address)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects to the first of the address's hosts that answers.
pub(super) async fn dial(connector: &Connector, address: &str) -> Result<ClientConnection, String> {
    let hosts = lookup_host(address).await.map_err(|error| format!("{address}: {error}"))?;
    let mut trouble = format!("{address}: the name has no address");
    for host in hosts {
        match timeout(DIAL_TIMEOUT, connector.connect(host)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => trouble = error.to_string(),
            Err(_) => trouble = format!("{host}: no answer: is the node up, and the address right?"),
        }
    }
    Err(trouble)
}

const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
