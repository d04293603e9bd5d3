//! How a run ends: the last questions, and time for what differs to come together.

use super::{PATIENCE, World};
use crate::{
    invariants::alive,
    options::{Gossip, SECOND},
    workload::Client,
};

impl World {
    /// Reads everything until it has come together, then looks whether everybody calls everybody alive.
    pub(super) fn settle(&mut self) {
        self.await_repair();
        for _ in 0..LAST_READS_MAX {
            self.read_all();
            if self.oracle.failure.is_some() || self.oracle.is_settled(&self.processes) {
                break;
            }
        }
        if let Err(why) = self.all_alive().and_then(|()| self.settings_are_told()) {
            self.fail(why);
        }
    }

    /// Waits until all replicas are the same, and know it, although nobody reads (rules A2, A3).
    fn await_repair(&mut self) {
        let (begin, mut verdict) = (self.now, Ok(()));
        for second in 1..=REPAIR_SECONDS {
            if self.oracle.failure.is_some() {
                return;
            }
            let converged = self.oracle.converged(&self.processes);
            verdict = converged.and_then(|()| self.oracle.digests_agree(&self.processes));
            if verdict.is_ok() {
                return;
            }
            self.run_until(begin + second * SECOND, |_| false);
        }
        if let Err(why) = verdict {
            self.fail(format!("{REPAIR_SECONDS} s after the last request: {why}"));
        }
    }

    /// Reads every key, which must succeed, and gives what differs time to come together. Gossip never rests, so the end
    /// is not when nothing happens any more.
    fn read_all(&mut self) {
        self.start_last_readers();
        self.run_until(self.now + PATIENCE, |world| world.clients.iter().all(Client::is_done));
        if self.oracle.failure.is_none() && !self.clients.iter().all(Client::is_done) {
            self.fail("keys cannot be read although all faults are over".to_owned());
        }
        let begin = self.now;
        for second in 1..=PATIENCE / SECOND {
            let is_well = self.all_alive().and_then(|()| self.settings_are_told()).is_ok();
            if is_well && self.oracle.is_settled(&self.processes) {
                break;
            }
            self.run_until(begin + second * SECOND, |_| false);
        }
        self.run_until(self.now + LATE, |_| false);
    }

    /// Whether gossip, unless it is silent, calls everybody alive.
    fn all_alive(&self) -> Result<(), String> {
        if self.options.gossip == Gossip::Silent { Ok(()) } else { alive::check(&self.processes) }
    }

    /// Whether the cluster map has what the nodes are set to, where they are set to anything.
    fn settings_are_told(&self) -> Result<(), String> {
        match self.options.has_settings && !self.oracle.tables.has_settings() {
            true => Err("tables: the map does not say what all nodes are set to".to_owned()),
            false => Ok(()),
        }
    }
}

/// How long after the last request anti-entropy alone has made all replicas equal.
const REPAIR_SECONDS: u64 = 90;
/// Whatever might still change what has come together does so by then.
const LATE: u64 = 3 * SECOND;
/// Read repair may be refused by a full queue or lost with a connection; the next read repairs again. So may news of a
/// change of the cluster map that an acceptor remembered at the last moment.
const LAST_READS_MAX: u32 = 8;
