//! The faults of a run, one after the other and all at once, and what goes wrong beyond them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use quorate_jepsen::history::Value;

use super::plan::{Parties, Planned};
use super::{Strike, heal, strike};
use crate::cluster::{Cluster, node_name};
use crate::record::Recorder;

/// Who suffers, and where it is written down.
pub(crate) struct Siege {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) parties: Parties,
    /// How long it lasts.
    pub(crate) time: Duration,
    /// Turns to true when it must end before its time.
    pub(crate) is_over: Arc<AtomicBool>,
}

impl Siege {
    /// Carries the plan out and heals everything at the end. Blocks. What should not have happened comes back.
    pub(crate) fn lay(self, planned: Vec<Planned>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut steps: Vec<(Duration, bool, usize)> = Vec::new();
        for (at, planned) in planned.iter().enumerate() {
            steps.push((planned.from, true, at));
            steps.push((planned.to, false, at));
        }
        steps.sort_unstable();
        let mut strikes: BTreeMap<usize, Strike> = BTreeMap::new();
        for (when, begins, at) in steps {
            self.watch_until(when, &strikes, &mut problems);
            if self.is_over.load(Relaxed) {
                return problems;
            }
            let Planned { nemesis, fault, .. } = &planned[at];
            if begins {
                self.recorder.nemesis(&format!("start-{}", nemesis.name()), Value::Text(fault.to_string()));
                match strike(&self.cluster, self.parties, *nemesis, fault.clone()) {
                    Ok(strike) => drop(strikes.insert(at, strike)),
                    Err(error) => problems.push(format!("{fault}: {error}")),
                }
            } else if let Some(strike) = strikes.remove(&at) {
                if let Err(error) = heal(&self.cluster, strike) {
                    problems.push(format!("after {fault}: {error}"));
                }
                self.recorder.nemesis(&format!("stop-{}", nemesis.name()), Value::Text(fault.to_string()));
            }
        }
        self.watch_until(self.time, &strikes, &mut problems);
        problems
    }

    /// Waits, and starts nodes again that end by themselves: none should.
    fn watch_until(&self, when: Duration, strikes: &BTreeMap<usize, Strike>, problems: &mut Vec<String>) {
        while self.recorder.elapsed() < when && !self.is_over.load(Relaxed) {
            let left = when.saturating_sub(self.recorder.elapsed());
            sleep(left.min(Duration::from_millis(50)));
            for node in 0..self.cluster.len() {
                let mut process = self.cluster.process(node);
                let Some(status) = process.ended() else { continue };
                if strikes.values().any(|strike| strike.ends(node)) {
                    continue;
                }
                let name = node_name(node);
                if process.gives_up(status) {
                    self.recorder.nemesis("gave-up", Value::Text(format!("{name} its older directory")));
                    problems.extend(process.start().err().map(|error| error.to_string()));
                    continue;
                }
                self.recorder.nemesis("died", Value::Text(format!("{name} {status}")));
                problems.push(format!("{name} ended by itself: {status}; see {}", process.log().display()));
                if let Err(error) = process.start() {
                    problems.push(error.to_string());
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a nemesis works in real time")]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}
