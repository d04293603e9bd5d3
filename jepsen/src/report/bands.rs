//! Faults as bands behind a picture.

use std::collections::BTreeMap;

use quorate_jepsen::history::{Process, Value};

use crate::record::Entry;

/// A fault from its beginning to its end.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Band {
    /// The nemesis.
    pub(super) nemesis: String,
    /// What it did.
    pub(super) label: String,
    /// In seconds.
    pub(super) from: f64,
    /// In seconds.
    pub(super) to: f64,
}

/// The bands of a history that ends after `seconds`, in the order in which they begin.
pub(super) fn bands(entries: &[Entry], seconds: f64) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for event in entries.iter().map(|entry| &entry.event) {
        if event.process != Process::Named("nemesis".to_owned()) {
            continue;
        }
        let from = event.time as f64 / 1e9;
        let label = match &event.value {
            Value::Text(label) => label.clone(),
            other => other.to_string(),
        };
        if let Some(nemesis) = event.f.strip_prefix("start-") {
            open.insert(nemesis.to_owned(), bands.len());
            bands.push(Band { nemesis: nemesis.to_owned(), label, from, to: seconds });
        } else if let Some(at) = event.f.strip_prefix("stop-").and_then(|nemesis| open.remove(nemesis)) {
            bands[at].to = from;
        } else {
            bands.push(Band { nemesis: event.f.clone(), label, from, to: (from + 0.2).min(seconds) });
        }
    }
    bands
}

/// Which nemeses there are, in the order in which they strike first, each with its colour.
pub(super) fn lanes(bands: &[Band]) -> Vec<(&str, &'static str)> {
    let mut names: Vec<&str> = Vec::new();
    for band in bands {
        if !names.contains(&band.nemesis.as_str()) {
            names.push(&band.nemesis);
        }
    }
    names.into_iter().zip(COLOURS.iter().copied().cycle()).collect()
}

/// Light enough that points on them stand out.
const COLOURS: [&str; 6] = ["#f2a49b", "#b9a3e3", "#8fcf9f", "#f3cf7a", "#8cc6e8", "#c9c2b5"];
