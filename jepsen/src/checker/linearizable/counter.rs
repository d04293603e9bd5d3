//! A counter.

use std::fmt;

use super::model::{Call, Compiled, Machine, Model, Nature, State};
use crate::history::{Operation, Outcome};

/// A counter that is added to, modulo 2^64, and read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    /// The value before any addition.
    pub initial: i64,
}

/// What clients ask of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterAction {
    /// Add this much, which may be negative.
    Add(i64),
    /// Read the value; `None` if the answer is not known.
    Read(Option<i64>),
}

impl fmt::Display for CounterAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CounterAction::Add(delta) => write!(f, "add {delta}"),
            CounterAction::Read(Some(value)) => write!(f, "read {value}"),
            CounterAction::Read(None) => write!(f, "read"),
        }
    }
}

/// A counter's state is its value.
#[derive(Clone, Copy, Debug)]
pub struct CounterMachine {
    initial: i64,
}

/// A counter's step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CounterStep {
    /// Add this much.
    Add(i64),
    /// A read that returned this value.
    Read(i64),
}

impl Machine for CounterMachine {
    type Step = CounterStep;

    fn initial(&self) -> State {
        self.initial.cast_unsigned()
    }

    fn apply(&mut self, state: State, step: CounterStep) -> Option<State> {
        match step {
            CounterStep::Add(delta) => Some(state.wrapping_add_signed(delta)),
            CounterStep::Read(value) => (state == value.cast_unsigned()).then_some(state),
        }
    }

    fn nature(&self, step: CounterStep) -> Nature {
        Nature { reads_only: matches!(step, CounterStep::Read(_)), ..Nature::default() }
    }
}

impl Model for Counter {
    type Action = CounterAction;
    type Machine = CounterMachine;

    fn compile(&self, history: &[Operation<CounterAction>]) -> Compiled<CounterMachine> {
        let calls = history.iter().enumerate().filter_map(|(origin, operation)| {
            let step = match (operation.action, operation.outcome) {
                (CounterAction::Read(Some(value)), Outcome::Applied) => CounterStep::Read(value),
                (CounterAction::Add(delta), Outcome::Applied | Outcome::Unknown) => CounterStep::Add(delta),
                (CounterAction::Read(_), _) | (_, Outcome::NotApplied) => return None,
            };
            let effective_by = operation.effective_by();
            Some(Call { step, invoked: operation.invoked, effective_by, origin })
        });
        Compiled { machine: CounterMachine { initial: self.initial }, calls: calls.collect() }
    }
}
