//! What a run leaves for people to look at.

mod bands;
mod latency;
mod operations;
mod rate;
mod results;
mod svg;
mod timeline;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use quorate_jepsen::history::{Event, Value, write_edn, write_json};

use self::bands::{Band, bands};
use self::operations::{Shown, shown};
pub(crate) use self::results::{counts_by_rule, rules};
use crate::cluster::{make_dir, write};
use crate::judge::split;
use crate::record::Entry;

/// A run as its pictures show it.
pub(crate) struct Report {
    operations: Vec<Shown>,
    bands: Vec<Band>,
    /// When the last event happened, in seconds.
    seconds: f64,
}

impl Report {
    /// Prepares the pictures of a history of so many clients.
    pub(crate) fn new(entries: &[Entry], clients: usize) -> Self {
        let seconds = entries.last().map_or(0.0, |entry| entry.event.time as f64 / 1e9);
        Self { operations: shown(entries, clients), bands: bands(entries, seconds), seconds }
    }

    /// Operations in all, and those that were acknowledged.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.operations.len(), self.operations.iter().filter(|shown| shown.is_ok()).count())
    }

    /// Writes everything but the histories.
    pub(crate) fn write(&self, dir: &Path, results: &serde_json::Value) -> io::Result<()> {
        write(&dir.join("results.json"), format!("{results:#}\n"))?;
        write(&dir.join("timeline.html"), timeline::page(self, results))?;
        write(&dir.join("latency.svg"), latency::picture(self))?;
        write(&dir.join("rate.svg"), rate::picture(self))
    }
}

/// Writes the whole history in EDN and JSON, and one EDN file for each key, which has its clients' events alone.
pub(crate) fn write_histories(dir: &Path, entries: &[Entry]) -> io::Result<()> {
    let events: Vec<Event> = entries.iter().map(|entry| entry.event.clone()).collect();
    write(&dir.join("history.edn"), write_edn(&events))?;
    write(&dir.join("history.json"), write_json(&events)?)?;
    let keys = dir.join("keys");
    make_dir(&keys)?;
    for (key, entries) in split(entries) {
        let of_key = |(index, entry): (usize, &&Entry)| Event {
            index: index as u64,
            key: None,
            ..entry.event.clone()
        };
        let events: Vec<Event> = entries.iter().enumerate().map(of_key).collect();
        write(&keys.join(format!("{key}.edn")), write_edn(&events))?;
    }
    let finals: BTreeMap<String, Vec<String>> = finals(entries);
    write(&dir.join("final-reads.json"), format!("{:#}\n", serde_json::json!(finals)))
}

/// What each replica held of each key at the end.
fn finals(entries: &[Entry]) -> BTreeMap<String, Vec<String>> {
    let mut finals: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Event { process, key, value, .. } in
        entries.iter().map(|entry| &entry.event).filter(|event| event.f == "final-read")
    {
        if let Some(Value::Text(key)) = key {
            finals.entry(key.clone()).or_default().push(format!("{process} {value}"));
        }
    }
    finals
}
