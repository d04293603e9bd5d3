//! Settings of QUIC that all connections share.

use std::sync::Arc;

use quinn::{MtuDiscoveryConfig, TransportConfig, VarInt, crypto::rustls::QuicClientConfig};

use super::{Identity, IdentityError};

/// ALPN of a client's connection.
pub(crate) const CLIENT_PROTOCOL: &[u8] = b"quorate-client/1";
/// ALPN of a connection between nodes.
#[cfg(feature = "server")]
pub(crate) const PEER_PROTOCOL: &[u8] = b"quorate-peer/1";

/// Why a connection was closed, as QUIC's application error code.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CloseCode {
    /// Nothing is wrong.
    Done = 0,
    /// The node stops.
    #[cfg(feature = "server")]
    ShuttingDown = 1,
    /// The handshake failed; the stream says why.
    #[cfg(feature = "server")]
    Refused = 2,
    /// The bytes received were no frames.
    #[cfg(feature = "server")]
    Garbage = 3,
    /// A newer connection took its place.
    #[cfg(feature = "server")]
    Replaced = 4,
    /// Too many bytes waited for the other side to read them.
    #[cfg(feature = "server")]
    TooSlow = 5,
    /// Whether this is the peer's present process is in doubt.
    #[cfg(feature = "server")]
    InDoubt = 6,
}

impl From<CloseCode> for VarInt {
    fn from(code: CloseCode) -> Self {
        Self::from_u32(code as u32)
    }
}

/// Lets packets grow to what loopback and jumbo frames carry. With segmentation offload ten packets must
/// stay below 64 KiB, so 6,500 bytes is the most that is safe.
pub(crate) fn tune(transport: &mut TransportConfig) {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(6_500);
    transport.mtu_discovery_config(Some(discovery));
}

/// TLS of the dialling side, for QUIC.
pub(crate) fn quic_client(
    identity: &Identity,
    protocol: &[u8],
) -> Result<Arc<QuicClientConfig>, IdentityError> {
    let tls = identity.client_config(protocol)?;
    let quic = QuicClientConfig::try_from(tls).map_err(|e| IdentityError::Mismatch(e.to_string()))?;
    Ok(Arc::new(quic))
}
