//! Being dialled: every incoming connection, from its first packet to its end.

#![expect(clippy::disallowed_methods, reason = "a handshake has a bound in time")]

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
};

use quinn::{Connection, Incoming, RecvStream, SendStream, crypto::rustls::HandshakeData};
use quorate_ring::NodeId;
use tokio::{task::spawn_local, time::timeout};
use tracing::{debug, info, warn};

use super::{
    CLIENT_PROTOCOL, CloseCode, NodeEndpoint, OsClock, Switchboard,
    explain::{explain, explain_lost},
    handshake::{self, HANDSHAKE_TIMEOUT, HELLO_BYTES_MAX},
    reader::{FrameReader, Lost},
    switchboard::Line,
    tuning::PEER_PROTOCOL,
};
use crate::{
    node::{Input, Node},
    wire::{
        HandshakeMessage, PeerHello, PeerWelcome, Refusal, request_frame_bytes_max, state_frame_bytes_max,
    },
};

/// What connections need of the node that they belong to.
pub(crate) struct Host {
    /// Its port.
    pub(crate) endpoint: NodeEndpoint,
    /// Its connections.
    pub(crate) switchboard: Rc<Switchboard>,
    /// The node; borrowed between two passes of its loop only.
    pub(crate) node: Rc<RefCell<Node>>,
    /// What it says of itself; see [`Host::hello`].
    pub(crate) hello: PeerHello,
    /// Its clock.
    pub(crate) clock: OsClock,
    /// Its bounds.
    pub(crate) bounds: Bounds,
    /// Whether it is about to close all connections: lost ones are no news, and none is dialled again.
    pub(crate) stopping: Cell<bool>,
}

/// What connections may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Clients connected at a time.
    pub(crate) clients_max: usize,
    /// The longest value, in bytes.
    pub(crate) value_bytes_max: usize,
    /// Bytes that may wait for a peer to read them; beyond, its connection is dropped.
    pub(crate) peer_output_bytes_max: usize,
    /// Bytes that may wait for a client to read them; beyond a quarter, nothing more is read from it.
    pub(crate) client_output_bytes_max: usize,
}

/// Why a connection never opened.
enum Failure {
    /// It broke, or spoke garbage.
    Lost(String),
    /// It took too long.
    Silent,
}

/// Greets whoever connects until the endpoint is closed.
pub(crate) async fn accept_all(host: Rc<Host>) {
    let handshakes = Rc::new(());
    while let Some(incoming) = host.endpoint.accept().await {
        let under_way = Rc::strong_count(&handshakes) - 1;
        if under_way >= HANDSHAKES_MAX {
            incoming.refuse();
        } else if under_way >= HANDSHAKES_UNPROVEN_MAX && !incoming.remote_address_validated() {
            // Who asks under a false address never answers this; it only fails for whoever proved itself.
            let _ = incoming.retry();
        } else {
            let (host, permit) = (host.clone(), handshakes.clone());
            spawn_local(async move {
                let remote = incoming.remote_address();
                let greeted =
                    timeout(HANDSHAKE_TIMEOUT, begin(incoming)).await.unwrap_or(Err(Failure::Silent));
                match greeted {
                    Ok(greeted) => host.serve(greeted, permit).await,
                    Err(failure) => warn!(%remote, %failure, "connection refused"),
                }
            });
        }
    }
}

/// A connection with a stream and a first frame on it.
struct Greeted {
    connection: Connection,
    send: SendStream,
    reader: FrameReader,
    first: HandshakeMessage,
    is_peer: bool,
}

async fn begin(incoming: Incoming) -> Result<Greeted, Failure> {
    let lost = |e| Failure::Lost(explain(&e));
    let connection = incoming.accept().map_err(lost)?.await.map_err(lost)?;
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let is_peer = match data.and_then(|data| data.protocol).as_deref() {
        Some(PEER_PROTOCOL) => true,
        Some(CLIENT_PROTOCOL) => false,
        _ => return Err(Failure::Lost("it asks for no protocol that is spoken here".to_owned())),
    };
    let (send, recv): (SendStream, RecvStream) = connection.accept_bi().await.map_err(lost)?;
    let mut reader = FrameReader::new(recv, HELLO_BYTES_MAX);
    let first = reader.receive().await.map_err(|lost| {
        connection.close(CloseCode::Garbage.into(), b"no handshake");
        Failure::Lost(explain_lost(&lost))
    })?;
    Ok(Greeted { connection, send, reader, first: first.message, is_peer })
}

impl Host {
    /// What it says of itself now.
    pub(super) fn hello(&self) -> PeerHello {
        PeerHello { wall: self.clock.now().wall, ..self.hello.clone() }
    }

