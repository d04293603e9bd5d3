//! The promise table of the README: one test for each cell, named after its row and column.
//!
//! Real processes, killed, paused, cut off and restarted, with clocks that are wrong; a disk is lost by deleting its directory.
//! Cells that promise nothing are shown by the history that a stronger promise would forbid.

mod concurrent;
mod linearizable;
mod lost_disks;
mod minority;
mod own_writes;
mod split;
mod stood_in;

use std::net::SocketAddr;

use quorate::{
    client::{Put, Read, Written},
    ring::NodeId,
};

use super::*;
use crate::{
    link::{End, Shape, Shapes},
    relay::{Relay, client_address},
};

const KINDS: [TableKind; 2] = [TableKind::Register, TableKind::Siblings];

/// A column of the table.
#[derive(Clone, Copy, Debug)]
struct Column {
    level: Consistency,
    sloppy: bool,
}

const ONE: Column = Column { level: Consistency::One, sloppy: false };
const QUORUM: Column = Column { level: Consistency::Quorum, sloppy: false };
const ALL: Column = Column { level: Consistency::All, sloppy: false };
const SLOPPY: Column = Column { level: Consistency::Quorum, sloppy: true };
const ANY: Column = Column { level: Consistency::Any, sloppy: false };

impl Column {
    fn write(self, table: &TableHandle, key: &str, value: &str) -> Put {
        table.put(key.to_owned(), value.to_owned()).consistency(self.level).sloppy(self.sloppy)
    }

    /// There are no reads at ANY.
    fn reads_at(self) -> Consistency {
        if self.level == Consistency::Any { Consistency::One } else { self.level }
    }

    /// Writes, and again while a node that is being found out as dead was asked.
    async fn put(self, table: &TableHandle, key: &str, value: &str) {
        for _ in 0..ATTEMPTS {
            if self.write(table, key, value).idempotent(true).await.is_ok() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("no write of {key} in {self:?} was acknowledged");
    }
}

/// Three nodes, a client and a table of each kind.
async fn start() -> (Nodes, Client, Vec<TableHandle>) {
    let nodes = Nodes::start(3);
    let client = nodes.client().await;
    let tables = create_both(&client).await;
    (nodes, client, tables)
}

async fn create_both(client: &Client) -> Vec<TableHandle> {
    let mut tables = Vec::new();
    for kind in KINDS {
        tables.push(create(client, &kind.to_string(), kind).await);
    }
    tables
}

/// Creates a table of three replicas that every node has heard of: tests take nodes away at once.
async fn create(client: &Client, name: &str, kind: TableKind) -> TableHandle {
    for _ in 0..ATTEMPTS {
        if client.create_table(name).kind(kind).replication(3).await.is_ok() {
            let table = client.table(name).await.expect("the table");
            for n in 0..20 {
                ALL.put(&table, &format!("known to all {n}"), "").await;
            }
            return table;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("no table {name}");
}

/// Starts nodes every datagram between which passes through a relay.
async fn begin_behind_relay(nodes: &mut Nodes) -> Relay {
    let relay = Relay::start(nodes.listen(), 1).await.expect("a relay");
    let entrances = relay.entrances().expect("addresses");
    nodes.begin(entrances.iter().map(SocketAddr::to_string).collect(), "");
    relay
}

/// A client that the relay knows.
async fn client(nodes: &Nodes, number: usize) -> Client {
    let builder = Client::builder().contact_points(nodes.addresses()).tls(nodes.identity());
    builder.local_address(client_address(number)).build().await.expect("a client")
}

/// A client that sees one node only.
async fn client_behind(nodes: &Nodes, relay: &Relay, number: usize, node: usize) -> Client {
    relay.pin(number, node);
    let builder = Client::builder().contact_points([nodes.addresses().swap_remove(node)]);
    let builder = builder.tls(nodes.identity()).local_address(client_address(number));
    builder.build().await.expect("a client")
}

/// Some of `count` nodes hear nothing of the others, and the others nothing of them.
fn cut(count: usize, some: &[usize]) -> Shapes {
    let others = || (0..count).filter(|node| !some.contains(node));
    let pairs = some.iter().flat_map(|one| others().map(move |other| (*one, other)));
    let ways = pairs.flat_map(|(one, other)| [(one, other), (other, one)]);
    ways.map(|(from, to)| ((End::Node(from), End::Node(to)), Shape::CUT)).collect()
}

/// The name of the node at a place.
fn id(node: usize) -> NodeId {
    NodeId(node as u32 + 1)
}

fn texts(read: &Read) -> Vec<String> {
    let mut texts: Vec<_> =
        read.values().iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    texts.sort_unstable();
    texts
}
