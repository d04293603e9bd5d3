//! What a run has shown, for people and for programs.

use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

use serde_json::{Value, json};

use quorate::{
    cql::render::{Cell, Grid},
    units::{grouped, rounded_bytes_text},
};

use super::{
    keys::Choice,
    tally::{Latencies, Tally, corrected},
};
use crate::args::Bench;

/// Everything that is told of a run.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) asked: &'a Bench,
    pub(super) choice: Choice,
    pub(super) tally: &'a Tally,
    pub(super) seconds: f64,
    pub(super) costs: Costs,
}

/// What the machine gave for it; none of what cannot be seen, as of nodes elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Costs {
    /// CPU time of all nodes together.
    pub(super) server_cpu_micros: Option<u64>,
    /// CPU time of this process.
    pub(super) client_cpu_micros: Option<u64>,
    /// Of the node that has most.
    pub(super) resident_bytes: Option<u64>,
}

impl Report<'_> {
    /// One row, whose columns programs know by name.
    pub(super) fn grid(&self) -> Grid {
        let figures = self.figures();
        let mut grid = Grid::new(&figures.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        let cell = |value: &Value| match value {
            Value::Null => Cell::Null,
            Value::String(text) => Cell::Text(text.clone()),
            value => Cell::Text(value.to_string()),
        };
        grid.push(figures.iter().map(|(_, value)| cell(value)).collect());
        grid
    }

    /// The same as one JSON object, with the figures of each kind of operation and every error.
    pub(super) fn json(&self) -> Value {
        let figures = self.figures().into_iter().map(|(name, value)| (name.to_owned(), value));
        let mut object: serde_json::Map<_, _> = figures.collect();
        let kinds = self.tally.kinds().map(|(operation, histogram)| {
            let Latencies { p50, p99, p999, max } = self.latencies(histogram);
            let figures = json!({
                "ops_per_s": rounded(histogram.len() as f64 / self.seconds),
                "p50_ms": p50, "p99_ms": p99, "p999_ms": p999, "max_ms": max,
            });
            (operation.name().to_owned(), figures)
        });
        object.insert("operations".to_owned(), kinds.collect::<serde_json::Map<_, _>>().into());
        object.insert("errors_by_kind".to_owned(), json!(self.tally.errors_by_kind()));
        object.into()
    }

    fn figures(&self) -> Vec<(&'static str, Value)> {
        let all = self.tally.all();
        let Latencies { p50, p99, p999, max } = self.latencies(&all);
        let uncorrected = Latencies::of(&all);
        // Of no operation it is not 0: nothing is faster.
        let ms = |latency: f64| json!((!all.is_empty()).then_some(latency));
        let Bench { workload, table_kind, consistency, value_size, keys, clients, rate, .. } = self.asked;
        vec![
            ("ops_per_s", json!(self.rate())),
            ("p50_ms", ms(p50)),
            ("p99_ms", ms(p99)),
            ("p999_ms", ms(p999)),
            ("max_ms", ms(max)),
            ("errors", json!(self.tally.errors.values().sum::<u64>())),
            ("server_cpu_us_per_op", json!(self.each(self.costs.server_cpu_micros))),
            ("client_cpu_us_per_op", json!(self.each(self.costs.client_cpu_micros))),
            ("rss_mb", json!(self.costs.resident_bytes.map(|bytes| rounded(bytes as f64 / 1e6)))),
            ("uncorrected_p99_ms", ms(uncorrected.p99)),
            ("uncorrected_p999_ms", ms(uncorrected.p999)),
            ("verified", json!(self.tally.verified)),
            ("wrong", json!(self.tally.wrong.len())),
            ("workload", json!(workload.to_string())),
            ("table_kind", json!(table_kind.to_string())),
            ("consistency", json!(consistency.to_string())),
            ("value_bytes", json!(value_size)),
            ("keys", json!(keys)),
            ("clients", json!(rate.is_none().then_some(clients))),
            ("rate_per_s", json!(rate)),
            ("seconds", json!(rounded(self.seconds))),
            ("begun_late_max_ms", json!(rate.map(|_| rounded(self.tally.begun_late.as_secs_f64() * 1e3)))),
        ]
    }

    /// Of a closed loop with what its clients did not ask while they waited; of an open one as they are.
    fn latencies(&self, histogram: &hdrhistogram::Histogram<u64>) -> Latencies {
        match self.asked.rate {
            None => Latencies::of(&corrected(histogram)),
            Some(_) => Latencies::of(histogram),
        }
    }

    fn rate(&self) -> f64 {
        rounded(self.tally.count() as f64 / self.seconds)
    }

    fn each(&self, micros: Option<u64>) -> Option<f64> {
        let count = self.tally.count();
        micros.filter(|_| count > 0).map(|micros| rounded(micros as f64 / count as f64))
    }

    /// What was asked for, on one line.
    pub(super) fn title(&self) -> String {
        let Bench { workload, table_kind, consistency, value_size, keys, clients, rate, .. } = self.asked;
        let mix: Vec<_> = workload
            .mix()
            .iter()
            .map(|(operation, share)| format!("{share} % {}", operation.name()))
            .collect();
        let asked = match rate {
            None => format!("{clients} clients, closed loop"),
            Some(rate) => format!("{} a second, open loop", grouped(*rate as u64)),
        };
        let choice = match self.choice {
            Choice::Uniform => "uniform",
            Choice::Zipfian => "zipfian",
            Choice::Latest => "latest",
        };
        format!(
            "{workload} ({}), {table_kind} at {consistency}, {asked}, {} {choice} keys of {value_size} B",
            mix.join(", "),
            grouped(*keys)
        )
    }
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title())?;
        writeln!(
            f,
            "{:<9}{:>12}{:>10}{:>10}{:>10}{:>10}",
            "", "ops/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms"
        )?;
        let mut line = |name: &str, histogram: &hdrhistogram::Histogram<u64>| {
            let Latencies { p50, p99, p999, max } = self.latencies(histogram);
            let rate = grouped((histogram.len() as f64 / self.seconds).round() as u64);
            writeln!(f, "{name:<9}{rate:>12}{p50:>10.2}{p99:>10.2}{p999:>10.2}{max:>10.2}")
        };
        for (operation, histogram) in self.tally.kinds() {
            line(operation.name(), histogram)?;
        }
        if self.tally.kinds().count() != 1 {
            line("all", &self.tally.all())?;
        }
        let part = |what: Option<f64>, of: &str| what.map(|us| format!("{us:.1} us CPU of {of} for each"));
        let memory = self.costs.resident_bytes.map(|bytes| format!("{} resident", rounded_bytes_text(bytes)));
        let parts = [
            part(self.each(self.costs.server_cpu_micros), "all nodes"),
            part(self.each(self.costs.client_cpu_micros), "the clients"),
            memory,
        ];
        writeln!(f, "{}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))?;
        for ((_, error), count) in &self.tally.errors {
            writeln!(f, "failed {}: {error}", grouped(*count))?;
        }
        if self.tally.begun_late > LATE {
            let late = grouped(self.tally.begun_late.as_millis() as u64);
            writeln!(
                f,
                "operations began up to {late} ms late: this machine cannot ask so often, and measures itself"
            )?;
        }
        write!(f, "{} answers verified, ", grouped(self.tally.verified))?;
        match self.tally.wrong.len() {
            0 => write!(f, "none wrong"),
            wrong => write!(f, "{} WRONG", grouped(wrong as u64)),
        }
    }
}

/// Operations of an open loop that begin later than this say more of whoever asks than of those that are asked.
const LATE: Duration = Duration::from_millis(50);

/// To two digits behind the point.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
