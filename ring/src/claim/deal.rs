//! Founding a ring: equal slices of the circle, dealt out.

use crate::{Founder, Token, TokenRange, partitioner::finish};

/// Deals the founders as many equal slices as they have tokens.
pub(super) fn deal(founders: &[Founder]) -> Vec<Vec<Token>> {
    let counts: Vec<_> = founders.iter().map(Founder::token_count).collect();
    let mut due = Vec::new();
    for (node, &count) in counts.iter().enumerate() {
        for turn in 0..count {
            let jitter = finish((node as u64) << 32 | turn as u64) >> 32;
            due.push(((((turn as u64) << 32) + jitter) / count as u64, node));
        }
    }
    due.sort_unstable();
    let slices = TokenRange::FULL.divide(due.len() as u32);
    let mut claims: Vec<_> = counts.iter().map(|&count| Vec::with_capacity(count)).collect();
    for (slice, &(_, node)) in slices.zip(&due) {
        claims[node].push(slice.end);
    }
    claims
}
