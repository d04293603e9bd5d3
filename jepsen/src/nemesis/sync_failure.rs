//! A node whose sync fails must end by itself, and say why (rule S2): from outside that can be seen.

use std::process::ExitStatus;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::cluster::{Process, node_name};

/// What becomes of a node that was given a disk whose syncs fail.
pub(crate) struct SyncFailure {
    node: usize,
    /// In which of its lives.
    life: u64,
    /// How long its log was before.
    log_from: u64,
    /// When it was seen to run on after its sync had failed.
    runs_on_since: Option<Duration>,
    has_ended: bool,
}

/// What is known so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It may still end by itself.
    Pending,
    /// It has, or somebody else has ended it.
    Over,
    /// It runs on, and should not.
    Wrong(String),
}

impl SyncFailure {
    /// One that begins now; the process must not be touched before it has got the fault.
    pub(super) fn of(node: usize, process: &Process) -> Self {
        let (life, log_from) = (life(process), process.log_bytes());
        Self { node, life, log_from, runs_on_since: None, has_ended: !process.is_up() }
    }

    /// The node, from 0.
    pub(super) fn node(&self) -> usize {
        self.node
    }

    /// Whether the node is in the same life as when the fault began, and runs.
    pub(super) fn is_pending(&self, process: &Process) -> bool {
        !self.has_ended && process.is_up() && self.life == life(process)
    }

    /// What the end of a node means; `None` if that is no matter of this fault.
    ///
    /// # Errors
    /// If it ended otherwise than a node should whose sync has failed.
    pub(super) fn explains(
        &mut self,
        node: usize,
        process: &Process,
        status: ExitStatus,
    ) -> Option<Result<String, String>> {
        if node != self.node || self.has_ended || self.life != life(process) {
            return None;
        }
        self.has_ended = true;
        let said = process.log_from(self.log_from).unwrap_or_default();
        let name = node_name(node);
        let told = said.contains(SYNC_FAILS) && said.contains(STOPS_ITSELF);
        Some(if told && status.code() == Some(EXIT_CODE) {
            Ok(format!("{name} after its sync had failed: {status}"))
        } else {
            let log = process.log();
            let lacks = if told { "" } else { " and without giving its failed sync as the reason" };
            Err(format!("{name} ended with {status}{lacks} when its sync failed; see {}", log.display()))
        })
    }

    /// How things stand `now`. A node that was given nothing to sync until `give_up` has not failed.
    pub(super) fn progress(&mut self, process: &Process, now: Duration, give_up: Duration) -> Progress {
        if !self.is_pending(process) {
            return Progress::Over;
        }
        let has_failed = process.log_from(self.log_from).is_ok_and(|said| said.contains(SYNC_FAILS));
        if !has_failed {
            return if now < give_up { Progress::Pending } else { Progress::Over };
        }
        if process.is_paused() {
            self.runs_on_since = None;
            return Progress::Pending;
        }
        let since = *self.runs_on_since.get_or_insert(now);
        if now - since <= ENDS_WITHIN {
            return Progress::Pending;
        }
        let (name, log, patience) = (node_name(self.node), process.log(), ENDS_WITHIN.as_secs());
        Progress::Wrong(format!(
            "{name} still runs {patience} s after its sync failed (rule S2); see {}",
            log.display()
        ))
    }
}

fn life(process: &Process) -> u64 {
    process.lives().load(Relaxed)
}

/// What a node says of a sync that was made to fail,
const SYNC_FAILS: &str = "QUORATE_TEST_FAULTS lets the sync fail";
/// and then of itself,
const STOPS_ITSELF: &str = "the node stops itself";
/// and how it ends,
const EXIT_CODE: i32 = 1;
/// within this time: it closes its connections first.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::Stop;

    const LATE: Duration = Duration::from_secs(30);

    /// A node that listens, and once it is told to goes on with `script`.
    fn node(dir: &std::path::Path, script: &str) -> Process {
        let script = format!("echo listening; until [ -e go ]; do sleep 0.01; done; {script}");
        let command = ["sh", "-c", &script].map(String::from).to_vec();
        let mut process = Process::new("n1".to_owned(), dir.to_owned(), command, Stop::default());
        process.start().unwrap();
        process
    }

    fn go(dir: &std::path::Path) {
        crate::cluster::write(&dir.join("go"), "").unwrap();
    }

    fn end(process: &mut Process) -> ExitStatus {
        loop {
            if let Some(status) = process.ended() {
                return status;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_node_ends_by_itself_and_says_why() {
        let says = format!("echo '{SYNC_FAILS}: {STOPS_ITSELF}' >&2");
        for (script, is_right) in [
            (format!("{says}; exit 1"), true),
            (format!("{says}; exit 0"), false),
            (format!("{says}; kill -9 $$"), false),
            (format!("echo '{STOPS_ITSELF}' >&2; exit 1"), false),
            ("exit 1".to_owned(), false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let mut process = node(dir.path(), &script);
            let mut failure = SyncFailure::of(0, &process);
            go(dir.path());
            let status = end(&mut process);
            assert!(failure.explains(1, &process, status).is_none(), "another node");
            let explained = failure.explains(0, &process, status).unwrap();
            assert_eq!(explained.is_ok(), is_right, "{script}: {explained:?}");
            assert!(failure.explains(0, &process, status).is_none(), "it ends once");
            assert_eq!(failure.progress(&process, LATE, LATE), Progress::Over);
        }
    }

    #[test]
    fn a_node_that_runs_on_is_wrong_once_its_sync_has_failed() {
        let dir = tempfile::tempdir().unwrap();
        let mut process =
            node(dir.path(), &format!("echo '{SYNC_FAILS}' >&2; exec cat /dev/zero >/dev/null"));
        let mut failure = SyncFailure::of(0, &process);
        let second = Duration::from_secs;
        assert_eq!(failure.progress(&process, second(1), second(9)), Progress::Pending);
        assert_eq!(failure.progress(&process, second(9), second(9)), Progress::Over, "nothing to sync");
        go(dir.path());
        while !process.log_from(0).unwrap().contains(SYNC_FAILS) {
            std::thread::yield_now();
        }
        assert_eq!(failure.progress(&process, second(10), second(9)), Progress::Pending);
        process.pause();
        assert_eq!(failure.progress(&process, second(40), second(9)), Progress::Pending, "it cannot end");
        process.resume();
        assert_eq!(failure.progress(&process, second(40), second(9)), Progress::Pending);
        assert!(matches!(failure.progress(&process, second(51), second(9)), Progress::Wrong(_)));
        process.down();
        process.up().unwrap();
        assert_eq!(failure.progress(&process, second(60), second(9)), Progress::Over, "another life");
    }
}
