//! Metrics whose series come and go with tables and ranges. What was counted once is shown until the process ends: of a table
//! that was dropped the last value would stay, and look well. So these are put together for one answer, and forgotten with it.

use metrics::gauge;
use metrics_exporter_prometheus::PrometheusBuilder;
use quorate_ring::{Duration, NodeId};

use super::export::describe;
use crate::repair::{AgreementAges, Oldest};

/// How long ago replicas agreed, as Prometheus's text; that nobody knows, without any.
pub(in crate::runtime) fn render_ages(ages: Option<&AgreementAges>) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        describe();
        let by_table = ages.map(|ages| ages.by_table.left_out);
        let by_range = ages.map(|ages| ages.by_range.left_out);
        for (metric, left_out) in [
            ("quorate_repair_agreed_seconds_ago", by_table),
            ("quorate_repair_range_agreed_seconds_ago", by_range),
        ] {
            let left_out = left_out.map_or(f64::NAN, |left_out| left_out as f64);
            gauge!("quorate_series_left_out", "metric" => metric).set(left_out);
        }
        ages.into_iter().for_each(set);
    });
    recorder.handle().render()
}

fn set(AgreementAges { by_table, by_range }: &AgreementAges) {
    let Oldest { kept, .. } = by_table;
    for ((peer, table), age) in kept {
        let labels = [("peer", peer.to_string()), ("table", table.to_string())];
        gauge!("quorate_repair_agreed_seconds_ago", &labels).set(seconds(*age));
    }
    let Oldest { kept, .. } = by_range;
    for ((peer, table, replicas), age) in kept {
        let range = replicas.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",");
        let labels = [("peer", peer.to_string()), ("table", table.to_string()), ("range", range)];
        gauge!("quorate_repair_range_agreed_seconds_ago", &labels).set(seconds(*age));
    }
}

fn seconds(age: Option<Duration>) -> f64 {
    age.map_or(f64::NAN, |age| age.as_millis() as f64 / 1e3)
}
