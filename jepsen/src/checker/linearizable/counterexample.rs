//! From a history that is not linearizable to the few operations that show it.

use super::model::{Call, Machine, Model, Nature, State};
use crate::checker::{Counterexample, Undecided};
use crate::history::Operation;

type Step<M> = <<M as Model>::Machine as Machine>::Step;

/// The shortest prefix, by completions, that has no linearization, without the operations that play no part; and of
/// that the latest part which has none from whatever state it starts, with the writes that it needs.
///
/// `refuted` says whether some calls have none; where it gives up, what was found so far stands. Whatever is left out
/// keeps a history that has a linearization linearizable; so what could not be left out at first cannot be later
/// either, and one pass over single operations leaves a counterexample of which nothing more can be left out.
pub(super) fn shrink<M: Model>(
    history: &[Operation<M::Action>],
    mut machine: M::Machine,
    calls: Vec<Call<Step<M>>>,
    mut refuted: impl FnMut(&mut M::Machine, &[Call<Step<M>>]) -> Result<bool, Undecided>,
) -> Counterexample {
    let mut gave_up = false;
    let mut refuted = |machine: &mut M::Machine, calls: &[Call<Step<M>>]| {
        let answer = refuted(machine, calls);
        gave_up |= answer.is_err();
        answer
    };
    let (end, calls) = shortest_prefix(calls, &mut |calls| refuted(&mut machine, calls));
    let (mut machine, calls) = forget_changes(machine, calls, &mut refuted);
    let natures = machine.clone();
    let nature = |step| natures.nature(step);
    let mut refuted = |calls: &[Call<Step<M>>]| refuted(&mut machine, calls);
    let calls = thin_out(calls, &nature, &mut refuted);
    let calls = window(calls, &nature, &mut refuted);
    // Of what can never be left out nobody knows whether it is needed.
    let was_tried = |(at, call): (usize, &Call<Step<M>>)| {
        is_simple(nature(call.step)) || natures.forget(&calls, at..at + 1).is_some()
    };
    let is_minimal = calls.iter().enumerate().all(was_tried) && !gave_up;
    let extent = if is_minimal { "none of them can be left out" } else { "reduced, not minimal" };
    let reason = format!("no order explains these operations, from the completion at {end} on ({extent})");
    let concerned = calls.iter().map(|call| call.origin).collect();
    Counterexample::new("linearizability", reason, history, concerned)
}

/// Leaves out changes with all that is told of them, in ever smaller runs, where the object knows how to.
fn forget_changes<M: Machine>(
    mut machine: M,
    mut calls: Vec<Call<M::Step>>,
    refuted: &mut impl FnMut(&mut M, &[Call<M::Step>]) -> Result<bool, Undecided>,
) -> (M, Vec<Call<M::Step>>) {
    let mut run = calls.len();
    while run > 0 {
        let mut from = 0;
        while from < calls.len() {
            let inside = from..calls.len().min(from + run);
            let fewer = machine.forget(&calls, inside);
            let fewer = fewer
                .and_then(|(mut machine, left)| Some((refuted(&mut machine, &left).ok()?, machine, left)));
            match fewer {
                Some((true, smaller, left)) => (machine, calls) = (smaller, left),
                _ => from += run,
            }
        }
        run /= 2;
    }
    (machine, calls)
}

/// Of an object that is read and blindly written.
fn is_simple(nature: Nature) -> bool {
    !nature.excludes && (nature.reads_only || (nature.blind && nature.makes.is_some()))
}

/// The prefix and its last completion.
fn shortest_prefix<S: Copy>(
    calls: Vec<Call<S>>,
    refuted: &mut impl FnMut(&[Call<S>]) -> Result<bool, Undecided>,
) -> (u64, Vec<Call<S>>) {
    let mut ends: Vec<u64> = calls.iter().filter_map(|call| call.effective_by).collect();
    ends.sort_unstable();
    ends.dedup();
    let (mut low, mut high) = (0, ends.len().saturating_sub(1));
    while low < high {
        let middle = usize::midpoint(low, high);
        match refuted(&prefix(&calls, ends[middle])) {
            Ok(true) => high = middle,
            Ok(false) => low = middle + 1,
            Err(_) => break,
        }
    }
    let end = ends.get(high).copied().unwrap_or(u64::MAX);
    (end, prefix(&calls, end))
}

/// The history as it stood at `end`: what completed later was still pending.
fn prefix<S: Copy>(calls: &[Call<S>], end: u64) -> Vec<Call<S>> {
    let known = calls.iter().filter(|call| call.invoked <= end);
    known.map(|call| Call { effective_by: call.effective_by.filter(|&at| at <= end), ..*call }).collect()
}

/// Drops reads, in ever smaller runs, and the writes that nothing observes any more. Both keep a history that
/// has a linearization linearizable, so what is left refutes the whole.
fn thin_out<S: Copy>(
    mut calls: Vec<Call<S>>,
    nature: &impl Fn(S) -> Nature,
    refuted: &mut impl FnMut(&[Call<S>]) -> Result<bool, Undecided>,
) -> Vec<Call<S>> {
    calls.retain(|call| call.effective_by.is_some() || !nature(call.step).reads_only);
    calls.sort_by_key(|call| call.invoked);
    let mut run = calls.len();
    while run > 0 {
        let mut from = 0;
        while from < calls.len() {
            let inside = from..from + run;
            let fewer = calls
                .iter()
                .enumerate()
                .filter(|(at, call)| !(inside.contains(at) && nature(call.step).reads_only));
            let fewer = without_unobserved_writes(fewer.map(|(_, call)| *call).collect(), nature);
            if fewer.len() < calls.len() && refuted(&fewer) == Ok(true) {
                calls = fewer;
            } else {
                from += run;
            }
        }
        run /= 2;
    }
    calls
}

