//! Who answers: the nodes of a cluster, or a mock of one.

use quorate_ring::{Epoch, NodeId};
use tokio::time::Instant;

#[cfg(feature = "mock")]
use super::Mock;
use super::{errors::CallError, nodes::Nodes, routing::Route};
use crate::wire::{ClientMessage, ClusterInfo};

/// Where a session's requests go.
#[derive(Debug)]
pub(super) enum Backend {
    Nodes(Box<Nodes>),
    #[cfg(feature = "mock")]
    Mock(Mock),
}

/// When an attempt must be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// With the whole request.
    pub(super) request: Instant,
    /// Counted from when a node is asked.
    pub(super) attempt: Option<std::time::Duration>,
}

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// Who was asked.
    pub(super) node: Option<NodeId>,
    /// Whether it had less time than the request.
    pub(super) is_cut_short: bool,
    pub(super) error: CallError,
}

impl Deadlines {
    /// When a node that is asked now must have answered, and whether that is before the request must be over.
    fn of_attempt(self) -> (Instant, bool) {
        let deadline =
            self.attempt.map_or(self.request, |timeout| self.request.min(Instant::now() + timeout));
        (deadline, deadline < self.request)
    }
}

impl Backend {
    /// Asks the best node that is not to be avoided, once.
    pub(super) async fn ask(
        &self,
        message: ClientMessage,
        route: Route<'_>,
        avoid: &[NodeId],
        deadlines: Deadlines,
    ) -> Result<(NodeId, ClientMessage), Failed> {
        let (node, is_cut_short, answer) = match self {
            Self::Nodes(nodes) => {
                let connection = nodes.connection(route, avoid, deadlines.request).await;
                let (node, connection) =
                    connection.map_err(|error| Failed { node: None, is_cut_short: false, error })?;
                let (deadline, is_cut_short) = deadlines.of_attempt();
                (node, is_cut_short, connection.call(message, nodes.newest_epoch(), deadline).await)
            }
            #[cfg(feature = "mock")]
            Self::Mock(mock) => {
                let node = mock.choose(route, avoid);
                let (deadline, is_cut_short) = deadlines.of_attempt();
                (node, is_cut_short, mock.call(node, message, deadline).await)
            }
        };
        match answer {
            Ok(answer) => Ok((node, answer)),
            Err(error) => Err(Failed { node: Some(node), is_cut_short, error }),
        }
    }

    /// The node that the contact points led to.
    pub(super) fn contact(&self) -> NodeId {
        match self {
            Self::Nodes(nodes) => nodes.contact(),
            #[cfg(feature = "mock")]
            Self::Mock(_) => super::mock::MEMBERS[0],
        }
    }

    /// The newest epoch that any node has told of.
    pub(super) fn newest_epoch(&self) -> Epoch {
        match self {
            Self::Nodes(nodes) => nodes.newest_epoch(),
            #[cfg(feature = "mock")]
            Self::Mock(mock) => mock.epoch(),
        }
    }

    /// Every member of the newest map that is known here.
    pub(super) fn members(&self) -> Vec<NodeId> {
        match self {
            Self::Nodes(nodes) => nodes.members(),
            #[cfg(feature = "mock")]
            Self::Mock(_) => super::mock::MEMBERS.to_vec(),
        }
    }

    /// Whether requests are routed by an older map than that of `newest`.
    pub(super) fn is_behind(&self, newest: Epoch) -> bool {
        match self {
            Self::Nodes(nodes) => nodes.epoch() < newest,
            #[cfg(feature = "mock")]
            Self::Mock(_) => false,
        }
    }

    /// Routes by a newer map from now on.
    pub(super) fn install(&self, info: &ClusterInfo) {
        match self {
            Self::Nodes(nodes) => nodes.install(info),
            #[cfg(feature = "mock")]
            Self::Mock(_) => {}
        }
    }
}
