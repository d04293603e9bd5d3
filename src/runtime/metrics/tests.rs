use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use metrics::{Unit, counter, gauge, histogram};
use quorate_ring::{Duration, NodeId, TableId};

use super::{
    catalogue::{Kind, METRICS, Metric},
    export::{describe, recorder},
    scrape::render_ages,
};
use crate::repair::{AgreementAges, Oldest};

/// The page's line on a metric.
fn row(metric: &Metric) -> String {
    let Metric { name, unit, help, .. } = metric;
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let unit = match unit {
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
        _ => "",
    };
    let cells =
        [format!("`{name}`"), kind(metric).to_owned(), unit.to_owned(), labels.join(", "), (*help).into()];
    format!("| {} |", cells.join(" | "))
}

fn kind(metric: &Metric) -> &'static str {
    match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    }
}

#[test]
fn the_page_has_every_metric_and_no_other() {
    let page = fs::read_to_string(source().join("runtime/METRICS.md")).unwrap();
    let page: Vec<_> = page.lines().filter(|line| line.starts_with("| `quorate_")).collect();
    let expected: Vec<_> = METRICS.iter().map(row).collect();
    assert_eq!(page, expected, "METRICS.md is to hold these lines:\n{}", expected.join("\n"));
}

#[test]
fn everything_that_is_counted_is_in_the_catalogue_and_the_other_way_round() {
    let (mut counted, mut of_scrapes, mut of_the_process) =
        (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for file in rust_files(&source()) {
        let is_of_scrapes = file.ends_with("runtime/metrics/scrape.rs");
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (macro_name, kind) in
            [("counter!(", "counter"), ("gauge!(", "gauge"), ("histogram!(", "histogram")]
        {
            for call in code.split(macro_name).skip(1) {
                if let Some(name) =
                    call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
                {
                    counted.insert(name.to_owned(), kind);
                    if is_of_scrapes { &mut of_scrapes } else { &mut of_the_process }.insert(name.to_owned());
                }
            }
        }
    }
    let catalogue: BTreeMap<_, _> =
        METRICS.iter().map(|metric| (metric.name.to_owned(), kind(metric))).collect();
    assert_eq!(counted, catalogue);
    assert_eq!(catalogue.len(), METRICS.len(), "a name stands there twice");
    assert!(
        !of_scrapes.is_empty() && of_scrapes.is_disjoint(&of_the_process),
        "one answer has it twice: {of_scrapes:?}"
    );
}

#[test]
fn names_have_their_units_and_times_are_in_seconds() {
    for metric in METRICS {
        let Metric { name, unit, .. } = metric;
        assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        let stem = name.trim_end_matches("_total").trim_end_matches("_ago");
        assert_eq!(*unit == Unit::Seconds, stem.ends_with("_seconds"), "{name}");
        assert_eq!(*unit == Unit::Bytes, stem.ends_with("_bytes"), "{name}");
        // Each label has the few values of an enumeration, or one for each node or table.
        let labels: BTreeSet<_> = metric.labels.iter().copied().collect();
        let known = [
            "alarm",
            "consistency",
            "metric",
            "node",
            "operation",
            "origin",
            "outcome",
            "peer",
            "range",
            "state",
            "table",
            "target",
            "version",
            "work",
        ];
        assert!(labels.is_subset(&BTreeSet::from(known)), "{name}: {labels:?}");
    }
}

#[test]
fn what_is_counted_is_rendered_with_its_description_and_its_bounds() {
    let recorder = recorder().unwrap();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        describe();
        counter!("quorate_alarms_total", "alarm" => "map_fork").increment(2);
        histogram!("quorate_request_seconds", "operation" => "get").record(0.003);
    });
    let text = handle.render();
    for line in [
        "# HELP quorate_alarms_total things that must not happen, or should not; the log has a line for each",
        "# TYPE quorate_alarms_total counter",
        "quorate_alarms_total{alarm=\"map_fork\"} 2",
        "# TYPE quorate_request_seconds histogram",
        "quorate_request_seconds_bucket{operation=\"get\",le=\"0.0025\"} 0",
        "quorate_request_seconds_bucket{operation=\"get\",le=\"0.005\"} 1",
        "quorate_request_seconds_bucket{operation=\"get\",le=\"+Inf\"} 1",
        "quorate_request_seconds_sum{operation=\"get\"} 0.003",
        "quorate_request_seconds_count{operation=\"get\"} 1",
    ] {
        assert!(text.lines().any(|said| said == line), "{line} is not in\n{text}");
    }
}

