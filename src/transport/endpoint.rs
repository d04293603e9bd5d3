//! A node's endpoint: one port for peers and clients, for dialling and being dialled.

#![expect(clippy::disallowed_methods, reason = "a farewell has a bound in time")]

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use ::ring::hmac;
use quinn::{
    ClientConfig, Connecting, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Incoming,
    ServerConfig, TokioRuntime, TransportConfig, VarInt, crypto::rustls::QuicServerConfig,
};
use rand::{RngExt, rngs::StdRng};

use super::{
    CLIENT_PROTOCOL, CloseCode, Identity, IdentityError, NODE_DOMAIN, quic_client, tune,
    tuning::PEER_PROTOCOL,
};

/// How soon a silent peer is given up.
#[derive(Clone, Copy, Debug)]
pub struct Liveness {
    /// A peer that is silent for so long is down.
    pub idle_timeout: Duration,
    /// How often an idle connection is kept alive: a few times per idle timeout.
    pub keep_alive: Duration,
}

/// A node's socket, with QUIC on it.
#[derive(Clone, Debug)]
pub(crate) struct NodeEndpoint {
    endpoint: Endpoint,
    peer_config: ClientConfig,
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    /// The socket cannot be used.
    #[error(transparent)]
    Socket(#[from] io::Error),
    /// The certificate cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl NodeEndpoint {
    /// Takes the socket over. Must be called within a tokio runtime.
    pub(crate) fn new(
        socket: UdpSocket,
        identity: &Identity,
        peers: Liveness,
    ) -> Result<Self, EndpointError> {
        let tls = identity.server_config(&[PEER_PROTOCOL, CLIENT_PROTOCOL])?;
        let quic = QuicServerConfig::try_from(tls).map_err(|e| IdentityError::Mismatch(e.to_string()))?;
        let mut server = ServerConfig::with_crypto(Arc::new(quic));
        server.transport_config(Arc::new(accepting_transport()?)).max_incoming(INCOMING_MAX);
        let endpoint =
            Endpoint::new(endpoint_config(identity), Some(server), socket, Arc::new(TokioRuntime))?;

        let mut peer_config = ClientConfig::new(quic_client(identity, PEER_PROTOCOL)?);
        peer_config.transport_config(Arc::new(dialling_transport(peers)?));
        Ok(Self { endpoint, peer_config })
    }

    /// The address it is bound to.
    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Starts to connect to the peer called `name`; its certificate must carry that name.
    pub(crate) fn dial(&self, address: SocketAddr, name: &str) -> Result<Connecting, quinn::ConnectError> {
        self.endpoint.connect_with(self.peer_config.clone(), address, &format!("{name}.{NODE_DOMAIN}"))
    }

    /// The next connection that somebody wants to open; `None` after [`NodeEndpoint::close`].
    pub(crate) async fn accept(&self) -> Option<Incoming> {
        self.endpoint.accept().await
    }

    /// Lets nobody connect any more.
    pub(crate) fn stop_accepting(&self) {
        self.endpoint.set_server_config(None);
    }

    /// Closes every connection and waits for a moment until the other sides were told.
    pub(crate) async fn close(&self) {
        self.endpoint.close(CloseCode::ShuttingDown.into(), b"node is shutting down");
        let _ = tokio::time::timeout(FAREWELL, self.endpoint.wait_idle()).await;
    }
}

/// A reset key derived from the node's own key lets a restarted process answer packets of its predecessor's
/// connections with a stateless reset (RFC 9000, section 10.3), so that the other sides notice at once.
fn endpoint_config(identity: &Identity) -> EndpointConfig {
    let derived =
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, identity.secret()), b"quorate stateless reset key");
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())));
    config.cid_generator(|| Box::new(RandomIds(rand::make_rng())));
    config
}

/// Connection ids that say nothing. QUIC's usual ones are keyed by process: a restarted process would take its
/// predecessor's for noise and not answer them.
struct RandomIds(StdRng);

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&self.0.random::<[u8; CONNECTION_ID_BYTES]>())
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Of two idle timeouts the shorter one holds, and the dialling side brings its own: see there.
fn accepting_transport() -> io::Result<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES)
        .initial_rtt(INITIAL_RTT)
        .max_idle_timeout(Some(IDLE_TIMEOUT_MAX.try_into().map_err(io::Error::other)?));
    tune(&mut transport);
    Ok(transport)
}

fn dialling_transport(peers: Liveness) -> io::Result<TransportConfig> {
    let mut transport = accepting_transport()?;
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .keep_alive_interval(Some(peers.keep_alive))
        .max_idle_timeout(Some(peers.idle_timeout.try_into().map_err(io::Error::other)?));
    Ok(transport)
}

/// Gossip that waits to be sent or read; beyond, the oldest is lost. A few hundred packets.
const DATAGRAM_BUFFER_BYTES: usize = 256 * 1024;
/// Long enough that no two meet by chance.
const CONNECTION_ID_BYTES: usize = 8;
/// Connections that wait to be accepted; more are refused.
const INCOMING_MAX: usize = 1_024;
/// The longest silence of a client.
const IDLE_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// First guess of the round trip, so that a first packet lost to a peer that is just starting is sent again
/// soon. The usual 333 ms would cost a starting cluster a second.
const INITIAL_RTT: Duration = Duration::from_millis(20);
/// How long to wait until others know that we go.
const FAREWELL: Duration = Duration::from_millis(300);
