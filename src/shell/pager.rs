//! Long answers on a terminal: they stop where the screen is full, until a person wants more.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use console::{Key, Term};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{Console, ShellError, clock::now};
use crate::cql::{
    Paging,
    render::{Format, Grid, Parts},
    width,
};

/// Prints lines, and asks before the first that the screen has no room for. A program or a file gets everything.
#[derive(Debug)]
pub(super) struct Pager {
    screen: Option<Screen>,
    /// Rows after which is asked, whatever the screen has room for.
    rows: Option<u32>,
    /// How long a person was waited for.
    thought: Duration,
}

impl Pager {
    pub(super) fn new(paging: Paging, console: &Console) -> Self {
        let is_for_a_person = console.is_interactive() && io::stdout().is_terminal();
        let (screen, rows) = match paging {
            Paging::Screen if is_for_a_person => (Some(Screen::of(&Term::stdout())), None),
            Paging::Rows(rows) if is_for_a_person => (None, Some(rows)),
            Paging::Screen | Paging::Rows(_) | Paging::Off => (None, None),
        };
        Self { screen, rows, thought: Duration::ZERO }
    }

    /// Rows after which a person is to be asked.
    pub(super) fn asks_after(&self) -> Option<u32> {
        self.rows
    }

    /// How many rows of a line each fill the screen, if they are to.
    pub(super) fn rows_of_a_screen(&self, format: Format, columns: usize) -> Option<u32> {
        self.screen.as_ref().map(|screen| screen.rows_of(format, columns))
    }

    /// How long a person was waited for.
    pub(super) fn thought(&self) -> Duration {
        self.thought
    }

    /// Prints text of whole lines; whether the person wants to see what follows.
    pub(super) async fn print(&mut self, text: &str) -> Result<bool, ShellError> {
        self.print_to(text, write_out).await
    }

    /// The same of what is said beside the data. Where that does not go to a terminal it takes no room.
    pub(super) async fn note(&mut self, note: &str, console: &Console) -> Result<bool, ShellError> {
        if !io::stderr().is_terminal() {
            console.note(note);
            return Ok(true);
        }
        let say = |lines: &str| {
            lines.lines().for_each(|line| console.note(line));
            Ok(())
        };
        self.print_to(&format!("{note}\n"), say).await
    }

    async fn print_to(
        &mut self,
        text: &str,
        write: impl Fn(&str) -> io::Result<()>,
    ) -> Result<bool, ShellError> {
        let mut rest = text;
        loop {
            let now = self.screen.as_mut().map_or(rest.len(), |screen| screen.takes(rest));
            write(&rest[..now])?;
            rest = &rest[now..];
            if rest.is_empty() {
                return Ok(true);
            }
            if !self.goes_on().await? {
                return Ok(false);
            }
        }
    }

    /// Whether the person wants more. One key says so.
    pub(super) async fn goes_on(&mut self) -> Result<bool, ShellError> {
        let asked = now();
        let wish = tokio::task::spawn_blocking(|| {
            let _keys = Keys::taken()?;
            write_out(QUESTION)?;
            let terminal = Term::stdout();
            loop {
                if let Some(wish) = wish(&terminal.read_key_raw()?) {
                    return Ok::<_, io::Error>(wish);
                }
            }
        });
        let wish = wish.await.map_err(io::Error::other)?;
        write_out(ERASE_LINE)?;
        self.thought += asked.elapsed();
        if let Some(screen) = &mut self.screen {
            *screen = Screen::of(&Term::stdout());
        }
        // Whoever closes the terminal wants no more.
        Ok(wish.unwrap_or(false))
    }
}

/// Prints an answer that is there as a whole, and what is said beside it; says how long a person was waited for.
pub(super) async fn show(
    grid: &Grid,
    notes: impl Iterator<Item = String>,
    paging: Paging,
    console: &Console,
) -> Result<Duration, ShellError> {
    let mut pager = Pager::new(paging, console);
    if pager.screen.is_none() {
        console.data(grid)?;
        notes.for_each(|note| console.note(note));
        return Ok(Duration::ZERO);
    }
    let mut text = Vec::new();
    let mut parts = Parts::new(console.format());
    parts.write(grid, &mut text)?;
    parts.end(grid, &mut text)?;
    if !pager.print(&String::from_utf8_lossy(&text)).await? {
        return Ok(pager.thought);
    }
    console.confirm_rows(parts.rows());
    pager.screen.iter_mut().for_each(|screen| screen.taken += 1);
    for note in notes {
        if !pager.note(&note, console).await? {
            break;
        }
    }
    Ok(pager.thought)
}