    async fn serve(&self, greeted: Greeted, permit: Rc<()>) {
        let remote = greeted.connection.remote_address();
        let judged = match (&greeted.first, greeted.is_peer) {
            (HandshakeMessage::PeerHello(theirs), true) => {
                let certificate = handshake::certificate_of(&greeted.connection);
                let node = self.node.borrow();
                handshake::judge_peer(&self.hello, node.ring(), theirs, certificate.as_ref())
                    .map(|()| Some(theirs.clone()))
            }
            (HandshakeMessage::ClientHello(theirs), false) => {
                handshake::judge_client(theirs.protocol).and_then(|()| self.admit_client())
            }
            _ => handshake::refuse(Refusal::Protocol, "not a word to start a conversation with".to_owned()),
        };
        drop(permit);
        let Greeted { connection, send, reader, .. } = greeted;
        match judged {
            Ok(Some(theirs)) => {
                let line = Line::open(connection, send, self.bounds.peer_output_bytes_max);
                line.say(&handshake::frame(PeerWelcome(self.hello())));
                self.serve_peer(&theirs, line, reader).await;
            }
            Ok(None) => {
                let line = Line::open(connection, send, self.bounds.client_output_bytes_max);
                line.say(&handshake::frame(self.node.borrow().cluster_info()));
                self.serve_client(line, reader).await;
            }
            Err(refusal) => {
                warn!(%remote, reason = refusal.message, "connection refused");
                handshake::send_refusal(&connection, send, refusal).await;
            }
        }
    }

    fn admit_client(&self) -> Result<Option<PeerHello>, crate::wire::HandshakeRefusal> {
        if self.switchboard.client_count() < self.bounds.clients_max {
            return Ok(None);
        }
        let max = self.bounds.clients_max;
        let message = format!("the node has {max} clients already: try another node, or raise `clients_max`");
        handshake::refuse(Refusal::Overloaded, message)
    }

    /// Takes a peer's frames until its connection is lost, and says why it was. `theirs` is what the peer said
    /// of itself.
    pub(super) async fn serve_peer(&self, theirs: &PeerHello, line: Rc<Line>, mut reader: FrameReader) {
        let peer = theirs.node;
        reader.set_frame_bytes_max(state_frame_bytes_max(self.bounds.value_bytes_max));
        self.switchboard.attach_peer(theirs, &line);
        let remote = line.remote_address();
        info!(%peer, %remote, "peer up");
        let lost = tokio::select! {
            lost = self.pump_peer(peer, &line, &mut reader) => lost,
            never = self.pump_gossip(peer, &line) => never,
        };
        self.take_gossip(peer, &line).await;
        close_after(&line, &lost);
        self.switchboard.detach_peer(peer, &line);
        if !self.stopping.get() {
            warn!(%peer, %remote, reason = explain_lost(&lost), "peer down");
        }
    }

    async fn serve_client(&self, line: Rc<Line>, mut reader: FrameReader) {
        reader.set_frame_bytes_max(request_frame_bytes_max(self.bounds.value_bytes_max));
        let client = self.switchboard.attach_client(&line);
        let remote = line.remote_address();
        debug!(client = client.0, %remote, "client up");
        let lost = self.pump_client(client, &line, &mut reader).await;
        if matches!(lost, Lost::Frame(_)) {
            warn!(client = client.0, %remote, reason = %lost, "connection dropped: not the bytes of a client");
        } else {
            debug!(client = client.0, %remote, reason = explain_lost(&lost), "client down");
        }
        close_after(&line, &lost);
        self.switchboard.detach_client(client);
    }

    async fn pump_peer(&self, from: NodeId, line: &Line, reader: &mut FrameReader) -> Lost {
        loop {
            let now = self.clock.mono();
            loop {
                match reader.next(now) {
                    Ok(Some(frame)) if line.is_open() => self.switchboard.push(Input::Peer { from, frame }),
                    Ok(Some(_)) => return Lost::Ended,
                    Ok(None) => break,
                    Err(e) => return e.into(),
                }
            }
            if let Err(lost) = reader.fill().await {
                return lost;
            }
        }
    }

    /// Takes a peer's datagrams. It does not end by itself: how a connection was lost is for its stream to say.
    async fn pump_gossip(&self, from: NodeId, line: &Line) -> Lost {
        while let Some(packet) = line.datagram().await {
            self.switchboard.push(Input::Gossip { from, packet });
        }
        std::future::pending().await
    }

    /// Takes the datagrams that have arrived already. A peer that stops says goodbye in one and ends its stream: both come
    /// together, and the end must not hide the goodbye.
    async fn take_gossip(&self, from: NodeId, line: &Line) {
        loop {
            tokio::select! {
                biased;
                Some(packet) = line.datagram() => self.switchboard.push(Input::Gossip { from, packet }),
                () = std::future::ready(()) => return,
            }
        }
    }

    async fn pump_client(
        &self,
        client: crate::node::ClientId,
        line: &Line,
        reader: &mut FrameReader,
    ) -> Lost {
        loop {
            let now = self.clock.mono();
            loop {
                match reader.next(now) {
                    Ok(Some(frame)) => self.switchboard.push(Input::Client { client, frame }),
                    Ok(None) => break,
                    Err(e) => return e.into(),
                }
            }
            line.drained().await;
            if let Err(lost) = reader.fill().await {
                return lost;
            }
        }
    }
}

fn close_after(line: &Line, lost: &Lost) {
    let (code, reason) = match lost {
        Lost::Frame(e) => (CloseCode::Garbage, e.to_string()),
        _ => (CloseCode::Done, "bye".to_owned()),
    };
    line.close(code, &reason);
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(reason) => f.write_str(reason),
            Self::Silent => write!(f, "it did not say who it is within {} s", HANDSHAKE_TIMEOUT.as_secs()),
        }
    }
}

/// Handshakes under way at a time; more are refused.
const HANDSHAKES_MAX: usize = 512;
/// Handshakes under way from which on the other side has to prove its address first.
const HANDSHAKES_UNPROVEN_MAX: usize = 128;
