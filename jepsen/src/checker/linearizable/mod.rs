//! Linearizability of one object's history.
//!
//! The search is Wing and Gong's with Lowe's cache of configurations (Lowe, "Testing for linearizability",
//! 2017), with prunings that keep its answer: see [`search`]. Linearizability is local, so a store of many keys
//! is judged one key at a time.

mod cache;
mod chain;
mod check;
mod counter;
mod counterexample;
pub mod model;
mod register;
mod search;
mod set;
mod siblings;
mod timeline;
mod zones;

pub use check::{Limits, Linearizable};
pub use counter::{Counter, CounterAction, CounterMachine, CounterStep};
pub use model::Model;
pub use register::{FailedCas, Register, RegisterAction, RegisterMachine, RegisterStep};
pub use set::{Set, SetAction, SetMachine, SetStep};
pub use siblings::{SiblingAction, Siblings};

#[cfg(test)]
pub(crate) mod tests;
