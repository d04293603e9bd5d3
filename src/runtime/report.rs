//! What a running node says of itself when it is asked: how it is at that moment.

use std::{collections::BTreeMap, rc::Rc};

use quorate_ring::{Duration, NodeId};
use tokio::sync::{mpsc, oneshot};

use crate::{
    node::{ClockOffset, Readiness},
    transport::{Host, Link},
};

/// How a node is.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only a process of its own is asked"))]
pub(super) struct NodeReport {
    pub(super) readiness: Readiness,
    /// Every member but itself.
    pub(super) peers: Vec<NodeId>,
    /// Its connections to them.
    pub(super) links: Vec<Link>,
    /// Clients that are connected.
    pub(super) clients: usize,
    /// See [`Node::clock_lead`](crate::node::Node::clock_lead).
    pub(super) clock_lead: Duration,
    /// How far the peers' clocks are ahead of its own, as far as it is known.
    pub(super) clock_offsets: BTreeMap<NodeId, ClockOffset>,
}

/// Asks a node how it is.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only a process of its own is asked"))]
pub(super) struct Reports(mpsc::Sender<oneshot::Sender<NodeReport>>);

/// The questions that reach a node.
#[derive(Debug)]
pub(super) struct Questions(mpsc::Receiver<oneshot::Sender<NodeReport>>);

/// A way to ask, and its end at the node.
pub(super) fn reports() -> (Reports, Questions) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Reports(sender), Questions(receiver))
}

#[cfg(feature = "cli")]
impl Reports {
    /// The node's answer: that it comes shows that the node's thread does its work. `None` once it has stopped. It takes as
    /// long as that thread is busy with something else: bound it.
    pub(super) async fn now(&self) -> Option<NodeReport> {
        let (answer, answered) = oneshot::channel();
        self.0.send(answer).await.ok()?;
        answered.await.ok()
    }
}

/// Answers until nobody can ask any more. Runs on the node's own thread.
pub(super) async fn answer_questions(host: Rc<Host>, mut questions: Questions) {
    while let Some(asked) = questions.0.recv().await {
        // Whoever asked may have given up.
        let _ = asked.send(report(&host));
    }
}

fn report(host: &Host) -> NodeReport {
    let node = host.node.borrow();
    let own = host.hello.node;
    let peers: Vec<_> =
        node.ring().members().iter().map(|member| member.id).filter(|id| *id != own).collect();
    let offset = |peer: &NodeId| Some((*peer, node.clock_offset(*peer)?));
    NodeReport {
        readiness: node.readiness(),
        clock_offsets: peers.iter().filter_map(offset).collect(),
        peers,
        links: host.switchboard.links(),
        clients: host.switchboard.client_count(),
        clock_lead: node.clock_lead(host.clock.now()),
    }
}

/// Questions that wait at a time; who asks more waits for room.
const WAITING_MAX: usize = 8;
