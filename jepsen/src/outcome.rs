//! What came of a run, for people and for programs.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::judge::Finding;
use crate::report::{self, Report};

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) findings: Vec<Finding>,
    pub(crate) problems: Vec<String>,
    /// Why the history would prove nothing.
    pub(crate) untested: Option<String>,
    /// What single replicas lacked.
    pub(crate) standing: report::Standing,
    pub(crate) operations: usize,
    pub(crate) acknowledged: usize,
    pub(crate) out: PathBuf,
    pub(crate) seed: u64,
}

/// The three verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overall {
    Valid,
    Invalid,
    Unknown,
}

impl Outcome {
    /// The verdict: what is wrong outweighs what is not known.
    pub(crate) fn overall(&self) -> Overall {
        if !self.problems.is_empty() || self.findings.iter().any(|finding| finding.verdict.is_invalid()) {
            Overall::Invalid
        } else if self.untested.is_some() || !self.findings.iter().all(|finding| finding.verdict.is_valid()) {
            Overall::Unknown
        } else {
            Overall::Valid
        }
    }

    /// What `results.json` holds of a run with these options.
    pub(crate) fn results(
        &self,
        options: serde_json::Value,
        network: serde_json::Value,
        report: &Report,
    ) -> serde_json::Value {
        let findings: Vec<_> = self.findings.iter().map(Finding::to_json).collect();
        serde_json::json!({
            "verdict": self.overall().to_string(),
            "valid": match self.overall() {
                Overall::Valid => serde_json::json!(true),
                Overall::Invalid => serde_json::json!(false),
                Overall::Unknown => serde_json::json!("unknown"),
            },
            "seed": self.seed,
            "options": options,
            "problems": self.problems,
            "rules": report::rules(&self.findings),
            "operations": report.statistics(),
            "faults": report.faults(),
            "network": network,
            "replicas_before_the_last_reads": self.standing.to_json(),
            "keys": findings,
        })
    }
}

impl Overall {
    /// 0 if valid, 1 if not, 2 if unknown.
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Overall::Valid => 0,
            Overall::Invalid => 1,
            Overall::Unknown => 2,
        })
    }
}

impl fmt::Display for Overall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Overall::Valid => "valid",
            Overall::Invalid => "not valid",
            Overall::Unknown => "unknown",
        })
    }
}

/// What was found, the verdict last.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            if let quorate_jepsen::checker::Verdict::Invalid(found) = &finding.verdict {
                writeln!(f, "key {} is not {}: {}", finding.key, finding.rule, found.reason)?;
                finding.window.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
            }
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "problem: {problem}"))?;
        self.untested.iter().try_for_each(|why| writeln!(f, "nothing is shown: {why}"))?;
        for (rule, counts) in report::counts_by_rule(&self.findings) {
            let [valid, invalid, unknown] = counts;
            writeln!(f, "{rule}: {valid} keys valid, {invalid} not valid, {unknown} unknown")?;
        }
        writeln!(f, "{}", self.standing)?;
        let Outcome { operations, acknowledged, seed, out, .. } = self;
        writeln!(
            f,
            "{operations} operations, {acknowledged} acknowledged; seed {seed}; see {}",
            out.display()
        )?;
        write!(f, "{}", self.overall())
    }
}
