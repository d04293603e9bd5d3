//! Operations as pictures show them.

use std::collections::BTreeMap;

use quorate_jepsen::history::{EventKind, Process, Value};

use crate::record::Entry;

/// An operation.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// The client, whatever process it was at the time; none for the reads at the end.
    pub(super) client: Option<usize>,
    /// The process.
    pub(super) process: u64,
    /// The function.
    pub(super) f: String,
    /// The key.
    pub(super) key: String,
    /// The invocation, in seconds.
    pub(super) from: f64,
    /// The completion, in seconds; none if there was none.
    pub(super) to: Option<f64>,
    /// How it ended; `Info` too if it did not.
    pub(super) kind: EventKind,
    /// The argument, or the answer of a read.
    pub(super) value: String,
    /// What went wrong.
    pub(super) error: Option<String>,
}

impl Shown {
    /// Whether it was acknowledged.
    pub(super) fn is_ok(&self) -> bool {
        self.kind == EventKind::Ok
    }

    /// How long it took, in milliseconds.
    pub(super) fn latency_ms(&self) -> Option<f64> {
        self.to.map(|to| (to - self.from) * 1e3)
    }
}

/// All operations of a history of so many clients, in the order of their invocations. From `last_process` on processes
/// are those that read at the end.
pub(super) fn shown(entries: &[Entry], clients: usize, last_process: u64) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut pending: BTreeMap<u64, usize> = BTreeMap::new();
    for Entry { event, error, .. } in entries {
        let Process::Client(process) = event.process else { continue };
        let seconds = event.time as f64 / 1e9;
        if event.kind == EventKind::Invoke {
            pending.insert(process, all.len());
            let key = match &event.key {
                Some(Value::Text(key)) => key.clone(),
                _ => String::new(),
            };
            all.push(Shown {
                client: (process < last_process).then_some(process as usize % clients.max(1)),
                process,
                f: event.f.clone(),
                key,
                from: seconds,
                to: None,
                kind: EventKind::Info,
                value: event.value.to_string(),
                error: None,
            });
        } else if let Some(at) = pending.remove(&process) {
            let shown = &mut all[at];
            (shown.to, shown.kind, shown.error) = (Some(seconds), event.kind, error.clone());
            shown.value = event.value.to_string();
        }
    }
    all
}
