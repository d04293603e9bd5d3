//! A client's connections to nodes.

#![expect(clippy::disallowed_methods, reason = "a connection's writer is a task")]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, ReadError, TransportConfig, VarInt};
use quorate_ring::{Epoch, Instant};

use super::{
    CLIENT_PROTOCOL, CloseCode, Identity, IdentityError, NODE_DOMAIN, SendError,
    explain::{explain, explain_lost, is_certificate_trouble},
    output::Output,
    reader::{FrameReader, Lost},
};
use crate::wire::{
    self, ClientHello, ClientMessage, ClusterInfo, Frame, HandshakeMessage, HandshakeRefusal, Header,
    PROTOCOL_VERSION, RequestId, state_frame_bytes_max,
};

/// Opens connections from a client to nodes, all through one socket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connector {
    main: Endpoint,
    /// For IPv6, where the machine has both.
    v6: Option<Endpoint>,
    config: ClientConfig,
}

/// An open connection: what the node said of the cluster, and both directions.
#[derive(Debug)]
pub struct ClientConnection {
    /// The node's first word.
    pub info: ClusterInfo,
    /// Requests out.
    pub sender: FrameSender,
    /// Answers in.
    pub receiver: FrameReceiver,
}

/// Sends requests; cheap to clone, never waits. The connection is closed when the receiver is dropped.
#[derive(Clone, Debug)]
pub struct FrameSender {
    output: Arc<Output>,
}

/// Receives answers, in whatever order requests are done. Dropping it closes the connection.
#[derive(Debug)]
pub struct FrameReceiver {
    reader: FrameReader,
    connection: Connection,
    output: Arc<Output>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No socket of our own.
    #[error("cannot open a socket: {0}")]
    Socket(#[from] io::Error),
    /// Our own certificate is unusable.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// One side does not accept the other's certificate.
    #[error("{address}: {reason}")]
    Certificate {
        /// The node.
        address: SocketAddr,
        /// Why, and what to do.
        reason: String,
    },
    /// Nobody answers, or the connection broke at once.
    #[error("{address}: {reason}")]
    Unreachable {
        /// The node.
        address: SocketAddr,
        /// Why, and what to do.
        reason: String,
    },
    /// The node will not talk to us.
    #[error("{address} refuses: {}", refusal.message)]
    Refused {
        /// The node.
        address: SocketAddr,
        /// Why, and what to do.
        refusal: HandshakeRefusal,
    },
}

/// The connection is gone; what became of requests without an answer is unknown (rule Q10), unless it ended in order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection lost: {reason}")]
pub struct ConnectionLost {
    /// Why, for people.
    pub reason: String,
    /// Whether the node said before that it would answer nothing more: a request that it did not answer it has not begun.
    pub in_order: bool,
}

impl Connector {
    /// A connector with this identity. Must be called within a tokio runtime, of any kind.
    ///
    /// # Errors
    /// [`ConnectError::Socket`] and [`ConnectError::Identity`].
    pub fn new(identity: &Identity) -> Result<Self, ConnectError> {
        let v6 = Endpoint::client((Ipv6Addr::UNSPECIFIED, 0).into()).ok();
        Ok(Self { v6, ..Self::from_address(identity, Ipv4Addr::UNSPECIFIED.into())? })
    }

