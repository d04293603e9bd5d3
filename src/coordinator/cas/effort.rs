//! What a request that failed can say of its replicas (rule Q12).

use quorate_ring::Instant;

use super::{Phase, Proposer};
use crate::{
    coordinator::{quorum::Tracker, receipt::Effort},
    wire::Part,
};

impl Proposer {
    /// How far it has come.
    pub(in crate::coordinator) fn effort(&self, now: Instant) -> Effort {
        let answered = self.tracker().map(Tracker::succeeded).unwrap_or_default();
        let has_accepted = matches!(self.phase, Phase::Accepting { .. });
        let part = |place| {
            if has_accepted && answered.contains(place) { Part::Agreed } else { Part::Answered }
        };
        let heard = self.record.by_time().map(|(place, latency_us)| (place, latency_us, part(place)));
        let awaited = self.record.awaited();
        Effort {
            answered,
            heard: heard.collect(),
            awaited: awaited.iter().map(|place| (place, self.record.waited(now, place))).collect(),
            tag: self.sent.last().copied(),
            rounds: self.round,
        }
    }
}
