//! What becomes of an operation when a peer is lost, or comes back without its state (rule R7).

use quorate_ring::NodeId;

use super::{
    CONNECTION_LOST, Failed, STATE_LOST, Step,
    operation::{Conclusion, Operation, ReplicaAnswer, Work},
};
use crate::{node::Turn, wire::RequestError};

impl Operation {
    /// A peer is lost: whatever it was asked in the present round fails.
    pub(super) fn peer_down(&mut self, turn: &mut Turn<'_>, peer: NodeId) -> Option<Conclusion> {
        let round = match &mut self.work {
            Work::Read(read) => read.round(),
            Work::Write(write) => write.round(),
            Work::Cas(proposer) => proposer.round(),
            Work::Forward(forwarding) => {
                let place = self.task.plan.place(peer)?;
                self.task.failed(place, CONNECTION_LOST);
                return forwarding.peer_down(&self.task, turn, place);
            }
        };
        let step = Step { operation: self.task.id, round };
        self.answered(turn, peer, step, ReplicaAnswer::Failed(Failed::unsure(CONNECTION_LOST)))
    }

    /// A peer has lost its state: whatever it did for the present round is void.
    pub(super) fn disown(&mut self, turn: &mut Turn<'_>, peer: NodeId) -> Option<Conclusion> {
        let place = self.task.plan.place(peer)?;
        let round = match &mut self.work {
            Work::Read(read) => {
                if read.disown(place) {
                    self.task.failed(place, STATE_LOST);
                    return Some(Err(RequestError::not_applied(self.task.replicas_failed(read.tracker()))));
                }
                read.round()
            }
            Work::Write(write) => {
                write.disown(place);
                write.round()
            }
            Work::Cas(proposer) => {
                proposer.disown(place);
                proposer.round()
            }
            // A loss of connection comes with it.
            Work::Forward(_) => return None,
        };
        let step = Step { operation: self.task.id, round };
        self.answered(turn, peer, step, ReplicaAnswer::Failed(Failed::unsure(STATE_LOST)))
    }

    /// Whether `peer` is one of its replicas.
    pub(super) fn concerns(&self, peer: NodeId) -> bool {
        self.task.plan.place(peer).is_some()
    }
}
