//! Receipts: how an answer came about, or how far a request that failed has come (rule Q12).

use quorate_ring::{Consistency, Duration, NodeId, Tag};

use super::{
    operation::{Operation, Task, Work},
    plan::Plan,
    quorum::Places,
};
use crate::{
    node::Turn,
    wire::{Failure, Part, Receipt, ReplicaReport, RequestError},
};

/// How far a request that failed has come.
#[derive(Debug, Default)]
pub(super) struct Effort {
    /// Those whose answer counted in its last round.
    pub(super) answered: Places,
    /// Those of whom anything was heard, in that order, with the slowest answer in microseconds and what they did unless they
    /// failed.
    pub(super) heard: Vec<(usize, u32, Part)>,
    /// Those that have been asked and are still to answer, with how long that was ago.
    pub(super) awaited: Vec<(usize, Duration)>,
    /// The version that was sent.
    pub(super) tag: Option<Tag>,
    pub(super) rounds: u8,
}

impl Task {
    /// How the answer came about.
    pub(super) fn receipt(
        &self,
        turn: &Turn<'_>,
        answered: Places,
        tag: Option<Tag>,
        repaired: bool,
    ) -> Receipt {
        let replicas = self.plan.replicas.clone();
        Receipt {
            answered: answered.iter().map(|place| replicas[place]).collect(),
            tag,
            repaired,
            rounds: 1,
            operation: Some(self.id),
            ..blank(turn, self.plan.consistency, replicas)
        }
    }

    /// How far it has come that failed; none if it has come to no replica.
    fn receipt_of_failure(&self, turn: &Turn<'_>, effort: Effort) -> Option<Receipt> {
        let Effort { answered, heard, awaited, tag, rounds } = effort;
        if heard.is_empty() && awaited.is_empty() {
            return None;
        }
        let is_awaited = |place| awaited.iter().any(|(other, _)| *other == place);
        let mut parts: Vec<_> = heard
            .into_iter()
            .filter(|(place, ..)| !is_awaited(*place))
            .map(|(place, latency_us, part)| match self.why_failed(place) {
                Some(why) if !answered.contains(place) => (place, latency_us, Part::Failed, why),
                _ => (place, latency_us, part, ""),
            })
            .collect();
        parts.extend(awaited.iter().map(|(place, waited)| (*place, micros(*waited), Part::NoAnswer, "")));
        let down = self.plan.down(turn);
        for (place, _, part, why) in &mut parts {
            if *part != Part::Failed && !answered.contains(*place) && down.contains(*place) {
                (*part, *why) = (Part::Failed, why_down(turn, self.plan.replicas[*place]));
            }
        }
        let reported: Places = parts.iter().map(|(place, ..)| *place).collect();
        parts.extend(down.iter().filter(|place| !reported.contains(*place)).map(|place| {
            let why = self.why_failed(place).unwrap_or(why_down(turn, self.plan.replicas[place]));
            (place, 0, Part::Failed, why)
        }));
        let reports = parts.into_iter().map(|(place, latency_us, part, why)| {
            let (node, why) = (self.plan.replicas[place], why.to_owned());
            ReplicaReport { node, latency_us, part, why }
        });
        let reports = reports.collect();
        Some(Receipt { rounds, reports, ..self.receipt(turn, answered, tag, false) })
    }
}

impl Operation {
    /// The error in which it ends, with how far it has come. `hinted` are those for whom a hint is left. Of a forwarded write
    /// whoever coordinated it knows more.
    pub(super) fn explain(
        &self,
        turn: &Turn<'_>,
        error: RequestError,
        hinted: impl Iterator<Item = NodeId>,
    ) -> RequestError {
        let effort = match &self.work {
            Work::Forward(_) if error.receipt.is_some() => return error,
            Work::Read(read) => read.effort(&self.task, turn.now.mono),
            Work::Write(write) => write.effort(&self.task, turn.now.mono),
            Work::Cas(proposer) => proposer.effort(turn.now.mono),
            Work::Forward(forwarding) => forwarding.effort(turn.now.mono),
        };
        match self.task.receipt_of_failure(turn, effort) {
            Some(receipt) => error.with_receipt(Receipt { hinted: hinted.collect(), ..receipt }),
            None => error,
        }
    }
}

impl Plan {
    /// Too few replicas are up (rule Q3): names those that are not.
    pub(super) fn unavailable(&self, turn: &Turn<'_>) -> RequestError {
        let down = self.down(turn);
        unavailable(turn, self.consistency, self.required, &self.replicas, |place| down.contains(place))
    }

    /// The replicas that do not serve the key.
    fn down(&self, turn: &Turn<'_>) -> Places {
        let alive = self.alive(turn);
        (0..self.replicas.len()).filter(|place| !alive.contains(*place)).collect()
    }
}

/// The error of a request that needs `required` of `replicas`, of which too many are down.
pub(super) fn unavailable(
    turn: &Turn<'_>,
    consistency: Consistency,
    required: usize,
    replicas: &[NodeId],
    is_down: impl Fn(usize) -> bool,
) -> RequestError {
    let down: Vec<_> =
        (0..replicas.len()).filter(|place| is_down(*place)).map(|place| replicas[place]).collect();
    let (required, alive) = (super::count(required), super::count(replicas.len() - down.len()));
    let report = |node: NodeId| {
        let why = why_down(turn, node).to_owned();
        ReplicaReport { node, latency_us: 0, part: Part::Failed, why }
    };
    let reports = down.into_iter().map(report).collect();
    let receipt = Receipt { reports, ..blank(turn, consistency, replicas.to_vec()) };
    RequestError::not_applied(Failure::Unavailable { consistency, required, alive }).with_receipt(receipt)
}

/// The receipt of a request that has not begun.
pub(super) fn blank(turn: &Turn<'_>, consistency: Consistency, replicas: Vec<NodeId>) -> Receipt {
    Receipt {
        coordinator: turn.config.node,
        epoch: turn.epoch,
        consistency,
        replicas,
        answered: Vec::new(),
        tag: None,
        repaired: false,
        monotone: false,
        rounds: 0,
        reports: Vec::new(),
        hinted: Vec::new(),
        forwarded_by: None,
        operation: None,
        request_id: None,
    }
}

/// As receipts say how long something took.
pub(super) fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// Why a replica is not asked.
fn why_down(turn: &Turn<'_>, node: NodeId) -> &'static str {
    if turn.up.contains(node) { NOT_SERVING } else { DOWN }
}

/// Of a replica that was not asked.
pub(super) const DOWN: &str = "is down";
/// Of one that is up, and was not asked because it recovers the key or has not heard of its place yet.
const NOT_SERVING: &str = "does not serve the key yet";
