//! A network that the harness holds in its hands: every datagram to a node passes through a relay.
//!
//! Nodes advertise the address of their entrance here. A sender is known by its socket: a node by the address
//! that it listens on (which is also the one it sends from), a client by an address of its own on loopback. For
//! each sender an entrance has one more socket, from which it forwards to the node and which takes the
//! answers back; so every directed pair of parties is a path of its own.

#![expect(clippy::disallowed_methods, reason = "each path is a task, and delays are real")]

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::net::UdpSocket;

use super::link::{End, Shape, Shapes};

/// The relay of a cluster. It works as long as it lives.
#[derive(Clone)]
pub(crate) struct Relay {
    shared: Arc<Shared>,
}

struct Shared {
    nodes: Vec<SocketAddr>,
    entrances: Vec<Arc<UdpSocket>>,
    began: Instant,
    state: Mutex<State>,
}

struct State {
    /// The faults of each nemesis, by its name: they add up.
    layers: BTreeMap<&'static str, Shapes>,
    /// The sum of the layers.
    effective: Shapes,
    /// Clients that see one node only.
    pins: BTreeMap<usize, usize>,
    busy_until: BTreeMap<(End, End), Duration>,
    rng: StdRng,
    forwarded: u64,
    lost: u64,
}

impl Relay {
    /// Opens an entrance for each of `nodes`, which are addresses they listen on. Must be called within a tokio
    /// runtime.
    pub(crate) async fn start(nodes: Vec<SocketAddr>, seed: u64) -> io::Result<Self> {
        let mut entrances = Vec::new();
        for _ in &nodes {
            entrances.push(Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?));
        }
        let state = State {
            layers: BTreeMap::new(),
            effective: Shapes::new(),
            pins: BTreeMap::new(),
            busy_until: BTreeMap::new(),
            rng: StdRng::seed_from_u64(seed),
            forwarded: 0,
            lost: 0,
        };
        let shared = Arc::new(Shared { nodes, entrances, began: Instant::now(), state: Mutex::new(state) });
        for node in 0..shared.nodes.len() {
            tokio::task::spawn(enter(shared.clone(), node));
        }
        Ok(Self { shared })
    }

    /// What the nodes advertise.
    pub(crate) fn entrances(&self) -> io::Result<Vec<SocketAddr>> {
        self.shared.entrances.iter().map(|socket| socket.local_addr()).collect()
    }

    /// Puts a nemesis's faults in the place of those it had before.
    pub(crate) fn set(&self, nemesis: &'static str, shapes: Shapes) {
        let mut state = self.shared.lock();
        state.layers.insert(nemesis, shapes);
        let mut effective = Shapes::new();
        for (pair, shape) in state.layers.values().flatten() {
            let sum = effective.entry(*pair).or_default();
            *sum = Shape::and(*sum, *shape);
        }
        state.effective = effective;
    }

    /// Lets a client see one node only.
    pub(crate) fn pin(&self, client: usize, node: usize) {
        self.shared.lock().pins.insert(client, node);
    }

    /// Datagrams that came through, and those that did not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let state = self.shared.lock();
        (state.forwarded, state.lost)
    }
}

/// The address that a client connects from, by which it is known.
pub(crate) fn client_address(client: usize) -> IpAddr {
    let [.., high, low] = (CLIENTS_FROM + client as u32).to_be_bytes();
    Ipv4Addr::new(127, 77, high, low).into()
}

impl Shared {
    /// No method leaves the state half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_of(&self, sender: SocketAddr) -> Option<End> {
        if let Some(node) = self.nodes.iter().position(|node| *node == sender) {
            return Some(End::Node(node));
        }
        let IpAddr::V4(address) = sender.ip() else { return None };
        let [127, 77, high, low] = address.octets() else { return None };
        let number = u32::from(high) << 8 | u32::from(low);
        number.checked_sub(CLIENTS_FROM).map(|client| End::Client(client as usize))
    }

    /// Sends a datagram on as the faults of its direction allow.
    async fn pass(
        &self,
        from: End,
        to: End,
        datagram: &[u8],
        out: &Arc<UdpSocket>,
        address: Option<SocketAddr>,
    ) {
        let copies = {
            let mut state = self.lock();
            let State { effective, pins, busy_until, rng, .. } = &mut *state;
            let elsewhere = |client: &usize, node: &usize| pins.get(client).is_some_and(|pin| pin != node);
            let is_pinned_elsewhere = match (&from, &to) {
                (End::Client(client), End::Node(node)) | (End::Node(node), End::Client(client)) => {
                    elsewhere(client, node)
                }
                _ => false,
            };
            let copies = match effective.get(&(from, to)) {
                _ if is_pinned_elsewhere => Vec::new(),
                None => vec![Duration::ZERO],
                Some(shape) => {
                    let busy_until = busy_until.entry((from, to)).or_default();
                    shape.copies(datagram.len(), self.began.elapsed(), busy_until, rng)
                }
            };
            state.forwarded += u64::from(!copies.is_empty());
            state.lost += u64::from(copies.is_empty() && !is_pinned_elsewhere);
            copies
        };
        for delay in copies {
            if delay.is_zero() {
                // A full socket loses datagrams, as networks do; so does one whose node is down.
                let _ = send(out, datagram, address).await;
            } else {
                let (out, datagram) = (out.clone(), datagram.to_vec());
                tokio::task::spawn(async move {
                    pause(delay).await;
                    let _ = send(&out, &datagram, address).await;
                });
            }
        }
    }
}

