//! Where a request goes, as log lines: `QUORATE_LOG=info,quorate::requests=debug`.
//!
//! A client draws an id for each of its attempts, and its own log has it. The coordinator's line on the attempt has that id as
//! `request`, and beside it `operation`, which every frame to and from replicas carries: their lines have it with the node
//! that it came from. A write that was sent on by a node that is no replica has that node's operation in its id. The receipt of
//! a request has both.

use quorate_ring::NodeId;
use tracing::{Level, debug, enabled};

use crate::{
    coordinator::Step,
    handoff::Handoff,
    node::Input,
    repair::Repair,
    wire::{Frame, Outcome, PeerMessage, RequestId},
};

/// A request that this node coordinated has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// The id that whoever asked has drawn.
    pub(super) request: RequestId,
    /// What its frames carry.
    pub(super) step: Step,
    pub(super) name: &'static str,
    pub(super) forwarded: bool,
    pub(super) outcome: Option<Outcome>,
    pub(super) nanos: u64,
}

/// Says what became of it.
pub(super) fn ended(ended: Ended) {
    let Ended { request, step, name, forwarded, outcome, nanos } = ended;
    debug!(
        target: TARGET,
        %request,
        operation = %step.operation,
        name,
        origin = if forwarded { "peer" } else { "client" },
        outcome = outcome.map_or("failed", |outcome| match outcome {
            Outcome::Applied => "ok",
            Outcome::NotApplied => "not applied",
            Outcome::Unknown => "unknown",
        }),
        micros = nanos / 1_000,
        "request ended"
    );
}

/// Says what a peer has sent.
pub(super) fn arrived(input: &Input) {
    if let Input::Peer { from, frame } = input {
        line(*from, frame, "from peer");
    }
}

/// Says what a peer is sent.
pub(super) fn leaves(peer: NodeId, frame: &Frame<PeerMessage>) {
    line(peer, frame, "to peer");
}

/// Handoff and repair have numbers of their own.
fn line(peer: NodeId, frame: &Frame<PeerMessage>, way: &'static str) {
    if !enabled!(target: TARGET, Level::DEBUG) {
        return;
    }
    let id = frame.header.id;
    if let Some(what) = name(&frame.message).filter(|_| !Handoff::is_own(id) && !Repair::is_own(id)) {
        let Step { operation, round } = Step::from_request_id(id);
        debug!(target: TARGET, %peer, %operation, round, what, "{way}");
    }
}

/// What is said about a request of a client; none for everything else that peers say.
fn name(message: &PeerMessage) -> Option<&'static str> {
    Some(match message {
        PeerMessage::Fetch(_) => "fetch",
        PeerMessage::Fetched(_) => "fetched",
        PeerMessage::Store(_) => "store",
        PeerMessage::Stored(_) => "stored",
        PeerMessage::Advance(_) => "advance",
        PeerMessage::Advanced(_) => "advanced",
        PeerMessage::Forward(_) => "forward",
        PeerMessage::Forwarded(_) => "forwarded",
        PeerMessage::KeepHint(_) => "keep hint",
        PeerMessage::Refused(_) => "refused",
        PeerMessage::AfterLoss(_) => "answer after a lost disk",
        _ => return None,
    })
}

const TARGET: &str = "quorate::requests";
