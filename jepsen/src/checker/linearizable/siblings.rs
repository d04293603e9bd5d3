//! Concurrent values that stand side by side until a later put covers them.

use std::fmt;

use super::model::{Call, Compiled, Model};
use super::set::{SetMachine, SetStep, number};
use crate::history::{Operation, Outcome};

/// A key of a `siblings` table, empty at first: a put takes out what its context covers, and adds its value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Siblings<V> {
    value: std::marker::PhantomData<V>,
}

/// What clients ask of a `siblings` table. Every put carries a value of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiblingAction<V> {
    /// A write, or a delete if `value` is `None`.
    Put {
        /// What is written.
        value: Option<V>,
        /// The values that its context covered: the client's, or the one the coordinator fetched (rule Q4). If
        /// `None`, the put supersedes whatever it finds.
        context: Option<Vec<V>>,
    },
    /// A read of all siblings; `None` if the answer is not known.
    Read(Option<Vec<V>>),
}

impl<V: fmt::Debug> fmt::Display for SiblingAction<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SiblingAction::Put { value, context } => {
                match value {
                    Some(value) => write!(f, "put {value:?}")?,
                    None => write!(f, "delete")?,
                }
                context.iter().try_for_each(|context| write!(f, " over {context:?}"))
            }
            SiblingAction::Read(Some(values)) => write!(f, "read {values:?}"),
            SiblingAction::Read(None) => write!(f, "read"),
        }
    }
}

impl<V> Siblings<V> {
    /// The model; it has no settings.
    pub fn new() -> Self {
        Siblings { value: std::marker::PhantomData }
    }
}

impl<V: Ord + fmt::Debug> Model for Siblings<V> {
    type Action = SiblingAction<V>;
    type Machine = SetMachine;

    fn compile(&self, history: &[Operation<SiblingAction<V>>]) -> Compiled<SetMachine> {
        let elements = elements(history);
        let mut machine = SetMachine::new(elements.len());
        let everything = machine.state_of_elements((0..).zip(&elements).map(|(at, _)| at));
        let mut calls = Vec::with_capacity(history.len());
        for (origin, operation) in history.iter().enumerate() {
            let mut known =
                |values: &[V]| machine.state_of_elements(values.iter().map(|value| number(&elements, value)));
            let step = match (&operation.action, operation.outcome) {
                (SiblingAction::Read(Some(values)), Outcome::Applied) => SetStep::Read(known(values)),
                (SiblingAction::Put { value, context }, Outcome::Applied | Outcome::Unknown) => {
                    SetStep::Change {
                        add: value.as_ref().map(|value| number(&elements, value)),
                        remove: context.as_ref().map_or(everything, |context| known(context)),
                    }
                }
                (SiblingAction::Read(_), _) | (_, Outcome::NotApplied) => continue,
            };
            let effective_by = operation.effective_by();
            calls.push(Call { step, invoked: operation.invoked, effective_by, origin });
        }
        Compiled { machine, calls }
    }
}

/// Every value of the history, sorted: a value's position is its number.
fn elements<V: Ord>(history: &[Operation<SiblingAction<V>>]) -> Vec<&V> {
    let mut elements: Vec<&V> = Vec::with_capacity(history.len());
    for operation in history {
        match &operation.action {
            SiblingAction::Put { value, context } => {
                elements.extend(value.iter().chain(context.iter().flatten()));
            }
            SiblingAction::Read(values) => elements.extend(values.iter().flatten()),
        }
    }
    elements.sort_unstable();
    elements.dedup();
    elements
}
