//! Who answers: the nodes of a cluster, or a mock of one.

use std::{pin::pin, sync::Arc, time::Duration};

use quorate_ring::{Epoch, NodeId};
use tokio::time::{Instant, timeout_at};

#[cfg(feature = "mock")]
use super::Mock;
use super::{connection::Connection, errors::CallError, nodes::Nodes, routing::Route};
use crate::wire::{ClientMessage, ClusterInfo};

/// Where a session's requests go.
#[derive(Debug)]
pub(super) enum Backend {
    Nodes(Box<Nodes>),
    #[cfg(feature = "mock")]
    Mock(Mock),
}

/// A node that can be asked.
enum Reached {
    Node {
        node: NodeId,
        connection: Arc<Connection>,
        epoch: Epoch,
    },
    #[cfg(feature = "mock")]
    Mock {
        node: NodeId,
        mock: Mock,
    },
}

/// When an attempt must be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// With the whole request.
    pub(super) request: Instant,
    /// Counted from when a node is asked.
    pub(super) attempt: Option<Duration>,
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

impl Reached {
    fn node(&self) -> NodeId {
        match self {
            Self::Node { node, .. } => *node,
            #[cfg(feature = "mock")]
            Self::Mock { node, .. } => *node,
        }
    }

    async fn ask(
        &self,
        message: ClientMessage,
        deadlines: Deadlines,
    ) -> Result<(NodeId, ClientMessage), Failed> {
        let (deadline, is_cut_short) = deadlines.of_attempt();
        let answer = match self {
            Self::Node { connection, epoch, .. } => connection.call(message, *epoch, deadline).await,
            #[cfg(feature = "mock")]
            Self::Mock { node, mock } => mock.call(*node, message, deadline).await,
        };
        match answer {
            Ok(answer) => Ok((self.node(), answer)),
            Err(error) => Err(Failed { node: Some(self.node()), is_cut_short, error }),
        }
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
        self.reach(route, avoid, deadlines).await?.ask(message, deadlines).await
    }

    /// Asks the best node that is not to be avoided, and the next best one too once that has not answered within `patience`,
    /// if there is one and it `may`. Whichever answers first is heard.
    pub(super) async fn ask_twice(
        &self,
        message: ClientMessage,
        route: Route<'_>,
        avoid: &[NodeId],
        deadlines: Deadlines,
        (patience, may): (Duration, impl FnOnce() -> bool),
    ) -> Result<(NodeId, ClientMessage), Failed> {
        let first = self.reach(route, avoid, deadlines).await?;
        let mut first_asked = pin!(first.ask(message.clone(), deadlines));
        if let Ok(answered) = timeout_at(Instant::now() + patience, &mut first_asked).await {
            return answered;
        }
        let others: Vec<_> = avoid.iter().copied().chain([first.node()]).collect();
        let second = match self.reach(route, &others, deadlines).await {
            Ok(second) if !others.contains(&second.node()) && may() => second,
            _ => return first_asked.await,
        };
        let mut second_asked = pin!(second.ask(message, deadlines));
        tokio::select! {
            answered = &mut first_asked => if answered.is_ok() { answered } else { second_asked.await },
            answered = &mut second_asked => if answered.is_ok() { answered } else { first_asked.await },
        }
    }

    /// The best node that is not to be avoided.
    async fn reach(
        &self,
        route: Route<'_>,
        avoid: &[NodeId],
        deadlines: Deadlines,
    ) -> Result<Reached, Failed> {
        match self {
            Self::Nodes(nodes) => match nodes.connection(route, avoid, deadlines.request).await {
                Ok((node, connection)) => Ok(Reached::Node { node, connection, epoch: nodes.newest_epoch() }),
                Err(error) => Err(Failed { node: None, is_cut_short: false, error }),
            },
            #[cfg(feature = "mock")]
            Self::Mock(mock) => Ok(Reached::Mock { node: mock.choose(route, avoid), mock: mock.clone() }),
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
