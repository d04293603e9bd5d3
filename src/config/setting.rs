//! Every setting there is: its name in the file, as a flag and in the environment, and what it takes.

use std::{ops::RangeInclusive, time::Duration};

use crate::runtime::ProcessSettings;

/// A setting.
pub(super) struct Setting {
    /// Its key in the file; a dot goes into a table.
    pub(super) key: &'static str,
    /// What it is, with its unit.
    pub(super) help: &'static str,
    /// What follows from it: what a wrong value does.
    pub(super) more: &'static str,
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
    const fn own(key: &'static str, help: &'static str, more: &'static str) -> Self {
        Self { key, help, more, field: Field::Own }
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
    Setting::own(
        "cluster",
        "The cluster's name; equal on every node",
        "With another name a node is of another cluster: its data directory and its peers refuse it",
    ),
    Setting::own(
        "founders",
        "The nodes that form the cluster: NAME=HOST:PORT[@RACK][*WEIGHT],...; equal on every node",
        "Names, racks and weights say who holds which keys and never change; addresses may differ from node to node",
    ),
    Setting::own(
        "value_bytes_max",
        "The longest value, in bytes as in `8MiB`; equal on every node",
        "More lets single requests take more memory and time; nodes that differ refuse each other",
    ),
    Setting::own(
        "request_timeout_max",
        "The longest deadline that a client can ask for, as in `30s`; equal on every node",
        "Too short and a slow disk fails requests; too long and requests to a dead replica hold their memory, and a damaged record is long in coming back",
    ),
    Setting::own(
        "node",
        "This node's name, one of the founders'",
        "Its certificate must carry it, and its data directory belongs to it",
    ),
    Setting::own(
        "listen",
        "The UDP address to listen on; by default this node's in the founders' list",
        "The address in the founders' list must lead here; needed if that is a name",
    ),
    Setting::own(
        "admin_address",
        "The TCP address of /livez, /readyz and /metrics, or `off`; by default on loopback, at the port of `listen`",
        "Without encryption: who reaches it learns names and loads. With `off` nothing is counted",
    ),
    Setting::own(
        "data_dir",
        "Where the node keeps its data",
        "Never a copy or a backup: a node that is started with less than it has acknowledged forgets it",
    ),
    Setting::own(
        "tls.ca",
        "The certificate of the cluster's authority",
        "Whoever it has signed may join or use the cluster",
    ),
    Setting::own(
        "tls.cert",
        "This node's certificate",
        "Of `quorate certs node`: it carries the node's name",
    ),
    Setting::own("tls.key", "This node's private key", "For the node's user alone"),
    Setting::own(
        "preset",
        "Sizes and bounds that go together: `small` (16 MiB of caches, 512 clients), `default` (176 MiB, 4,096) or `large` (3 GiB, 16,384)",
        "It stands for the settings below that are not set: `config print --effective` shows what that makes",
    ),
    Setting {
        key: "cache_bytes",
        help: "Memory for blocks read from disk, as in `256MiB`",
        more: "Too little and hot reads go to the disk",
        field: Field::Bytes(|p| &mut p.cache_bytes, MIB..=TIB),
    },
    Setting {
        key: "state_cache_bytes",
        help: "Memory for what keys that were read lately hold, and as much for those written lately, as in `128MiB`; 0 for none",
        more: "Too little and hot reads, and the first half of writes without a context, wait for another thread and the disk, \
               and a write reads the disk for what it is merged with",
        field: Field::Bytes(|p| &mut p.state_cache_bytes, 0..=TIB),
    },
    Setting {
        key: "write_buffer_bytes",
        help: "Memory for writes that are not in tables yet, as in `16MiB`; a few such buffers may wait",
        more: "A node uses three quarters of it or more, each node another part, so that replicas do not write out at once; a data directory keeps what it was made with. Too little and the disk writes more often; too much and a restart replays longer",
        field: Field::Bytes(|p| &mut p.write_buffer_bytes, MIB..=TIB),
    },
    Setting {
        key: "disk_free_min",
        help: "Writes are refused while less than this is free on the disk, as in `512MiB`; reads go on",
        more: "Too little and another program that fills the disk takes the node down; too much and writes are refused early",
        field: Field::Bytes(|p| &mut p.disk_free_min, 0..=TIB),
    },
    Setting {
        key: "hedge_delay",
        help: "How long the replicas asked first have before others are asked too, as in `25ms`",
        more: "Too short and load doubles; too long and one slow replica shows in the latency",
        field: Field::Duration(|p| &mut p.hedge_delay, ms(1)..=ms(60_000)),
    },
    Setting {
        key: "requests_max",
        help: "Requests of clients in flight",
        more: "Beyond, they are refused as overloaded, and those that one other node forwards beyond half: too few and bursts fail, too many and all of them wait",
        field: Field::Count(|p| &mut p.requests_max, COUNTS),
    },
    Setting {
        key: "requests_per_client_max",
        help: "Requests of one client in flight",
        more: "Beyond, they are refused as overloaded: it keeps one client from taking the place of all",
        field: Field::Count(|p| &mut p.requests_per_client_max, COUNTS),
    },
    Setting {
        key: "replica_requests_max",
        help: "Requests of peers waiting for the disk",
        more: "Beyond, they are refused as overloaded, and those of one peer beyond half: too few and writes of other nodes fail, too many and memory goes to them",
        field: Field::Count(|p| &mut p.replica_requests_max, COUNTS),
    },
    Setting {
        key: "clients_max",
        help: "Clients connected at a time",
        more: "Beyond, they are sent to other nodes",
        field: Field::Count(|p| &mut p.clients_max, COUNTS),
    },
    Setting {
        key: "peer_output_bytes_max",
        help: "Bytes that may wait for a peer to read them, as in `256MiB`",
        more: "Beyond, its connection is dropped: less than a few of the longest values and large writes disconnect peers",
        field: Field::Memory(|p| &mut p.peer_output_bytes_max, MIB..=TIB),
    },
    Setting {
        key: "client_output_bytes_max",
        help: "Bytes that may wait for a client to read them, as in `64MiB`",
        more: "From a quarter on nothing more is read from that client; beyond, its connection is dropped",
        field: Field::Memory(|p| &mut p.client_output_bytes_max, MIB..=TIB),
    },
    Setting::own(
        "network",
        "How far apart the nodes are: `lan`, or `wan` for several regions",
        "With `lan` across regions gossip calls nodes dead that are slow; with `wan` within one it is late to see the dead",
    ),
    Setting {
        key: "peer_idle_timeout",
        help: "A peer that is silent for so long is down, as in `2s`",
        more: "Too short and a pause looks like a crash; too long and requests wait for the dead",
        field: Field::Duration(|p| &mut p.peer_idle_timeout, ms(100)..=ms(30_000)),
    },
    Setting {
        key: "peer_keep_alive",
        help: "How often an idle connection to a peer is kept alive, as in `300ms`",
        more: "At most half of peer_idle_timeout: fewer tries and lost packets look like a crash",
        field: Field::Duration(|p| &mut p.peer_keep_alive, ms(10)..=ms(10_000)),
    },
    Setting {
        key: "drain_timeout",
        help: "How long a node that is told to stop may take to end requests and give hints away, as in `5s`",
        more: "Too short and requests under way fail; longer than the supervisor waits and it is killed",
        field: Field::Duration(|p| &mut p.drain_timeout, ms(0)..=ms(600_000)),
    },
    Setting::own(
        "log",
        "What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), and others for modules, as in `info,quorate::requests=debug`",
        "Less than `warn` and nobody hears of what is wrong; `debug` of everything, or of requests under load, costs more than the requests",
    ),
    Setting::own(
        "log_format",
        "How the log is written: `text`, or `json` with an object a line",
        "What collects logs must expect the same",
    ),
];

const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
const COUNTS: RangeInclusive<u64> = 1..=10_000_000;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
