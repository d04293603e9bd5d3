//! What is counted, written to a file each second in Prometheus's text format: for the text-file collector of a node
//! exporter, and for whoever looks.
//!
//! Counters and gauges are written as they stand. Of what would be a histogram the file has the sum and the number:
//! a mean over any time, no quantiles.

#![expect(clippy::disallowed_methods, reason = "a file is written by a thread")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed},
        },
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracing::warn;

/// A file that is kept up to date until this is dropped; then it is removed, as what it says no longer holds.
#[derive(Debug)]
pub(super) struct MetricsFile {
    path: PathBuf,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsFile {
    /// Counts from now on, for the whole process, and writes what was counted to `path`.
    ///
    /// # Errors
    /// If the file cannot be written, or something else in the process counts already.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        let counted = Arc::new(Counted::default());
        metrics::set_global_recorder(Arc::clone(&counted)).map_err(io::Error::other)?;
        counted.write(path)?;
        let (stop, stopped) = mpsc::channel();
        let path = path.to_owned();
        let file = path.clone();
        let thread = thread::Builder::new().name("quorate-metrics".to_owned()).spawn(move || {
            let mut fails = false;
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let written = counted.write(&file);
                if let (Err(error), false) = (&written, fails) {
                    warn!(file = %file.display(), %error, "metrics cannot be written");
                }
                fails = written.is_err();
            }
        })?;
        Ok(Self { path, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for MetricsFile {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It ends in an error only by a panic, which has been told where it happened.
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = fs::remove_file(&self.path);
    }
}

/// Everything that was counted, by name and labels.
#[derive(Debug, Default)]
struct Counted(Mutex<BTreeMap<Key, Metric>>);

#[derive(Debug)]
enum Metric {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<AtomicU64>),
    Summary(Arc<Summary>),
}

/// How many there were, and their sum.
#[derive(Debug, Default)]
struct Summary {
    count: AtomicU64,
    sum: Mutex<f64>,
}

impl HistogramFn for Summary {
    fn record(&self, value: f64) {
        self.count.fetch_add(1, Relaxed);
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner) += value;
    }
}

impl Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.metric(key, || Metric::Counter(Arc::default())) {
            Metric::Counter(counter) => Counter::from_arc(counter),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.metric(key, || Metric::Gauge(Arc::default())) {
            Metric::Gauge(gauge) => Gauge::from_arc(gauge),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.metric(key, || Metric::Summary(Arc::default())) {
            Metric::Summary(summary) => Histogram::from_arc(summary),
            _ => Histogram::noop(),
        }
    }
}

impl Counted {
    /// The metric of that name; one that is of another kind already stays what it is.
    fn metric(&self, key: &Key, fresh: impl FnOnce() -> Metric) -> Metric {
        let mut counted = self.lock();
        if let Some(metric) = counted.get(key) {
            return metric.share();
        }
        let metric = fresh();
        counted.insert(key.clone(), metric.share());
        metric
    }

    /// Whoever reads the file finds all of it, whenever that is.
    fn write(&self, path: &Path) -> io::Result<()> {
        let draft = path.with_extension("draft");
        fs::write(&draft, self.text())?;
        fs::rename(&draft, path)
    }

    fn text(&self) -> String {
        let (mut text, mut named) = (String::new(), String::new());
        // A string takes everything that is written to it.
        for (key, metric) in self.lock().iter() {
            let name = key.name();
            if name != named {
                name.clone_into(&mut named);
                let _ = writeln!(text, "# TYPE {name} {}", metric.kind());
            }
            let labels = labels(key);
            let _ = match metric {
                Metric::Counter(counter) => writeln!(text, "{name}{labels} {}", counter.load(Acquire)),
                Metric::Gauge(gauge) => {
                    writeln!(text, "{name}{labels} {}", f64::from_bits(gauge.load(Acquire)))
                }
                Metric::Summary(summary) => {
                    let sum = *summary.sum.lock().unwrap_or_else(PoisonError::into_inner);
                    let count = summary.count.load(Relaxed);
                    writeln!(text, "{name}_sum{labels} {sum}\n{name}_count{labels} {count}")
                }
            };
        }
        text
    }

    /// No method leaves the map half changed, so one that panicked did no harm.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Metric>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metric {
    fn share(&self) -> Self {
        match self {
            Self::Counter(counter) => Self::Counter(Arc::clone(counter)),
            Self::Gauge(gauge) => Self::Gauge(Arc::clone(gauge)),
            Self::Summary(summary) => Self::Summary(Arc::clone(summary)),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Summary(_) => "summary",
        }
    }
}

fn labels(key: &Key) -> String {
    let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let all: Vec<_> =
        key.labels().map(|label| format!("{}=\"{}\"", label.key(), quote(label.value()))).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

/// How often the file is written.
const EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_what_the_file_says() {
        let counted = Counted::default();
        metrics::with_local_recorder(&counted, || {
            metrics::counter!("b_total", "peer" => "n2", "work" => "re\"pair").increment(3);
            metrics::counter!("b_total", "peer" => "n2", "work" => "re\"pair").increment(4);
            metrics::counter!("b_total", "peer" => "n1", "work" => "x\\\n").increment(1);
            metrics::gauge!("a_seconds").set(1.5);
            metrics::histogram!("c_seconds").record(0.25);
            metrics::histogram!("c_seconds").record(1.0);
            // A name has one kind.
            metrics::counter!("a_seconds").increment(9);
        });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.prom");
        counted.write(&path).unwrap();
        let expected = "# TYPE a_seconds gauge\na_seconds 1.5\n# TYPE b_total counter\n\
             b_total{peer=\"n1\",work=\"x\\\\\\n\"} 1\nb_total{peer=\"n2\",work=\"re\\\"pair\"} 7\n\
             # TYPE c_seconds summary\nc_seconds_sum 1.25\nc_seconds_count 2\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }
}
