//! A decision without search for grow-only sets to which each element is added once.
//!
//! What such a set holds only grows, so the reads must form a chain of subsets, and an element is added between
//! the last read without it and the first read with it. Adds between the same reads commute. What is left to ask
//! is whether this order ever contradicts real time.

use super::model::{Call, State};
use super::set::SetStep;

/// Whether the calls have a linearization, if each element is added once; `known` are the sets of the states.
pub(super) fn decide(initial: State, known: &[Box<[u64]>], calls: &[Call<SetStep>]) -> Option<bool> {
    let bits = |state: State| &*known[state as usize];
    let mut added = bits(initial).to_vec();
    for call in calls {
        if let SetStep::Supersede { .. } = call.step {
            return None;
        }
        if let SetStep::Change { add, remove } = call.step {
            let (word, bit) = add.map(|element| (element as usize / 64, 1 << (element % 64)))?;
            if bits(remove).iter().any(|&word| word != 0) || added[word] & bit != 0 {
                return None;
            }
            added[word] |= bit;
        }
    }
    let mut chain: Vec<State> = calls.iter().filter_map(read).collect();
    chain.sort_unstable_by_key(|&state| (size(bits(state)), state));
    chain.dedup();
    let grows = chain.windows(2).all(|pair| is_within(bits(pair[0]), bits(pair[1])));
    let starts = chain.first().is_none_or(|&first| is_within(bits(initial), bits(first)));
    let ends = chain.last().is_none_or(|&last| is_within(bits(last), &added));
    if !(grows && starts && ends) {
        return Some(false);
    }
    let holds = |state: State, element: u32| bits(state)[element as usize / 64] & (1 << (element % 64)) != 0;
    let place = |call: &Call<SetStep>| match call.step {
        SetStep::Read(state) => {
            // Equal sizes in a chain are equal sets.
            let before = chain.partition_point(|&other| size(bits(other)) < size(bits(state)));
            call.effective_by.map(|_| 2 * before + 1)
        }
        SetStep::Change { add, .. } | SetStep::Supersede { add, .. } => {
            let before = chain.partition_point(|&state| add.is_some_and(|element| !holds(state, element)));
            (before < chain.len() || call.effective_by.is_some()).then_some(2 * before)
        }
    };
    let mut order: Vec<(usize, &Call<SetStep>)> =
        calls.iter().filter_map(|call| place(call).map(|place| (place, call))).collect();
    order.sort_unstable_by_key(|entry| entry.0);
    Some(agrees_with_time(&order))
}

/// Whether nothing completes before something of an earlier place is invoked.
fn agrees_with_time(order: &[(usize, &Call<SetStep>)]) -> bool {
    let mut latest = 0;
    order.chunk_by(|a, b| a.0 == b.0).all(|group| {
        let late = group.iter().any(|(_, call)| call.effective_by.is_some_and(|by| by < latest));
        latest = group.iter().map(|(_, call)| call.invoked).fold(latest, u64::max);
        !late
    })
}

fn read(call: &Call<SetStep>) -> Option<State> {
    match call.step {
        SetStep::Read(state) => call.effective_by.map(|_| state),
        SetStep::Change { .. } | SetStep::Supersede { .. } => None,
    }
}

fn size(bits: &[u64]) -> u32 {
    bits.iter().map(|word| word.count_ones()).sum()
}

fn is_within(part: &[u64], whole: &[u64]) -> bool {
    part.iter().zip(whole).all(|(part, whole)| part & !whole == 0)
}
