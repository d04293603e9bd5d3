//! A cluster of real nodes on loopback, in this process.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    thread,
};

use quorate_ring::Founder;
use tempfile::TempDir;

use super::{Await, ClusterSettings, NodeHandle, ProcessSettings, RunConfig, RunError, StartError};
use crate::{
    certs::{self, CertsError},
    transport::{Identity, IdentityError, bind},
};

/// A running cluster. Dropping it stops the nodes without waiting for them.
#[derive(Debug)]
pub struct DemoCluster {
    nodes: Vec<NodeHandle>,
    identity: Identity,
    certs_dir: PathBuf,
    /// Removed with everything in it when the cluster is dropped.
    _temporary: Option<TempDir>,
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A number of nodes that makes no demo.
    #[error("{0} nodes: a demo takes 1 to {NODES_MAX}")]
    NodeCount(usize),
    /// The directory holds a demo of another size.
    #[error("{} holds a demo of {found} nodes: ask for `--nodes {found}`, or take another directory", path.display())]
    AnotherSize {
        /// The directory.
        path: PathBuf,
        /// Its nodes.
        found: usize,
    },
    /// A file, directory or socket could not be made.
    #[error("demo: {0}")]
    System(#[from] io::Error),
    /// Certificates could not be made.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// Certificates that an earlier run left cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A node did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A node stopped at once.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Starts `nodes` nodes on ports of the system's choice and waits until all are connected. Data and
/// certificates are kept in `data_dir`, and found again there; without one they go when the cluster goes.
///
/// Blocks for the tens of milliseconds that the nodes take to open their data.
///
/// # Errors
/// See [`DemoError`].
pub async fn demo_cluster(nodes: usize, data_dir: Option<&Path>) -> Result<DemoCluster, DemoError> {
    if !(1..=NODES_MAX).contains(&nodes) {
        return Err(DemoError::NodeCount(nodes));
    }
    let temporary = data_dir.is_none().then(|| tempfile::Builder::new().prefix("quorate-demo-").tempdir());
    let temporary = temporary.transpose()?;
    let dir = match (data_dir, &temporary) {
        (Some(dir), _) => dir,
        (None, Some(temporary)) => temporary.path(),
        (None, None) => return Err(io::Error::other("no directory").into()),
    };
    let names: Vec<_> = (1..=nodes).map(|number| format!("n{number}")).collect();
    check_size(dir, nodes)?;
    let certificates = Certificates::find_or_make(dir, &names)?;

    // The ring is founded on addresses, so the sockets come first.
    let sockets: Vec<UdpSocket> =
        names.iter().map(|_| bind((Ipv4Addr::LOCALHOST, 0).into())).collect::<io::Result<_>>()?;
    let addresses: Vec<_> = sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
    let founders = names.iter().zip(&addresses).map(|(name, a)| Founder::new(name, a.to_string())).collect();
    let cluster = ClusterSettings::new("demo", founders);
    let mut configs = Vec::new();
    for (name, listen) in names.iter().zip(&addresses) {
        configs.push(RunConfig {
            cluster: cluster.clone(),
            node: name.clone(),
            listen: *listen,
            data_dir: dir.join(name),
            identity: certificates.identity(name)?,
            process: ProcessSettings::default(),
        });
    }
    let identity = certificates.identity(CLIENT)?;
    // Whoever is told of it may be in another directory.
    let certs_dir = std::path::absolute(&certificates.0)?;
    let nodes = start_all(configs, sockets)?;
    for node in &nodes {
        node.wait_ready(Await::All).await?;
    }
    Ok(DemoCluster { nodes, identity, certs_dir, _temporary: temporary })
}

impl DemoCluster {
    /// Where the nodes listen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(NodeHandle::address).collect()
    }

    /// What a client needs to connect.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where the certificates are that a client connects with, while the cluster runs.
    pub fn certs_dir(&self) -> &Path {
        &self.certs_dir
    }

    /// The nodes.
    pub fn nodes(&self) -> &[NodeHandle] {
        &self.nodes
    }

    /// Stops all nodes and waits until they have.
    ///
    /// # Errors
    /// If a node had stopped before, or not in order.
    pub async fn shutdown(self) -> Result<(), RunError> {
        self.nodes.iter().for_each(NodeHandle::drain);
        for node in self.nodes {
            node.shutdown().await?;
        }
        Ok(())
    }
}

/// Opening a data directory waits for the disk: all at once.
fn start_all(configs: Vec<RunConfig>, sockets: Vec<UdpSocket>) -> Result<Vec<NodeHandle>, StartError> {
    thread::scope(|scope| {
        let starting: Vec<_> = configs
            .into_iter()
            .zip(sockets)
            .map(|(config, socket)| scope.spawn(move || NodeHandle::start_on(config, socket)))
            .collect();
        let crashed =
            |_| StartError::System(io::Error::other("a node crashed while it started: this is a bug"));
        starting.into_iter().map(|start| start.join().map_err(crashed).flatten()).collect()
    })
}

fn check_size(dir: &Path, nodes: usize) -> Result<(), DemoError> {
    let found = (1..=NODES_MAX).take_while(|number| dir.join(format!("n{number}")).exists()).count();
    if found != 0 && found != nodes {
        return Err(DemoError::AnotherSize { path: dir.to_owned(), found });
    }
    Ok(())
}

/// The demo's certificates, as files.
struct Certificates(PathBuf);

impl Certificates {
    fn find_or_make(dir: &Path, names: &[String]) -> Result<Self, CertsError> {
        let dir = dir.join("certs");
        if !dir.join("ca.crt").exists() {
            certs::init(&dir)?;
        }
        for name in names {
            if !dir.join(format!("{name}.crt")).exists() {
                certs::node(&dir, name, &[])?;
            }
        }
        if !dir.join(format!("{CLIENT}.crt")).exists() {
            certs::client(&dir, CLIENT)?;
        }
        Ok(Self(dir))
    }

    fn identity(&self, name: &str) -> Result<Identity, IdentityError> {
        let file = |name: &str, extension| self.0.join(format!("{name}.{extension}"));
        Identity::from_pem_files(&file("ca", "crt"), &file(name, "crt"), &file(name, "key"))
    }
}

const CLIENT: &str = "client";
/// Each node has three threads and its own memory.
const NODES_MAX: usize = 32;
