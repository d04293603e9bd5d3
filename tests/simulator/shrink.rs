//! From a failing seed to the smallest run that fails alike, as one command.

use crate::{
    options::{MS, Options, Overrides},
    run,
};

/// The smallest run found, and what breaks in it.
pub(crate) struct Smallest {
    pub(crate) overrides: Overrides,
    pub(crate) failure: String,
}

/// Reduces the run of `seed`, which fails with `failure`: fewer faults, nodes, clients, requests, less time.
pub(crate) fn shrink(seed: u64, overrides: &Overrides, failure: String) -> Smallest {
    let mut shrinker = Shrinker {
        seed,
        invariant: invariant(&failure).to_owned(),
        runs_left: RUNS_MAX,
        best: Smallest { overrides: overrides.clone(), failure },
    };
    let options = Options::draw(seed, overrides);
    if options.nodes <= NODES_MAX {
        shrinker.rounds(&options);
    }
    shrinker.best
}

/// The command that runs `seed` with `overrides`.
pub(crate) fn command(seed: u64, overrides: &Overrides) -> String {
    let mut command = format!("cargo test --release --test simulator -- --seed {seed}");
    let mut flag = |name: &str, value: Option<u64>| {
        if let Some(value) = value {
            command += &format!(" --{name} {value}");
        }
    };
    flag("nodes", overrides.nodes.map(u64::from));
    flag("clients", overrides.clients.map(u64::from));
    flag("operations", overrides.operations.map(u64::from));
    flag("millis", overrides.millis);
    if let Some(faults) = &overrides.faults {
        let numbers: Vec<_> = faults.iter().map(usize::to_string).collect();
        command += &format!(" --faults={}", numbers.join(","));
    }
    if let Some(kind) = overrides.only {
        command += &format!(" --only {kind}");
    }
    if overrides.reports_at_once {
        command += " --reports-at-once";
    }
    if let Some(mutant) = overrides.mutant {
        command += &format!(" --mutant {}", mutant.name());
    }
    command
}

struct Shrinker {
    seed: u64,
    invariant: String,
    runs_left: u32,
    best: Smallest,
}

impl Shrinker {
    fn rounds(&mut self, drawn: &Options) {
        let all: Vec<_> = drawn.faults.0.iter().map(|fault| fault.number).collect();
        let faults = self.best.overrides.faults.clone().unwrap_or(all);
        self.fewer_faults(faults);
        for nodes in 1..drawn.nodes {
            if self.try_with(|overrides| overrides.nodes = Some(nodes)) {
                break;
            }
        }
        for clients in 1..drawn.clients {
            if self.try_with(|overrides| overrides.clients = Some(clients)) {
                break;
            }
        }
        let mut operations = drawn.operations;
        while operations > 1 {
            let fewer = operations * 2 / 3;
            if !self.try_with(|overrides| overrides.operations = Some(fewer)) {
                break;
            }
            operations = fewer;
        }
        let mut millis = drawn.duration / MS;
        while millis > 2 && self.try_with(|overrides| overrides.millis = Some(millis / 2)) {
            millis /= 2;
        }
        if drawn.disk.report_max > 0 {
            self.try_with(|overrides| overrides.reports_at_once = true);
        }
        if let Some(faults) = self.best.overrides.faults.clone() {
            self.fewer_faults(faults);
        }
    }

    /// Leaves out runs of faults, halving their length.
    fn fewer_faults(&mut self, mut faults: Vec<usize>) {
        let mut length = faults.len();
        while length > 0 {
            let mut at = 0;
            while at < faults.len() {
                let fewer: Vec<_> =
                    faults[..at].iter().chain(faults.iter().skip(at + length)).copied().collect();
                if self.try_with(|overrides| overrides.faults = Some(fewer.clone())) {
                    faults = fewer;
                } else {
                    at += length;
                }
            }
            length /= 2;
        }
    }

    /// Keeps a change if the run still fails alike.
    fn try_with(&mut self, change: impl Fn(&mut Overrides)) -> bool {
        if self.runs_left == 0 {
            return false;
        }
        self.runs_left -= 1;
        let mut overrides = self.best.overrides.clone();
        change(&mut overrides);
        match run::seed(self.seed, &overrides, false).failure {
            Some(failure) if invariant(&failure) == self.invariant => {
                self.best = Smallest { overrides, failure };
                true
            }
            _ => false,
        }
    }
}

/// What a failure says before its details, without the time.
fn invariant(failure: &str) -> &str {
    let text =
        failure.strip_prefix("at ").and_then(|rest| rest.split_once(": ")).map_or(failure, |(_, text)| text);
    let text = text.split(|c: char| c == ':' || c.is_ascii_digit()).next().unwrap_or(text);
    text.trim()
}

const RUNS_MAX: u32 = 400;
/// Beyond, a run takes too long to be repeated so often.
const NODES_MAX: u32 = 60;
