//! Judges of histories. Each answers with one [`Verdict`].

pub mod deletes;
pub mod durability;
pub mod linearizable;
pub mod session;
pub mod siblings;
pub mod tagged;
mod verdict;
pub mod versions;

pub use linearizable::Linearizable;
pub use verdict::{Counterexample, Undecided, Verdict};
