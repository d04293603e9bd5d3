//! Real nodes on loopback: what a start, a stop and bad input come to.

#![expect(clippy::disallowed_methods, reason = "tests wait for what comes of what they did")]

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use quorate_ring::{Consistency, Epoch, Founder, Instant, TableKind};
use tokio::time::sleep;

use super::*;
use crate::{
    certs::Authority,
    transport::{ClientConnection, ConnectError, Connector, Identity, bind, quic_client},
    wire::{
        self, ChangeName, ClientHello, ClientMessage, CreateTable, DescribeNodes, Frame, Get,
        HandshakeMessage, Header, NodeStatus, PROTOCOL_VERSION, PeerHello, Put, Refusal, RequestId, Verdict,
    },
};

/// A client's connection with its own request ids.
struct Client {
    connection: ClientConnection,
    next: u64,
}

impl Client {
    async fn connect(cluster: &DemoCluster, node: usize) -> Self {
        let connector = Connector::new(cluster.identity()).unwrap();
        Self { connection: connector.connect(cluster.addresses()[node]).await.unwrap(), next: 1 }
    }

    async fn ask(&mut self, message: impl Into<ClientMessage>) -> ClientMessage {
        let id = RequestId(self.next);
        self.next += 1;
        let deadline = Instant(20_000_000_000);
        let epoch: Epoch = self.connection.info.layout.epoch;
        let frame = Frame { header: Header { id, epoch, deadline }, message: message.into() };
        self.connection.sender.send(&frame, Instant::ZERO).unwrap();
        loop {
            let answer = self.connection.receiver.receive().await.unwrap();
            if answer.header.id == id {
                return answer.message;
            }
        }
    }

    async fn create_table(&mut self) -> quorate_ring::TableId {
        let create = CreateTable::new(ChangeName { since: Epoch(1), number: 7 }, "t", TableKind::Register);
        match self.ask(create).await {
            ClientMessage::TableCreated(created) => created.table.id,
            other => panic!("{other:?}"),
        }
    }

    async fn put(&mut self, table: quorate_ring::TableId, key: &'static str, value: &'static str) {
        let put = Put::new(table, key.into(), value.into(), Consistency::Quorum);
        let answer = self.ask(put).await;
        assert!(matches!(answer, ClientMessage::Written(_)), "{answer:?}");
    }