async fn send(out: &UdpSocket, datagram: &[u8], address: Option<SocketAddr>) -> io::Result<usize> {
    match address {
        Some(address) => out.send_to(datagram, address).await,
        None => out.send(datagram).await,
    }
}

/// Takes in what is sent to `node`.
async fn enter(shared: Arc<Shared>, node: usize) {
    let entrance = shared.entrances[node].clone();
    let mut paths: BTreeMap<SocketAddr, (End, Arc<UdpSocket>)> = BTreeMap::new();
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // An error is news of an earlier datagram that found nobody.
        let Ok((bytes, sender)) = entrance.recv_from(&mut datagram).await else { continue };
        let (end, path) = match paths.get(&sender) {
            Some(known) => known.clone(),
            None => {
                let Some(end) = shared.end_of(sender) else { continue };
                let Ok(path) = open(shared.nodes[node]).await else { continue };
                let path = Arc::new(path);
                tokio::task::spawn(leave(shared.clone(), node, path.clone(), end, sender));
                paths.insert(sender, (end, path.clone()));
                (end, path)
            }
        };
        shared.pass(end, End::Node(node), &datagram[..bytes], &path, None).await;
    }
}

async fn open(node: SocketAddr) -> io::Result<UdpSocket> {
    let path = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    path.connect(node).await?;
    Ok(path)
}

/// Takes what `node` answers back to the sender.
async fn leave(shared: Arc<Shared>, node: usize, path: Arc<UdpSocket>, to: End, address: SocketAddr) {
    let entrance = shared.entrances[node].clone();
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        match path.recv(&mut datagram).await {
            Ok(bytes) => {
                shared.pass(End::Node(node), to, &datagram[..bytes], &entrance, Some(address)).await;
            }
            // The node is down, and the system says so at each attempt: nothing to forward, nothing to do.
            Err(_) => pause(Duration::from_millis(1)).await,
        }
    }
}

async fn pause(delay: Duration) {
    tokio::time::sleep(delay).await;
}

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// 127.77.0.0 is no usual address of a machine.
const CLIENTS_FROM: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Two nodes and the sockets they would listen on.
    async fn relay() -> (Relay, [UdpSocket; 2]) {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let two = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let nodes = vec![one.local_addr().unwrap(), two.local_addr().unwrap()];
        (Relay::start(nodes, 1).await.unwrap(), [one, two])
    }

    async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut datagram = [0; 100];
        let (bytes, from) = socket.recv_from(&mut datagram).await.unwrap();
        (datagram[..bytes].to_vec(), from)
    }

    #[tokio::test]
    async fn nodes_talk_through_it_and_each_direction_can_be_cut() {
        let (relay, [one, two]) = relay().await;
        let entrance = relay.entrances().unwrap()[1];
        one.send_to(b"ping", entrance).await.unwrap();
        let (datagram, path) = receive(&two).await;
        assert_eq!(datagram, b"ping");
        two.send_to(b"pong", path).await.unwrap();
        assert_eq!(receive(&one).await, (b"pong".to_vec(), entrance));

        relay.set("partition", Shapes::from([((End::Node(1), End::Node(0)), Shape::CUT)]));
        one.send_to(b"still there?", entrance).await.unwrap();
        let (_, path) = receive(&two).await;
        two.send_to(b"yes", path).await.unwrap();
        while relay.counts().1 == 0 {
            tokio::task::yield_now().await;
        }
        relay.set("partition", Shapes::new());
        two.send_to(b"again", path).await.unwrap();
        assert_eq!(receive(&one).await.0, b"again", "the answer in between was lost");
    }

    #[tokio::test]
    async fn a_pinned_client_sees_one_node() {
        let (relay, [one, two]) = relay().await;
        relay.pin(7, 1);
        let client = UdpSocket::bind((client_address(7), 0)).await.unwrap();
        let entrances = relay.entrances().unwrap();
        client.send_to(b"to the first", entrances[0]).await.unwrap();
        client.send_to(b"to the second", entrances[1]).await.unwrap();
        assert_eq!(receive(&two).await.0, b"to the second");
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        stranger.send_to(b"who?", entrances[0]).await.unwrap();
        let other = UdpSocket::bind((client_address(300), 0)).await.unwrap();
        other.send_to(b"from another", entrances[0]).await.unwrap();
        assert_eq!(receive(&one).await.0, b"from another", "neither the pinned client nor the stranger");
    }
}
