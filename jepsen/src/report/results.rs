//! The figures of `results.json`.

use std::collections::BTreeMap;

use quorate_jepsen::checker::Verdict;
use quorate_jepsen::history::EventKind;
use serde_json::{Value, json};

use super::Report;
use crate::judge::Finding;

impl Finding {
    /// One key under one rule.
    pub(crate) fn to_json(&self) -> Value {
        let verdict = match &self.verdict {
            Verdict::Valid => json!({ "valid": true }),
            Verdict::Invalid(found) => {
                json!({ "valid": false, "reason": found.reason, "window": self.window })
            }
            Verdict::Unknown(undecided) => json!({ "valid": "unknown", "reason": undecided.to_string() }),
        };
        let mut finding = json!({ "key": self.key, "rule": self.rule, "decided_by": self.method });
        if let (Some(finding), Value::Object(verdict)) = (finding.as_object_mut(), verdict) {
            finding.extend(verdict);
        }
        finding
    }
}

/// For each rule how many keys were valid, not valid and unknown.
pub(crate) fn counts_by_rule(findings: &[Finding]) -> BTreeMap<&'static str, [usize; 3]> {
    let mut counts: BTreeMap<&'static str, [usize; 3]> = BTreeMap::new();
    for finding in findings {
        let at = match finding.verdict {
            Verdict::Valid => 0,
            Verdict::Invalid(_) => 1,
            Verdict::Unknown(_) => 2,
        };
        counts.entry(finding.rule).or_default()[at] += 1;
    }
    counts
}

/// The same for `results.json`, with how keys were decided.
pub(crate) fn rules(findings: &[Finding]) -> Value {
    let mut rules = serde_json::Map::new();
    for (rule, [valid, invalid, unknown]) in counts_by_rule(findings) {
        let mut methods: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in findings.iter().filter(|finding| finding.rule == rule) {
            *methods.entry(finding.method).or_default() += 1;
        }
        let counts =
            json!({ "valid": valid, "not_valid": invalid, "unknown": unknown, "decided_by": methods });
        rules.insert(rule.to_owned(), counts);
    }
    Value::Object(rules)
}

impl Report {
    /// Outcomes, latencies and errors of each function.
    pub(crate) fn statistics(&self) -> Value {
        let mut by_f: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for shown in &self.operations {
            by_f.entry(&shown.f).or_default().push(shown);
        }
        let mut statistics = serde_json::Map::new();
        for (f, operations) in by_f {
            let count = |kind| operations.iter().filter(|shown| shown.kind == kind).count();
            let ok = operations.iter().filter(|shown| shown.is_ok());
            let mut latencies: Vec<f64> = ok.filter_map(|shown| shown.latency_ms()).collect();
            latencies.sort_by(f64::total_cmp);
            let quantile = |part: f64| {
                let at = (latencies.len() as f64 * part) as usize;
                latencies.get(at.min(latencies.len().saturating_sub(1))).map(|ms| (ms * 1e3).round() / 1e3)
            };
            let mut errors: BTreeMap<&str, usize> = BTreeMap::new();
            for error in operations.iter().filter_map(|shown| shown.error.as_deref()) {
                *errors.entry(error).or_default() += 1;
            }
            let mut errors: Vec<_> = errors.into_iter().collect();
            errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            errors.truncate(ERRORS_MAX);
            statistics.insert(
                f.to_owned(),
                json!({
                    "ok": count(EventKind::Ok),
                    "fail": count(EventKind::Fail),
                    "unknown": count(EventKind::Info),
                    "ok_ms": { "p50": quantile(0.5), "p99": quantile(0.99), "max": quantile(1.0) },
                    "most_frequent_errors": errors,
                }),
            );
        }
        Value::Object(statistics)
    }

    /// What went wrong on purpose, and when.
    pub(crate) fn faults(&self) -> Value {
        let fault = |band: &super::bands::Band| json!({ "nemesis": band.nemesis, "fault": band.label, "from_s": band.from, "to_s": band.to });
        self.bands.iter().map(fault).collect()
    }
}

const ERRORS_MAX: usize = 8;
