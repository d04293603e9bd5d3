//! A grow-only set, read as a whole, and the machine of objects that are sets.

use std::fmt;
use std::ops::Range;

use super::chain;
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

/// A set over numbered elements. A state is the number of a known pair of sets: the elements that are there, and
/// those that may be, each on its own, until a read tells.
#[derive(Clone, Debug)]
pub struct SetMachine {
    words: usize,
    /// Whether states have a second half, for elements that may be there.
    open: bool,
    /// Known pairs as bits, sorted by content through `order`; states are positions here.
    known: Vec<Box<[u64]>>,
    order: Vec<u32>,
    initial: State,
}

/// A set's step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetStep {
    /// Take the elements of a known set out, then put one in.
    Change {
        /// The element to put in.
        add: Option<u32>,
        /// The number of the known set to take out.
        remove: State,
    },
    /// Take the elements of a known set out, and any others, then put one in.
    Supersede {
        /// The element to put in.
        add: Option<u32>,
        /// The number of the known set that is taken out in any case.
        remove: State,
    },
    /// A read that returned the known set of this number.
    Read(State),
}

impl SetMachine {
    /// A machine over this many elements; its first state is the empty set.
    pub(super) fn new(elements: usize) -> Self {
        Self::with_halves(elements, false)
    }

    /// The same, for histories with [`SetStep::Supersede`].
    pub(super) fn open(elements: usize) -> Self {
        Self::with_halves(elements, true)
    }

    fn with_halves(elements: usize, open: bool) -> Self {
        let words = elements.div_ceil(64).max(1);
        let mut machine = SetMachine { words, open, known: Vec::new(), order: Vec::new(), initial: 0 };
        machine.initial = machine.state_of_elements(std::iter::empty());
        machine
    }

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

    /// The state that holds the elements of these numbers.
    pub(super) fn state_of_elements(&mut self, elements: impl Iterator<Item = u32>) -> State {
        let mut bits = vec![0; self.words * if self.open { 2 } else { 1 }];
        for element in elements {
            bits[element as usize / 64] |= 1 << (element % 64);
        }
        self.state_of(&bits)
    }

    /// The state of a set after an element is put in.
    fn with_element(&mut self, mut bits: Box<[u64]>, element: Option<u32>) -> State {
        if let Some(element) = element {
            bits[element as usize / 64] |= 1 << (element % 64);
            if let Some(maybe) = bits.get_mut(self.words + element as usize / 64) {
                *maybe &= !(1 << (element % 64));
            }
        }
        self.state_of(&bits)
    }
}

/// The number of an element that is known to be in the sorted list.
pub(super) fn number<V: Ord>(elements: &[&V], element: &V) -> u32 {
    u32::try_from(elements.partition_point(|known| *known < element)).unwrap_or(u32::MAX)
}

impl Machine for SetMachine {
    type Step = SetStep;

    fn initial(&self) -> State {
        self.initial
    }

    fn apply(&mut self, state: State, step: SetStep) -> Option<State> {
        let (words, held) = (self.words, &self.known[state as usize]);
        let (add, bits) = match step {
            SetStep::Read(seen) if seen == state => return Some(state),
            SetStep::Read(seen) => {
                let seen_bits = &self.known[seen as usize];
                let fits = |at: usize| {
                    let (there, maybe) = (held[at], held.get(at + words).copied().unwrap_or(0));
                    there & !seen_bits[at] == 0 && seen_bits[at] & !(there | maybe) == 0
                };
                return (self.open && (0..words).all(fits)).then_some(seen);
            }
            SetStep::Change { add, remove } => {
                let mut bits = held.clone();
                for half in bits.chunks_mut(words) {
                    half.iter_mut().zip(&self.known[remove as usize]).for_each(|(word, gone)| *word &= !gone);
                }
                (add, bits)
            }
            SetStep::Supersede { add, remove } => {
                let mut bits = held.clone();
                let (there, maybe) = bits.split_at_mut(words);
                for (at, word) in maybe.iter_mut().enumerate() {
                    *word = (*word | there[at]) & !self.known[remove as usize][at];
                }
                there.fill(0);
                (add, bits)
            }
        };
        Some(self.with_element(bits, add))
    }

