//! What the node counts, as metrics in base units; what alarms it, as log lines.

use std::collections::BTreeMap;

use metrics::{Counter, Histogram, counter, gauge, histogram};
use quorate_gossip::MemberState;
use quorate_ring::Consistency;
use tracing::{debug, error, info, warn};

use crate::{
    node::{Alarm, Observation},
    runtime::requests::{Ended, ended},
    wire::Outcome,
};

/// Counts what a node observes.
#[derive(Default)]
pub(in crate::runtime) struct Observer {
    requests: BTreeMap<RequestKind, Requests>,
}

/// What requests are told apart by.
type RequestKind = (&'static str, Consistency, bool);

/// Requests of one kind: found once, because there are a hundred thousand of them a second.
struct Requests {
    seconds: Histogram,
    failed: Counter,
    ok: Counter,
    not_applied: Counter,
    unknown: Counter,
}

impl Requests {
    fn new((operation, consistency, forwarded): RequestKind) -> Self {
        let labels = [
            ("operation", operation.to_owned()),
            ("consistency", consistency.to_string()),
            ("origin", if forwarded { "peer" } else { "client" }.to_owned()),
        ];
        let total = |outcome: &str| {
            let [operation, consistency, origin] = labels.clone();
            let labels = [operation, consistency, origin, ("outcome", outcome.to_owned())];
            counter!("quorate_requests_total", &labels)
        };
        Self {
            seconds: histogram!("quorate_request_seconds", &labels),
            failed: total("failed"),
            ok: total("ok"),
            not_applied: total("not_applied"),
            unknown: total("unknown"),
        }
    }

    fn ended(&self, outcome: Option<Outcome>, nanos: u64) {
        let counter = match outcome {
            None => &self.failed,
            Some(Outcome::Applied) => &self.ok,
            Some(Outcome::NotApplied) => &self.not_applied,
            Some(Outcome::Unknown) => &self.unknown,
        };
        counter.increment(1);
        self.seconds.record(nanos as f64 / 1e9);
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

impl Observer {
    /// Counts.
    pub(in crate::runtime) fn observe(&mut self, observation: Observation) {
        match observation {
            Observation::Request { request, step, operation, consistency, forwarded, outcome, nanos } => {
                ended(Ended { request, step, name: operation, forwarded, outcome, nanos });
                let kind = (operation, consistency, forwarded);
                self.requests.entry(kind).or_insert_with(|| Requests::new(kind)).ended(outcome, nanos);
            }
            other => observe(other),
        }
    }
}

fn observe(observation: Observation) {
    match observation {
        Observation::Request { .. } => {}
        Observation::DigestMismatch => counter!("quorate_read_digest_mismatches_total").increment(1),
        Observation::ReadRepair => counter!("quorate_read_repairs_total").increment(1),
        Observation::Hedge => counter!("quorate_hedges_total").increment(1),
        Observation::Expired => counter!("quorate_expired_total").increment(1),
        Observation::HintReplayed => counter!("quorate_hints_replayed_total").increment(1),
        Observation::HintsKept { target, backlog, oldest } => {
            let target = target.to_string();
            gauge!("quorate_hints", "target" => target.clone()).set(backlog.hints as f64);
            gauge!("quorate_hint_bytes", "target" => target.clone()).set(backlog.bytes as f64);
            gauge!("quorate_hint_oldest_seconds", "target" => target).set(oldest.as_millis() as f64 / 1e3);
        }
        Observation::HintDropped => counter!("quorate_hints_dropped_total").increment(1),
        Observation::Recovery { table, done, total } => {
            gauge!("quorate_recovery_ranges_left", "table" => table.to_string()).set((total - done) as f64);
            // A large ring has hundreds of ranges: a line for each tenth of them.
            if done == 0 || done * 10 / total > (done - 1) * 10 / total {
                info!(%table, done, total, "ranges recovered from peers");
            }
        }
        Observation::Member { .. }
        | Observation::Suspected
        | Observation::Stalled(_)
        | Observation::LifeRaised => observe_gossip(observation),
        Observation::Repaired => counter!("quorate_repaired_records_total").increment(1),
        Observation::Compared { peer, outcome, differing } => {
            let peer = peer.to_string();
            counter!("quorate_repair_comparisons_total", "peer" => peer.clone(), "outcome" => outcome)
                .increment(1);
            gauge!("quorate_repair_differing_cells", "peer" => peer).set(differing as f64);
        }
        Observation::Agreed { .. } => counter!("quorate_repair_agreements_total").increment(1),
        Observation::Scrubbed { bytes } => counter!("quorate_scrubbed_bytes_total").increment(bytes),
        Observation::DigestsLeft { cells } => gauge!("quorate_digest_cells_left").set(cells as f64),
        Observation::Refetched => counter!("quorate_refetched_records_total").increment(1),
        Observation::Overloaded => counter!("quorate_overloaded_total").increment(1),
    }
}

fn observe_gossip(observation: Observation) {
    match observation {
        Observation::Member { node, state } => {
            counter!("quorate_gossip_verdicts_total", "state" => state.to_string()).increment(1);
            match state {
                MemberState::Dead => {
                    warn!(%node, "gossip: the node is dead: no answer to this node, nor to those it asked to try")
                }
                MemberState::Suspect => debug!(%node, "gossip: the node is suspected"),
                state => info!(%node, %state, "gossip"),
            }
        }
        Observation::Suspected => {
            counter!("quorate_gossip_objections_total").increment(1);
            info!(
                "gossip: this node was suspected of being dead, and objected: it is slow, or badly connected"
            );
        }
        Observation::Stalled(time) => {
            counter!("quorate_stalls_total").increment(1);
            histogram!("quorate_stall_seconds").record(time.as_secs_f64());
            if time > STALL_MIN {
                warn!(ms = time.as_millis() as u64, "this process was stopped, or starved");
            }
        }
        Observation::LifeRaised => {
            counter!("quorate_gossip_lives_raised_total").increment(1);
            let advice =
                "once after a start: its clock stepped back; again and again: two run under one name";
            warn!("gossip: another process of this node was heard of; {advice}");
        }
        _ => {}
    }
}

/// Tells the operator.
pub(in crate::runtime) fn alarm(alarm: &Alarm) {
    match alarm {
        Alarm::TagConflict { table, key, node, tag } => {
            counter!("quorate_alarms_total", "alarm" => "tag_conflict").increment(1);
            let tag = tag.map_or_else(|| "unknown".to_owned(), |tag| tag.to_string());
            error!(%table, ?key, %node, tag, "two contents under one tag: a bug or corruption; the key is not served before it is written anew");
        }
        Alarm::DamagedRecord { table, key, node, reason } => {
            counter!("quorate_alarms_total", "alarm" => "damaged_record").increment(1);
            error!(%table, ?key, %node, reason, "a record fails its checksum: check that node's disk");
        }
        Alarm::ManySiblings { table, key, siblings } => {
            counter!("quorate_alarms_total", "alarm" => "many_siblings").increment(1);
            let advice = "many concurrent values of one key: its writers should read it, and write with the context of the read";
            warn!(%table, ?key, siblings, "{advice}");
        }
        Alarm::ClockAhead { ahead_ms } => {
            counter!("quorate_alarms_total", "alarm" => "clock_ahead").increment(1);
            error!(
                ahead_ms,
                "peers refuse this node's clock as ahead: it writes nothing until the clock is right"
            );
        }
        Alarm::RolledBack { node } => {
            counter!("quorate_alarms_total", "alarm" => "rolled_back").increment(1);
            error!(%node, "the peer runs on an older copy of its data directory; it is told to give it up");
        }
        Alarm::MapFork(fork) => {
            counter!("quorate_alarms_total", "alarm" => "map_fork").increment(1);
            error!(ours = %fork.ours, theirs = %fork.theirs, "two cluster maps claim one epoch: a bug, or too many lost disks");
        }
        Alarm::BadMap { node, reason } => {
            counter!("quorate_alarms_total", "alarm" => "bad_map").increment(1);
            error!(%node, reason, "the peer sent a cluster map that is none: look for another version of the program");
        }
        Alarm::RecoveryStuck { table, left } => {
            counter!("quorate_alarms_total", "alarm" => "recovery_stuck").increment(1);
            error!(%table, left, "ranges are not recovered: bring the other replicas back; they stay refused here");
        }
        Alarm::WrongDigest { cell } => {
            counter!("quorate_alarms_total", "alarm" => "wrong_digest").increment(1);
            error!(
                cell,
                "what records add up to was not what was kept of it: a bug, or a disk that errs at times; it is put right"
            );
        }
        Alarm::DataLost { table } => {
            counter!("quorate_alarms_total", "alarm" => "data_lost").increment(1);
            error!(table, "this node lost its disk, and the keys of a table without other replicas with it");
        }
    }
}

/// A shorter stall is counted, and no news.
const STALL_MIN: std::time::Duration = std::time::Duration::from_secs(1);
