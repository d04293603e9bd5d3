//! What each replica did for a write, for its receipt (rule Q12).

use quorate_ring::{Duration, Instant};

use super::{
    operation::Task,
    quorum::{Places, Tracker},
    receipt::{DOWN, micros},
};
use crate::wire::{Part, ReplicaReport};

/// When replicas were asked, and how long they took.
///
/// Events: [`asked`](Self::asked), [`heard`](Self::heard). Looking: [`waited`](Self::waited), [`awaited`](Self::awaited),
/// [`by_time`](Self::by_time), [`reports`](Self::reports).
#[derive(Debug, Default)]
pub(super) struct Record {
    /// By place.
    asked_at: [Instant; Places::MAX],
    /// By place, in microseconds.
    slowest_us: [u32; Places::MAX],
    /// In the order in which they were heard of last.
    heard: Vec<u8>,
    /// Of whom nothing was heard since they were asked last.
    awaited: Places,
}

impl Record {
    /// The replica at `place` is asked or told something.
    pub(super) fn asked(&mut self, now: Instant, place: usize) {
        self.asked_at[place] = now;
        self.awaited.insert(place);
    }

    /// How long ago the replica at `place` was asked.
    pub(super) fn waited(&self, now: Instant, place: usize) -> Duration {
        now.since(self.asked_at[place])
    }

    /// Something came back from the replica at `place`, be it a failure.
    pub(super) fn heard(&mut self, now: Instant, place: usize) {
        self.slowest_us[place] = self.slowest_us[place].max(micros(self.waited(now, place)));
        self.awaited.remove(place);
        self.heard.retain(|heard| usize::from(*heard) != place);
        self.heard.push(place as u8);
    }

    /// Those that have been asked and are still to answer.
    pub(super) fn awaited(&self) -> Places {
        self.awaited
    }

    /// Everyone of whom something was heard, in the order in which they were heard of last: the place and the slowest answer
    /// in microseconds.
    pub(super) fn by_time(&self) -> impl Iterator<Item = (usize, u32)> {
        self.heard.iter().map(|place| (usize::from(*place), self.slowest_us[usize::from(*place)]))
    }

    /// The parts of those that have stored the write or failed to, as `tracker` knows them; after those that
    /// were heard those that were never asked, because they were down.
    pub(super) fn reports(&self, task: &Task, tracker: &Tracker) -> Vec<ReplicaReport> {
        let heard = self.heard.iter().map(|place| usize::from(*place));
        let is_unheard = |place: &usize| !self.heard.contains(&(*place as u8));
        let unheard = tracker.failed().iter().filter(is_unheard);
        let report = |place: usize| ReplicaReport {
            node: task.plan.replicas[place],
            latency_us: self.slowest_us[place],
            part: match task.plan.owner_of_stand_in(place) {
                _ if tracker.failed().contains(place) => Part::Failed,
                Some(_) => Part::KeptHint,
                None => Part::Agreed,
            },
            why: match tracker.failed().contains(place) {
                true => task.why_failed(place).unwrap_or(DOWN).to_owned(),
                false => String::new(),
            },
        };
        heard.chain(unheard).filter(|place| !tracker.is_outstanding(*place)).map(report).collect()
    }
}
