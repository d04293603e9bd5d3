//! Runs over many seeds, and what is said about them.

#![expect(clippy::disallowed_methods, reason = "how long a sweep takes is measured on the machine's clock")]

use std::time::{Duration, Instant, SystemTime};

use crate::{
    cli::Arguments,
    mutants::{self, Mutant},
    options::{Options, Overrides},
    run, shrink,
};

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Count {
    /// Adds one test.
    pub(crate) fn add(&mut self, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    /// Adds other tests.
    pub(crate) fn join(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// The seed to start at.
pub(crate) fn first_seed(arguments: &Arguments) -> u64 {
    if arguments.fresh {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        return since.as_micros() as u64;
    }
    arguments.seed.unwrap_or(SEED_DEFAULT)
}

/// Runs the seeds that the arguments name; at most three failures are reduced and shown.
pub(crate) fn seeds(arguments: &Arguments) -> Count {
    let first = first_seed(arguments);
    let alone = arguments.seed.is_some() && arguments.minutes.is_none() && arguments.seeds.is_none();
    let count = match (arguments.seeds, arguments.minutes) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => u64::MAX,
        (None, None) if alone => 1,
        (None, None) => SEEDS_DEFAULT,
    };
    let end = arguments.minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    let start = Instant::now();
    println!("seeds from {first}");
    let (mut tests, mut events, mut undecided, mut requests) = (Count::default(), 0, 0, (0, 0));
    for seed in (first..).take(count as usize) {
        if end.is_some_and(|end| Instant::now() >= end) || tests.failed >= FAILURES_MAX {
            break;
        }
        if alone {
            println!("{}", Options::draw(seed, &arguments.overrides));
        }
        let report = run::seed(seed, &arguments.overrides, arguments.trace);
        report.lines.iter().for_each(|line| println!("{line}"));
        events += report.events;
        undecided += report.undecided;
        requests = (requests.0 + report.requests.0, requests.1 + report.requests.1);
        if alone {
            println!("trace {:016x} after {} events", report.trace, report.events);
        }
        tests.add(report.failure.is_none());
        if let Some(failure) = report.failure {
            show_failure(seed, &arguments.overrides, failure);
        }
    }
    if arguments.bench {
        let seconds = start.elapsed().as_secs_f64();
        let runs = (tests.passed + tests.failed) as f64;
        println!("{:.0} seeds/s, {:.0} events/s, {seconds:.1} s", runs / seconds, events as f64 / seconds);
        let (all, acknowledged) = requests;
        println!("{all} writes and answered reads, {acknowledged} acknowledged; {undecided} keys undecided");
    }
    tests
}

/// Looks for a seed that catches `mutant`; passes if there is one.
pub(crate) fn mutant(mutant: Mutant, arguments: &Arguments, seeds_max: u64) -> Count {
    let overrides = Overrides { mutant: Some(mutant), ..arguments.overrides.clone() };
    let first = first_seed(arguments);
    let mut tests = Count::default();
    for (tried, seed) in (first..).take(arguments.seeds.unwrap_or(seeds_max) as usize).enumerate() {
        let report = run::seed(seed, &overrides, arguments.trace);
        report.lines.iter().for_each(|line| println!("{line}"));
        if let Some(failure) = report.failure {
            let line = failure.lines().next().unwrap_or_default();
            println!("mutant {}: caught by seed {seed}, the {}.: {line}", mutant.name(), tried + 1);
            tests.add(true);
            return tests;
        }
    }
    println!("mutant {}: NOT CAUGHT", mutant.name());
    tests.add(false);
    tests
}

/// Lists the mutants.
pub(crate) fn list_mutants() {
    for (name, _, what) in mutants::ALL {
        println!("{name:22} {what}");
    }
}

/// Runs a few seeds twice: equal seeds, equal runs; other seeds, other runs.
pub(crate) fn determinism(first: u64) -> Count {
    let overrides = Overrides::default();
    let mut tests = Count::default();
    for seed in first..first + 10 {
        let trace = |seed| run::seed(seed, &overrides, false).trace;
        let same = trace(seed) == trace(seed) && trace(seed) != trace(seed + 1);
        if !same {
            println!("determinism: seed {seed} is not the same twice, or the same as the next");
        }
        tests.add(same);
    }
    tests
}

/// Says what broke and how to see it again, as small as it can be made.
pub(crate) fn show_failure(seed: u64, overrides: &Overrides, failure: String) {
    println!("FAILED seed {seed}: {failure}");
    println!("  replay: {}", shrink::command(seed, overrides));
    let smallest = shrink::shrink(seed, overrides, failure);
    println!("  reduced: {}", shrink::command(seed, &smallest.overrides));
    println!("  {}", smallest.failure);
    println!("{}", Options::draw(seed, &smallest.overrides));
}

const SEED_DEFAULT: u64 = 1;
const SEEDS_DEFAULT: u64 = 1_000;
const FAILURES_MAX: u64 = 3;