/// The part of `calls` after the last moment of rest from which it has no linearization, whatever state was reached
/// until then, and before it the last write of each value that it needs from then. Only for objects that are read
/// and blindly written: of others the state at a moment of rest cannot be set up by one step.
fn window<S: Copy>(
    calls: Vec<Call<S>>,
    nature: &impl Fn(S) -> Nature,
    refuted: &mut impl FnMut(&[Call<S>]) -> Result<bool, Undecided>,
) -> Vec<Call<S>> {
    if !calls.iter().all(|call| is_simple(nature(call.step))) {
        return calls;
    }
    let rests = rests(&calls);
    let mut from_anywhere = |rest: &usize| {
        let (before, after) = split(&calls, *rest);
        let mut starts = starts(&before, &after, nature);
        refuted(&after) == Ok(true)
            && starts.all(|start| {
                let from_there: Vec<Call<S>> = [start].into_iter().chain(after.iter().copied()).collect();
                refuted(&from_there) == Ok(true)
            })
    };
    let kept = rests.partition_point(|rest| from_anywhere(rest));
    let Some(rest) = kept.checked_sub(1).map(|last| rests[last]) else { return calls };
    let (before, after) = split(&calls, rest);
    let mut needed = needs(&after, nature);
    let mut window = after;
    for call in before.into_iter().rev() {
        if let Some(at) = needed.iter().position(|state| nature(call.step).makes == Some(*state)) {
            needed.swap_remove(at);
            window.push(call);
        }
    }
    one_by_one(thin_out(window, nature, refuted), nature, refuted)
}

/// Drops single reads, and single writes that nothing observes.
fn one_by_one<S: Copy>(
    mut calls: Vec<Call<S>>,
    nature: &impl Fn(S) -> Nature,
    refuted: &mut impl FnMut(&[Call<S>]) -> Result<bool, Undecided>,
) -> Vec<Call<S>> {
    let mut at = 0;
    while at < calls.len() {
        let needed = needs(&calls, nature);
        let is_observed = |made| needed.binary_search(&made).is_ok();
        let Nature { reads_only, makes, .. } = nature(calls[at].step);
        let mut fewer = calls.clone();
        fewer.remove(at);
        if (reads_only || !makes.is_some_and(is_observed)) && refuted(&fewer) == Ok(true) {
            calls = fewer;
        } else {
            at += 1;
        }
    }
    calls
}

/// Positions in `calls`, which are in the order of their invocations, before which everything that will complete has.
fn rests<S: Copy>(calls: &[Call<S>]) -> Vec<usize> {
    let mut latest = 0;
    let mut rests = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        if at == 0 || latest < call.invoked {
            rests.push(at);
        }
        latest = latest.max(call.effective_by.unwrap_or(0));
    }
    rests
}

/// What was complete at a moment of rest, and the rest, with what may take effect at any time.
fn split<S: Copy>(calls: &[Call<S>], rest: usize) -> (Vec<Call<S>>, Vec<Call<S>>) {
    let (before, after) = calls.split_at(rest);
    let (complete, pending): (Vec<_>, Vec<_>) = before.iter().partition(|call| call.effective_by.is_some());
    (complete, pending.into_iter().chain(after.iter().copied()).collect())
}

/// One write for each state that the calls after can tell from others, and one for all that they cannot.
fn starts<S: Copy>(
    before: &[Call<S>],
    after: &[Call<S>],
    nature: &impl Fn(S) -> Nature,
) -> impl Iterator<Item = Call<S>> {
    let needed = needs(after, nature);
    let mut chosen: Vec<(bool, Option<State>, Call<S>)> = before
        .iter()
        .filter(|call| nature(call.step).blind)
        .map(|call| {
            let makes = nature(call.step).makes;
            let is_needed = makes.is_some_and(|made| needed.binary_search(&made).is_ok());
            (is_needed, makes.filter(|_| is_needed), *call)
        })
        .collect();
    chosen.sort_by_key(|(is_needed, makes, _)| (*is_needed, *makes));
    chosen.dedup_by_key(|(is_needed, makes, _)| (*is_needed, *makes));
    chosen.into_iter().map(|(.., call)| call)
}

/// States that some call needs, ascending.
fn needs<S: Copy>(calls: &[Call<S>], nature: &impl Fn(S) -> Nature) -> Vec<State> {
    let mut needed: Vec<State> = calls.iter().filter_map(|call| nature(call.step).needs).collect();
    needed.sort_unstable();
    needed.dedup();
    needed
}

fn without_unobserved_writes<S: Copy>(mut calls: Vec<Call<S>>, nature: impl Fn(S) -> Nature) -> Vec<Call<S>> {
    if calls.iter().any(|call| nature(call.step).excludes) {
        return calls;
    }
    let mut needed: Vec<_> = calls.iter().filter_map(|call| nature(call.step).needs).collect();
    needed.sort_unstable();
    calls.retain(|call| {
        let nature = nature(call.step);
        !nature.blind || nature.makes.is_none_or(|made| needed.binary_search(&made).is_ok())
    });
    calls
}
