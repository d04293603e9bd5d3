//! Registers are linearizable at QUORUM and ALL; in particular no acknowledged write is lost, and what was deleted
//! stays deleted. A value that expires is deleted at some time if nothing replaced it before (rule D1). The checkers
//! are those that judge real clusters. The narrow ones come first: they say more.

use quorate::{node::ClientId, wire};
use quorate_jepsen::{
    checker::{
        Linearizable, Verdict, deletes, durability,
        linearizable::{Limits, Register, RegisterAction},
    },
    history::{Operation, Outcome},
};

/// Everything that clients did to one register.
#[derive(Debug, Default)]
pub(crate) struct History {
    operations: Vec<Operation<RegisterAction<Option<u64>>>>,
    /// Values that expire.
    expiring: Vec<u64>,
    /// What was read when all was over.
    left: Vec<Option<u64>>,
}

impl History {
    /// A read was answered.
    pub(crate) fn read(&mut self, client: ClientId, invoked: u64, now: u64, value: Option<u64>) {
        self.operations.push(Operation::applied(client.0, invoked, now, RegisterAction::Read(Some(value))));
    }

    /// A write, or a delete, ended.
    pub(crate) fn written(
        &mut self,
        client: ClientId,
        invoked: u64,
        now: u64,
        value: Option<u64>,
        outcome: wire::Outcome,
    ) {
        let (completed, outcome) = known(outcome, now);
        let action = RegisterAction::Write(value);
        self.operations.push(Operation { process: client.0, invoked, completed, outcome, action });
    }

    /// A write ended that was to be made if the register held `old`.
    pub(crate) fn swapped(
        &mut self,
        client: ClientId,
        (invoked, now): (u64, u64),
        (old, new): (Option<u64>, Option<u64>),
        outcome: wire::Outcome,
    ) {
        let (completed, outcome) = known(outcome, now);
        let action = RegisterAction::Cas { old, new };
        self.operations.push(Operation { process: client.0, invoked, completed, outcome, action });
    }

    /// A write was asked for whose value expires.
    pub(crate) fn will_expire(&mut self, client: ClientId, invoked: u64, value: u64) {
        let action = RegisterAction::Cas { old: Some(value), new: None };
        self.operations.push(Operation::unknown(client.0, invoked, action));
        self.expiring.push(value);
    }

    /// From now on a value that has expired may be back, and expire once more.
    pub(crate) fn clock_lost(&mut self, now: u64) {
        for value in &self.expiring {
            for (old, new) in [(None, Some(*value)), (Some(*value), None)] {
                self.operations.push(Operation::unknown(NOBODY, now, RegisterAction::Cas { old, new }));
            }
        }
    }

    /// A read after which nobody writes was answered.
    pub(crate) fn left(&mut self, value: Option<u64>) {
        self.left.push(value);
    }

    /// Whether the history is linearizable; `Ok(false)` if the checker gave up.
    pub(crate) fn check(&self) -> Result<bool, String> {
        let limits = Limits { steps_max: 2_000_000, ..Limits::default() };
        let Self { operations, left, .. } = self;
        let verdict = deletes::check(operations)
            .and(|| durability::register(&None, operations, left))
            .and(|| Linearizable::new(limits).check(&Register::new(None), operations));
        match verdict {
            Verdict::Valid => Ok(true),
            Verdict::Unknown(_) => Ok(false),
            Verdict::Invalid(example) => Err(format!("linearizable: {example}")),
        }
    }
}

/// No client has this id.
const NOBODY: u64 = u64::MAX;

/// What the checkers are to know of an end.
pub(crate) fn known(outcome: wire::Outcome, now: u64) -> (Option<u64>, Outcome) {
    match outcome {
        wire::Outcome::Applied => (Some(now), Outcome::Applied),
        wire::Outcome::NotApplied => (Some(now), Outcome::NotApplied),
        wire::Outcome::Unknown => (None, Outcome::Unknown),
    }
}
