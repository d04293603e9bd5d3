//! What a write that has ended leaves to do: replicas that have not confirmed it (rule H1).

use quorate_ring::NodeId;
use quorate_storage::{Row, State};

use super::{
    operation::{Operation, Work},
    stragglers::Refused,
};
use crate::node::Turn;

/// What a write that has ended leaves to do.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    /// The round in which the state was sent.
    pub(super) round: u8,
    /// Where.
    pub(super) row: Row,
    /// What.
    pub(super) state: State,
    /// Replicas that are known not to have stored it for this write.
    pub(super) failed: Vec<NodeId>,
    /// Replicas of which nothing was heard.
    pub(super) outstanding: Vec<NodeId>,
    /// What those said that refused it.
    pub(super) refusals: Refused,
}

impl Operation {
    /// What the end of it leaves to do: nothing, unless a state was sent. A write that was not acknowledged is not
    /// brought to those that found its clock ahead (rule V2).
    pub(super) fn unconfirmed(&self, turn: &Turn<'_>, applied: bool) -> Option<Unconfirmed> {
        let (tracker, state) = match &self.work {
            Work::Write(write) => write.sent().map(|(tracker, state)| (tracker, state.clone()))?,
            // What was not chosen is nobody's to spread: its proposer knows that it may come to nothing.
            Work::Cas(proposer) if applied => proposer.chosen()?,
            Work::Cas(_) | Work::Read(_) | Work::Forward(_) => return None,
        };
        let plan = &self.task.plan;
        let missing = plan.missing(turn, tracker.succeeded());
        if missing.is_empty() {
            return None;
        }
        let nodes = |which: &dyn Fn(usize) -> bool| {
            missing.iter().filter(|place| which(*place)).map(|place| plan.replicas[place]).collect()
        };
        let is_refused_as_ahead =
            |place| matches!(&self.work, Work::Write(write) if write.is_refused_as_ahead(place));
        // Who has promised a later round never takes it: it hears of that round, or repair brings it together with the rest.
        let is_outbid = |place| matches!(&self.work, Work::Cas(proposer) if proposer.is_outbid(place));
        let (round, refusals) = match &self.work {
            Work::Write(write) => (write.round(), write.refused(&self.task)),
            Work::Cas(proposer) => (proposer.round(), proposer.refused()),
            Work::Read(_) | Work::Forward(_) => return None,
        };
        Some(Unconfirmed {
            round,
            row: plan.row.clone(),
            state,
            failed: nodes(&|place| {
                !tracker.is_outstanding(place)
                    && !is_outbid(place)
                    && (applied || !is_refused_as_ahead(place))
            }),
            refusals,
            outstanding: nodes(&|place| tracker.is_outstanding(place)),
        })
    }
}