/// Prints text that was asked for; says how long a person was waited for.
pub(super) async fn tell(text: &str, paging: Paging, console: &Console) -> Result<Duration, ShellError> {
    let mut pager = Pager::new(paging, console);
    pager.print(&format!("{text}\n")).await?;
    Ok(pager.thought)
}

/// The terminal's size, and how much of it is taken.
#[derive(Debug)]
struct Screen {
    lines: usize,
    columns: usize,
    taken: usize,
}

impl Screen {
    fn of(terminal: &Term) -> Self {
        let (lines, columns) = terminal.size();
        Self { lines: usize::from(lines), columns: usize::from(columns).max(1), taken: 0 }
    }

    /// One line is for the question.
    fn room(&self) -> usize {
        self.lines.saturating_sub(1).max(1)
    }

    /// How many bytes of `text`, which has whole lines, there is room for: at least a line if nothing is there yet.
    fn takes(&mut self, text: &str) -> usize {
        let mut bytes = 0;
        for line in text.split_inclusive('\n') {
            let taken = self.taken + width(line.trim_end_matches('\n')).div_ceil(self.columns).max(1);
            if taken > self.room() && self.taken > 0 {
                break;
            }
            (self.taken, bytes) = (taken, bytes + line.len());
        }
        bytes
    }

    fn rows_of(&self, format: Format, columns: usize) -> u32 {
        let rows = match format {
            Format::Table => self.room().saturating_sub(TABLE_LINES),
            Format::Expanded | Format::Json => self.room() / (columns + 1),
            Format::Jsonl | Format::Csv | Format::Raw => self.room(),
        };
        u32::try_from(rows.max(1)).unwrap_or(u32::MAX)
    }
}

/// From the question to the answer the terminal hands over each key as it is pressed. Whoever reads the question may press
/// one at once: a terminal that still edited lines would show it and keep it back, and of Ctrl-C make a signal that gives up the
/// statement while the question goes on waiting.
struct Keys(Termios);

impl Keys {
    fn taken() -> io::Result<Self> {
        let usual = tcgetattr(io::stdin())?;
        let mut raw = usual.clone();
        raw.make_raw();
        raw.output_modes = usual.output_modes;
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self(usual))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // A terminal that is closed has no modes any more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// What a key says, if it says anything.
fn wish(key: &Key) -> Option<bool> {
    match key {
        Key::Enter | Key::Char(' ') | Key::PageDown | Key::ArrowDown => Some(true),
        Key::Char('q' | 'Q' | '\u{4}') | Key::Escape | Key::CtrlC => Some(false),
        _ => None,
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

const QUESTION: &str = "-- Enter for more, q to end: ";
const ERASE_LINE: &str = "\r\u{1b}[K";
/// What a table has beside its rows: three lines above, one below.
const TABLE_LINES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn screen() -> Screen {
        Screen { lines: 5, columns: 10, taken: 0 }
    }

    #[test]
    fn a_screen_takes_whole_lines_as_long_as_there_is_room() {
        let mut screen = screen();
        assert_eq!(screen.takes("1\n2\n"), 4);
        assert_eq!(screen.takes("3\n4\n5\n"), 4, "the last line is for the question");
        assert_eq!(screen.takes("5\n"), 0);
        let mut screen = self::screen();
        assert_eq!(screen.takes("0123456789\n012345678901\n漢漢漢漢漢漢\n"), 24, "1, 2 and 2 lines");
        assert_eq!((screen.taken, screen.takes("\n")), (3, 1), "an empty line is one");
        let long = "x".repeat(100) + "\n";
        assert_eq!(self::screen().takes(&long), 101, "what never has room is printed all the same");
    }

    #[test]
    fn so_many_rows_are_fetched_as_fill_the_screen() {
        let screen = Screen { lines: 24, columns: 80, taken: 0 };
        assert_eq!(screen.rows_of(Format::Table, 2), 19);
        assert_eq!(screen.rows_of(Format::Raw, 2), 23);
        assert_eq!(screen.rows_of(Format::Expanded, 2), 7);
        assert_eq!(self::screen().rows_of(Format::Table, 2), 1);
    }

    #[test]
    fn one_key_says_what_is_wanted() {
        assert_eq!([Key::Enter, Key::Char(' ')].map(|key| wish(&key)), [Some(true); 2]);
        assert_eq!([Key::Char('q'), Key::CtrlC, Key::Escape].map(|key| wish(&key)), [Some(false); 3]);
        assert_eq!(wish(&Key::Char('x')), None);
    }
}
