//! QUIC, and only here: TLS identities, connections of clients and of peers, frames in and out.
//!
//! A connection has one bidirectional stream that carries the frames of [`crate::wire`]: the handshake
//! first, then requests and answers of both sides, in any order.

mod connector;
#[cfg(feature = "server")]
mod dial;
#[cfg(feature = "server")]
mod endpoint;
mod explain;
#[cfg(feature = "server")]
mod greet;
#[cfg(feature = "server")]
mod handshake;
mod identity;
#[cfg(feature = "server")]
#[cfg_attr(
    not(feature = "cli"),
    expect(dead_code, reason = "only a process of its own is asked how it does")
)]
mod link;
mod os_clock;
mod output;
mod reader;
#[cfg(feature = "server")]
mod sent;
#[cfg(feature = "server")]
mod socket;
#[cfg(feature = "server")]
mod switchboard;
mod tuning;

pub use connector::{ClientConnection, ConnectError, ConnectionLost, Connector, FrameReceiver, FrameSender};
#[cfg(feature = "server")]
pub use endpoint::Liveness;
pub use identity::{Identity, IdentityError, NODE_DOMAIN, node_server_name};
pub use os_clock::OsClock;
pub use output::SendError;
#[cfg(feature = "server")]
pub use socket::bind;

pub(crate) use tuning::{CLIENT_PROTOCOL, CloseCode, quic_client, tune};
#[cfg(feature = "server")]
pub(crate) use {
    dial::dial_peer,
    endpoint::{EndpointError, NodeEndpoint},
    greet::{Bounds, Host, accept_all},
    link::Link,
    switchboard::Switchboard,
};
