//! A grow-only set, read as a whole.

use std::fmt;

use super::model::{Call, Compiled, Machine, Model, Nature, State};
use crate::history::{Operation, Outcome};

/// A set to which elements are added, and which is read as a whole.
#[derive(Clone, Debug, Default)]
pub struct Set<V> {
    /// The elements before any add.
    pub initial: Vec<V>,
}

/// What clients ask of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetAction<V> {
    /// Add an element.
    Add(V),
    /// Read all elements; `None` if the answer is not known.
    Read(Option<Vec<V>>),
}

impl<V: fmt::Debug> fmt::Display for SetAction<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetAction::Add(value) => write!(f, "add {value:?}"),
            SetAction::Read(Some(values)) => write!(f, "read {values:?}"),
            SetAction::Read(None) => write!(f, "read"),
        }
    }
}

/// A set over numbered elements. A state is the number of a known set of elements.
#[derive(Clone, Debug)]
pub struct SetMachine {
    words: usize,
    /// Known sets as bits, sorted by content through `order`; states are positions here.
    known: Vec<Box<[u64]>>,
    order: Vec<u32>,
    initial: State,
}

/// A set's step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetStep {
    /// Add the element of this number.
    Add(u32),
    /// A read that returned the known set of this number.
    Read(State),
}

impl SetMachine {
    /// The state of a set.
    fn state_of(&mut self, bits: &[u64]) -> State {
        let found = self.order.binary_search_by(|&at| (*self.known[at as usize]).cmp(bits));
        let at = match found {
            Ok(at) => self.order[at],
            Err(at) => {
                let fresh = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
                self.known.push(bits.into());
                self.order.insert(at, fresh);
                fresh
            }
        };
        at.into()
    }

    fn state_of_values<V: Ord>(&mut self, elements: &[&V], values: &[V]) -> State {
        let mut bits = vec![0; self.words];
        for value in values {
            let at = elements.partition_point(|known| *known < value);
            bits[at / 64] |= 1 << (at % 64);
        }
        self.state_of(&bits)
    }
}

impl Machine for SetMachine {
    type Step = SetStep;

    fn initial(&self) -> State {
        self.initial
    }

    fn apply(&mut self, state: State, step: SetStep) -> Option<State> {
        match step {
            SetStep::Read(seen) => (seen == state).then_some(state),
            SetStep::Add(element) => {
                let (word, bit) = (element as usize / 64, 1 << (element % 64));
                let known = &self.known[state as usize];
                if known[word] & bit != 0 {
                    return Some(state);
                }
                let mut bits = known.clone();
                bits[word] |= bit;
                Some(self.state_of(&bits))
            }
        }
    }

    fn nature(&self, step: SetStep) -> Nature {
        Nature { reads_only: matches!(step, SetStep::Read(_)), ..Nature::default() }
    }
}

impl<V: Ord + fmt::Debug> Model for Set<V> {
    type Action = SetAction<V>;
    type Machine = SetMachine;

    fn compile(&self, history: &[Operation<SetAction<V>>]) -> Compiled<SetMachine> {
        let elements = self.elements(history);
        let words = elements.len().div_ceil(64).max(1);
        let mut machine = SetMachine { words, known: Vec::new(), order: Vec::new(), initial: 0 };
        machine.initial = machine.state_of_values(&elements, &self.initial);
        let mut calls = Vec::with_capacity(history.len());
        for (origin, operation) in history.iter().enumerate() {
            let step = match (&operation.action, operation.outcome) {
                (SetAction::Read(Some(values)), Outcome::Applied) => {
                    SetStep::Read(machine.state_of_values(&elements, values))
                }
                (SetAction::Add(value), Outcome::Applied | Outcome::Unknown) => {
                    let at = elements.partition_point(|known| *known < value);
                    SetStep::Add(u32::try_from(at).unwrap_or(u32::MAX))
                }
                (SetAction::Read(_), _) | (_, Outcome::NotApplied) => continue,
            };
            let effective_by = operation.effective_by();
            calls.push(Call { step, invoked: operation.invoked, effective_by, origin });
        }
        Compiled { machine, calls }
    }
}

impl<V: Ord> Set<V> {
    /// Every element of the history, sorted: an element's position is its number.
    fn elements<'a>(&'a self, history: &'a [Operation<SetAction<V>>]) -> Vec<&'a V> {
        let mut elements: Vec<&V> = self.initial.iter().collect();
        for operation in history {
            match &operation.action {
                SetAction::Add(value) => elements.push(value),
                SetAction::Read(values) => elements.extend(values.iter().flatten()),
            }
        }
        elements.sort_unstable();
        elements.dedup();
        elements
    }
}
