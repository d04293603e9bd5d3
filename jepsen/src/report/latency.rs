//! How long operations took.

use quorate_jepsen::history::EventKind;

use super::Report;
use super::operations::Shown;
use super::svg::Plot;

/// Every operation as a point at its invocation, on a logarithmic scale; the median and the 99th percentile of those
/// acknowledged in each second as lines.
pub(super) fn picture(report: &Report) -> String {
    let mut plot = Plot::new("Latency of each operation", &report.bands, report.seconds);
    let ticks = [0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0];
    plot.y_axis("milliseconds", &ticks.map(|ms| (height(ms), ms.to_string())));
    for (colour, label, belongs) in SERIES {
        let mine = report.operations.iter().filter(|shown| belongs(shown));
        plot.points(colour, mine.filter_map(|shown| Some((shown.from, height(shown.latency_ms()?)))));
        plot.legend(colour, "", label);
    }
    for (dashes, label, part) in [("", "median", 0.5), ("6 4", "99 % of a second's", 0.99)] {
        plot.line("#111", dashes, quantiles(report, part).into_iter());
        plot.legend("#111", dashes, label);
    }
    plot.x_axis();
    plot.finish()
}

type Series = (&'static str, &'static str, fn(&Shown) -> bool);

const SERIES: [Series; 4] = [
    ("#5aa5e0", "reads", |shown| shown.is_ok() && shown.f == "read"),
    ("#1c5c9c", "writes", |shown| shown.is_ok() && shown.f != "read"),
    ("#e08a00", "unknown", |shown| shown.kind == EventKind::Info),
    ("#cc3344", "failed", |shown| shown.kind == EventKind::Fail),
];

/// Five decades, from 0.1 ms up.
fn height(ms: f64) -> f64 {
    (ms.max(0.1) / 0.1).log10() / 5.0
}

/// The latency that such a part of each second's acknowledged operations kept to.
fn quantiles(report: &Report, part: f64) -> Vec<(f64, f64)> {
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); report.seconds as usize + 1];
    for shown in report.operations.iter().filter(|shown| shown.is_ok()) {
        if let (Some(second), Some(ms)) = (seconds.get_mut(shown.from as usize), shown.latency_ms()) {
            second.push(ms);
        }
    }
    let quantile = |(second, mut all): (usize, Vec<f64>)| {
        all.sort_by(f64::total_cmp);
        let at = ((all.len() as f64 * part) as usize).min(all.len().checked_sub(1)?);
        Some((second as f64 + 0.5, height(all[at])))
    };
    seconds.into_iter().enumerate().filter_map(quantile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_has_five_decades() {
        for (ms, part) in [(0.01, 0.0), (0.1, 0.0), (10.0, 0.4), (10_000.0, 1.0)] {
            assert!((height(ms) - part).abs() < 1e-9, "{ms}");
        }
    }
}
