//! A cluster in memory, for tests of programs that use the client.

mod cas;
mod catalog;
mod data;
mod sealed;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quorate_ring::{Epoch, Founder, Layout, NodeId};
use tokio::{
    task::yield_now,
    time::{Instant, sleep_until},
};

use self::{catalog::Catalog, data::Data};
use super::{Cause, Client, Failure, errors::CallError, routing::Route};
use crate::wire::{
    ClientMessage, ClusterInfo, HealingDescribed, NodeStatus, NodesDescribed, PROTOCOL_VERSION, RequestError,
    Scrubbing, VALUE_BYTES_MAX, Verdict,
};

/// A cluster in memory, of three nodes that always agree, for tests: its [clients](Self::client) are ordinary
/// [`Client`]s, so that code under test need not know. Clones are the same cluster; it goes with the last one and the last
/// client.
///
/// Tables, siblings and contexts, registers, conditions, bounds, levels, scans with cursors, and what is refused are as they are
/// in a cluster: writes are merged by the storage that nodes have. Time stands still but for [`advance`](Self::advance). What
/// goes wrong goes wrong on order: [`fail_next_write`](Self::fail_next_write), [`fail_next_read`](Self::fail_next_read).
/// There are no replicas to differ, nodes to fail or hints to give away: errors have no receipts.
///
/// ```
/// use quorate::client::{Fault, Mock, Outcome, TableHandle, WriteError};
///
/// /// Code under test: writes, and looks whether it was written where that is unknown.
/// async fn save(table: &TableHandle, key: &'static str, value: &'static str) -> Result<(), WriteError> {
///     match table.put(key, value).await {
///         Err(error) if error.outcome() == Outcome::Unknown => match table.get(key).await {
///             Ok(read) if read.values().iter().any(|found| found == value) => Ok(()),
///             _ => Err(error),
///         },
///         written => written.map(drop),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mock = Mock::new();
/// let client = mock.client();
/// client.create_table("carts").await?;
/// let carts = client.table("carts").await?;
///
/// mock.fail_next_write(Fault::UnknownApplied);
/// save(&carts, "alice", "2 apples").await?;
///
/// mock.fail_next_write(Fault::UnknownNotApplied);
/// assert!(save(&carts, "alice", "3 apples").await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Mock {
    cluster: Arc<Mutex<Cluster>>,
}

/// How a request of a [`Mock`]'s client fails. Whether it is made again is for the
/// [retry policy](super::RetryPolicy), as ever; each attempt takes one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A node refuses it; nothing happens. [`Failure::Overloaded`] is tried again by default, as are those of one node
    /// alone; [`Failure::Unavailable`] is not.
    Refused(Failure),
    /// The connection breaks after the request was carried out: the outcome is unknown.
    UnknownApplied,
    /// The connection breaks before the request was carried out: the outcome is unknown, too.
    UnknownNotApplied,
    /// No answer comes, and nothing happens. The outcome is unknown once the time is over.
    Silence,
}

#[derive(Debug, Default)]
struct Cluster {
    catalog: Catalog,
    data: Data,
    write_faults: VecDeque<Fault>,
    read_faults: VecDeque<Fault>,
}

impl Mock {
    /// A cluster without tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// A client of it. [`ClientBuilder::build_mock`](super::ClientBuilder::build_mock) makes one with settings.
    pub fn client(&self) -> Client {
        Client::builder().build_mock(self)
    }

    /// The next write, delete or compare-and-set of a key fails so, after those that were ordered before.
    pub fn fail_next_write(&self, fault: Fault) {
        self.lock().write_faults.push_back(fault);
    }

    /// The next read of a key, or of a page of a scan, fails so, after those that were ordered before.
    pub fn fail_next_read(&self, fault: Fault) {
        self.lock().read_faults.push_back(fault);
    }

    /// Lets time pass by the clocks of the nodes: values may expire.
    pub fn advance(&self, time: Duration) {
        self.lock().data.advance(time);
    }

