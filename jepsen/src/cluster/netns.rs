//! A network of the kernel's: one namespace for each node, joined by a bridge, broken by routes that drop.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::link::{End, Shape, Shapes};

/// The namespaces of a cluster. Dropping it removes them.
pub(super) struct Namespaces {
    nodes: usize,
    /// Distinguishes clusters that run at the same time.
    id: u32,
    cuts: Mutex<Cuts>,
}

#[derive(Default)]
struct Cuts {
    layers: BTreeMap<&'static str, BTreeSet<(End, End)>>,
    pins: BTreeMap<usize, usize>,
    /// What the kernel drops at the moment.
    dropped: BTreeSet<(End, End)>,
}

impl Namespaces {
    /// Makes a bridge and a namespace for each node.
    pub(super) fn create(nodes: usize) -> io::Result<Self> {
        let id = std::process::id();
        let namespaces = Self { nodes, id, cuts: Mutex::default() };
        namespaces.build().map_err(|error| {
            let problem = format!("--net netns needs root, iproute2 and network namespaces: {error}");
            io::Error::other(problem)
        })?;
        Ok(namespaces)
    }

    /// Where the nodes listen.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        (0..self.nodes).map(|node| SocketAddr::new(self.node_address(node).into(), PORT)).collect()
    }

    /// The command that runs `command` in a node's namespace; the process is the command's own.
    pub(super) fn within(&self, node: usize, command: Vec<String>) -> Vec<String> {
        let mut within: Vec<String> = ["ip", "netns", "exec"].map(String::from).into();
        within.push(self.namespace(node));
        within.extend(command);
        within
    }

    /// Gives a client an address of its own on the bridge, from which it reaches `pin` alone if there is one.
    pub(super) fn client_address(&self, client: usize, pin: Option<usize>) -> io::Result<IpAddr> {
        let address = self.address(End::Client(client));
        ip(&format!("addr replace {address}/16 dev {}", self.bridge()))?;
        if let Some(node) = pin {
            self.lock().pins.insert(client, node);
            self.apply()?;
        }
        Ok(address.into())
    }

    /// Puts a nemesis's cuts in the place of those it had before.
    pub(super) fn set(&self, nemesis: &'static str, shapes: Shapes) -> io::Result<()> {
        if let Some(shape) = shapes.values().find(|shape| **shape != Shape::CUT) {
            return Err(io::Error::other(format!("--net netns can cut, not {shape:?}")));
        }
        self.lock().layers.insert(nemesis, shapes.into_keys().collect());
        self.apply()
    }

    /// Brings the kernel to what is wanted. A node drops at its own end what it sends; what a client sends is
    /// answered into the void.
    fn apply(&self) -> io::Result<()> {
        let mut cuts = self.lock();
        let mut wanted: BTreeSet<(End, End)> = cuts.layers.values().flatten().copied().collect();
        for (client, pin) in &cuts.pins {
            let others = (0..self.nodes).filter(|node| node != pin);
            wanted.extend(others.map(|node| (End::Node(node), End::Client(*client))));
        }
        for &(from, to) in wanted.symmetric_difference(&cuts.dropped.clone()) {
            let End::Node(node) = from else { continue };
            let (verb, known) = if wanted.contains(&(from, to)) { ("add", true) } else { ("del", false) };
            let route = format!("blackhole {}/32", self.address(to));
            ip(&format!("-n {} route {verb} {route}", self.namespace(node)))?;
            if known {
                cuts.dropped.insert((from, to))
            } else {
                cuts.dropped.remove(&(from, to))
            };
        }
        Ok(())
    }

    fn build(&self) -> io::Result<()> {
        let bridge = self.bridge();
        ip(&format!("link add {bridge} type bridge"))?;
        ip(&format!("addr add 10.{}.0.1/16 dev {bridge}", self.subnet()))?;
        ip(&format!("link set {bridge} up"))?;
        for node in 0..self.nodes {
            let (namespace, link) = (self.namespace(node), format!("q{}v{node}", self.id));
            ip(&format!("netns add {namespace}"))?;
            ip(&format!("link add {link} type veth peer name eth0 netns {namespace}"))?;
            ip(&format!("link set {link} master {bridge} up"))?;
            ip(&format!("-n {namespace} addr add {}/16 dev eth0", self.node_address(node)))?;
            ip(&format!("-n {namespace} link set eth0 up"))?;
            ip(&format!("-n {namespace} link set lo up"))?;
        }
        Ok(())
    }

    fn bridge(&self) -> String {
        format!("q{}", self.id)
    }

    fn namespace(&self, node: usize) -> String {
        format!("quorate-{}-n{}", self.id, node + 1)
    }

    /// Two clusters at a time rarely meet; if they do, the second one does not start.
    fn subnet(&self) -> u8 {
        100 + (self.id % 100) as u8
    }

    fn node_address(&self, node: usize) -> Ipv4Addr {
        self.address(End::Node(node))
    }

    fn address(&self, end: End) -> Ipv4Addr {
        let number = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
        let [high, low] = match end {
            End::Node(node) => number(10 + node),
            End::Client(client) => number(256 + client),
        };
        Ipv4Addr::new(10, self.subnet(), high, low)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cuts> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Namespaces {
    /// What is not there any more, or never was, needs no removing.
    fn drop(&mut self) {
        for node in 0..self.nodes {
            let _ = ip(&format!("netns del {}", self.namespace(node)));
        }
        let _ = ip(&format!("link del {}", self.bridge()));
    }
}

fn ip(arguments: &str) -> io::Result<()> {
    let done = Command::new("ip").args(arguments.split(' ')).output()?;
    if done.status.success() {
        return Ok(());
    }
    let problem = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Err(io::Error::other(format!("ip {arguments}: {problem}")))
}

const PORT: u16 = 7000;
