//! Every metric under its name, for Prometheus.

use std::io;

use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::catalogue::{Kind, METRICS, Metric};

/// Counts from now on, for the whole process, which is the node of that name.
///
/// # Errors
/// If something else in the process counts already.
pub(in crate::runtime) fn count(node: &str) -> io::Result<PrometheusHandle> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| io::Error::other(error.to_string()))?;
    describe();
    gauge!("quorate_info", "node" => node.to_owned(), "version" => env!("CARGO_PKG_VERSION")).set(1);
    Ok(handle)
}

/// What counts, with the bounds of every histogram.
pub(super) fn recorder() -> io::Result<PrometheusRecorder> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(bounds) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, bounds).map_err(io::Error::other)?;
        }
    }
    Ok(builder.build_recorder())
}

/// Says of every metric what it says.
pub(super) fn describe() {
    for Metric { name, kind, unit, help, .. } in METRICS {
        match kind {
            Kind::Counter => describe_counter!(*name, *unit, *help),
            Kind::Gauge => describe_gauge!(*name, *unit, *help),
            Kind::Histogram(_) => describe_histogram!(*name, *unit, *help),
        }
    }
}
