//! A cluster of real processes on a network that can be broken.

pub(crate) mod link;
mod netns;
mod patience;
mod process;
mod relay;
mod setup;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate::client::{Client, Identity};

use self::link::Shapes;
use self::netns::Namespaces;
pub(crate) use self::process::{Process, SYNC_FAILURE, make_dir, write};
use self::relay::Relay;
use crate::stop::Stop;

/// How the harness gets between the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum NetKind {
    /// Through UDP relays of the harness: needs no rights.
    Relay,
    /// One network namespace for each node: needs root.
    Netns,
}

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The `quorate` program.
    pub(crate) quorate: PathBuf,
    /// Where directories, certificates and logs go.
    pub(crate) dir: PathBuf,
    /// How many nodes.
    pub(crate) nodes: usize,
    /// How the harness gets between them.
    pub(crate) net: NetKind,
    /// For what the network does at random.
    pub(crate) seed: u64,
    /// Ends every wait for a node.
    pub(crate) stop: Stop,
}

/// The nodes and the network between them. Dropping it kills the nodes.
pub(crate) struct Cluster {
    processes: Vec<Mutex<Process>>,
    lives: Vec<Arc<AtomicU64>>,
    addresses: Vec<SocketAddr>,
    /// Where the nodes listen.
    targets: Vec<SocketAddr>,
    network: Network,
    identity: Identity,
}

enum Network {
    Relay(Relay),
    Namespaces(Namespaces),
}

impl Cluster {
    /// Makes certificates and configurations, and starts all nodes. Must be called within a tokio runtime.
    pub(crate) async fn start(plan: &Plan) -> io::Result<Self> {
        make_dir(&plan.dir)?;
        let (network, targets, addresses) = match plan.net {
            NetKind::Relay => {
                let targets = setup::free_ports(plan.nodes)?;
                let relay = Relay::start(targets.clone(), plan.seed).await?;
                let addresses = relay.entrances()?;
                (Network::Relay(relay), targets, addresses)
            }
            NetKind::Netns => {
                let namespaces = Namespaces::create(plan.nodes)?;
                let targets = namespaces.addresses();
                (Network::Namespaces(namespaces), targets.clone(), targets)
            }
        };
        let identity = setup::write_files(plan, &targets, &addresses)?;
        let process = |node| {
            let serve = setup::serve_command(plan, node);
            let command = match &network {
                Network::Relay(_) => serve,
                Network::Namespaces(namespaces) => namespaces.within(node, serve),
            };
            Mutex::new(Process::new(node_name(node), plan.dir.clone(), command, plan.stop.clone()))
        };
        let processes: Vec<_> = (0..plan.nodes).map(process).collect();
        let lives = processes
            .iter()
            .map(|process| process.lock().unwrap_or_else(PoisonError::into_inner).lives())
            .collect();
        let cluster = Self { processes, lives, addresses, targets, network, identity };
        for node in 0..plan.nodes {
            cluster.process(node).start()?;
        }
        Ok(cluster)
    }

    /// How many nodes.
    pub(crate) fn len(&self) -> usize {
        self.processes.len()
    }

    /// How often a node was started. It may be asked while somebody else is starting it.
    pub(crate) fn lives(&self, node: usize) -> u64 {
        self.lives[node].load(Relaxed)
    }

    /// A node's process, for as long as nobody else needs it.
    pub(crate) fn process(&self, node: usize) -> MutexGuard<'_, Process> {
        // Its methods leave a process as it is if they fail half-way.
        self.processes[node].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a nemesis's faults of the network in the place of those it had before.
    pub(crate) fn set_network(&self, nemesis: &'static str, shapes: Shapes) -> io::Result<()> {
        match &self.network {
            Network::Relay(relay) => {
                relay.set(nemesis, shapes);
                Ok(())
            }
            Network::Namespaces(namespaces) => namespaces.set(nemesis, shapes),
        }
    }

    /// What keeps datagrams from those that shall not get them.
    pub(crate) fn drops(&self) -> &'static str {
        match &self.network {
            Network::Relay(_) => "relays of the harness",
            Network::Namespaces(namespaces) => namespaces.drops(),
        }
    }

    /// Where the nodes listen, past the relay.
    pub(crate) fn targets(&self) -> &[SocketAddr] {
        &self.targets
    }

    /// Datagrams that came through and those that did not, where that can be told.
    pub(crate) fn datagrams(&self) -> Option<(u64, u64)> {
        match &self.network {
            Network::Relay(relay) => Some(relay.counts()),
            Network::Namespaces(_) => None,
        }
    }

    /// Connects a client of its own, which sees the node `pin` alone if there is one.
    pub(crate) async fn client(&self, client: usize, pin: Option<usize>) -> io::Result<Client> {
        let address: IpAddr = match &self.network {
            Network::Relay(relay) => {
                if let Some(node) = pin {
                    relay.pin(client, node);
                }
                relay::client_address(client)
            }
            Network::Namespaces(namespaces) => namespaces.client_address(client, pin)?,
        };
        let contacts = match pin {
            Some(node) => vec![self.addresses[node].to_string()],
            None => self.addresses.iter().map(SocketAddr::to_string).collect(),
        };
        let builder = Client::builder().contact_points(contacts).tls(self.identity.clone());
        builder.local_address(address).build().await.map_err(io::Error::other)
    }
}

/// What a node is called: `n1` and so on.
pub(crate) fn node_name(node: usize) -> String {
    format!("n{}", node + 1)
}
