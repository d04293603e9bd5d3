//! Where connections and the node's loop meet: events in one queue, frames out on lines.
//!
//! Everything here lives on the node's one thread. Connection tasks attach a line and push inputs; the loop
//! waits for inputs, takes them all, queues frames on lines and flushes each line that got some once.

#![expect(clippy::disallowed_methods, reason = "a delivery has a bound in time")]

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use bytes::Bytes;
use quinn::Connection;
use quorate_ring::{Instant, NodeId};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tracing::warn;

use super::{
    CloseCode, SendError,
    link::{Closed, Link},
    output::Output,
    sent::Sent,
};
use crate::{
    node::{ClientId, Input},
    wire::{self, ClientMessage, Frame, Message, PeerHello, PeerMessage},
};

/// The open connections of a node, and what has arrived on them.
#[derive(Debug)]
pub(crate) struct Switchboard {
    inputs: RefCell<VecDeque<Input>>,
    arrived: Notify,
    peers: RefCell<BTreeMap<NodeId, (Rc<Line>, Sent)>>,
    clients: RefCell<BTreeMap<ClientId, Rc<Line>>>,
    /// What connections to peers have done that are closed.
    closed: Closed,
    /// Lines with frames that were not flushed yet.
    unflushed: RefCell<Vec<Rc<Line>>>,
    next_client: Cell<u64>,
    peers_up: watch::Sender<usize>,
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Line {
    connection: Connection,
    output: Output,
    unflushed: Cell<bool>,
    open: Cell<bool>,
    writer: RefCell<Option<JoinHandle<()>>>,
}

impl Switchboard {
    /// No connection yet. The number of peers that are up goes to `peers_up`.
    pub(crate) fn new(peers_up: watch::Sender<usize>) -> Rc<Self> {
        Rc::new(Self {
            inputs: RefCell::default(),
            arrived: Notify::new(),
            peers: RefCell::default(),
            clients: RefCell::default(),
            closed: Closed::default(),
            unflushed: RefCell::default(),
            next_client: Cell::new(1),
            peers_up,
        })
    }

    /// Waits for an input.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Adds an input to those that wait.
    pub(crate) fn push(&self, input: Input) {
        self.inputs.borrow_mut().push_back(input);
        self.arrived.notify_one();
    }

    /// Takes every input that waits, in order of arrival; `into` comes back as the next queue's room.
    pub(crate) fn take(&self, into: &mut VecDeque<Input>) {
        std::mem::swap(&mut *self.inputs.borrow_mut(), into);
    }

    /// A peer's connection is open. An older one of the same peer gives way.
    pub(crate) fn attach_peer(&self, hello: &PeerHello, line: &Rc<Line>) {
        let peer = hello.node;
        let older = self.peers.borrow_mut().insert(peer, (line.clone(), Sent::to(peer)));
        if let Some((older, _)) = older {
            older.close(CloseCode::Replaced, "replaced by a newer connection");
            self.closed.add(peer, &older.connection.stats());
            self.push(Input::PeerDown(peer));
        }
        self.push(Input::PeerUp { peer, life: hello.life(), wall: hello.wall });
    }

    /// Closes the connection to a peer, if there is one. It is opened anew as if it had been lost.
    pub(crate) fn disconnect_peer(&self, peer: NodeId) {
        if let Some((line, _)) = self.peers.borrow().get(&peer) {
            line.close(
                CloseCode::InDoubt,
                "this process does not answer, or another one of this node was heard of",
            );
        }
    }

    /// A peer's connection is lost; nothing happens if a newer one took its place.
    pub(crate) fn detach_peer(&self, peer: NodeId, line: &Rc<Line>) {
        let mut peers = self.peers.borrow_mut();
        if peers.get(&peer).is_some_and(|(current, _)| Rc::ptr_eq(current, line)) {
            peers.remove(&peer);
            drop(peers);
            self.closed.add(peer, &line.connection.stats());
            self.push(Input::PeerDown(peer));
        }
    }

    /// A client's connection is open.
    pub(crate) fn attach_client(&self, line: &Rc<Line>) -> ClientId {
        let client = ClientId(self.next_client.replace(self.next_client.get() + 1));
        self.clients.borrow_mut().insert(client, line.clone());
        client
    }

    /// A client's connection is lost.
    pub(crate) fn detach_client(&self, client: ClientId) {
        if self.clients.borrow_mut().remove(&client).is_some() {
            self.push(Input::ClientGone(client));
        }
    }

    /// Clients that are connected.
    pub(crate) fn client_count(&self) -> usize {
        self.clients.borrow().len()
    }

    /// How the open connections to peers do.
    pub(crate) fn links(&self) -> Vec<Link> {
        let peers = self.peers.borrow();
        let link = |(peer, (line, _)): (&NodeId, &(Rc<Line>, Sent))| {
            self.closed.link(*peer, &line.connection.stats(), line.output.waiting_bytes())
        };
        peers.iter().map(link).collect()
    }

    /// Queues a frame to a peer, if it is connected.
    pub(crate) fn send_to_peer(&self, peer: NodeId, frame: &Frame<PeerMessage>, now: Instant) {
        if let Some((line, sent)) = self.peers.borrow().get(&peer) {
            sent.count(frame, self.send(line, frame, now));
        }
    }