#[test]
fn ages_are_rendered_with_one_description_each_and_nobody_remembers_them() {
    let (peer, t, u) = (NodeId(2), TableId(0x2a), TableId(0x2b));
    let age = Some(Duration::from_millis(1_500));
    let ages = AgreementAges {
        by_table: Oldest { kept: vec![((peer, u), None), ((peer, t), age)], left_out: 0 },
        by_range: Oldest {
            kept: vec![
                ((peer, u, vec![NodeId(1), peer]), None),
                ((peer, t, vec![NodeId(1), peer, NodeId(3)]), age),
            ],
            left_out: 7,
        },
    };
    let expected = BTreeSet::from([
        "# TYPE quorate_repair_agreed_seconds_ago gauge",
        "quorate_repair_agreed_seconds_ago{peer=\"n2\",table=\"t0000002a\"} 1.5",
        "quorate_repair_agreed_seconds_ago{peer=\"n2\",table=\"t0000002b\"} NaN",
        "# TYPE quorate_repair_range_agreed_seconds_ago gauge",
        "quorate_repair_range_agreed_seconds_ago{peer=\"n2\",table=\"t0000002a\",range=\"n1,n2,n3\"} 1.5",
        "quorate_repair_range_agreed_seconds_ago{peer=\"n2\",table=\"t0000002b\",range=\"n1,n2\"} NaN",
        "# TYPE quorate_series_left_out gauge",
        "quorate_series_left_out{metric=\"quorate_repair_agreed_seconds_ago\"} 0",
        "quorate_series_left_out{metric=\"quorate_repair_range_agreed_seconds_ago\"} 7",
    ]);
    let process = recorder().unwrap();
    let text = metrics::with_local_recorder(&process, || render_ages(Some(&ages)));
    let lines = || text.lines().filter(|line| !line.is_empty());
    let said: Vec<_> = lines().filter(|line| !line.starts_with("# HELP ")).collect();
    assert_eq!((said.len(), said.into_iter().collect()), (expected.len(), expected), "{text}");
    for metric in METRICS {
        let helps = lines().filter(|line| line.starts_with(&format!("# HELP {} ", metric.name)));
        let is_shown = text.contains(&format!("# TYPE {} ", metric.name));
        assert_eq!(helps.count(), usize::from(is_shown), "{}", metric.name);
    }
    assert_eq!(process.handle().render(), "", "the process shows it for ever");

    let nothing = render_ages(None);
    let series: BTreeSet<_> = nothing.lines().filter(|line| line.starts_with("quorate_")).collect();
    let of = |metric: &str| format!("quorate_series_left_out{{metric=\"{metric}\"}} NaN");
    let (by_table, by_range) =
        (of("quorate_repair_agreed_seconds_ago"), of("quorate_repair_range_agreed_seconds_ago"));
    assert_eq!(
        series,
        BTreeSet::from([by_table.as_str(), by_range.as_str()]),
        "what can be missed is told apart"
    );
}

#[test]
fn what_labels_say_ends_no_label_and_no_line() {
    let recorder = recorder().unwrap();
    metrics::with_local_recorder(&recorder, || gauge!("quorate_info", "node" => "a\"b\nc\\d").set(1));
    let text = recorder.handle().render();
    assert!(text.lines().any(|line| line == r#"quorate_info{node="a\"b\nc\\d"} 1"#), "{text}");
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs")
            && path.file_name().is_some_and(|n| n != "tests.rs")
        {
            found.push(path);
        }
    }
    found
}
