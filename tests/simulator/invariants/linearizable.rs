//! QUORUM and ALL are linearizable per key; in particular no acknowledged write is lost, and what was deleted
//! stays deleted. The checkers are those that judge real clusters. The narrow ones come first: they say more.

use quorate::{node::ClientId, wire};
use quorate_jepsen::{
    checker::{
        Linearizable, Verdict, deletes, durability,
        linearizable::{Limits, Register, RegisterAction},
    },
    history::{Operation, Outcome},
};

/// Everything that clients did to one key.
#[derive(Debug, Default)]
pub(crate) struct History {
    operations: Vec<Operation<RegisterAction<Option<u64>>>>,
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
        let (completed, outcome) = match outcome {
            wire::Outcome::Applied => (Some(now), Outcome::Applied),
            wire::Outcome::NotApplied => (Some(now), Outcome::NotApplied),
            wire::Outcome::Unknown => (None, Outcome::Unknown),
        };
        let action = RegisterAction::Write(value);
        self.operations.push(Operation { process: client.0, invoked, completed, outcome, action });
    }

    /// A read after which nobody writes was answered.
    pub(crate) fn left(&mut self, value: Option<u64>) {
        self.left.push(value);
    }

    /// Operations and how many of them were acknowledged.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let acknowledged = self.operations.iter().filter(|operation| operation.is_applied()).count();
        (self.operations.len() as u64, acknowledged as u64)
    }

    /// Whether the history is linearizable; `Ok(false)` if the checker gave up.
    pub(crate) fn check(&self) -> Result<bool, String> {
        let limits = Limits { steps_max: 2_000_000, ..Limits::default() };
        let Self { operations, left } = self;
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
