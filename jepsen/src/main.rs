//! `quorate-jepsen`: judge a history.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to its user")]

mod check;

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
