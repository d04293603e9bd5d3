//! Starting a node on a thread of its own, and what can be done with it from outside.

use std::{
    cell::{Cell, RefCell},
    net::{SocketAddr, UdpSocket},
    panic::resume_unwind,
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
};

use quorate_ring::{Actor, ClusterId, NodeId, Ring};
use quorate_storage::{Digests, Engine, EngineError, Life, Slicing};
use tokio::{
    runtime::{Builder, LocalOptions},
    sync::watch,
    task::spawn_local,
};
use tracing::info;

use super::{
    RunConfig, RunError, StartError,
    backup::Backups,
    directory::{Opened, Owner, open},
    disk::Disk,
    driver::Driver,
    faults::Faults,
    report::{Questions, Reports, reports},
};
use crate::{
    node::{Node, NodeConfig},
    transport::{Bounds, Host, Liveness, NodeEndpoint, OsClock, Switchboard, bind},
    wire::{PROTOCOL_VERSION, PeerHello},
};

/// A node that runs in this process. Dropping the handle stops the node without waiting for it.
#[derive(Debug)]
pub struct NodeHandle {
    node: NodeId,
    cluster: ClusterId,
    address: SocketAddr,
    peers: usize,
    peers_up: watch::Receiver<usize>,
    stop: watch::Sender<bool>,
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only a process of its own is asked"))]
    reports: Reports,
    exit: watch::Receiver<Option<Result<(), RunError>>>,
    thread: thread::JoinHandle<()>,
}

/// How many nodes must serve, as the one that is asked has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Await {
    /// More than half of the cluster, this node included.
    Majority,
    /// Every node.
    All,
}

impl NodeHandle {
    /// Starts a node. Blocks until it listens, which takes as long as its data directory takes to open:
    /// tens of milliseconds, and more after a crash.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: RunConfig) -> Result<Self, StartError> {
        let socket = bind(config.listen).map_err(|e| StartError::listen(config.listen, e))?;
        Self::start_on(config, socket)
    }

    /// The same on a socket that is bound already; `config.listen` is not looked at.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start_on(config: RunConfig, socket: UdpSocket) -> Result<Self, StartError> {
        let ring = Ring::found(&config.cluster.name, &config.cluster.founders)?;
        let Some(member) = ring.member_by_name(&config.node) else {
            let names = ring.members().iter().map(|member| member.name.clone()).collect();
            return Err(StartError::NotAFounder { node: config.node, names });
        };
        if !config.identity.is_node(&config.node) {
            return Err(StartError::WrongCertificate { node: config.node });
        }
        let (node, cluster, peers) = (member.id, ring.cluster_id(), ring.members().len() - 1);
        let (stop, stopping) = watch::channel(false);
        let (up, peers_up) = watch::channel(0);
        let (reports, questions) = reports();
        let (exit_sender, exit) = watch::channel(None);
        let (started_sender, started) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(format!("quorate-{}", config.node)).spawn(move || {
            let launch = Launch { config, ring, node, socket, up, questions, stop: stopping };
            if let Some(outcome) = launch.run(&started_sender) {
                exit_sender.send_replace(Some(outcome));
            }
        })?;
        let address = started.recv().map_err(|_| std::io::Error::other("the node's thread ended"))??;
        Ok(Self { node, cluster, address, peers, peers_up, stop, reports, exit, thread })
    }

    /// Its id in the ring.
    pub fn node_id(&self) -> NodeId {
        self.node
    }

    /// Its cluster.
    pub fn cluster_id(&self) -> ClusterId {
        self.cluster
    }

    /// The address that it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it how it is.
    #[cfg(feature = "cli")]
    pub(super) fn reports(&self) -> Reports {
        self.reports.clone()
    }

    /// Waits until this node acts as a member, and so many others are connected to it and have said that they do, too.
    ///
    /// # Errors
    /// If the node stops before.
    pub async fn wait_ready(&self, wanted: Await) -> Result<(), RunError> {
        let enough = match wanted {
            Await::Majority => self.peers.div_ceil(2),
            Await::All => self.peers,
        };
        let mut peers_up = self.peers_up.clone();
        if peers_up.wait_for(|up| *up >= enough).await.is_ok() {
            return Ok(());
        }
        self.exited().await.and(Err(RunError::Crashed("main")))
    }

    /// Tells the node to finish what is under way and to stop; see [`NodeHandle::exited`].
    pub fn drain(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the node has stopped.
    ///
    /// # Errors
    /// Why it stopped, unless it was told to.
    pub async fn exited(&self) -> Result<(), RunError> {
        match self.exit.clone().wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(RunError::Crashed("main")),
        }
    }

    /// Tells the node to stop and waits until it has.
    ///
    /// # Errors
    /// See [`NodeHandle::exited`].
    pub async fn shutdown(self) -> Result<(), RunError> {
        self.drain();
        self.exited().await
    }

    /// The same for callers that may block.
    ///
    /// # Errors
    /// See [`NodeHandle::exited`].
    pub fn shutdown_blocking(self) -> Result<(), RunError> {
        self.drain();
        self.thread.join().map_err(|_| RunError::Crashed("main"))?;
        self.exit.borrow().clone().unwrap_or(Err(RunError::Crashed("main")))
    }
}

