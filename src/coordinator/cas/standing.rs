//! How a request for rounds stands.

use quorate_storage::{Acceptor, State};

use super::{Phase, Proposer};
use crate::{
    coordinator::{
        operation::Task,
        quorum::{Tracker, Verdict},
        stragglers::Refused,
        timeout,
    },
    wire::{Failure, Outcome, RequestError},
};

impl Proposer {
    /// Whether no other request of the key need wait for it any more: a quorum has accepted what it proposes.
    pub(in crate::coordinator) fn is_decided(&self, quorum: usize) -> bool {
        matches!(&self.phase, Phase::Accepting { tracker, .. } if tracker.succeeded().len() >= quorum)
    }

    /// Whether the replica at `place` has promised itself to a later round.
    pub(in crate::coordinator) fn is_outbid(&self, place: usize) -> bool {
        self.refusals.is_outbid(place)
    }

    pub(in crate::coordinator) fn round(&self) -> u8 {
        self.round
    }

    pub(in crate::coordinator) fn tracker(&self) -> Option<&Tracker> {
        match &self.phase {
            Phase::Preparing { tracker, .. } | Phase::Accepting { tracker, .. } => Some(tracker),
            Phase::New | Phase::AwaitingClock | Phase::BackingOff => None,
        }
    }

    /// The proposal that was chosen, and who has it.
    pub(in crate::coordinator) fn chosen(&self) -> Option<(&Tracker, State)> {
        match &self.phase {
            Phase::Accepting { tracker, proposal, .. } if tracker.verdict() == Verdict::Reached => {
                Some((tracker, State::Cas(Acceptor::accepting(proposal.clone()))))
            }
            _ => None,
        }
    }

    /// What is known of refusals, for those that have not answered yet.
    pub(in crate::coordinator) fn refused(&self) -> Refused {
        self.refusals.so_far(None)
    }

    pub(in crate::coordinator) fn timeout(&self, task: &Task) -> RequestError {
        let failure = match self.tracker() {
            Some(tracker) => task.timeout(tracker),
            None if self.lost > 0 => Failure::Contended { rounds: self.round },
            None => timeout(task.plan.required, 0),
        };
        self.error(failure)
    }

    pub(in crate::coordinator) fn validate(&self) {
        if let Some(tracker) = self.tracker() {
            tracker.validate();
            let waits = matches!(self.phase, Phase::Accepting { .. }) && tracker.outstanding() > 0;
            let is_open =
                tracker.verdict() == Verdict::Pending || waits && tracker.verdict() != Verdict::Reached;
            assert!(is_open, "a phase that is decided is over");
        }
    }

    /// The error, with what is known of the request's own write.
    pub(super) fn error(&self, failure: Failure) -> RequestError {
        RequestError::of(failure, self.outcome())
    }

    pub(super) fn outcome(&self) -> Outcome {
        if self.sent.is_empty() { Outcome::NotApplied } else { Outcome::Unknown }
    }
}
