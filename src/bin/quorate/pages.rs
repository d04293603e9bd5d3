//! What the program's own definition of its arguments gives: completions for shells, pages for `man`.

#![expect(clippy::disallowed_methods, reason = "pages are files")]

use std::{fs, io, path::Path};

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use quorate::shell::Console;

use crate::{
    Failure,
    args::{Arguments, Pages},
};

/// Prints what `shell` needs to complete commands.
pub(crate) fn completions(shell: Shell) {
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut io::stdout());
}

/// Prints the page of one command, or writes those of all.
pub(crate) fn man(pages: &Pages, console: Console) -> Result<(), Failure> {
    let mut program = Arguments::command();
    program.build();
    if let Some(dir) = &pages.dir {
        return write_all(program, dir, console);
    }
    let mut command = &program;
    for name in &pages.command {
        let inner = command.find_subcommand(name);
        command = inner.ok_or_else(|| {
            let names: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
            let title = command.get_display_name().unwrap_or(NAME);
            Failure::usage(format_args!("{title} has no command '{name}': it has {}", names.join(", ")))
        })?;
    }
    Man::new(command.clone()).render(&mut io::stdout())?;
    Ok(())
}

fn write_all(program: clap::Command, dir: &Path, console: Console) -> Result<(), Failure> {
    let unwritten = |error: io::Error| Failure::start(format_args!("{}: {error}", dir.display()));
    fs::create_dir_all(dir).map_err(unwritten)?;
    clap_mangen::generate_to(program, dir).map_err(unwritten)?;
    console.note(format_args!("wrote the pages of all commands to {}", dir.display()));
    Ok(())
}

const NAME: &str = "quorate";
