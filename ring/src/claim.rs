//! Which tokens a node claims. Pure and deterministic: every node computes the same.

use crate::{Founder, Ring, Token};

mod deal;
mod take;

/// The tokens of each founder, in their order.
pub(crate) fn found(founders: &[Founder]) -> Vec<Vec<Token>> {
    deal::deal(founders)
}

/// The tokens that `founder` takes when it joins `ring`.
pub(crate) fn join(ring: &Ring, founder: &Founder) -> Vec<Token> {
    take::take(ring, founder)
}

/// Gives racks numbers from 0 in the order of their names.
pub(crate) fn number_racks<'a>(racks: impl Iterator<Item = &'a str> + Clone) -> Vec<u32> {
    let mut names: Vec<_> = racks.clone().collect();
    names.sort_unstable();
    names.dedup();
    racks.map(|rack| names.partition_point(|&name| name < rack) as u32).collect()
}
