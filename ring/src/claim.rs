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