    /// The same with connections that come from `address` of this machine; nodes with addresses of another
    /// family cannot be reached. Must be called within a tokio runtime, of any kind.
    ///
    /// # Errors
    /// [`ConnectError::Socket`] and [`ConnectError::Identity`].
    pub fn from_address(identity: &Identity, address: IpAddr) -> Result<Self, ConnectError> {
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(0))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .datagram_receive_buffer_size(None)
            .initial_rtt(INITIAL_RTT)
            .keep_alive_interval(Some(KEEP_ALIVE))
            .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().map_err(io::Error::other)?));
        super::tune(&mut transport);
        let mut config = ClientConfig::new(super::quic_client(identity, CLIENT_PROTOCOL)?);
        config.transport_config(Arc::new(transport));
        Ok(Self { main: Endpoint::client((address, 0).into())?, v6: None, config })
    }

    /// Connects to a node and shakes hands. Without an answer it takes a few seconds to give up: put a
    /// timeout of your own around it, cancelling is safe.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self, address: SocketAddr) -> Result<ClientConnection, ConnectError> {
        let fail = |e: &ConnectionError| {
            let reason = explain(e);
            if is_certificate_trouble(e) {
                ConnectError::Certificate { address, reason }
            } else {
                ConnectError::Unreachable { address, reason }
            }
        };
        let endpoint = if address.is_ipv6() { self.v6.as_ref().unwrap_or(&self.main) } else { &self.main };
        let connection = endpoint
            .connect_with(self.config.clone(), address, NODE_DOMAIN)
            .map_err(|e| ConnectError::Unreachable { address, reason: e.to_string() })?
            .await
            .map_err(|e| fail(&e))?;
        let (mut send, recv) = connection.open_bi().await.map_err(|e| fail(&e))?;
        let output = Arc::new(Output::new(OUTPUT_BYTES_MAX));
        let hello = hello();
        let _ = output.queue(|out| wire::encode(&hello, Instant::ZERO, out));
        output.flush();
        let writer = output.clone();
        // It ends with the connection; what it could not write shows as answers that never come.
        tokio::spawn(async move { writer.write_to(&mut send).await });

        let reader = FrameReader::new(recv, INFO_BYTES_MAX);
        let mut receiver = FrameReceiver { reader, connection, output: output.clone() };
        let unreachable = |reason| ConnectError::Unreachable { address, reason };
        let answer = receiver.reader.receive().await.map_err(|lost| match &lost {
            Lost::Read(ReadError::ConnectionLost(e)) => fail(e),
            other => unreachable(other.to_string()),
        })?;
        match answer.message {
            HandshakeMessage::ClusterInfo(info) => {
                let value_bytes_max = usize::try_from(info.value_bytes_max).unwrap_or(usize::MAX / 2);
                receiver.reader.set_frame_bytes_max(answer_bytes_max(value_bytes_max));
                Ok(ClientConnection { info, sender: FrameSender { output }, receiver })
            }
            HandshakeMessage::HandshakeRefusal(refusal) => Err(ConnectError::Refused { address, refusal }),
            _ => Err(unreachable("it does not answer as a node does".to_owned())),
        }
    }

    /// Closes every connection and waits until the other sides were told.
    pub async fn close(&self) {
        let endpoints = [Some(&self.main), self.v6.as_ref()];
        for endpoint in endpoints.into_iter().flatten() {
            endpoint.close(CloseCode::Done.into(), b"client closed");
            endpoint.wait_idle().await;
        }
    }
}

impl FrameSender {
    /// Queues a request; its deadline is on the clock that `now` was read from. Frames queued close
    /// together leave together.
    ///
    /// # Errors
    /// [`SendError`]: nothing was sent, so a write is *not applied*.
    pub fn send(&self, frame: &Frame<ClientMessage>, now: Instant) -> Result<(), SendError> {
        self.output.queue(|out| wire::encode(frame, now, out))?;
        self.output.flush();
        Ok(())
    }
}

impl FrameReceiver {
    /// Waits for the next answer. Its deadline means nothing. Cancelling loses no answer.
    ///
    /// # Errors
    /// [`ConnectionLost`], for good.
    pub async fn receive(&mut self) -> Result<Frame<ClientMessage>, ConnectionLost> {
        let lost = |lost: Lost| ConnectionLost {
            in_order: matches!(lost, Lost::Ended),
            reason: explain_lost(&lost),
        };
        self.reader.receive().await.map_err(lost)
    }

    /// The node's address.
    pub fn remote_address(&self) -> SocketAddr {
        self.connection.remote_address()
    }
}

impl Drop for FrameReceiver {
    fn drop(&mut self) {
        self.output.close();
        self.connection.close(CloseCode::Done.into(), b"client closed");
    }
}

fn hello() -> Frame<HandshakeMessage> {
    let header = Header { id: RequestId(0), epoch: Epoch(0), deadline: Instant::ZERO };
    Frame { header, message: ClientHello { protocol: PROTOCOL_VERSION }.into() }
}

/// An answer may carry many concurrent values, or a cluster map.
fn answer_bytes_max(value_bytes_max: usize) -> usize {
    state_frame_bytes_max(value_bytes_max).max(INFO_BYTES_MAX)
}

/// Requests of a client that wait to be sent, in bytes.
const OUTPUT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A cluster map of 4,096 members of ordinary weight has 6 MB.
const INFO_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A node that is silent for so long is given up: as long as a peer waits for one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);
const KEEP_ALIVE: Duration = Duration::from_millis(400);
/// First guess of the round trip, so that a lost first packet is sent again soon.
const INITIAL_RTT: Duration = Duration::from_millis(30);
