//! How many operations ended in each second.

use quorate_jepsen::history::EventKind;

use super::Report;
use super::svg::Plot;

/// A line for each function and outcome.
pub(super) fn picture(report: &Report) -> String {
    let mut plot = Plot::new("Operations completed in each second", &report.bands, report.seconds);
    let mut series = Vec::new();
    for f in ["read", "write", "add", "delete"] {
        for (kind, colour) in colours(f) {
            let rates = rates(report, f, kind);
            if rates.iter().any(|rate| *rate > 0) {
                series.push((f, kind, colour, rates));
            }
        }
    }
    let most = series.iter().flat_map(|(.., rates)| rates).copied().max().unwrap_or(1).max(1);
    let top = most.next_multiple_of(10) as f64;
    let ticks: Vec<_> = (0..=5).map(|n| f64::from(n) / 5.0).collect();
    let ticks: Vec<_> = ticks.into_iter().map(|part| (part, format!("{:.0}", part * top))).collect();
    plot.y_axis("operations in a second", &ticks);
    for (f, kind, colour, rates) in series {
        let dashes = if kind == EventKind::Ok { "" } else { "5 3" };
        let points = rates.iter().enumerate().map(|(second, rate)| (second as f64 + 0.5, *rate as f64 / top));
        plot.line(colour, dashes, points);
        let outcome = match kind {
            EventKind::Ok => "acknowledged",
            EventKind::Fail => "failed",
            EventKind::Info | EventKind::Invoke => "unknown",
        };
        plot.legend(colour, dashes, &format!("{f} {outcome}"));
    }
    plot.x_axis();
    plot.finish()
}

fn colours(f: &str) -> [(EventKind, &'static str); 3] {
    let ok = match f {
        "read" => "#5aa5e0",
        "delete" => "#3a8f5c",
        _ => "#1c5c9c",
    };
    let (fail, info) = if f == "read" { ("#e88a94", "#f0b45a") } else { ("#cc3344", "#e08a00") };
    [(EventKind::Ok, ok), (EventKind::Fail, fail), (EventKind::Info, info)]
}

fn rates(report: &Report, f: &str, kind: EventKind) -> Vec<usize> {
    // A second that was not over would show as a fall.
    let mut rates = vec![0; report.seconds as usize];
    for shown in report.operations.iter().filter(|shown| shown.f == f && shown.kind == kind) {
        let at = shown.to.unwrap_or(shown.from) as usize;
        if let Some(rate) = rates.get_mut(at) {
            *rate += 1;
        }
    }
    rates
}
