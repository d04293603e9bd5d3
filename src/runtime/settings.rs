//! Settings of a running node: those of the cluster, equal on every node, apart from those of one process.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use quorate_ring::Founder;

use crate::{membership::map::Settings, transport::Identity, wire::VALUE_BYTES_MAX};

/// Everything that a node needs to run.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// Equal on every node.
    pub cluster: ClusterSettings,
    /// This node's name, one of the founders'.
    pub node: String,
    /// The UDP address to listen on. Peers and clients come to the address in the founders' list, which
    /// must lead here.
    pub listen: SocketAddr,
    /// Where the node keeps its data; created if it is missing, refused if it is another node's.
    pub data_dir: PathBuf,
    /// The node's certificate and its cluster's authority.
    pub identity: Identity,
    /// This process's own.
    pub process: ProcessSettings,
}

/// What must be equal on every node. Name, and names, racks and weights of the founders make the cluster's
/// id; the rest makes [`ClusterSettings::checksum`]. Nodes that differ refuse each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSettings {
    /// The cluster's name. Two clusters that could reach each other should not share one.
    pub name: String,
    /// The nodes that form the cluster, this one included. Addresses may differ from node to node; where a
    /// name leads to another machine the certificate tells.
    pub founders: Vec<Founder>,
    /// The longest value, in bytes. Every replica must be able to take what any coordinator accepts.
    pub value_bytes_max: usize,
    /// The longest deadline that a client can ask for. Too short and a slow disk fails requests; too long
    /// and requests to a dead replica hold their memory, and a damaged record is long in coming back: a replica
    /// waits for the end of every request that may have counted it, whoever coordinates it (rule S3).
    pub request_timeout_max: Duration,
}

/// What may differ from node to node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSettings {
    /// Memory for blocks read from disk, in bytes. Too little and hot reads go to the disk.
    pub cache_bytes: u64,
    /// Memory for the durable states of keys that were read lately, and as much for those written lately, in bytes; 0 for
    /// none. Values that both hold are there once. Too little and hot reads wait for the read thread and the disk, and
    /// commits read what they merge with.
    pub state_cache_bytes: u64,
    /// Size at which writes kept in memory are written out as a table, in bytes; a few such buffers may wait.
    /// Too little and the disk writes more often; too much and a restart replays longer.
    pub write_buffer_bytes: u64,
    /// Bytes that must stay free on the disk: room for the journal, for buffers that are still to be written out
    /// and for compaction. With less, writes are refused and reads go on. Too little and another program that
    /// fills the disk takes the node down; too much and writes are refused early.
    pub disk_free_min: u64,
    /// How long the replicas asked first have before others are asked too. Too short and load doubles; too
    /// long and one slow replica shows in the latency.
    pub hedge_delay: Duration,
    /// Requests of clients in flight; beyond, they are refused as overloaded.
    pub requests_max: usize,
    /// Requests of one client in flight; beyond, they are refused as overloaded.
    pub requests_per_client_max: usize,
    /// Requests of peers waiting for the disk; beyond, they are refused as overloaded.
    pub replica_requests_max: usize,
    /// Clients connected at a time; beyond, they are sent to other nodes.
    pub clients_max: usize,
    /// Bytes that may wait for a peer to read them; beyond, its connection is dropped. Less than a few of
    /// the longest values and large writes disconnect peers.
    pub peer_output_bytes_max: usize,
    /// Bytes that may wait for a client to read them. From a quarter on nothing more is read from that
    /// client; beyond, its connection is dropped.
    pub client_output_bytes_max: usize,
    /// How far apart the nodes are: how patient gossip is with them.
    pub network: NetworkProfile,
    /// A peer that is silent for so long is down: its requests fail over. Too short and a pause looks like
    /// a crash; too long and requests wait for the dead.
    pub peer_idle_timeout: Duration,
    /// How often an idle connection to a peer is kept alive: several times per `peer_idle_timeout`.
    pub peer_keep_alive: Duration,
    /// How long requests under way may take when the node is told to stop.
    pub drain_timeout: Duration,
    /// Where the process of one node answers `/livez`, `/readyz` and `/metrics` over HTTP; none and nothing is counted. Who
    /// reaches it learns the names of nodes and tables and how busy they are, and needs no certificate for that: it
    /// belongs on loopback, or where only those who watch over the cluster come.
    pub admin_address: Option<SocketAddr>,
    /// What the process of one node logs, in the words of `tracing-subscriber`'s `EnvFilter`: a level, and levels of modules.
    /// Whoever runs nodes in a program of their own has a log of their own, which this is not about.
    pub log: String,
    /// How it is written.
    pub log_format: LogFormat,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

impl LogFormat {
    /// Its name in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Text, Self::Json].into_iter().find(|format| format.name() == name)
    }
}

/// How far apart the nodes of a cluster are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkProfile {
    /// Round trips of a few milliseconds: one machine, one building, one region. A dead node is called so within
    /// four seconds, mostly.
    Lan,
    /// Round trips of up to half a second: several regions. A dead node is called so within twelve seconds, mostly.
    Wan,
}

impl NetworkProfile {
    /// Its name in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
        }
    }

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Lan, Self::Wan].into_iter().find(|profile| profile.name() == name)
    }

    /// Gossip's timings.
    pub(super) fn gossip(self) -> quorate_gossip::Config {
        match self {
            Self::Lan => quorate_gossip::Config::lan(),
            Self::Wan => quorate_gossip::Config::wan(),
        }
    }
}

impl ClusterSettings {
    /// A cluster with the usual bounds.
    pub fn new(name: impl Into<String>, founders: Vec<Founder>) -> Self {
        Self {
            name: name.into(),
            founders,
            value_bytes_max: VALUE_BYTES_MAX,
            request_timeout_max: Duration::from_secs(30),
        }
    }

    /// What must be equal beside name and founders, as the cluster map says it.
    pub fn settings(&self) -> Settings {
        let Self { name: _, founders: _, value_bytes_max, request_timeout_max } = self;
        let words = [
            ("value_bytes_max", value_bytes_max.to_string()),
            ("request_timeout_max_ms", request_timeout_max.as_millis().to_string()),
        ];
        let settings = Settings::new(words.map(|(name, value)| (name.to_owned(), value)));
        settings.expect("the names are well formed and numbers are short")
    }

    /// A digest of the same, compared in handshakes.
    pub fn checksum(&self) -> u64 {
        self.settings().checksum()
    }
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self {
            cache_bytes: 48 << 20,
            state_cache_bytes: 64 << 20,
            write_buffer_bytes: 16 << 20,
            disk_free_min: 512 << 20,
            hedge_delay: Duration::from_millis(25),
            requests_max: 8_192,
            requests_per_client_max: 4_096,
            replica_requests_max: 16_384,
            clients_max: 4_096,
            peer_output_bytes_max: 256 << 20,
            client_output_bytes_max: 64 << 20,
            network: NetworkProfile::Lan,
            peer_idle_timeout: Duration::from_secs(2),
            peer_keep_alive: Duration::from_millis(300),
            drain_timeout: Duration::from_secs(5),
            admin_address: None,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_tells_settings_apart_and_never_changes() {
        let settings = ClusterSettings::new("shop", Vec::new());
        let other = ClusterSettings { value_bytes_max: 1, ..settings.clone() };
        assert_ne!(settings.checksum(), other.checksum());
        let other = ClusterSettings { request_timeout_max: Duration::from_secs(31), ..settings.clone() };
        assert_ne!(settings.checksum(), other.checksum());
        assert_eq!(settings.checksum(), ClusterSettings::new("another name", Vec::new()).checksum());
    }
}
