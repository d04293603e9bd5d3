//! A network of the kernel's: one namespace for each node, joined by a bridge, broken by what drops packets.
//!
//! A packet is dropped where a node takes it in, so that its sender is not told; one from a node to a client where the
//! node lets it out, for clients live in the namespace of the harness, which stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::link::{End, Shape, Shapes};

/// What drops packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drops {
    /// The firewall, through `iptables`.
    Firewall,
    /// Routing rules that swallow what comes from an address or goes to it: where there is no `iptables`.
    RoutingRules,
}

/// Which packets a node drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    /// Those that come from the address.
    From(Ipv4Addr),
    /// Those that go to the address.
    To(Ipv4Addr),
}

/// The namespaces of a cluster. Dropping it removes them.
pub(super) struct Namespaces {
    nodes: usize,
    /// Distinguishes clusters that run at the same time.
    id: u32,
    /// The second number of their addresses.
    subnet: u8,
    drops: Drops,
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
        let obstacle = |error| {
            let problem = format!("--net netns needs root, iproute2 and network namespaces: {error}");
            io::Error::other(problem)
        };
        let id = std::process::id();
        let taken = output(&["ip", "-4", "-oneline", "address", "show"]).map_err(obstacle)?;
        let subnet = free_subnet(id, &taken).ok_or_else(|| io::Error::other("no subnet of 10/8 is free"))?;
        let mut namespaces = Self { nodes, id, subnet, drops: Drops::RoutingRules, cuts: Mutex::default() };
        namespaces.build().map_err(obstacle)?;
        if namespaces.has_firewall() {
            namespaces.drops = Drops::Firewall;
        } else {
            namespaces.let_rules_come_first().map_err(obstacle)?;
        }
        Ok(namespaces)
    }

    /// What keeps packets from those that shall not get them.
    pub(super) fn drops(&self) -> &'static str {
        match self.drops {
            Drops::Firewall => "iptables in the nodes' namespaces",
            Drops::RoutingRules => "routing rules in the nodes' namespaces, as there is no iptables",
        }
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

    /// Brings the kernel to what is wanted.
    fn apply(&self) -> io::Result<()> {
        let mut cuts = self.lock();
        let mut wanted: BTreeSet<(End, End)> = cuts.layers.values().flatten().copied().collect();
        for (client, pin) in &cuts.pins {
            for other in (0..self.nodes).filter(|node| node != pin) {
                let (client, other) = (End::Client(*client), End::Node(other));
                wanted.extend([(other, client), (client, other)]);
            }
        }
        for &(from, to) in wanted.symmetric_difference(&cuts.dropped.clone()) {
            let (node, filter) = match (from, to) {
                (_, End::Node(node)) => (node, Filter::From(self.address(from))),
                (End::Node(node), End::Client(_)) => (node, Filter::To(self.address(to))),
                (End::Client(_), End::Client(_)) => continue,
            };
            let begins = wanted.contains(&(from, to));
            let command = drop_command(self.drops, filter, begins);
            let [program, arguments @ ..] = &*command else { continue };
            match self.drops {
                Drops::Firewall => self.run_within(node, program, arguments)?,
                Drops::RoutingRules => ip(&format!("-n {} {}", self.namespace(node), arguments.join(" ")))?,
            }
            if begins {
                cuts.dropped.insert((from, to))
            } else {
                cuts.dropped.remove(&(from, to))
            };
        }
        Ok(())
    }

    /// Whether `iptables` is there and the kernel does what it says.
    fn has_firewall(&self) -> bool {
        let nobody = Filter::From(Ipv4Addr::BROADCAST);
        [true, false].into_iter().all(|begins| {
            let command = drop_command(Drops::Firewall, nobody, begins);
            matches!(&*command, [program, arguments @ ..] if self.run_within(0, program, arguments).is_ok())
        })
    }

    /// Makes room for rules before the one that delivers to the node itself.
    fn let_rules_come_first(&self) -> io::Result<()> {
        (0..self.nodes).try_for_each(|node| {
            let namespace = self.namespace(node);
            ip(&format!("-n {namespace} rule add pref {} lookup local", RULES_AT + 1))?;
            ip(&format!("-n {namespace} rule del pref 0 lookup local"))
        })
    }

    fn run_within(&self, node: usize, program: &str, arguments: &[String]) -> io::Result<()> {
        let namespace = self.namespace(node);
        let mut command = vec!["ip", "netns", "exec", &namespace, program];
        command.extend(arguments.iter().map(String::as_str));
        output(&command).map(drop)
    }

    fn build(&self) -> io::Result<()> {
        let bridge = self.bridge();
        ip(&format!("link add {bridge} type bridge"))?;
        ip(&format!("addr add 10.{}.0.1/16 dev {bridge}", self.subnet))?;
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

    fn node_address(&self, node: usize) -> Ipv4Addr {
        self.address(End::Node(node))
    }

    fn address(&self, end: End) -> Ipv4Addr {
        let number = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
        let [high, low] = match end {
            End::Node(node) => number(10 + node),
            End::Client(client) => number(256 + client),
        };
        Ipv4Addr::new(10, self.subnet, high, low)
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

/// The command within a node's namespace that begins to drop packets, or ends it.
fn drop_command(drops: Drops, filter: Filter, begins: bool) -> Vec<String> {
    let text = match (drops, filter) {
        (Drops::Firewall, _) => {
            let verb = if begins { "-I" } else { "-D" };
            let which = match filter {
                Filter::From(address) => format!("INPUT -s {address}"),
                Filter::To(address) => format!("OUTPUT -d {address}"),
            };
            format!("iptables -w {verb} {which} -j DROP")
        }
        (Drops::RoutingRules, _) => {
            let verb = if begins { "add" } else { "del" };
            let which = match filter {
                Filter::From(address) => format!("from {address}"),
                Filter::To(address) => format!("to {address}"),
            };
            format!("ip rule {verb} pref {RULES_AT} {which} blackhole")
        }
    };
    text.split(' ').map(String::from).collect()
}

/// A number such that nobody on this machine has an address in 10.number/16, by what `ip -4 -oneline address show`
/// says. The first that is tried depends on `id`, so that two clusters that start at the same instant differ too.
fn free_subnet(id: u32, taken: &str) -> Option<u8> {
    let from = (id % u32::from(SUBNETS)) as u8;
    let candidates = (0..SUBNETS).map(|step| 100 + (from + step) % SUBNETS);
    candidates.into_iter().find(|subnet| !taken.contains(&format!(" 10.{subnet}.")))
}

fn ip(arguments: &str) -> io::Result<()> {
    let command: Vec<&str> = ["ip"].into_iter().chain(arguments.split(' ')).collect();
    output(&command).map(drop)
}

/// What a command prints.
fn output(command: &[&str]) -> io::Result<String> {
    let [program, arguments @ ..] = command else { return Ok(String::new()) };
    let done = Command::new(program).args(arguments).output()?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let problem = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Err(io::Error::other(format!("{}: {problem}", command.join(" "))))
}

/// Before the rule for what is addressed to the node itself.
const RULES_AT: u32 = 100;
/// 10.100/16 and those behind it.
const SUBNETS: u8 = 100;
const PORT: u16 = 7000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_is_what_began() {
        let filter = Filter::From(Ipv4Addr::new(10, 100, 1, 7));
        for (drops, begin, end) in [
            (
                Drops::Firewall,
                "iptables -w -I INPUT -s 10.100.1.7 -j DROP",
                "iptables -w -D INPUT -s 10.100.1.7 -j DROP",
            ),
            (
                Drops::RoutingRules,
                "ip rule add pref 100 from 10.100.1.7 blackhole",
                "ip rule del pref 100 from 10.100.1.7 blackhole",
            ),
        ] {
            assert_eq!(drop_command(drops, filter, true).join(" "), begin);
            assert_eq!(drop_command(drops, filter, false).join(" "), end);
        }
        let to = Filter::To(Ipv4Addr::new(10, 100, 1, 7));
        assert!(drop_command(Drops::Firewall, to, true).join(" ").contains("OUTPUT -d 10.100.1.7"));
    }

    #[test]
    fn a_subnet_is_nobody_elses() {
        let taken = "2: q5 inet 10.105.0.1/16 brd\n3: q6 inet 10.106.0.1/16 brd\n";
        assert_eq!(free_subnet(105, taken), Some(107));
        assert_eq!(free_subnet(104, taken), Some(104));
        assert_eq!(free_subnet(199, "1: x inet 10.199.0.1/16"), Some(100));
        let all: String = (100..200).map(|subnet| format!(" 10.{subnet}.0.1")).collect();
        assert_eq!(free_subnet(3, &all), None);
    }
}
