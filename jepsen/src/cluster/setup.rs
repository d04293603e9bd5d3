//! What nodes need before they can start: ports, certificates, configurations.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::process::Command;

use quorate::client::Identity;

use super::process::write;
use super::{Plan, node_name};

/// Addresses on loopback that nobody listens on. Their ports are below those that the kernel gives to whoever wants any: one
/// of these may be taken by a connection of a node that has started before the node that is to have it has.
pub(super) fn free_ports(count: usize) -> io::Result<Vec<SocketAddr>> {
    let mut held = Vec::new();
    for _ in 0..PORTS_TRIED {
        if held.len() == count {
            break;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, rand::random_range(PORTS)));
        if let (Ok(udp), Ok(tcp)) = (UdpSocket::bind(address), TcpListener::bind(address)) {
            held.push((address, udp, tcp));
        }
    }
    if held.len() < count {
        return Err(io::Error::other("no free ports on loopback"));
    }
    Ok(held.into_iter().map(|(address, ..)| address).collect())
}

/// Linux gives ports from 32,768 on, other systems from 49,152.
const PORTS: Range<u16> = 10_000..32_000;
const PORTS_TRIED: usize = 1_000;

/// Writes certificates and configurations; the identity that clients show.
pub(super) fn write_files(
    plan: &Plan,
    listen: &[SocketAddr],
    advertised: &[SocketAddr],
) -> io::Result<Identity> {
    certs(plan, &["init", "certs"])?;
    certs(plan, &["client", "certs", "client"])?;
    for (node, listen) in listen.iter().enumerate() {
        certs(plan, &["node", "certs", &node_name(node)])?;
        let file = plan.dir.join(format!("{}.toml", node_name(node)));
        write(&file, configuration(node, *listen, advertised))?;
    }
    let file = |name: &str| plan.dir.join("certs").join(name);
    Identity::from_pem_files(&file("ca.crt"), &file("client.crt"), &file("client.key"))
        .map_err(io::Error::other)
}

/// The command that runs a node in the cluster's directory.
pub(super) fn serve_command(plan: &Plan, node: usize) -> Vec<String> {
    let quorate = plan.quorate.display().to_string();
    [quorate, "serve".into(), "--config".into(), format!("{}.toml", node_name(node))].into()
}

/// All nodes have the same founders: the addresses at which others reach them.
fn configuration(node: usize, listen: SocketAddr, advertised: &[SocketAddr]) -> String {
    let founder = |(node, address): (usize, &SocketAddr)| format!("\"{}={address}\"", node_name(node));
    let founders: Vec<_> = advertised.iter().enumerate().map(founder).collect();
    let name = node_name(node);
    let mut text = String::new();
    let _ = writeln!(text, "cluster = \"jepsen\"\nnode = \"{name}\"\ndata_dir = \"{name}.data\"");
    let _ = writeln!(text, "listen = \"{listen}\"\nfounders = [{}]", founders.join(", "));
    let _ = writeln!(
        text,
        "tls = {{ ca = \"certs/ca.crt\", cert = \"certs/{name}.crt\", key = \"certs/{name}.key\" }}"
    );
    text
}

fn certs(plan: &Plan, arguments: &[&str]) -> io::Result<()> {
    let done = Command::new(&plan.quorate).arg("certs").args(arguments).current_dir(&plan.dir).output()?;
    if done.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("quorate certs: {}", String::from_utf8_lossy(&done.stderr))))
}
