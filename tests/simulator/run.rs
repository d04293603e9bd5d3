//! One run of one seed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    options::{Options, Overrides},
    world::World,
};

/// What a run came to.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// What broke.
    pub(crate) failure: Option<String>,
    /// Equal for equal runs; 0 if the run panicked.
    pub(crate) trace: u64,
    /// Events that happened.
    pub(crate) events: u64,
    /// Writes, and reads that were answered, at QUORUM and ALL; and how many of them were acknowledged.
    pub(crate) requests: (u64, u64),
    /// Histories that the checker could not decide within its limits.
    pub(crate) undecided: u64,
    /// What happened, if it was asked for.
    pub(crate) lines: Vec<String>,
}

/// Runs `seed`.
pub(crate) fn seed(seed: u64, overrides: &Overrides, verbose: bool) -> Report {
    options(Options::draw(seed, overrides), verbose)
}

/// Runs what was drawn.
pub(crate) fn options(options: Options, verbose: bool) -> Report {
    let mut world = World::new(options);
    world.trace.verbose = verbose;
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let failure = match outcome {
        Ok(outcome) => outcome.err(),
        Err(panic) => Some(format!("panic: {}", message(&*panic))),
    };
    let lines = std::mem::take(&mut world.trace.lines);
    let (requests, undecided) = (world.oracle.counts(), world.oracle.undecided);
    Report { failure, trace: world.trace.hash(), events: world.events, requests, undecided, lines }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "of an unknown kind".to_owned())
}