    /// Sends a datagram to a peer, if it is connected. One that is too large for the path, or in whose way too many
    /// others are, is lost.
    pub(crate) fn send_datagram(&self, peer: NodeId, packet: Bytes) {
        if let Some((line, _)) = self.peers.borrow().get(&peer) {
            // What gossip loses it says again.
            let _ = line.connection.send_datagram(packet);
        }
    }

    /// Queues a frame to a client, if it is connected.
    pub(crate) fn send_to_client(&self, client: ClientId, frame: &Frame<ClientMessage>, now: Instant) {
        if let Some(line) = self.clients.borrow().get(&client) {
            self.send(line, frame, now);
        }
    }

    /// Lets everything queued leave.
    pub(crate) fn flush(&self) {
        for line in self.unflushed.borrow_mut().drain(..) {
            line.unflushed.set(false);
            line.output.flush();
        }
    }

    /// Lets every line write what waits, and waits until the other sides have it. The connections stay open.
    pub(crate) async fn finish(&self) {
        let peers: Vec<_> = self.peers.borrow().values().map(|(line, _)| line.clone()).collect();
        let lines: Vec<_> = peers.into_iter().chain(self.clients.borrow().values().cloned()).collect();
        lines.iter().for_each(|line| line.output.close());
        for line in lines {
            let writer = line.writer.borrow_mut().take();
            if let Some(writer) = writer {
                // It ends in an error only by a panic, which has been told where it happened.
                let _ = writer.await;
            }
        }
    }

    /// Queues a frame, and says how many bytes it has; none if it will not be sent.
    ///
    /// A queue that is full closes the connection, where a queue of requests answers that it is overloaded (rule Q11). The
    /// bound is on bytes that the other side does not read, far above what is under way to one that does: whatever
    /// is sent to it would be answered late or never, and an answer of its own would have to go the same way, behind
    /// all of them. The end of the connection gets through at once, and tells everybody who waits as much: this
    /// node lets each request go on without the peer, and a client learns which of its requests were not carried out and of
    /// which that is unknown (rule Q10). Were single frames dropped instead, those who wait for them would
    /// wait until their deadlines.
    fn send<M: Message>(&self, line: &Rc<Line>, frame: &Frame<M>, now: Instant) -> usize {
        match line.output.queue(|out| wire::encode(frame, now, out)) {
            Ok(bytes) => {
                if !line.unflushed.replace(true) {
                    self.unflushed.borrow_mut().push(line.clone());
                }
                bytes
            }
            Err(SendError::Closed) => 0,
            Err(SendError::Full) => {
                if line.open.get() {
                    let remote = line.connection.remote_address();
                    warn!(%remote, "connection dropped: the other side reads too slowly");
                }
                line.close(CloseCode::TooSlow, "too many bytes waited to be read");
                0
            }
        }
    }

    /// So many peers are up, in the eyes of the node: a connection that is open may not be used yet.
    pub(crate) fn report_peers_up(&self, count: usize) {
        self.peers_up.send_if_modified(|known| {
            let is_news = *known != count;
            if is_news {
                metrics::gauge!("quorate_peers_up").set(count as f64);
                *known = count;
            }
            is_news
        });
    }
}

impl Line {
    /// A line on `connection`, on which at most `output_bytes_max` bytes may wait to be sent.
    pub(crate) fn open(
        connection: Connection,
        mut send: quinn::SendStream,
        output_bytes_max: usize,
    ) -> Rc<Self> {
        let line = Rc::new(Self {
            connection,
            output: Output::new(output_bytes_max),
            unflushed: Cell::new(false),
            open: Cell::new(true),
            writer: RefCell::default(),
        });
        let writing = line.clone();
        let writer = tokio::task::spawn_local(async move {
            if writing.output.write_to(&mut send).await.is_ok() {
                // What was written counts as delivered only once the other side has it.
                let _ = tokio::time::timeout(DELIVERY, send.stopped()).await;
            }
        });
        line.writer.replace(Some(writer));
        line
    }

    /// Queues and flushes one frame.
    pub(crate) fn say<M: Message>(&self, frame: &Frame<M>) {
        // A line that is closed already is found out by whoever reads from it.
        let _ = self.output.queue(|out| wire::encode(frame, Instant::ZERO, out));
        self.output.flush();
    }

    /// The other side's address.
    pub(crate) fn remote_address(&self) -> std::net::SocketAddr {
        self.connection.remote_address()
    }

    /// Waits for a datagram; `None` once the connection is lost.
    pub(crate) async fn datagram(&self) -> Option<Bytes> {
        self.connection.read_datagram().await.ok()
    }

    /// Waits until the other side has read most of what was sent to it.
    pub(crate) async fn drained(&self) {
        self.output.drained().await;
    }

    /// Whether nobody closed it on this side.
    pub(crate) fn is_open(&self) -> bool {
        self.open.get()
    }

    /// Drops what waits to be sent, and the connection.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        self.open.set(false);
        self.output.close();
        self.connection.close(code.into(), reason.as_bytes());
    }
}

/// How long a finished stream may take until the other side has all of it.
const DELIVERY: std::time::Duration = std::time::Duration::from_secs(1);
