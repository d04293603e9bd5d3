//! Joining a ring: a share taken from the present owners.

use std::collections::BinaryHeap;

use crate::{Founder, Ring, Token};

/// Chooses the newcomer's tokens: each cuts a range of the member that owns most beyond its share.
pub(super) fn take(ring: &Ring, founder: &Founder) -> Vec<Token> {
    let count = founder.token_count();
    let mut ranges: BinaryHeap<_> =
        (0..ring.circle().len()).map(|slot| ring.circle().range(slot)).map(|r| (r.width(), r)).collect();
    let weights: u64 = ring.members().iter().map(|m| u64::from(m.weight)).sum();
    let all = u64::from(founder.weight) + weights;
    let cut = ((1_u128 << 64) * u128::from(founder.weight) / u128::from(all) / count as u128) as u64;
    let mut tokens = Vec::with_capacity(count);
    while tokens.len() < count {
        let Some((width, range)) = ranges.pop() else { break };
        let Some((low, high)) = range.split(range.start.advance(cut.min((width / 2) as u64))) else { break };
        tokens.push(low.end);
        ranges.push((high.width(), high));
    }
    tokens
}