/// What the node's thread starts with.
struct Launch {
    config: RunConfig,
    ring: Ring,
    node: NodeId,
    socket: UdpSocket,
    up: watch::Sender<usize>,
    questions: Questions,
    stop: watch::Receiver<bool>,
}

impl Launch {
    /// Starts the node, says how that went, and runs it. `None` if it never started.
    fn run(self, started: &mpsc::SyncSender<Result<SocketAddr, StartError>>) -> Option<Result<(), RunError>> {
        let built =
            Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default());
        let runtime = match built {
            Ok(runtime) => runtime,
            Err(e) => {
                let _ = started.send(Err(e.into()));
                return None;
            }
        };
        let outcome = runtime.block_on(async {
            let (driver, address) = match self.start() {
                Ok(built) => built,
                Err(e) => {
                    let _ = started.send(Err(e));
                    return None;
                }
            };
            let _ = started.send(Ok(address));
            // A task like those of the connections, not what the runtime blocks on: that it polls only when no task is left to
            // run, and asks the system for news first, each time.
            let run = spawn_local(driver.run()).await;
            Some(run.unwrap_or_else(|panic| resume_unwind(panic.into_panic())))
        });
        // All that may be left on threads of the runtime are look-ups of names, and a name service may never answer.
        runtime.shutdown_background();
        outcome
    }

    fn start(self) -> Result<(Driver, SocketAddr), StartError> {
        let Self { config, ring, node, socket, up, questions, stop } = self;
        let RunConfig { cluster, node: name, listen: _, data_dir, identity, process } = config;
        let faults = Faults::from_environment()?;
        let clock = faults.map_or_else(OsClock::start, Faults::clock);
        let owner = Owner { cluster: ring.cluster_id(), cluster_name: &cluster.name, node, name: &name };
        let Opened { engine, mut committer, recovered, mark } = open(&data_dir, &owner, &process)?;
        let engine: Arc<dyn Engine> = engine;
        let digests = Digests::load(&*engine, Arc::new(Slicing::of(&ring)));
        let unread = |error: EngineError| StartError::DataDirectory {
            path: data_dir.clone(),
            reason: format!("its digests cannot be read: {error}"),
        };
        committer.keep(digests.map_err(unread)?);
        let engine = faults.map_or(engine.clone(), |faults| faults.engine(engine));
        let peers = Liveness { idle_timeout: process.peer_idle_timeout, keep_alive: process.peer_keep_alive };
        let endpoint = NodeEndpoint::new(socket, &identity, peers)?;
        let address = endpoint.local_address()?;
        let actor = Actor(rand::random());
        let Life { incarnation, starts, .. } = recovered.life(actor);
        let hello = PeerHello {
            protocol: PROTOCOL_VERSION,
            cluster: ring.cluster_id(),
            node,
            incarnation,
            starts,
            actor,
            wall: clock.now().wall,
            settings: cluster.checksum(),
        };
        info!(%address, %node, name, cluster = %ring.cluster_id(), %actor, data_dir = %data_dir.display(), "listening");
        let node_config = NodeConfig {
            settings: cluster.settings(),
            value_bytes_max: cluster.value_bytes_max,
            request_timeout_max: cluster.request_timeout_max,
            hedge_delay: process.hedge_delay,
            gossip: process.network.gossip(),
            requests_max: process.requests_max,
            requests_per_client_max: process.requests_per_client_max,
            replica_requests_max: process.replica_requests_max,
            state_cache_bytes: process.state_cache_bytes,
            ..NodeConfig::new(node, actor, cluster.name)
        };
        let bounds = Bounds {
            clients_max: process.clients_max,
            value_bytes_max: cluster.value_bytes_max,
            peer_output_bytes_max: process.peer_output_bytes_max,
            client_output_bytes_max: process.client_output_bytes_max,
        };
        let node = Rc::new(RefCell::new(Node::new(node_config, ring, recovered)));
        let switchboard = Switchboard::new(up);
        let stopping = Cell::new(false);
        let host = Rc::new(Host { endpoint, switchboard, node, hello, clock, bounds, stopping });
        let backups = Backups::new(&data_dir, engine.clone(), process.disk_free_min);
        let (disk, results) = Disk::start(engine, committer, mark, clock, backups)?;
        let drain_timeout = process.drain_timeout;
        let driver = Driver { host, disk, results, questions, stop, drain_timeout, seed: actor.0 };
        Ok((driver, address))
    }
}
