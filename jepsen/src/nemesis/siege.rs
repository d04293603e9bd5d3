//! The faults of a run, one after the other and all at once, and what goes wrong beyond them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use quorate_jepsen::history::Value;

use super::plan::{Parties, Planned};
use super::sync_failure::Progress;
use super::{Strike, heal, strike};
use crate::cluster::{Cluster, Process, node_name};
use crate::record::Recorder;
use crate::stop::Stop;

/// Who suffers, and where it is written down.
pub(crate) struct Siege {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) parties: Parties,
    /// How long it lasts.
    pub(crate) time: Duration,
    /// Ends it before its time.
    pub(crate) stop: Stop,
}

/// The faults that are in the cluster, by their number in the plan.
type Strikes = BTreeMap<usize, Strike>;

impl Siege {
    /// Carries the plan out and heals everything at the end. Blocks. What should not have happened comes back.
    pub(crate) fn lay(self, planned: Vec<Planned>) -> Vec<String> {
        let mut problems = Vec::new();
        // Of what happens at one instant ends come first.
        let mut steps: BTreeSet<(Duration, bool, usize)> = BTreeSet::new();
        for (at, planned) in planned.iter().enumerate() {
            steps.extend([(planned.from, true, at), (planned.to, false, at)]);
        }
        let mut strikes = Strikes::new();
        while let Some((when, begins, at)) = steps.pop_first() {
            self.watch_until(when, &mut strikes, &mut problems);
            if self.stop.is_told() {
                return problems;
            }
            if begins {
                self.begin(&planned[at], at, &mut strikes, &mut problems);
            } else if self.is_due(&planned[at], at, &mut strikes, &mut problems) {
                self.end(&planned[at], at, &mut strikes, &mut problems);
            } else {
                steps.insert((when + LOOK_EVERY, false, at));
            }
        }
        self.watch_until(self.time, &mut strikes, &mut problems);
        // A node that was rolled back just now ends only once its peers have told it so.
        let patience = self.recorder.elapsed() + TOLD_WITHIN;
        let may_give_up = || (0..self.cluster.len()).any(|node| self.cluster.process(node).may_give_up());
        while may_give_up() && self.recorder.elapsed() < patience && !self.stop.is_told() {
            self.watch_until(self.recorder.elapsed() + LOOK_EVERY, &mut strikes, &mut problems);
        }
        problems
    }

    fn begin(&self, planned: &Planned, at: usize, strikes: &mut Strikes, problems: &mut Vec<String>) {
        let Planned { nemesis, fault, .. } = planned;
        if strikes.values().any(|strike| strike.nemesis == nemesis.name()) {
            // The one before took longer than planned, and one nemesis has one fault at a time.
            return;
        }
        self.recorder.nemesis(&format!("start-{}", nemesis.name()), Value::Text(fault.to_string()));
        match strike(&self.cluster, self.parties, *nemesis, fault.clone()) {
            Ok(strike) => drop(strikes.insert(at, strike)),
            Err(error) => problems.push(format!("{fault}: {error}")),
        }
    }

    /// Whether a fault may end now. One that must make a node end by itself waits until it has.
    fn is_due(
        &self,
        planned: &Planned,
        at: usize,
        strikes: &mut Strikes,
        problems: &mut Vec<String>,
    ) -> bool {
        let failure = strikes.get_mut(&at).and_then(|strike| strike.sync_failure.as_mut());
        let Some(failure) = failure else { return true };
        let give_up = (planned.to + SYNCS_WITHIN).min(self.time + LOOK_EVERY);
        let process = self.cluster.process(failure.node());
        match failure.progress(&process, self.recorder.elapsed(), give_up) {
            Progress::Pending => return false,
            Progress::Over => {}
            Progress::Wrong(problem) => problems.push(problem),
        }
        true
    }

    fn end(&self, planned: &Planned, at: usize, strikes: &mut Strikes, problems: &mut Vec<String>) {
        let Planned { nemesis, fault, .. } = planned;
        let Some(strike) = strikes.remove(&at) else { return };
        if let Err(error) = heal(&self.cluster, strike) {
            problems.push(format!("after {fault}: {error}"));
        }
        self.recorder.nemesis(&format!("stop-{}", nemesis.name()), Value::Text(fault.to_string()));
    }

    /// Waits, and starts nodes again that end by themselves: none should.
    fn watch_until(&self, when: Duration, strikes: &mut Strikes, problems: &mut Vec<String>) {
        while self.recorder.elapsed() < when && !self.stop.is_told() {
            let left = when.saturating_sub(self.recorder.elapsed());
            sleep(left.min(LOOK_EVERY));
            for node in 0..self.cluster.len() {
                let mut process = self.cluster.process(node);
                if let Some(status) = process.ended() {
                    self.explain(node, &mut process, status, strikes, problems);
                }
            }
        }
    }

    /// Says why a node has ended, and starts it again unless its fault goes on.
    fn explain(
        &self,
        node: usize,
        process: &mut Process,
        status: ExitStatus,
        strikes: &mut Strikes,
        problems: &mut Vec<String>,
    ) {
        let name = node_name(node);
        let mut failures = strikes.values_mut().filter_map(|strike| strike.sync_failure.as_mut());
        match failures.find_map(|failure| failure.explains(node, process, status)) {
            Some(Ok(how)) => return self.recorder.nemesis(STOPPED_ITSELF, Value::Text(how)),
            Some(Err(problem)) => return problems.push(problem),
            None => {}
        }
        if process.gives_up(status) {
            self.recorder.nemesis("gave-up", Value::Text(format!("{name} its older directory")));
        } else {
            self.recorder.nemesis("died", Value::Text(format!("{name} {status}")));
            problems.push(format!("{name} ended by itself: {status}; see {}", process.log().display()));
        }
        problems.extend(process.start().err().map(|error| error.to_string()));
    }
}

/// The event of a node that ended because its sync had failed.
pub(crate) const STOPPED_ITSELF: &str = "stopped-itself";
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// In this time after everything was healed a node meets its peers.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// In this time from the planned end of the fault every node of a cluster at work has something to sync.
const SYNCS_WITHIN: Duration = Duration::from_secs(15);

#[expect(clippy::disallowed_methods, reason = "a nemesis works in real time")]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}
