//! Where answers and complaints go.

use std::{
    env,
    fmt::Display,
    io::{self, IsTerminal, Write},
};

use super::counted::counted;
use crate::cql::render::{Format, Grid, Parts};

/// Data goes to standard output, everything else to standard error, so that a script reads data alone.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    format: Format,
    interactive: bool,
    color: bool,
}

impl Console {
    /// Prints data in `format`; by default a table on a terminal, else raw.
    pub fn new(format: Option<Format>) -> Self {
        let default = if io::stdout().is_terminal() { Format::Table } else { Format::Raw };
        Self { format: format.unwrap_or(default), interactive: false, color: stderr_has_color() }
    }

    /// The same with confirmations, for a person who waits for them.
    #[must_use]
    pub fn interactive(self) -> Self {
        Self { interactive: true, ..self }
    }

    /// The same with rows that stand by themselves, or in tables again; formats for programs stay.
    #[must_use]
    pub fn expanded(self, on: bool) -> Self {
        let people = if on { Format::Expanded } else { Format::Table };
        Self { format: if self.format.is_for_people() { people } else { self.format }, ..self }
    }

    /// How data is printed.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Prints data.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn data(&self, grid: &Grid) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        grid.write(self.format, &mut out)?;
        out.flush()?;
        self.confirm_rows(grid.len() as u64);
        Ok(())
    }

    /// Prints data with many columns: rows stand by themselves where a table would be wider than the terminal.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn wide_data(&self, grid: &Grid) -> io::Result<()> {
        Self { format: grid.fitting(self.format), ..*self }.data(grid)
    }

    /// Says to a person how many rows there were.
    pub(super) fn confirm_rows(&self, rows: u64) {
        if self.interactive && self.format.is_for_people() {
            self.confirm(counted(rows, "row"));
        }
    }

    /// Whether a person waits for the answer and can be asked.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Ends data that came in parts; `none` is a grid without rows.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn end_of_parts(&self, parts: &mut Parts, none: &Grid) -> io::Result<()> {
        parts.end(none, &mut io::stdout().lock())
    }

    /// Prints plain text that was asked for.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn text(&self, text: impl Display) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// Changes what a terminal shows.
    pub(super) fn redraw(&self, control: &str) {
        // Nothing is shown any more if it is gone.
        let _ = write!(io::stdout().lock(), "{control}").and_then(|()| io::stdout().flush());
    }

    /// Says that something was done, to a person only.
    pub fn confirm(&self, text: impl Display) {
        if self.interactive {
            complain(format_args!("{text}"));
        }
    }

    /// Says something beside the data.
    pub fn note(&self, text: impl Display) {
        complain(format_args!("{text}"));
    }

    /// Says that something is odd.
    pub fn warn(&self, text: impl Display) {
        let (on, off) = if self.color { ("\u{1b}[33m", "\u{1b}[0m") } else { ("", "") };
        complain(format_args!("{on}warning:{off} {text}"));
    }

    /// Says what went wrong.
    pub fn error(&self, text: impl Display) {
        let (on, off) = if self.color { ("\u{1b}[31m", "\u{1b}[0m") } else { ("", "") };
        complain(format_args!("{on}error:{off} {text}"));
    }
}

/// Whether standard error is a terminal that takes colours, and `NO_COLOR` does not forbid them.
pub fn stderr_has_color() -> bool {
    has_color(&io::stderr())
}

/// The same of standard output.
pub(super) fn stdout_has_color() -> bool {
    has_color(&io::stdout())
}

fn has_color(stream: &impl IsTerminal) -> bool {
    let forbidden = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !forbidden
}

/// Nobody can be told if standard error is gone.
fn complain(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
