//! Keys of siblings are linearizable at QUORUM and ALL, judged by values alone, as clients of a real cluster see
//! them: no acknowledged write is lost unless one that may have seen it replaced it, none comes back, and only
//! truly concurrent ones stand side by side.

use quorate::{node::ClientId, wire};
use quorate_jepsen::{
    checker::{
        Linearizable, Verdict,
        linearizable::{Limits, SiblingAction, Siblings},
        siblings,
    },
    history::Operation,
};

use super::linearizable::known;

/// Everything that clients did to one key of siblings.
#[derive(Debug, Default)]
pub(crate) struct SiblingsHistory(Vec<Operation<SiblingAction<u64>>>);

impl SiblingsHistory {
    /// A read was answered.
    pub(crate) fn read(&mut self, client: ClientId, invoked: u64, now: u64, values: Vec<u64>) {
        self.0.push(Operation::applied(client.0, invoked, now, SiblingAction::Read(Some(values))));
    }

    /// A write, or a delete, ended. Its context was that of a state with the values `context`.
    pub(crate) fn written(
        &mut self,
        client: ClientId,
        (invoked, now): (u64, u64),
        value: Option<u64>,
        context: Option<Vec<u64>>,
        outcome: wire::Outcome,
    ) {
        let (completed, outcome) = known(outcome, now);
        let action = SiblingAction::Put { value, context };
        self.0.push(Operation { process: client.0, invoked, completed, outcome, action });
    }

    /// Whether the history is linearizable; `Ok(false)` if the checker gave up.
    pub(crate) fn check(&self) -> Result<bool, String> {
        let limits = Limits { steps_max: STEPS_MAX, ..Limits::default() };
        let verdict =
            siblings::check(&self.0).and(|| Linearizable::new(limits).check(&Siblings::new(), &self.0));
        match verdict {
            Verdict::Valid => Ok(true),
            Verdict::Unknown(_) => Ok(false),
            Verdict::Invalid(example) => Err(format!("linearizable siblings: {example}")),
        }
    }
}

/// A few milliseconds. What takes longer has been judged already, by what the states had seen.
const STEPS_MAX: u64 = 20_000;
