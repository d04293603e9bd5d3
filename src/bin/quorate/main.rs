//! The `quorate` program.

mod admin;
mod args;
mod backup;
mod bench;
mod cluster;
mod demo;
mod drain;
mod one_shot;
mod pages;
mod presence;
mod serve;

use std::{io, process::ExitCode};

use clap::Parser;
use quorate::shell::{Console, ShellError};

use args::{Arguments, Command};

/// A memtable that was written out is freed in hundreds of thousands of small pieces, by another thread than the one that
/// made them. The C library's allocator merges all of those at the commit thread's next larger request, with its lock
/// held: some 50 ms in which nothing is committed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody can be told if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Failure::BAD_USAGE } else { 0 });
        }
    };
    let console = Console::new(arguments.output);
    match run(arguments.command, console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            console.error(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn run(command: Command, console: Console) -> Result<(), Failure> {
    // One thread: frames that are written together leave together. Nodes of a demo have threads of their own.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::start)?;
    let done = runtime.block_on(async {
        match command {
            Command::Demo(demo) => demo::run(demo, console).await,
            Command::Shell(shell) => cluster::shell(shell, console).await,
            Command::Get(get) => one_shot::get(get, console).await,
            Command::Put(put) => one_shot::put(put, console).await,
            Command::Del(del) => one_shot::del(del, console).await,
            Command::Admin(question) => admin::answer(question, console).await,
            Command::Bench(load) => bench::run(load, console).await,
            Command::Restore(arguments) => backup::restore(arguments, console).await,
            Command::Serve(node) => serve::serve(node).await,
            Command::Config(config) => serve::config(config, console),
            Command::Certs(certs) => serve::certs(certs, console),
            Command::Completions { shell } => {
                pages::completions(shell);
                Ok(())
            }
            Command::Man(command) => pages::man(&command, console),
        }
    });
    // A thread that reads the terminal must not hold the program up.
    runtime.shutdown_background();
    done
}

/// Why the program fails, and the exit code that says so.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
    broken_pipe: bool,
}

impl Failure {
    const NO_START: u8 = 1;
    const FAILED: u8 = 2;
    const BAD_USAGE: u8 = 3;
    /// Some keys have no quorum, as `admin status --check` says.
    const FAILING: u8 = 4;

    /// Could not connect or start.
    fn start(error: impl ToString) -> Self {
        Self { code: Self::NO_START, message: error.to_string(), broken_pipe: false }
    }

    /// A statement or request failed.
    fn request(error: impl ToString) -> Self {
        Self { code: Self::FAILED, message: error.to_string(), broken_pipe: false }
    }

    /// Bad usage or configuration.
    fn usage(error: impl ToString) -> Self {
        Self { code: Self::BAD_USAGE, message: error.to_string(), broken_pipe: false }
    }

    /// Whoever read our output has gone: no fault of ours.
    fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}

impl From<ShellError> for Failure {
    fn from(error: ShellError) -> Self {
        let broken_pipe = matches!(&error, ShellError::Console(io) if io.kind() == io::ErrorKind::BrokenPipe);
        Self { broken_pipe, ..Self::request(error) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        ShellError::Console(error).into()
    }
}
