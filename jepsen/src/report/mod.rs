//! What a run leaves for people to look at.

mod bands;
mod elle;
mod latency;
mod operations;
mod rate;
mod results;
mod standing;
mod svg;
mod timeline;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use quorate_jepsen::history::{Event, EventKind, Process, Value, write_edn, write_json};
use serde_json::json;

use self::bands::{Band, bands};
use self::operations::{Shown, shown};
pub(crate) use self::results::{counts_by_rule, rules};
pub(crate) use self::standing::{Standing, standing};
use crate::cluster::{make_dir, write};
use crate::judge::split;
use crate::record::Entry;
use crate::workload::{FINAL_READ, Finals, Held, REPLICA_READ, Workload};

/// What a replica held at the end.
struct HeldAt {
    key: String,
    node: String,
    seconds: f64,
    /// Before anything had repaired it.
    is_before: bool,
    value: String,
}

/// A run as its pictures show it.
pub(crate) struct Report {
    operations: Vec<Shown>,
    bands: Vec<Band>,
    /// What single replicas held.
    held: Vec<HeldAt>,
    /// When the last event happened, in seconds.
    seconds: f64,
}

impl Report {
    /// Prepares the pictures of a history of so many clients; from `last_process` on processes read at the end.
    pub(crate) fn new(entries: &[Entry], clients: usize, last_process: u64) -> Self {
        let seconds = entries.last().map_or(0.0, |entry| entry.event.time as f64 / 1e9);
        Self {
            operations: shown(entries, clients, last_process),
            bands: bands(entries, seconds),
            held: entries.iter().filter_map(held).collect(),
            seconds,
        }
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

/// Writes the whole history in EDN and JSON, one EDN file for each key, which has its clients' events alone, and what
/// each replica held at the end.
pub(crate) fn write_histories(
    dir: &Path,
    workload: Workload,
    entries: &[Entry],
    finals: &Finals,
) -> io::Result<()> {
    let events: Vec<Event> = entries.iter().map(|entry| entry.event.clone()).collect();
    write(&dir.join("history.edn"), write_edn(&events))?;
    write(&dir.join("history.json"), write_json(&events)?)?;
    if elle::takes(workload) {
        let transactions: Vec<Event> = events.iter().filter_map(elle::transaction).collect();
        write(&dir.join("elle.edn"), write_edn(&transactions))?;
    }
    let keys = dir.join("keys");
    make_dir(&keys)?;
    for (key, entries) in split(entries) {
        let of_key = |(index, entry): (usize, &&Entry)| for_knossos(workload, index, &entry.event);
        let events: Vec<Event> = entries.iter().enumerate().map(of_key).collect();
        write(&keys.join(format!("{key}.edn")), write_edn(&events))?;
    }
    let by_node =
        |held: Option<&Held>| -> BTreeMap<String, Value> { held.into_iter().flatten().cloned().collect() };
    let held = |key: &String| json!({ "before_the_last_reads": by_node(finals.before.get(key)), "at_last": by_node(finals.values.get(key)) });
    let finals: BTreeMap<&String, _> = finals.values.keys().map(|key| (key, held(key))).collect();
    write(&dir.join("final-reads.json"), format!("{:#}\n", json!(finals)))
}

/// An event of one key as Jepsen's register and set models read it. They know no deletes, and take a read of nil for
/// one whose answer is not known: so a register that is empty holds `:absent`, and to delete is to write that.
fn for_knossos(workload: Workload, index: usize, event: &Event) -> Event {
    let mut event = Event { index: index as u64, key: None, ..event.clone() };
    let is_answer = event.f == "read" && event.kind == EventKind::Ok;
    let is_delete = event.f == "delete";
    if workload != Workload::SiblingsSet && event.value == Value::Nil && (is_answer || is_delete) {
        event.value = Value::Keyword("absent".to_owned());
    }
    if is_delete {
        event.f = "write".to_owned();
    }
    event
}

fn held(entry: &Entry) -> Option<HeldAt> {
    let Event { process, f, key, value, time, .. } = &entry.event;
    let (Process::Named(node), Some(Value::Text(key))) = (process, key) else { return None };
    if f != REPLICA_READ && f != FINAL_READ {
        return None;
    }
    Some(HeldAt {
        key: key.clone(),
        node: node.clone(),
        seconds: *time as f64 / 1e9,
        is_before: f == REPLICA_READ,
        value: value.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use quorate_jepsen::checker::Linearizable;
    use quorate_jepsen::checker::linearizable::Register;
    use quorate_jepsen::history::{KeyPlace, NilRead, operations, read_edn, register};

    use super::*;

    #[test]
    fn a_register_model_without_deletes_reads_a_keys_file() {
        let event = |kind, f: &str, value| Event {
            index: 0,
            kind,
            process: Process::Client(0),
            time: 0,
            f: f.to_owned(),
            key: Some(Value::Text("k".to_owned())),
            value,
        };
        let history = |last| {
            let steps =
                [("read", Value::Nil), ("write", Value::Integer(1)), ("delete", Value::Nil), ("read", last)];
            let both = |(f, value): (&str, Value)| {
                let asked = if f == "read" { Value::Nil } else { value.clone() };
                [event(EventKind::Invoke, f, asked), event(EventKind::Ok, f, value)]
            };
            let events: Vec<Event> = steps.into_iter().flat_map(both).collect();
            let of_key = |(at, event): (usize, &Event)| for_knossos(Workload::Delete, at, event);
            write_edn(&events.iter().enumerate().map(of_key).collect::<Vec<_>>())
        };
        for (last, is_valid) in [(Value::Nil, true), (Value::Integer(1), false)] {
            let text = history(last);
            assert!(!text.contains("delete") && !text.contains(":key"), "{text}");
            let events = read_edn(text.as_bytes()).unwrap();
            // As Knossos does it: a read of nil says nothing.
            let operations = operations(&events, KeyPlace::Field).unwrap();
            let operations = register(&operations, NilRead::Unknown).unwrap();
            let initial = Value::Keyword("absent".to_owned());
            let verdict = Linearizable::default().check(&Register::new(initial), &operations);
            assert_eq!(verdict.is_valid(), is_valid, "{text}{verdict}");
        }
    }
}