    /// The node that is asked: the one that the route names, or the first that is not to be avoided.
    pub(super) fn choose(&self, route: Route<'_>, avoid: &[NodeId]) -> NodeId {
        match route {
            Route::Node(node) | Route::Only(node) => node,
            Route::Key(..) | Route::Token(..) | Route::Anyone => {
                MEMBERS.into_iter().find(|node| !avoid.contains(node)).unwrap_or(MEMBERS[0])
            }
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.lock().catalog.epoch()
    }

    /// Carries out what `node` is asked, unless a fault was ordered.
    pub(super) async fn call(
        &self,
        node: NodeId,
        message: ClientMessage,
        deadline: Instant,
    ) -> Result<ClientMessage, CallError> {
        // As with a node in earnest, others get their turn meanwhile.
        yield_now().await;
        if Instant::now() >= deadline {
            return Err(CallError::not_applied(Cause::TimedOut));
        }
        let lost = || Cause::ConnectionLost { node, reason: "so ordered of the mock".to_owned() };
        let fault = self.lock().next_fault(&message);
        match fault {
            None => self.carry_out(node, message),
            Some(Fault::Refused(failure)) => Err(CallError::not_applied(Cause::Failed(failure))),
            Some(Fault::UnknownNotApplied) => Err(CallError::unknown(lost())),
            Some(Fault::UnknownApplied) => {
                self.carry_out(node, message).and_then(|_| Err(CallError::unknown(lost())))
            }
            Some(Fault::Silence) => {
                sleep_until(deadline).await;
                Err(CallError::unknown(Cause::TimedOut))
            }
        }
    }

    fn carry_out(&self, node: NodeId, message: ClientMessage) -> Result<ClientMessage, CallError> {
        let done = self.lock().carry_out(node, message);
        done.map_err(CallError::from)
    }

    fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    fn next_fault(&mut self, message: &ClientMessage) -> Option<Fault> {
        match message {
            ClientMessage::Put(_) | ClientMessage::Delete(_) | ClientMessage::CompareAndSet(_) => {
                self.write_faults.pop_front()
            }
            ClientMessage::Get(_) | ClientMessage::Scan(_) => self.read_faults.pop_front(),
            _ => None,
        }
    }

    fn carry_out(&mut self, node: NodeId, message: ClientMessage) -> Result<ClientMessage, RequestError> {
        let Self { catalog, data, .. } = self;
        let done = match message {
            ClientMessage::Get(get) => data.get(catalog, node, get).map(Into::into),
            ClientMessage::Put(put) => data.put(catalog, node, put).map(Into::into),
            ClientMessage::Delete(delete) => data.delete(catalog, node, delete).map(Into::into),
            ClientMessage::CompareAndSet(compare) => {
                data.compare_and_set(catalog, node, compare).map(Into::into)
            }
            ClientMessage::Scan(scan) => data.scan(catalog, node, scan).map(Into::into),
            ClientMessage::ListTables(_) => Ok(catalog.list().into()),
            ClientMessage::CreateTable(create) => catalog.create(create),
            ClientMessage::AlterTable(alter) => catalog.alter(alter),
            ClientMessage::DropTable(drop) => catalog.drop(drop),
            ClientMessage::TruncateTable(truncate) => catalog.truncate(truncate),
            ClientMessage::DescribeCluster(_) => Ok(self.info(node).into()),
            ClientMessage::DescribeNodes(_) => Ok(self.nodes(node).into()),
            ClientMessage::DescribeHealing(_) | ClientMessage::CompareNow(_) | ClientMessage::ScrubNow(_) => {
                Ok(healed(node).into())
            }
            _ => Err(Failure::Unsupported("a mock has no replicas to look into or stop".to_owned())),
        };
        done.map_err(RequestError::not_applied)
    }

    fn info(&self, node: NodeId) -> ClusterInfo {
        ClusterInfo {
            protocol: PROTOCOL_VERSION,
            cluster_name: NAME.to_owned(),
            node,
            epoch: self.catalog.epoch(),
            layout: layout(),
            up: MEMBERS.to_vec(),
            value_bytes_max: VALUE_BYTES_MAX as u64,
        }
    }

    fn nodes(&self, node: NodeId) -> NodesDescribed {
        let status = |node| NodeStatus {
            node,
            verdict: Verdict::Alive,
            connected: true,
            about: None,
            progress: None,
            unreachable: None,
            vitals: None,
        };
        NodesDescribed { cluster: self.info(node), nodes: MEMBERS.map(status).to_vec() }
    }
}

/// A node with nothing to repair.
fn healed(node: NodeId) -> HealingDescribed {
    HealingDescribed {
        node,
        hints: Vec::new(),
        hints_under_way: 0,
        agreements: Some(Vec::new()),
        given: 0,
        cells_unknown: 0,
        scrub: Scrubbing::default(),
        quarantined: 0,
    }
}

fn layout() -> Layout {
    let founders = MEMBERS.map(|node| Founder::new(node.to_string(), format!("{node}.mock:7000")));
    Layout::found(NAME, &founders).expect("three names and addresses, none of them twice")
}

const NAME: &str = "mock";
/// Every one of which holds everything.
pub(super) const MEMBERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
