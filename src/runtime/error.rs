//! Why a node does not start, or stops.

use std::{io, net::SocketAddr, path::PathBuf};

use quorate_ring::RingError;

use crate::transport::{EndpointError, IdentityError};

/// Why a node does not start. Each says what to do; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The founders' list makes no cluster.
    #[error("founders: {0}")]
    Founders(#[from] RingError),
    /// The founders' list does not contain this node.
    #[error("the founders' list does not contain this node, '{node}': it names {}; correct `node` or `founders`", names.join(", "))]
    NotAFounder {
        /// This node's name.
        node: String,
        /// The founders' names.
        names: Vec<String>,
    },
    /// The certificate is another's.
    #[error("the certificate is not that of node '{node}': make it with `quorate certs node DIR {node}`")]
    WrongCertificate {
        /// This node's name.
        node: String,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The address is taken.
    #[error(
        "address {address} is in use: is this node running already? Stop it, or choose another `listen` address"
    )]
    AddressInUse {
        /// Which one.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; `listen` must be an address of this machine")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error("data directory {}: {reason}", path.display())]
    DataDirectory {
        /// Which one.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The system lacks something.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// Why a running node stopped unasked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Its disk cannot be trusted any more (rule S2).
    #[error("the node stopped itself: {0}; check the disk, then start it again")]
    Halted(String),
    /// Its data directory is an older copy of itself: the next start puts it aside (rule V3).
    #[error(
        "the data directory is an older copy of itself and is not used any more: {0}; start the node again: it puts \
         the copy aside and recovers its data from its peers"
    )]
    RolledBack(String),
    /// One of its threads ended by a bug.
    #[error("the node's {0} thread ended unexpectedly: this is a bug; its log says where")]
    Crashed(&'static str),
}

impl StartError {
    pub(super) fn listen(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { address },
            _ => Self::Listen { address, source },
        }
    }
}

impl From<EndpointError> for StartError {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::Socket(e) => Self::System(e),
            EndpointError::Identity(e) => Self::Identity(e),
        }
    }
}
