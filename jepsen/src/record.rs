//! What happened, as it happens: the history of a run.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use quorate::ring::Tag;
use quorate_jepsen::history::{Event, EventKind, Process, Value};

/// Takes events in from all sides and puts them in one order.
pub(crate) struct Recorder {
    began: Instant,
    entries: Mutex<Vec<Entry>>,
}

/// An event, and what the history's format has no place for.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The event.
    pub(crate) event: Event,
    /// What its receipt told.
    pub(crate) seen: Seen,
    /// What went wrong.
    pub(crate) error: Option<String>,
}

/// What a receipt told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// The version that was written or read.
    pub(crate) tag: Option<Tag>,
    /// The node that coordinated, by its number in the ring.
    pub(crate) coordinator: Option<u64>,
    /// Whether that node is a replica of the key.
    pub(crate) at_replica: bool,
}

/// An event about to be recorded.
pub(crate) struct Happening<'a> {
    pub(crate) kind: EventKind,
    pub(crate) process: Process,
    pub(crate) f: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) value: Value,
    pub(crate) seen: Seen,
    pub(crate) error: Option<String>,
}

impl Recorder {
    /// A recorder whose time begins now.
    #[expect(clippy::disallowed_methods, reason = "a history has real times")]
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), entries: Mutex::default() }
    }

    /// How long the run has been going on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Records an event. Its time is taken under the lock, so that times ascend in the order of events.
    pub(crate) fn record(&self, happening: Happening<'_>) {
        let Happening { kind, process, f, key, value, seen, error } = happening;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let time = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let key = key.map(|key| Value::Text(key.to_owned()));
        let event = Event { index: entries.len() as u64, kind, process, time, f: f.to_owned(), key, value };
        entries.push(Entry { event, seen, error });
    }

    /// Records what a nemesis does.
    pub(crate) fn nemesis(&self, f: &str, value: Value) {
        let process = Process::Named("nemesis".to_owned());
        let kind = EventKind::Info;
        self.record(Happening { kind, process, f, key: None, value, seen: Seen::default(), error: None });
    }

    /// Everything so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
