//! What a running node says of itself when it is asked: how it is at that moment.

use std::{collections::BTreeMap, rc::Rc};

use quorate_ring::{Duration, NodeId};
use tokio::sync::{mpsc, oneshot};

use crate::{
    node::{ClockOffset, Readiness},
    repair::AgreementAges,
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
    /// See [`Node::agreement_ages`](crate::node::Node::agreement_ages); none if that was not asked for, or cannot be said.
    pub(super) agreement_ages: Option<AgreementAges>,
}

/// What a node is asked.
#[derive(Debug)]
pub(super) struct Question {
    /// Whether it is to say when it and its peers agreed, which is much: it goes through all that they hold together.
    pub(super) agreements: bool,
    pub(super) answer: oneshot::Sender<NodeReport>,
}

/// Asks a node how it is.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only a process of its own is asked"))]
pub(super) struct Reports(mpsc::Sender<Question>);

/// The questions that reach a node.
#[derive(Debug)]
pub(super) struct Questions(mpsc::Receiver<Question>);

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
        self.ask(false).await
    }

    /// The same, and when it and its peers agreed.
    pub(super) async fn with_agreements(&self) -> Option<NodeReport> {
        self.ask(true).await
    }

    async fn ask(&self, agreements: bool) -> Option<NodeReport> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Question { agreements, answer }).await.ok()?;
        answered.await.ok()
    }
}

impl Questions {
    /// The next one; none once nobody can ask any more.
    pub(super) async fn next(&mut self) -> Option<Question> {
        self.0.recv().await
    }
}

/// Answers until nobody can ask any more. Runs on the node's own thread.
pub(super) async fn answer_questions(host: Rc<Host>, mut questions: Questions) {
    while let Some(Question { agreements, answer }) = questions.next().await {
        // Whoever asked may have given up, and much may have been asked.
        if answer.is_closed() {
            continue;
        }
        let _ = answer.send(report(&host, agreements));
    }
}

fn report(host: &Host, agreements: bool) -> NodeReport {
    let mut node = host.node.borrow_mut();
    let now = host.clock.now();
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
        clock_lead: node.clock_lead(now),
        agreement_ages: agreements.then(|| node.agreement_ages(now, SERIES_MAX)).flatten(),
    }
}

/// Questions that wait at a time; who asks more waits for room.
const WAITING_MAX: usize = 8;
/// Series of one metric that one answer may have, where their number grows with the square of the nodes': some 100 KiB.
const SERIES_MAX: usize = 1_000;
