//! What the search asks of a sequential object.

use std::fmt;
use std::ops::Range;

use crate::history::Operation;

/// A state of the object in one word; larger states are interned by their machine.
pub type State = u64;

/// A sequential specification: what an object may answer when operations run one at a time.
pub trait Model {
    /// What clients ask and are answered.
    type Action: fmt::Display;
    /// The model compiled for one history.
    type Machine: Machine;

    /// Translates a history into small steps. Operations that constrain nothing are left out.
    fn compile(&self, history: &[Operation<Self::Action>]) -> Compiled<Self::Machine>;
}

/// A history in the form the search works on.
#[derive(Clone, Debug)]
pub struct Compiled<M: Machine> {
    /// The object.
    pub machine: M,
    /// The operations that constrain it.
    pub calls: Vec<Call<M::Step>>,
}

/// One step with the interval in which it takes effect.
#[derive(Clone, Copy, Debug)]
pub struct Call<S> {
    /// What happens to the object.
    pub step: S,
    /// When it was invoked.
    pub invoked: u64,
    /// By when it took effect; `None` if it may take effect at any later time or never.
    pub effective_by: Option<u64>,
    /// Position of the operation in the history it was compiled from.
    pub origin: usize,
}

/// An object that can take one step after another.
pub trait Machine: Clone {
    /// A step. Equal steps are interchangeable.
    type Step: Copy + Ord;

    /// The state before any step.
    fn initial(&self) -> State;

    /// The state after `step`, or `None` if the step could not have been answered so in `state`.
    fn apply(&mut self, state: State, step: Self::Step) -> Option<State>;

    /// What can be said about a step without knowing the state.
    fn nature(&self, step: Self::Step) -> Nature;

    /// Memory held by interned states, in bytes; it counts toward the cap of the search.
    fn bytes(&self) -> usize {
        0
    }

    /// The calls without what those at `positions` change, and without all that others tell of it, on an object of
    /// which that is true. If the calls have a linearization, so has what is left. `None` if nothing can be left out.
    fn forget(
        &self,
        calls: &[Call<Self::Step>],
        positions: Range<usize>,
    ) -> Option<(Self, Vec<Call<Self::Step>>)> {
        let _ = (calls, positions);
        None
    }

    /// Whether the calls have a linearization, where the object can tell without a search.
    fn decide(&self, calls: &[Call<Self::Step>]) -> Option<bool> {
        let _ = calls;
        None
    }
}

/// Properties of a step that let the search skip orders which cannot matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nature {
    /// Never changes the object.
    pub reads_only: bool,
    /// Reads only, but may narrow down what is known of the object: the state after it may differ.
    pub settles: bool,
    /// Always possible, and the state after it does not depend on the state before.
    pub blind: bool,
    /// The only state in which the step is possible, if there is just one. Such states are small numbers.
    pub needs: Option<State>,
    /// The only state the step can lead to, if there is just one. Such states are small numbers.
    pub makes: Option<State>,
    /// Possible in all states but one, so that any foreign value may serve it.
    pub excludes: bool,
}
