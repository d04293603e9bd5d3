//! The shell on a terminal, through a pseudo-terminal: what a person types and sees.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use super::{CREATE, INSERT, command};

#[test]
fn lines_pasted_into_a_terminal_are_all_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.types(&format!("{CREATE}\r{INSERT}\rSELECT value FROM\r t WHERE key = 'a';\rEXIT\r"));
    for shown in ["table t created", "written", "1 row"] {
        terminal.shows(shown);
    }
    terminal.ends();
}

#[test]
fn tab_completes_words_tables_and_columns() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks(&format!("{CREATE}\r"), "table t created");
    // The names of tables are asked for while a person types: until one is there, Tab offers nothing.
    terminal.types("ins\tin\t");
    // Its name stands after a coloured word.
    terminal.completes("\u{1b}[0m t ");
    terminal.asks("(k\t, v\t) val\t('tab', 'x');\r", "written");
    terminal.asks("SELECT WR\t FROM t WHERE key = 'tab';\r", "1 row");
    terminal.types("CONSISTENCY \t\t");
    terminal.shows("QUORUM   ALL");
    // Ctrl-C gives up the line, Ctrl-D ends the shell.
    terminal.types("\u{3}");
    terminal.prompts();
    terminal.types("\u{4}");
    let screen = terminal.ends();
    assert!(screen.contains("writetime(value)"), "{screen}");
}

#[test]
fn tab_completes_what_stands_in_open_quotes() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("schema.cql"), CREATE).unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks("SOURCE 'sch\t\r", "table t created");
    terminal.asks("ALTER TABLE t WITH read_consistency = 'quo\t;\r", "table t altered");
    terminal.types("\u{4}");
    terminal.ends();
}

#[test]
fn rows_stand_by_themselves_and_times_are_told_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks(&format!("{CREATE}\r"), "table t created");
    terminal.asks(&format!("{INSERT}\r"), "written");
    terminal.asks("EXPAND ON\r", "expand on");
    terminal.asks("TIMING ON\r", "timing on");
    terminal.asks("SELECT * FROM t;\r", "-[ row 1 ]-\r\nkey   | a\r\nvalue | b\r\n1 row\r\ntime: ");
    terminal.asks("EXPAND OFF\r", "expand off");
    terminal.asks("SELECT * FROM t;\r", "│ a   ┆ b     │");
    terminal.asks("TIMING OFF\r", "timing off\r\n");
    terminal.types("EXIT\r");
    terminal.ends();
}

#[test]
fn a_whole_statement_comes_back_from_the_history_of_an_earlier_shell() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.asks("SELECT 7\rFROM;\r", "found number 7");
    terminal.types("EXIT\r");
    terminal.ends();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    // EXIT, then what was before it: both of its lines, for the error is in the first.
    terminal.types("\u{1b}[A\u{1b}[A");
    terminal.shows("FROM;");
    terminal.asks("\r", "found number 7");
    terminal.types("\u{4}");
    terminal.ends();
}

#[test]
fn what_begins_no_statement_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    for (typed, meant) in [("SELEC", "did you mean SELECT?"), ("exot", "did you mean EXIT?"), ("}", "")] {
        terminal.types(&format!("{typed}\r"));
        let carets = "^".repeat(typed.len());
        terminal.shows(&format!("at line 1, column 1:\r\n    {typed}\r\n    {carets}\r\n{meant}"));
        terminal.prompts();
    }
    // Nothing of it is left; and within a text there may be anything.
    terminal.asks(&format!("{CREATE}\r"), "table t created");
    terminal.asks("INSERT INTO t (key, value) VALUES ('a', '\rexot\rSELEC\r');\r", "written");
    terminal.types("\\q\r");
    terminal.ends();
}

