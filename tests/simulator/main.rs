//! The deterministic simulator: whole clusters in one thread, with every fault that a seed draws.
//!
//! See `README.md` beside this file.

#![allow(clippy::print_stdout, reason = "this is a program that reports to whoever runs it")]

mod cli;
mod growth;
mod hot_key;
mod invariants;
mod mutants;
mod options;
mod random;
mod regressions;
mod render;
mod rings;
mod run;
mod shrink;
mod sweep;
mod transcript;
mod workload;
mod world;

use std::{panic, process::ExitCode};

use self::{cli::Arguments, sweep::Count};

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            println!("{why}");
            return ExitCode::from(3);
        }
    };
    if arguments.list_mutants {
        sweep::list_mutants();
        return ExitCode::SUCCESS;
    }
    if arguments.update_transcripts {
        return regressions::update_transcripts();
    }
    // A node that panics is a finding like any other: it is reported with its seed.
    panic::set_hook(Box::new(|_| {}));
    let tests = match arguments.overrides.mutant {
        None if arguments.growth => growth::measure(&arguments),
        Some(mutant) => sweep::mutant(mutant, &arguments, MUTANT_SEEDS_MAX),
        None if arguments.is_plain() => suite(&arguments),
        None => sweep::seeds(&arguments),
    };
    println!("{} passed, {} failed", tests.passed, tests.failed);
    if tests.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What runs when nothing in particular was asked for.
fn suite(arguments: &Arguments) -> Count {
    let mut tests = Count::default();
    if !arguments.filters.is_empty()
        && !arguments.filters.iter().any(|word| "simulator".contains(word.as_str()))
    {
        return tests;
    }
    tests.join(sweep::determinism(sweep::first_seed(arguments)));
    tests.join(regressions::transcripts());
    tests.join(regressions::seeds());
    tests.join(hot_key::test());
    tests.join(growth::test());
    tests.join(sweep::seeds(&Arguments { seeds: Some(SUITE_SEEDS), ..arguments.clone() }));
    for (_, mutant, _) in mutants::ALL {
        tests.join(sweep::mutant(*mutant, arguments, MUTANT_SEEDS_MAX));
    }
    tests
}

const SUITE_SEEDS: u64 = 5_000;
const MUTANT_SEEDS_MAX: u64 = 60_000;
