//! WAIT FOR: until what was missed is made up for.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Console, ShellError};
use crate::{
    client::{Client, Waiting},
    cql::{Wait, WaitFor},
};

/// Waits as a statement says.
///
/// # Errors
/// [`ShellError::StillWaiting`] if that takes longer than the statement allows.
pub(super) async fn wait(client: &Client, wait: Wait, console: &Console) -> Result<(), ShellError> {
    let mut progress = Progress::new(*console);
    let waited = async {
        let report = |waiting: &Waiting| progress.report(waiting);
        match wait.what {
            WaitFor::Hints => client.wait_for_hints(report).await,
            WaitFor::Convergence => client.wait_for_convergence(report).await,
        }
    };
    // A deadline that no clock will show is none.
    let deadline = wait.timeout.and_then(|limit| Some((limit, Instant::now().checked_add(limit)?)));
    match deadline {
        None => waited.await,
        Some((timeout, at)) => {
            if timeout_at(at, waited).await.is_err() {
                return Err(ShellError::StillWaiting { timeout, left: progress.last });
            }
        }
    }
    console.confirm(match wait.what {
        WaitFor::Hints => "no node keeps hints",
        WaitFor::Convergence => "every replica holds what any held when this began",
    });
    Ok(())
}

/// Tells on standard error what is waited for: at once nothing, then every few seconds.
#[derive(Debug)]
pub struct Progress {
    console: Console,
    tell_at: Instant,
    last: String,
}

impl Progress {
    /// Nothing was told yet.
    pub fn new(console: Console) -> Self {
        Self { console, tell_at: Instant::now() + TELL_AFTER, last: "no node has answered yet".to_owned() }
    }

    /// What is waited for, as of the last look.
    pub fn last(&self) -> &str {
        &self.last
    }

    /// It was looked again.
    pub fn report(&mut self, waiting: &Waiting) {
        self.last = waiting.to_string();
        if Instant::now() >= self.tell_at && !waiting.is_over() {
            self.tell_at = Instant::now() + TELL_EVERY;
            self.console.note(format_args!("waiting: {}", self.last));
        }
    }
}

const TELL_AFTER: Duration = Duration::from_secs(2);
const TELL_EVERY: Duration = Duration::from_secs(5);
