//! From a history that is not linearizable to the few operations that show it.

use super::model::{Call, Machine, Model, Nature};
use crate::checker::{Counterexample, Undecided};
use crate::history::Operation;

type Step<M> = <<M as Model>::Machine as Machine>::Step;

/// The shortest prefix, by completions, that has no linearization, without the operations that play no part.
///
/// `refuted` says whether some calls have none; where it gives up, what was found so far stands.
pub(super) fn shrink<M: Model>(
    history: &[Operation<M::Action>],
    calls: Vec<Call<Step<M>>>,
    nature: impl Fn(Step<M>) -> Nature,
    mut refuted: impl FnMut(&[Call<Step<M>>]) -> Result<bool, Undecided>,
) -> Counterexample {
    let (end, calls) = shortest_prefix(calls, &mut refuted);
    let calls = thin_out(calls, nature, &mut refuted);
    let reason = format!("no order explains these operations, from the completion at {end} on");
    let concerned = calls.iter().map(|call| call.origin).collect();
    Counterexample::new("linearizability", reason, history, concerned)
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
    nature: impl Fn(S) -> Nature,
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
            let fewer = without_unobserved_writes(fewer.map(|(_, call)| *call).collect(), &nature);
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
