//! The linearizability checker.

use super::counterexample;
use super::model::{Compiled, Model};
use super::search::Search;
use crate::checker::Verdict;
use crate::history::Operation;

/// When a search gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps tried, about ten million a second.
    pub steps_max: u64,
    /// Bytes held by the cache of configurations.
    pub memory_bytes_max: usize,
}

impl Default for Limits {
    /// Some ten seconds, and 1 GiB.
    fn default() -> Self {
        Limits { steps_max: 100_000_000, memory_bytes_max: 1 << 30 }
    }
}

/// Judges histories of one object against a sequential [`Model`]; reusable, so that many small histories cost
/// few allocations.
///
/// ```
/// use quorate_jepsen::checker::Linearizable;
/// use quorate_jepsen::checker::linearizable::{Register, RegisterAction::{Read, Write}};
/// use quorate_jepsen::history::Operation;
///
/// let mut checker = Linearizable::default();
/// let history = [
///     Operation::applied(0, 10, 20, Write(Some("a"))),
///     Operation::unknown(1, 15, Write(Some("b"))),
///     Operation::applied(0, 30, 40, Read(Some(Some("b")))),
///     Operation::applied(0, 50, 60, Read(Some(Some("a")))),
/// ];
/// let verdict = checker.check(&Register::new(None), &history);
/// assert!(verdict.is_invalid(), "{verdict}");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Linearizable {
    limits: Limits,
    search: Search,
    took_search: bool,
}

impl Linearizable {
    /// A checker that gives up at `limits`.
    pub fn new(limits: Limits) -> Self {
        Linearizable { limits, ..Linearizable::default() }
    }

    /// Judges one object's history, given in any order.
    pub fn check<M: Model>(&mut self, model: &M, history: &[Operation<M::Action>]) -> Verdict {
        self.check_until(model, history, &mut || false)
    }

    /// Whether the last verdict took a search: an object may tell without one.
    pub fn took_search(&self) -> bool {
        self.took_search
    }

    /// Like [`check`](Self::check), but gives up when `stop`, asked every few thousand steps, says so.
    pub fn check_until<M: Model>(
        &mut self,
        model: &M,
        history: &[Operation<M::Action>],
        stop: &mut dyn FnMut() -> bool,
    ) -> Verdict {
        let Compiled { mut machine, calls } = model.compile(history);
        let found = self.search.run(&mut machine, &calls, &self.limits, stop);
        self.took_search = self.search.was_needed;
        match found {
            Ok(true) => Verdict::Valid,
            Err(undecided) => Verdict::Unknown(undecided),
            Ok(false) => {
                let limits = Limits { steps_max: self.limits.steps_max.min(SHRINK_STEPS_MAX), ..self.limits };
                let refuted = |machine: &mut M::Machine, calls: &[_]| {
                    self.search.run(machine, calls, &limits, stop).map(|found| !found)
                };
                Verdict::Invalid(counterexample::shrink::<M>(history, machine, calls, refuted))
            }
        }
    }
}

/// Steps for each attempt to make a counterexample smaller: a tenth of a second or so.
const SHRINK_STEPS_MAX: u64 = 1_000_000;
