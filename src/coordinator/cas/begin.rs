//! How requests for rounds begin: of clients, and of repair.

use quorate_ring::Consistency;
use quorate_storage::Row;

use super::{Change, Proposer};
use crate::{
    coordinator::{
        Coordinator, Step,
        operation::{Operation, Origin, Work},
        plan::{self, Plan},
        write::Intent,
    },
    node::{ClientId, Turn},
    wire::{CompareAndSet, Header},
};

impl Coordinator {
    /// Starts a write of a `cas` table that depends on what the key holds.
    pub fn compare_and_set(
        &mut self,
        turn: &mut Turn<'_>,
        client: ClientId,
        header: Header,
        request: CompareAndSet,
    ) {
        let planned = plan::compare_and_set(turn, &request).map(|plan| {
            let CompareAndSet { condition, value, .. } = request;
            let intent = value.map_or(Intent::Delete, |value| Intent::Put { value, ttl: None });
            propose(plan, Change::If(condition, intent))
        });
        self.begin(turn, Origin::Client(client), header, planned);
    }

    /// Replicas of a `cas` key hold what they cannot be brought together from by passing it on, because one has promised a
    /// later round that came to nothing. A round that changes nothing does it (rule A4).
    pub fn bring_together(&mut self, turn: &mut Turn<'_>, row: &Row) {
        let is_known =
            self.operations.values().any(|o| o.origin() == Origin::Repair && o.task.plan.row == *row);
        let under_way = self.operations.values().filter(|o| o.origin() == Origin::Repair).count();
        if is_known || under_way >= REPAIRS_MAX {
            return;
        }
        let Ok(plan) = plan::read(turn, row.table, &row.key, Consistency::Quorum) else {
            return;
        };
        let id = self.next_id();
        let admitted = self.admission.join(Origin::Repair, turn.now.mono);
        let deadline = turn.now.mono + turn.config.request_timeout_max;
        let header =
            Header { id: Step { operation: id, round: 0 }.request_id(), epoch: turn.epoch, deadline };
        let work = Work::Cas(Box::new(Proposer::new(Change::Again, 0, None)));
        self.start(turn, Operation::new(id, admitted, header, plan, work));
    }

    /// An operation begins, as soon as it is its turn.
    pub(in crate::coordinator) fn start(&mut self, turn: &mut Turn<'_>, operation: Operation) {
        let id = operation.id();
        let waits =
            matches!(operation.work, Work::Cas(_)) && !self.chains.enter(&operation.task.plan.row, id);
        self.keep(operation);
        if !waits {
            self.advance(turn, id, Operation::start);
        }
    }

    /// Begins those whose turn has come. Each may end at once, and so let the next one begin: whoever is at it sees to that.
    pub(in crate::coordinator) fn take_turns(&mut self, turn: &mut Turn<'_>) {
        if std::mem::replace(&mut self.takes_turns, true) {
            return;
        }
        while let Some(id) = self.their_turn.pop() {
            self.advance(turn, id, Operation::start);
        }
        self.takes_turns = false;
    }
}

/// A request for a round of its key.
pub(in crate::coordinator) fn propose(plan: Plan, change: Change) -> (Plan, Work) {
    (plan, Work::Cas(Box::new(Proposer::new(change, 0, None))))
}

/// Rounds at a time that repair asks for; what it finds beyond them it finds again.
const REPAIRS_MAX: usize = 16;
