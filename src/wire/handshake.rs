//! The first frame each way on a connection. Nothing else is listened to before it.

use quorate_ring::{Actor, ClusterId, Incarnation, NodeId, WallMicros};
use serde::{Deserialize, Serialize};

use super::{ClusterInfo, frame::messages};

/// A node says who it is to the peer that it dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerHello {
    /// [`super::PROTOCOL_VERSION`] of the sender.
    pub protocol: u16,
    /// The cluster it belongs to; another one is refused.
    pub cluster: ClusterId,
    /// Its id.
    pub node: NodeId,
    /// Its local state's life (rule V3).
    pub incarnation: Incarnation,
    /// How often a process has started on that state, this time included.
    pub starts: u64,
    /// Its process.
    pub actor: Actor,
    /// What its wall clock shows (rule V2).
    pub wall: WallMicros,
    /// A digest of the settings that must be equal across the cluster.
    pub settings: u64,
}

#[cfg(feature = "server")]
impl PeerHello {
    /// The process that says it.
    pub fn life(&self) -> quorate_storage::Life {
        let Self { incarnation, starts, actor, .. } = *self;
        quorate_storage::Life { incarnation, starts, actor }
    }
}

/// The dialled node's answer: the same facts about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerWelcome(pub PeerHello);

/// A client opens a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientHello {
    /// [`super::PROTOCOL_VERSION`] of the sender.
    pub protocol: u16,
}

/// The other side will not talk to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandshakeRefusal {
    /// Why.
    pub refusal: Refusal,
    /// The same for people, with what to do.
    pub message: String,
}

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// Another protocol version.
    Protocol,
    /// Another cluster: its name or founders differ.
    Cluster,
    /// The certificate does not belong to the node that it claims to be.
    Identity,
    /// Not a member of the cluster, or the very node that was dialled.
    NotAMember,
    /// Settings that must be equal across the cluster differ.
    Settings,
    /// No room for another connection.
    Overloaded,
}

messages! {
    /// What may be said before a connection is open.
    pub enum HandshakeMessage {
        /// Peer to peer.
        0x01 => PeerHello,
        /// The answer to a peer.
        0x02 => PeerWelcome,
        /// Client to node.
        0x03 => ClientHello,
        /// The answer to a client: what it needs to route by itself.
        0x04 => ClusterInfo,
        /// The answer to either.
        0x05 => HandshakeRefusal,
    }
}
