//! `quorate-jepsen`: run a cluster under faults, or judge a history.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to its user")]

mod check;
mod cluster;
mod fresh_dir;
mod judge;
mod nemesis;
mod outcome;
mod parallel;
mod record;
mod report;
mod run;
mod stop;
mod workload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Witnesses of Quorate's promises.
#[derive(Parser)]
#[command(name = "quorate-jepsen", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Check(check::Check),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; if that is closed there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(BAD_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        Command::Run(run) => match run.run() {
            Ok(outcome) => {
                println!("{outcome}");
                outcome.overall().exit_code()
            }
            Err(error) => {
                eprintln!("error: {error}");
                println!("unknown");
                ExitCode::from(2)
            }
        },
        Command::Check(check) => match check.run() {
            Ok(judgement) => {
                println!("{judgement}");
                judgement.exit_code()
            }
            Err(error) => {
                eprintln!("error: {error}");
                println!("unknown");
                ExitCode::from(2)
            }
        },
    }
}

/// 2 already means that a history could not be judged.
const BAD_USAGE: u8 = 3;
