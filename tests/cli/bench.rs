//! `quorate bench` on three processes of its own.

use std::{fs, path::Path};

use super::{outcome, quorate};

#[test]
fn a_load_is_measured_told_and_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = "bench --keys 300 --seconds 1 --warm-up 100ms --clients 8 --json --plot run.svg";
    let done = quorate(dir.path(), &arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    for figure in ["ops_per_s", "p50_ms", "p99_ms", "p999_ms", "max_ms", "client_cpu_us_per_op"] {
        assert!(told[figure].as_f64().is_some_and(|value| value > 0.0), "{figure} in {told}");
    }
    for figure in ["server_cpu_us_per_op", "rss_mb"] {
        assert!(
            told[figure].as_f64().is_some_and(|value| value > 0.0) == cfg!(target_os = "linux"),
            "{told}"
        );
    }
    assert_eq!((&told["errors"], &told["wrong"]), (&0.into(), &0.into()));
    assert!(told["verified"].as_u64().is_some_and(|verified| verified > 0), "{told}");
    assert!(
        told["operations"]["reads"]["p99_ms"].is_f64() && told["operations"]["writes"]["p99_ms"].is_f64()
    );
    let picture = fs::read_to_string(dir.path().join("run.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("Latency by percentile"));
}

#[test]
fn every_kind_of_operation_is_carried_out() {
    for (workload, operation) in [("ycsb-d", "inserts"), ("ycsb-e", "scans"), ("ycsb-f", "replaces")] {
        let arguments = format!(
            "bench --workload {workload} --keys 200 --seconds 1 --warm-up 0s --clients 4 --output table"
        );
        let (code, out, error) = outcome_of(&arguments);
        assert_eq!(code, 0, "{error}");
        assert!(out.contains(operation) && out.ends_with("none wrong\n"), "{out}");
    }
    let (code, out, error) =
        outcome_of("bench --workload write --rate 200 --keys 200 --seconds 1 --with-context --output jsonl");
    assert_eq!(code, 0, "{error}");
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["rate_per_s"], &told["workload"]), (&200.0.into(), &"write".into()));
    assert!(told["ops_per_s"].as_f64().is_some_and(|rate| rate <= 201.0), "nobody asked for more: {told}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for (arguments, why) in [
        ("bench --value-size 8", "24 bytes"),
        ("bench --consistency ANY", "for writes only"),
        ("bench --rate 0", "above 0"),
        ("bench --with-context --table-kind register", "'siblings'"),
        ("bench --keys 0", "--keys"),
        ("bench --rate 5 --clients 2", "cannot be used with"),
    ] {
        let (code, out, error) = outcome_of(arguments);
        assert_eq!((code, &*out), (3, ""), "{arguments}");
        assert!(error.contains(why), "{arguments}: {error}");
    }
}

fn outcome_of(arguments: &str) -> (i32, String, String) {
    let done = quorate(Path::new("."), &arguments.split(' ').collect::<Vec<_>>());
    let (code, out, error) = outcome(&done);
    (code, out.to_owned(), error.to_owned())
}
