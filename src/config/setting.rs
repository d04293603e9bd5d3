//! Every setting there is: its name in the file, as a flag and in the environment, and what it takes.

use std::{ops::RangeInclusive, time::Duration};

use crate::runtime::ProcessSettings;

/// A setting.
pub(super) struct Setting {
    /// Its key in the file; a dot goes into a table.
    pub(super) key: &'static str,
    /// One line of help.
    pub(super) help: &'static str,
    /// What it takes.
    pub(super) field: Field,
}

/// What a setting takes.
pub(super) enum Field {
    /// Something that [`Draft`](super::draft::Draft) knows by its key.
    Own,
    /// A size of the process's.
    Bytes(fn(&mut ProcessSettings) -> &mut u64, RangeInclusive<u64>),
    /// A size of the process's that is memory.
    Memory(fn(&mut ProcessSettings) -> &mut usize, RangeInclusive<u64>),
    /// A number of things.
    Count(fn(&mut ProcessSettings) -> &mut usize, RangeInclusive<u64>),
    /// A duration.
    Duration(fn(&mut ProcessSettings) -> &mut Duration, RangeInclusive<Duration>),
}

impl Setting {
    const fn own(key: &'static str, help: &'static str) -> Self {
        Self { key, help, field: Field::Own }
    }

    /// Its flag, without the dashes.
    pub(super) fn flag(&self) -> String {
        self.key.replace(['_', '.'], "-")
    }

    /// Its variable.
    pub(super) fn variable(&self) -> String {
        format!("QUORATE_{}", self.key.replace('.', "_").to_uppercase())
    }
}

/// All settings, in the order in which they are shown.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::own("cluster", "The cluster's name; equal on every node"),
    Setting::own(
        "founders",
        "The nodes that form the cluster: NAME=HOST:PORT[@RACK][*WEIGHT],...; equal on every node",
    ),
    Setting::own("value_bytes_max", "The longest value; equal on every node"),
    Setting::own(
        "request_timeout_max",
        "The longest deadline that a client can ask for; equal on every node",
    ),
    Setting::own("node", "This node's name, one of the founders'"),
    Setting::own("listen", "The UDP address to listen on; by default this node's in the founders' list"),
    Setting::own(
        "admin_address",
        "The TCP address of /livez, /readyz and /metrics, without encryption, or `off`; by default on loopback, at the \
         port of `listen`",
    ),
    Setting::own("data_dir", "Where the node keeps its data"),
    Setting::own("tls.ca", "The certificate of the cluster's authority"),
    Setting::own("tls.cert", "This node's certificate"),
    Setting::own("tls.key", "This node's private key"),
    Setting {
        key: "cache_bytes",
        help: "Memory for blocks read from disk",
        field: Field::Bytes(|p| &mut p.cache_bytes, MIB..=TIB),
    },
    Setting {
        key: "write_buffer_bytes",
        help: "Memory for writes not yet in tables",
        field: Field::Bytes(|p| &mut p.write_buffer_bytes, MIB..=TIB),
    },
    Setting {
        key: "disk_free_min",
        help: "Writes are refused while less than this is free on the disk; reads go on",
        field: Field::Bytes(|p| &mut p.disk_free_min, 0..=TIB),
    },
    Setting {
        key: "hedge_delay",
        help: "How long the replicas asked first have before others are asked too",
        field: Field::Duration(|p| &mut p.hedge_delay, ms(1)..=ms(60_000)),
    },
    Setting {
        key: "requests_max",
        help: "Requests of clients in flight",
        field: Field::Count(|p| &mut p.requests_max, COUNTS),
    },
    Setting {
        key: "requests_per_client_max",
        help: "Requests of one client in flight",
        field: Field::Count(|p| &mut p.requests_per_client_max, COUNTS),
    },
    Setting {
        key: "replica_requests_max",
        help: "Requests of peers waiting for the disk",
        field: Field::Count(|p| &mut p.replica_requests_max, COUNTS),
    },
    Setting {
        key: "clients_max",
        help: "Clients connected at a time",
        field: Field::Count(|p| &mut p.clients_max, COUNTS),
    },
    Setting {
        key: "peer_output_bytes_max",
        help: "Bytes that may wait for a peer to read them",
        field: Field::Memory(|p| &mut p.peer_output_bytes_max, MIB..=TIB),
    },
    Setting {
        key: "client_output_bytes_max",
        help: "Bytes that may wait for a client to read them",
        field: Field::Memory(|p| &mut p.client_output_bytes_max, MIB..=TIB),
    },
    Setting::own("network", "How far apart the nodes are: `lan`, or `wan` for several regions"),
    Setting {
        key: "peer_idle_timeout",
        help: "A peer that is silent for so long is down",
        field: Field::Duration(|p| &mut p.peer_idle_timeout, ms(100)..=ms(30_000)),
    },
    Setting {
        key: "peer_keep_alive",
        help: "How often an idle connection to a peer is kept alive",
        field: Field::Duration(|p| &mut p.peer_keep_alive, ms(10)..=ms(10_000)),
    },
    Setting {
        key: "drain_timeout",
        help: "How long requests under way may take when the node is told to stop",
        field: Field::Duration(|p| &mut p.drain_timeout, ms(0)..=ms(600_000)),
    },
];

const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
const COUNTS: RangeInclusive<u64> = 1..=10_000_000;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
