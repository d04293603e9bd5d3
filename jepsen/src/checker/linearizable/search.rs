//! The search for a linearization.
//!
//! Depth first over the operations that may come next, with a cache of the configurations (first completion
//! left, pending operations not yet linearized, state) that led nowhere. What keeps it short:
//!
//! * A step that changes nothing is taken as soon as it is possible: taking it early never hurts. A read that would
//!   settle what the state leaves open is tried like a change.
//! * Of equal steps only the one that must complete first is tried: they are interchangeable.
//! * A blind write of unknown outcome is tried only where something pending can use it: otherwise the same
//!   order without it would do.
//! * A state that some acknowledged step still needs is not left when nothing can make it again.

use super::cache::Cache;
use super::check::Limits;
use super::model::{Call, Machine, Nature, State};
use super::timeline::{Event, Index, Timeline};
use crate::checker::Undecided;

/// How often the caller's closure is asked, in steps.
const STEPS_PER_POLL: u64 = 1 << 12;

/// Memory of a search, kept from one history to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    timeline: Timeline,
    cache: Cache,
    natures: Vec<Nature>,
    /// Linearized operations, in order.
    trail: Vec<Index>,
    /// Operations to try, of all frames; each frame's start at `Frame::candidates`.
    candidates: Vec<Index>,
    frames: Vec<Frame>,
    /// The cache key of the present configuration.
    key: Vec<u64>,
    /// By state: acknowledged steps that still need it, and steps left that can make it.
    needed: Vec<u32>,
    makers: Vec<u32>,
    steps: u64,
    /// Whether the last answer took more than the object's own decision.
    pub(super) was_needed: bool,
}

/// A configuration on the way down.
#[derive(Clone, Copy, Debug)]
struct Frame {
    state: State,
    trail: usize,
    candidates: usize,
}

/// What a look at the present configuration found.
enum Survey {
    /// Every acknowledged operation is linearized.
    Done,
    /// Something is left to do; `used` if a pending step was taken or is possible here.
    Open { used: bool },
}

impl Search {
    /// Whether the calls have a linearization.
    ///
    /// # Errors
    /// If a limit is reached or `stop` says so before that is known.
    pub(super) fn run<M: Machine>(
        &mut self,
        machine: &mut M,
        calls: &[Call<M::Step>],
        limits: &Limits,
        stop: &mut dyn FnMut() -> bool,
    ) -> Result<bool, Undecided> {
        let decided = machine.decide(calls);
        self.was_needed = decided.is_none();
        if let Some(decided) = decided {
            return Ok(decided);
        }
        self.reset(machine, calls);
        let mut state = machine.initial();
        if let Survey::Done = self.survey(machine, calls, state) {
            return Ok(true);
        }
        self.descend(calls, state, 0);
        while let Some(&frame) = self.frames.last() {
            if self.candidates.len() == frame.candidates {
                self.frames.pop();
                self.undo_to(calls, frame.trail);
                continue;
            }
            let Some(index) = self.candidates.pop() else { break };
            self.spend(machine.bytes(), limits, stop)?;
            let call = &calls[index as usize];
            let Some(after) = machine.apply(frame.state, call.step) else { continue };
            let trail = self.trail.len();
            self.linearize(calls, index);
            state = after;
            let open = self.is_hopeful(frame.state, state)
                && match self.survey(machine, calls, state) {
                    Survey::Done => return Ok(true),
                    Survey::Open { used } => used || !self.is_optional_write(calls, index),
                }
                && self.cache.insert(&self.key);
            if open {
                self.descend(calls, state, trail);
            } else {
                self.undo_to(calls, trail);
            }
        }
        Ok(false)
    }

    fn reset<M: Machine>(&mut self, machine: &M, calls: &[Call<M::Step>]) {
        self.timeline.reset(calls);
        self.cache.reset(2 + (self.timeline.slot_count() as usize).div_ceil(64));
        self.trail.clear();
        self.candidates.clear();
        self.frames.clear();
        self.needed.clear();
        self.makers.clear();
        self.steps = 0;
        self.natures.clear();
        self.natures.extend(calls.iter().map(|call| machine.nature(call.step)));
        for (call, nature) in calls.iter().zip(&self.natures) {
            if let (Some(state), Some(_)) = (nature.needs, call.effective_by) {
                *count(&mut self.needed, state) += 1;
            }
            if let Some(state) = nature.makes {
                *count(&mut self.makers, state) += 1;
            }
        }
    }