    fn bytes(&self) -> usize {
        let words = self.words * if self.open { 2 } else { 1 };
        self.known.len() * (8 * words + size_of::<Box<[u64]>>() + 4)
    }

    fn decide(&self, calls: &[Call<SetStep>]) -> Option<bool> {
        chain::decide(self.initial, &self.known, calls)
    }

    /// A grow-only set of some elements is one of fewer as well.
    fn forget(&self, calls: &[Call<SetStep>], positions: Range<usize>) -> Option<(Self, Vec<Call<SetStep>>)> {
        let empty = vec![0; self.words];
        let grows = |step: SetStep| match step {
            SetStep::Read(_) => true,
            SetStep::Change { add, remove } => add.is_some() && *self.known[remove as usize] == *empty,
            SetStep::Supersede { .. } => false,
        };
        if self.open || !calls.iter().all(|call| grows(call.step)) {
            return None;
        }
        let mut forgotten = empty;
        for call in calls.get(positions)? {
            if let Some(element) = added(call.step) {
                forgotten[element as usize / 64] |= 1 << (element % 64);
            }
        }
        let initial = &self.known[self.initial as usize];
        forgotten.iter_mut().zip(initial).for_each(|(word, there)| *word &= !there);
        if forgotten.iter().all(|word| *word == 0) {
            return None;
        }
        let mut machine = SetMachine { known: Vec::new(), order: Vec::new(), ..*self };
        machine.initial = machine.state_of(initial);
        let nothing = machine.state_of_elements(std::iter::empty());
        let is_forgotten = |element: u32| forgotten[element as usize / 64] & (1 << (element % 64)) != 0;
        let mut left = Vec::with_capacity(calls.len());
        for call in calls.iter().filter(|call| !added(call.step).is_some_and(is_forgotten)) {
            let step = match call.step {
                SetStep::Read(seen) => {
                    let bits = self.known[seen as usize].iter().zip(&forgotten);
                    let bits: Vec<u64> = bits.map(|(seen, forgotten)| seen & !forgotten).collect();
                    SetStep::Read(machine.state_of(&bits))
                }
                change => SetStep::Change { add: added(change), remove: nothing },
            };
            left.push(Call { step, ..*call });
        }
        Some((machine, left))
    }

    fn nature(&self, step: SetStep) -> Nature {
        let reads_only = matches!(step, SetStep::Read(_));
        Nature { reads_only, settles: reads_only && self.open, ..Nature::default() }
    }
}

/// The element that a step puts in.
fn added(step: SetStep) -> Option<u32> {
    match step {
        SetStep::Read(_) => None,
        SetStep::Change { add, .. } | SetStep::Supersede { add, .. } => add,
    }
}

impl<V: Ord + fmt::Debug> Model for Set<V> {
    type Action = SetAction<V>;
    type Machine = SetMachine;

    fn compile(&self, history: &[Operation<SetAction<V>>]) -> Compiled<SetMachine> {
        let elements = self.elements(history);
        let mut machine = SetMachine::new(elements.len());
        let empty = machine.initial;
        machine.initial =
            machine.state_of_elements(self.initial.iter().map(|value| number(&elements, value)));
        let mut calls = Vec::with_capacity(history.len());
        for (origin, operation) in history.iter().enumerate() {
            let step = match (&operation.action, operation.outcome) {
                (SetAction::Read(Some(values)), Outcome::Applied) => SetStep::Read(
                    machine.state_of_elements(values.iter().map(|value| number(&elements, value))),
                ),
                (SetAction::Add(value), Outcome::Applied | Outcome::Unknown) => {
                    SetStep::Change { add: Some(number(&elements, value)), remove: empty }
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
