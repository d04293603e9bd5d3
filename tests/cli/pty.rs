//! A program on a pseudo-terminal.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use nix::sys::termios::{LocalFlags, tcgetattr};

use super::command;

/// A shell and the screen that it writes to.
pub(super) struct Terminal {
    shell: Child,
    keyboard: fs::File,
    output: Receiver<Vec<u8>>,
    /// Everything so far.
    seen: Vec<u8>,
    /// How much of it was waited for.
    passed: usize,
}

impl Terminal {
    /// A demo of one node, which has shown its prompt.
    pub(super) fn with_shell(home: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = command(home, &["demo", "--nodes", "1"]);
        command.env("XDG_STATE_HOME", home).envs(variables.iter().copied());
        Self::start(command, None)
    }

    /// A shell that has shown its prompt: before, the terminal is not the shell's yet. Its standard error goes to the terminal
    /// unless it is to go elsewhere.
    pub(super) fn start(command: Command, stderr: Option<fs::File>) -> Self {
        Self::start_sized(command, stderr, (40, 100))
    }

    /// The same on a terminal of so many lines and columns.
    pub(super) fn start_sized(
        mut command: Command,
        stderr: Option<fs::File>,
        (lines, columns): (u16, u16),
    ) -> Self {
        let size = nix::pty::Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(Some(&size), None).unwrap();
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        command
            .env("TERM", "xterm")
            .stdin(side())
            .stdout(side())
            .stderr(stderr.map_or_else(side, Stdio::from));
        if !command.get_envs().any(|(name, _)| name == "NO_COLOR") {
            command.env_remove("NO_COLOR");
        }
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
    pub(super) fn prompts(&mut self) {
        self.shows(BRACKETED_PASTE);
    }

    /// Types, waits for an answer and for the next prompt.
    pub(super) fn asks(&mut self, keys: &str, answer: &str) {
        self.types(keys);
        self.shows(answer);
        self.prompts();
    }

    pub(super) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Does what Ctrl-C does while a statement is carried out: the terminal is the shell's, but not this session's.
    pub(super) fn interrupts(&self) {
        let pid = self.shell.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }

    /// Whether a key that is pressed now goes to the program at once, and is nothing but a key to the terminal.
    pub(super) fn hands_over_keys(&self) -> bool {
        let modes = tcgetattr(&self.keyboard).unwrap().local_flags;
        !modes.intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// Presses Tab now and then until the screen has shown `text`.
    pub(super) fn completes(&mut self, text: &str) {
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
    pub(super) fn shows(&mut self, text: &str) {
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

    /// Everything that was shown so far.
    pub(super) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Waits for the shell to end, without an error; gives all that was shown.
    pub(super) fn ends(mut self) -> String {
        let end = loop {
            match self.output.recv_timeout(PATIENCE) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(end) => break end,
            }
        };
        let screen = self.screen();
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