#[test]
fn colours_are_for_those_who_want_them() {
    let dir = tempfile::tempdir().unwrap();
    let line = "SELECT value FROM nothing WHERE key = 'é' -- x\r;\rEXIT\r";
    let mut terminal = Terminal::with_shell(dir.path(), &[]);
    terminal.types(line);
    let screen = terminal.ends();
    for colored in [
        "\u{1b}[1;34mSELECT\u{1b}[0m",
        "\u{1b}[32m'é'\u{1b}[0m",
        "\u{1b}[2m-- x\u{1b}[0m",
        "\u{1b}[31merror:",
    ] {
        assert!(screen.contains(colored), "{colored:?}: {screen:?}");
    }
    let mut terminal = Terminal::with_shell(dir.path(), &[("NO_COLOR", "1")]);
    terminal.types(line);
    let screen = terminal.ends();
    assert!(screen.contains("unknown table 'nothing'") && !screen.contains("\u{1b}[1;34m"), "{screen:?}");
    assert!(
        ["\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m"].iter().all(|color| !screen.contains(color)),
        "{screen:?}"
    );
}

/// A shell and the screen that it writes to.
struct Terminal {
    shell: Child,
    keyboard: fs::File,
    output: Receiver<Vec<u8>>,
    /// Everything so far.
    seen: Vec<u8>,
    /// How much of it was waited for.
    passed: usize,
}

impl Terminal {
    /// A demo of one node, which has shown its prompt: before, the terminal is not the shell's yet.
    fn with_shell(home: &Path, variables: &[(&str, &str)]) -> Self {
        let size = nix::pty::Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(Some(&size), None).unwrap();
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut command = command(home, &["demo", "--nodes", "1"]);
        command.env_remove("NO_COLOR").env("XDG_STATE_HOME", home).env("TERM", "xterm");
        command.envs(variables.iter().copied()).stdin(side()).stdout(side()).stderr(side());
        let shell = command.spawn().unwrap();
        // The last open copies of the shell's side are its own.
        drop(command);
        drop(pty.slave);
        let keyboard = fs::File::from(pty.master);
        let mut screen = keyboard.try_clone().unwrap();
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // A terminal whose other side is gone is at its end with an error.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut terminal = Self { shell, keyboard, output, seen: Vec::new(), passed: 0 };
        terminal.prompts();
        terminal
    }

    /// Waits until the shell reads keys itself: what is typed before goes through the terminal, which ends input at
    /// Ctrl-D and interrupts at Ctrl-C.
    fn prompts(&mut self) {
        self.shows(BRACKETED_PASTE);
    }

    /// Types, waits for an answer and for the next prompt.
    fn asks(&mut self, keys: &str, answer: &str) {
        self.types(keys);
        self.shows(answer);
        self.prompts();
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Presses Tab now and then until the screen has shown `text`.
    fn completes(&mut self, text: &str) {
        for _ in 0..PATIENCE.as_millis() / TAB_EVERY.as_millis() {
            self.types("\t");
            while let Ok(bytes) = self.output.recv_timeout(TAB_EVERY) {
                self.seen.extend(bytes);
            }
            if self.seen[self.passed..].windows(text.len()).any(|shown| shown == text.as_bytes()) {
                return;
            }
        }
        panic!("never completed: {text:?} in {:?}", String::from_utf8_lossy(&self.seen[self.passed..]));
    }

    /// Waits until the screen has shown `text`, after what was waited for before.
    fn shows(&mut self, text: &str) {
        loop {
            let rest = &self.seen[self.passed..];
            if let Some(at) = rest.windows(text.len()).position(|shown| shown == text.as_bytes()) {
                self.passed += at + text.len();
                return;
            }
            match self.output.recv_timeout(PATIENCE) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(_) => panic!("never shown: {text:?} in {:?}", String::from_utf8_lossy(rest)),
            }
        }
    }

    /// Waits for the shell to end, without an error; gives all that was shown.
    fn ends(mut self) -> String {
        let end = loop {
            match self.output.recv_timeout(PATIENCE) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(end) => break end,
            }
        };
        let screen = String::from_utf8_lossy(&self.seen).into_owned();
        assert_eq!(end, RecvTimeoutError::Disconnected, "the shell goes on: {screen:?}");
        assert!(self.shell.wait().unwrap().success(), "{screen}");
        screen
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// What the line editor asks a terminal for when it begins to read.
const BRACKETED_PASTE: &str = "\u{1b}[?2004h";
const TAB_EVERY: Duration = Duration::from_millis(100);
/// A shell that shows nothing for so long shows nothing any more.
const PATIENCE: Duration = Duration::from_secs(60);
