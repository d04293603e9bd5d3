//! The register and the compare-and-set register.

use std::fmt;

use super::model::{Call, Compiled, Machine, Model, Nature, State};
use super::zones;
use crate::history::{Operation, Outcome};

/// A register of one value. A delete is a write of whatever stands for absence, often `None`.
#[derive(Clone, Debug)]
pub struct Register<V> {
    /// The value before any write.
    pub initial: V,
    /// What a refused compare-and-set says about the register.
    pub failed_cas: FailedCas,
}

/// How to read a compare-and-set that was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FailedCas {
    /// It says nothing: it may have failed for another reason.
    #[default]
    Drop,
    /// It saw some other value than the one it expected.
    Observe,
}

/// What clients ask of a register.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegisterAction<V> {
    /// A read and what it returned; `None` if that is not known.
    Read(Option<V>),
    /// A write of a value.
    Write(V),
    /// Write `new` if the register holds `old`.
    Cas {
        /// The value expected.
        old: V,
        /// The value to write.
        new: V,
    },
}

impl<V> Register<V> {
    /// A register that starts with `initial`; refused compare-and-sets are dropped.
    pub fn new(initial: V) -> Self {
        Register { initial, failed_cas: FailedCas::Drop }
    }

    /// The same register, with refused compare-and-sets read as `failed_cas` says.
    pub fn failed_cas(self, failed_cas: FailedCas) -> Self {
        Register { failed_cas, ..self }
    }
}

impl<V: fmt::Debug> fmt::Display for RegisterAction<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterAction::Read(Some(value)) => write!(f, "read {value:?}"),
            RegisterAction::Read(None) => write!(f, "read"),
            RegisterAction::Write(value) => write!(f, "write {value:?}"),
            RegisterAction::Cas { old, new } => write!(f, "cas {old:?} -> {new:?}"),
        }
    }
}

/// A register over numbered values.
#[derive(Clone, Debug)]
pub struct RegisterMachine {
    initial: u32,
}

/// A register's step; values are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegisterStep {
    /// A read that returned this value.
    Read(u32),
    /// A write of this value.
    Write(u32),
    /// A compare-and-set that succeeded.
    Cas(u32, u32),
    /// A compare-and-set that saw any value but this one.
    Not(u32),
}

impl Machine for RegisterMachine {
    type Step = RegisterStep;

    fn initial(&self) -> State {
        self.initial.into()
    }

    fn apply(&mut self, state: State, step: RegisterStep) -> Option<State> {
        match step {
            RegisterStep::Read(value) => (state == State::from(value)).then_some(state),
            RegisterStep::Write(value) => Some(State::from(value)),
            RegisterStep::Cas(old, new) => (state == State::from(old)).then_some(State::from(new)),
            RegisterStep::Not(value) => (state != State::from(value)).then_some(state),
        }
    }

    fn nature(&self, step: RegisterStep) -> Nature {
        let none = Nature::default();
        match step {
            RegisterStep::Read(value) => Nature { reads_only: true, needs: Some(value.into()), ..none },
            RegisterStep::Write(value) => Nature { blind: true, makes: Some(value.into()), ..none },
            RegisterStep::Cas(old, new) => {
                Nature { needs: Some(old.into()), makes: Some(new.into()), ..none }
            }
            RegisterStep::Not(_) => Nature { reads_only: true, excludes: true, ..none },
        }
    }

    fn decide(&self, calls: &[Call<RegisterStep>]) -> Option<bool> {
        zones::decide(self.initial, calls)
    }
}

impl<V: Ord + fmt::Debug> Model for Register<V> {
    type Action = RegisterAction<V>;
    type Machine = RegisterMachine;

    fn compile(&self, history: &[Operation<RegisterAction<V>>]) -> Compiled<RegisterMachine> {
        let values = self.values(history);
        let calls = history
            .iter()
            .enumerate()
            .filter_map(|(origin, operation)| self.call(&values, origin, operation))
            .collect();
        Compiled { machine: RegisterMachine { initial: number(&values, &self.initial) }, calls }
    }
}

impl<V: Ord> Register<V> {
    /// Every value of the history, sorted: a value's position is its number.
    fn values<'a>(&'a self, history: &'a [Operation<RegisterAction<V>>]) -> Vec<&'a V> {
        let mut values = Vec::with_capacity(history.len() + 1);
        values.push(&self.initial);
        for operation in history {
            match &operation.action {
                RegisterAction::Read(value) => values.extend(value.as_ref()),
                RegisterAction::Write(value) => values.push(value),
                RegisterAction::Cas { old, new } => values.extend([old, new]),
            }
        }
        values.sort_unstable();
        values.dedup();
        values
    }

    fn call(
        &self,
        values: &[&V],
        origin: usize,
        operation: &Operation<RegisterAction<V>>,
    ) -> Option<Call<RegisterStep>> {
        let (step, effective_by) = match (&operation.action, operation.outcome) {
            (RegisterAction::Read(Some(value)), Outcome::Applied) => {
                (RegisterStep::Read(number(values, value)), operation.completed)
            }
            (RegisterAction::Cas { old, .. }, Outcome::NotApplied)
                if self.failed_cas == FailedCas::Observe =>
            {
                (RegisterStep::Not(number(values, old)), operation.completed)
            }
            (RegisterAction::Read(_), _) | (_, Outcome::NotApplied) => return None,
            (RegisterAction::Write(value), _) => {
                (RegisterStep::Write(number(values, value)), operation.effective_by())
            }
            (RegisterAction::Cas { old, new }, _) => {
                (RegisterStep::Cas(number(values, old), number(values, new)), operation.effective_by())
            }
        };
        Some(Call { step, invoked: operation.invoked, effective_by, origin })
    }
}

/// The number of a value that is known to be in the sorted list.
fn number<V: Ord>(values: &[&V], value: &V) -> u32 {
    let at = values.partition_point(|known| *known < value);
    u32::try_from(at).unwrap_or(u32::MAX)
}