    fn spend(
        &mut self,
        held: usize,
        limits: &Limits,
        stop: &mut dyn FnMut() -> bool,
    ) -> Result<(), Undecided> {
        self.steps += 1;
        if self.steps > limits.steps_max {
            return Err(Undecided::Steps(limits.steps_max));
        }
        if self.steps.is_multiple_of(STEPS_PER_POLL) {
            if self.cache.bytes() + held > limits.memory_bytes_max {
                return Err(Undecided::Memory(limits.memory_bytes_max));
            }
            if stop() {
                return Err(Undecided::Stopped);
            }
        }
        Ok(())
    }

    /// Takes every pending step that changes nothing, and leaves the cache key of what remains.
    fn survey<M: Machine>(&mut self, machine: &mut M, calls: &[Call<M::Step>], state: State) -> Survey {
        self.key.clear();
        self.key.resize(2 + (self.timeline.slot_count() as usize).div_ceil(64), 0);
        let mut used = false;
        let mut place = self.timeline.first();
        loop {
            let index = match self.timeline.event(place) {
                Event::End => return Survey::Done,
                Event::Completion(first) => {
                    self.key[0] = first.into();
                    self.key[1] = state;
                    return Survey::Open { used };
                }
                Event::Invocation(index) => index,
            };
            let nature = self.natures[index as usize];
            place = self.timeline.after(place);
            let after = if nature.blind { None } else { machine.apply(state, calls[index as usize].step) };
            used |= after.is_some();
            if after == Some(state) && nature.reads_only {
                // The place after is never this operation's own completion: at least its invocation lies
                // between, so step over it if it is.
                if place == self.timeline.deadline(index) {
                    place = self.timeline.after(place);
                }
                self.linearize(calls, index);
            } else {
                let slot = self.timeline.slot(index);
                self.key[2 + slot as usize / 64] |= 1 << (slot % 64);
            }
        }
    }

    /// Opens a frame for the present configuration with the operations that may come next, the one that must
    /// complete first on top.
    fn descend<S: Copy + Ord>(&mut self, calls: &[Call<S>], state: State, trail: usize) {
        let start = self.candidates.len();
        self.frames.push(Frame { state, trail, candidates: start });
        let mut place = self.timeline.first();
        while let Event::Invocation(index) = self.timeline.event(place) {
            let nature = self.natures[index as usize];
            if !nature.reads_only || nature.settles {
                self.candidates.push(index);
            }
            place = self.timeline.after(place);
        }
        let timeline = &self.timeline;
        let step = |index: Index| calls[index as usize].step;
        let mut kept = start;
        let found = &mut self.candidates[start..];
        found.sort_unstable_by_key(|&index| (step(index), timeline.deadline(index), index));
        for at in start..self.candidates.len() {
            let index = self.candidates[at];
            if at == start || step(self.candidates[kept - 1]) != step(index) {
                self.candidates[kept] = index;
                kept += 1;
            }
        }
        self.candidates.truncate(kept);
        self.candidates[start..]
            .sort_unstable_by_key(|&index| std::cmp::Reverse((timeline.deadline(index), index)));
    }

    fn linearize<S>(&mut self, calls: &[Call<S>], index: Index) {
        self.timeline.remove(index);
        self.trail.push(index);
        let nature = self.natures[index as usize];
        if let (Some(state), Some(_)) = (nature.needs, calls[index as usize].effective_by) {
            *count(&mut self.needed, state) -= 1;
        }
        if let Some(state) = nature.makes {
            *count(&mut self.makers, state) -= 1;
        }
    }

    fn undo_to<S>(&mut self, calls: &[Call<S>], trail: usize) {
        while self.trail.len() > trail {
            let Some(index) = self.trail.pop() else { break };
            self.timeline.restore(index);
            let nature = self.natures[index as usize];
            if let (Some(state), Some(_)) = (nature.needs, calls[index as usize].effective_by) {
                *count(&mut self.needed, state) += 1;
            }
            if let Some(state) = nature.makes {
                *count(&mut self.makers, state) += 1;
            }
        }
    }

    /// False if an acknowledged step still needs the state just left, and nothing can make it again.
    fn is_hopeful(&mut self, left: State, state: State) -> bool {
        let at = left as usize;
        left == state
            || self.needed.get(at).is_none_or(|&needed| needed == 0)
            || self.makers.get(at).is_some_and(|&makers| makers > 0)
    }

    fn is_optional_write<S>(&self, calls: &[Call<S>], index: Index) -> bool {
        calls[index as usize].effective_by.is_none() && self.natures[index as usize].blind
    }
}

/// The counter of a state, whose number is small by the contract of [`Nature`].
fn count(counters: &mut Vec<u32>, state: State) -> &mut u32 {
    let at = state as usize;
    if counters.len() <= at {
        counters.resize(at + 1, 0);
    }
    &mut counters[at]
}
