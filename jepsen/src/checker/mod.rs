//! Judges of histories. Each answers with one [`Verdict`].

pub mod linearizable;
mod verdict;

pub use linearizable::Linearizable;
pub use verdict::{Counterexample, Undecided, Verdict};
