//! QUORUM and ALL are linearizable per key. The checker is the one that judges real clusters.

use quorate::{node::ClientId, wire};
use quorate_jepsen::{
    checker::{
        Linearizable, Verdict,
        linearizable::{Limits, Register, RegisterAction},
    },
    history::{Operation, Outcome},
};

/// Everything that clients did to one key.
#[derive(Debug, Default)]
pub(crate) struct History(Vec<Operation<RegisterAction<Option<u64>>>>);

impl History {
    /// A read was answered.
    pub(crate) fn read(&mut self, client: ClientId, invoked: u64, now: u64, value: Option<u64>) {
        self.0.push(Operation::applied(client.0, invoked, now, RegisterAction::Read(Some(value))));
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
        self.0.push(Operation { process: client.0, invoked, completed, outcome, action });
    }

    /// Whether the history is linearizable.
    pub(crate) fn check(&self) -> Result<(), String> {
        let limits = Limits { steps_max: 2_000_000, ..Limits::default() };
        match Linearizable::new(limits).check(&Register::new(None), &self.0) {
            Verdict::Valid | Verdict::Unknown(_) => Ok(()),
            Verdict::Invalid(example) => Err(format!("linearizable: {example}")),
        }
    }
}