    async fn get(&mut self, table: quorate_ring::TableId, key: &'static str) -> Vec<bytes::Bytes> {
        match self.ask(Get::new(table, key.into(), Consistency::Quorum)).await {
            ClientMessage::Got(got) => got.values.into_iter().map(|version| version.value).collect(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_cluster_writes_reads_stops_and_finds_its_data_again() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = demo_cluster(3, Some(dir.path())).await.unwrap();
    let mut client = Client::connect(&cluster, 0).await;
    let table = client.create_table().await;
    client.put(table, "k", "v").await;
    let mut other = Client::connect(&cluster, 1).await;
    assert_eq!(other.get(table, "k").await, ["v"]);
    cluster.shutdown().await.unwrap();
    assert!(client.connection.receiver.receive().await.is_err());

    let again = demo_cluster(3, Some(dir.path())).await.unwrap();
    assert_eq!(Client::connect(&again, 2).await.get(table, "k").await, ["v"]);
    assert!(matches!(demo_cluster(2, Some(dir.path())).await, Err(DemoError::AnotherSize { found: 3, .. })));
    again.shutdown().await.unwrap();
}

/// A node that may not wait says goodbye once, in a datagram that arrives together with the end of its stream.
#[tokio::test]
async fn the_end_of_a_connection_hides_no_goodbye() {
    let parts = Parts::new(&["a", "b"]);
    let a = parts.start("a");
    for _ in 0..8 {
        let mut config = parts.config("b");
        config.process.drain_timeout = Duration::ZERO;
        let b = parts.start_with(config);
        parts.until(&a, |b| b.connected && b.verdict == Verdict::Alive).await;
        b.shutdown().await.unwrap();
        assert_eq!(parts.until(&a, |b| !b.connected).await.verdict, Verdict::Left);
    }
    a.shutdown().await.unwrap();
}

/// The parts of a cluster whose nodes are started and stopped one by one. The sockets stay bound throughout,
/// so that nobody else gets their ports.
struct Parts {
    authority: Authority,
    dir: tempfile::TempDir,
    cluster: ClusterSettings,
    sockets: Vec<UdpSocket>,
}

impl Parts {
    fn new(names: &[&str]) -> Self {
        let sockets: Vec<_> = names.iter().map(|_| bind(anywhere()).unwrap()).collect();
        let addresses = sockets.iter().map(|socket| socket.local_addr().unwrap());
        let founders =
            names.iter().zip(addresses).map(|(name, a)| Founder::new(*name, a.to_string())).collect();
        Self {
            authority: Authority::create().unwrap(),
            dir: tempfile::tempdir().unwrap(),
            cluster: ClusterSettings::new("test", founders),
            sockets,
        }
    }

    fn config(&self, name: &str) -> RunConfig {
        RunConfig {
            cluster: self.cluster.clone(),
            node: name.to_owned(),
            listen: anywhere(),
            data_dir: self.dir.path().join(name),
            identity: self.authority.node(name, &[]).unwrap().identity(&self.authority).unwrap(),
            process: ProcessSettings::default(),
        }
    }

    fn start(&self, name: &str) -> NodeHandle {
        self.start_with(self.config(name))
    }

    fn start_with(&self, config: RunConfig) -> NodeHandle {
        let at = self.cluster.founders.iter().position(|founder| founder.name == config.node).unwrap();
        NodeHandle::start_on(config, self.sockets[at].try_clone().unwrap()).unwrap()
    }

    /// What `asked` holds of its only peer, once that is so.
    async fn until(&self, asked: &NodeHandle, is_so: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
        let connection = self.connector().connect(asked.address()).await.unwrap();
        let mut client = Client { connection, next: 1 };
        loop {
            let ClientMessage::NodesDescribed(described) = client.ask(DescribeNodes {}).await else {
                panic!("it describes no nodes");
            };
            let is_peer = |status: &NodeStatus| status.node != described.cluster.node;
            let peer = described.nodes.into_iter().find(is_peer).unwrap();
            if is_so(&peer) {
                return peer;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn connector(&self) -> Connector {
        Connector::new(&self.authority.client("c").unwrap().identity(&self.authority).unwrap()).unwrap()
    }
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn refused(config: RunConfig) -> String {
    NodeHandle::start(config).unwrap_err().to_string()
}

#[tokio::test]
async fn a_restarted_node_is_connected_again_from_either_side() {
    let parts = Parts::new(&["a", "b"]);
    let (a, b) = (parts.start("a"), parts.start("b"));
    a.wait_ready(Await::All).await.unwrap();
    b.wait_ready(Await::All).await.unwrap();
    b.shutdown().await.unwrap();
    let b = parts.start("b");
    b.wait_ready(Await::All).await.unwrap();
    a.shutdown().await.unwrap();
    let a = parts.start("a");
    a.wait_ready(Await::All).await.unwrap();
    a.shutdown().await.unwrap();
    b.shutdown().await.unwrap();
}

#[test]
fn a_node_refuses_what_is_not_its_own() {
    let parts = Parts::new(&["a", "b"]);
    let a = parts.start("a");

    let taken = refused(RunConfig { listen: a.address(), ..parts.config("a") });
    assert!(taken.contains("in use"), "{taken}");
    let locked = refused(parts.config("a"));
    assert!(locked.contains("another process uses it"), "{locked}");
    let stranger = refused(parts.config("x"));
    assert!(stranger.contains("does not contain this node, 'x'"), "{stranger}");
    let impostor = refused(RunConfig { identity: parts.config("a").identity, ..parts.config("b") });
    assert!(impostor.contains("not that of node 'b'"), "{impostor}");

    a.shutdown_blocking().unwrap();
    let directory: &Path = &parts.config("a").data_dir;
    let other_node = refused(RunConfig { data_dir: directory.to_owned(), ..parts.config("b") });
    assert!(other_node.contains("belongs to node 'a', not to 'b'"), "{other_node}");
    let mut other_cluster = parts.config("a");
    other_cluster.cluster.name = "another".to_owned();
    let other_cluster = refused(other_cluster);
    assert!(other_cluster.contains("belongs to cluster 'test'"), "{other_cluster}");
    parts.start("a").shutdown_blocking().unwrap();
}

#[tokio::test]
async fn strangers_are_turned_away_and_the_others_served() {
    let parts = Parts::new(&["a"]);
    let a = parts.start("a");

    let strangers = Authority::create().unwrap();
    let stranger = Connector::new(&strangers.client("c").unwrap().identity(&strangers).unwrap()).unwrap();
    let error = stranger.connect(a.address()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Certificate { .. }), "{error}");

    let noise = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for length in [1, 20, 100, 1_200, 1_400] {
        let datagram: Vec<u8> = (0..length).map(|at| (at * 31 + length) as u8).collect();
        noise.send_to(&datagram, a.address()).unwrap();
    }
    let connection = parts.connector().connect(a.address()).await.unwrap();
    assert_eq!(connection.info.cluster_name, "test");
    a.shutdown().await.unwrap();
}

#[tokio::test]
async fn clients_beyond_the_bound_are_told_so() {
    let parts = Parts::new(&["a"]);
    let mut config = parts.config("a");
    config.process.clients_max = 1;
    let a = parts.start_with(config);
    let connector = parts.connector();
    let first = connector.connect(a.address()).await.unwrap();
    match connector.connect(a.address()).await {
        Err(ConnectError::Refused { refusal, .. }) => assert_eq!(refusal.refusal, Refusal::Overloaded),
        other => panic!("{other:?}"),
    }
    drop(first);
    a.shutdown().await.unwrap();
}

/// Connects with `identity` as whoever speaks `protocol`, says `bytes`, and gives back what the node says
/// and how it ends the connection.
async fn say(node: &NodeHandle, identity: &Identity, protocol: &[u8], bytes: &[u8]) -> (Vec<u8>, String) {
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(quic_client(identity, protocol).unwrap()));
    let connection = endpoint.connect(node.address(), "node.quorate").unwrap().await.unwrap();
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    let answer = recv.read_to_end(1 << 20).await.unwrap_or_default();
    if !answer.is_empty() {
        connection.close(0_u32.into(), b"");
    }
    (answer, connection.closed().await.to_string())
}

#[tokio::test]
async fn garbage_ends_its_own_connection_and_no_other() {
    let parts = Parts::new(&["a", "b"]);
    let a = parts.start("a");
    let mut neighbour = parts.connector().connect(a.address()).await.unwrap();
    let client = parts.authority.client("c").unwrap().identity(&parts.authority).unwrap();

    let (_, end) = say(&a, &client, b"quorate-client/1", &[0xff; 64]).await;
    assert!(end.contains("no handshake"), "{end}");
    let mut hello_then_noise = hello_with_protocol(PROTOCOL_VERSION);
    hello_then_noise.extend_from_slice(&[0xff; 64]);
    let (_, end) = say(&a, &client, b"quorate-client/1", &hello_then_noise).await;
    assert!(end.contains("at most"), "{end}");
    let (answer, _) = say(&a, &client, b"quorate-client/1", &hello_with_protocol(99)).await;
    assert!(String::from_utf8_lossy(&answer).contains("run the same release"), "a client of another version");

    let header = Header { id: RequestId(1), epoch: Epoch(1), deadline: Instant(9_000_000_000) };
    let ask = Frame { header, message: crate::wire::ListTables {}.into() };
    neighbour.sender.send(&ask, Instant::ZERO).unwrap();
    assert!(matches!(neighbour.receiver.receive().await, Ok(answer) if answer.header.id == RequestId(1)));
    a.shutdown().await.unwrap();
}

fn hello_with_protocol(protocol: u16) -> bytes::BytesMut {
    let header = Header { id: RequestId(0), epoch: Epoch(0), deadline: Instant::ZERO };
    let hello: Frame<HandshakeMessage> = Frame { header, message: ClientHello { protocol }.into() };
    let mut out = bytes::BytesMut::new();
    wire::encode(&hello, Instant::ZERO, &mut out);
    out
}

#[tokio::test]
async fn a_client_cannot_act_as_a_peer() {
    let parts = Parts::new(&["a", "b"]);
    let b = parts.start("b");
    let client = parts.authority.client("a").unwrap().identity(&parts.authority).unwrap();
    let header = Header { id: RequestId(0), epoch: Epoch(0), deadline: Instant::ZERO };
    let hello = PeerHello {
        protocol: PROTOCOL_VERSION,
        cluster: b.cluster_id(),
        node: quorate_ring::NodeId(1),
        incarnation: quorate_ring::Incarnation(1),
        starts: 1,
        actor: quorate_ring::Actor(1),
        wall: quorate_ring::WallMicros(0),
        settings: parts.cluster.checksum(),
    };
    let hello: Frame<HandshakeMessage> = Frame { header, message: hello.into() };
    let mut out = bytes::BytesMut::new();
    wire::encode(&hello, Instant::ZERO, &mut out);
    let (answer, _) = say(&b, &client, b"quorate-peer/1", &out).await;
    assert!(String::from_utf8_lossy(&answer).contains("not that of node 'a'"));
    b.shutdown().await.unwrap();
}
