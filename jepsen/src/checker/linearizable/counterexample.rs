//! From a history that is not linearizable to the few operations that show it.

use super::model::{Call, Machine, Model};
use crate::checker::{Counterexample, Undecided};
use crate::history::Operation;

type Step<M> = <<M as Model>::Machine as Machine>::Step;

/// The shortest prefix, by completions, that has no linearization.
///
/// `refuted` says whether some calls have none; where it gives up, what was found so far stands.
pub(super) fn shrink<M: Model>(
    history: &[Operation<M::Action>],
    calls: Vec<Call<Step<M>>>,
    mut refuted: impl FnMut(&[Call<Step<M>>]) -> Result<bool, Undecided>,
) -> Counterexample {
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
    let concerned = prefix(&calls, end).iter().map(|call| call.origin).collect();
    let reason = format!("no order explains the operations up to the completion at {end}");
    Counterexample::new("linearizable", reason, history, concerned)
}

/// The history as it stood at `end`: what completed later was still pending.
fn prefix<S: Copy>(calls: &[Call<S>], end: u64) -> Vec<Call<S>> {
    let known = calls.iter().filter(|call| call.invoked <= end);
    known.map(|call| Call { effective_by: call.effective_by.filter(|&at| at <= end), ..*call }).collect()
}
