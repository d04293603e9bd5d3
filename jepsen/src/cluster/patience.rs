//! Waits for a child process that end even if the child does nothing.

#![expect(clippy::disallowed_methods, reason = "processes run in real time")]

use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdout, ExitStatus};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::stop::Stop;

/// What a child says first, up to the end of a line; empty if it ends without a word.
///
/// # Errors
/// If it says nothing for so long, or `stop` is told meanwhile.
pub(super) fn first_line(output: ChildStdout, patience: Duration, stop: &Stop) -> io::Result<String> {
    let (sender, receiver) = sync_channel(1);
    // It ends with the child, whom the caller kills if this takes too long.
    thread::Builder::new().name("first-line".to_owned()).spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        // Nobody hears what comes too late.
        let _ = sender.send(read.map(|_| line));
    })?;
    let deadline = Instant::now() + patience;
    loop {
        match receiver.recv_timeout(LOOK_EVERY) {
            Ok(line) => return line,
            Err(RecvTimeoutError::Disconnected) => return Ok(String::new()),
            Err(RecvTimeoutError::Timeout) if stop.is_told() => return Err(io::Error::other(Stop::REASON)),
            Err(RecvTimeoutError::Timeout) if Instant::now() >= deadline => {
                let problem = format!("it said nothing for {} s", patience.as_secs_f64());
                return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// How a child ended; `None` if it still runs after so long, or when `stop` is told.
pub(super) fn ended_within(
    child: &mut Child,
    patience: Duration,
    stop: &Stop,
) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    loop {
        let ended = child.try_wait()?;
        if ended.is_some() || Instant::now() >= deadline || stop.is_told() {
            return Ok(ended);
        }
        thread::sleep(LOOK_EVERY);
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(5);
