//! What a write that failed can say of its replicas (rule Q12).

use quorate_ring::Instant;

use super::{Phase, Write};
use crate::{
    coordinator::{operation::Task, quorum::Tracker, receipt::Effort},
    wire::Part,
};

impl Write {
    /// How far it has come.
    pub(in crate::coordinator) fn effort(&self, task: &Task, now: Instant) -> Effort {
        let answered = self.tracker().map(Tracker::succeeded).unwrap_or_default();
        let (tag, makes) = match &self.phase {
            Phase::Storing { state, .. } => (Some(state.tag()), true),
            phase => (None, matches!(phase, Phase::Minting { .. })),
        };
        let part = |place| match task.plan.owner_of_stand_in(place) {
            _ if tag.is_none() || !answered.contains(place) => Part::Answered,
            Some(_) => Part::KeptHint,
            None => Part::Agreed,
        };
        let heard = self.record.by_time().map(|(place, latency_us)| (place, latency_us, part(place)));
        let awaited = self.record.awaited();
        Effort {
            answered,
            heard: heard.collect(),
            awaited: awaited.iter().map(|place| (place, self.record.waited(now, place))).collect(),
            tag,
            rounds: u8::from(self.asked_first) + u8::from(makes),
        }
    }
}
