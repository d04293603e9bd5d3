//! Comparing the replicas of a key in the background, after a read was answered (rules Q6, Q8).
//!
//! A read that leaves something open hands over what it heard. Those of which nothing is known are asked for their
//! digests, those that hold something nobody else sent for their states; then everyone who lacks something is
//! sent the merge. Nobody waits for it: what fails is left to the next read and to anti-entropy.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Instant, NodeId};

use super::{
    OperationId, ReplicaAnswer, Step,
    operation::Task,
    quorum::Places,
    read::{
        Comparing, mend, raise_conflict,
        replies::{Replies, Said},
    },
};
use crate::{
    node::{Timers, Turn},
    wire::{Answer, Want},
};

/// The comparisons under way.
#[derive(Debug, Default)]
pub(super) struct Comparisons {
    under_way: BTreeMap<OperationId, Comparison>,
    timers: Timers<OperationId>,
}

/// One comparison.
#[derive(Debug)]
pub(super) struct Comparison {
    task: Task,
    replies: Replies,
    round: u8,
    /// Who was asked and has not answered.
    awaited: Places,
    /// Whether digests are over, and what is awaited are states.
    fetches_states: bool,
}

impl Comparison {
    /// What a read that had come to `round` hands over.
    pub(super) fn new(task: Task, replies: Replies, round: u8) -> Self {
        Self { task, replies, round, awaited: Places::default(), fetches_states: false }
    }

    /// Asks whom `comparing` says; true if there is nothing to wait for.
    fn start(&mut self, turn: &mut Turn<'_>, comparing: Comparing) -> bool {
        let heard = self.replies.speakers();
        let silent = self.task.plan.alive(turn).iter().filter(|place| !heard.contains(*place)).collect();
        match comparing {
            Comparing::Everybody => self.ask(turn, silent, Want::Digest),
            Comparing::Nobody | Comparing::Heard => {}
        }
        self.go_on(turn)
    }

    /// A replica answered, maybe what the read had asked; true if the comparison is over.
    fn answered(&mut self, turn: &mut Turn<'_>, place: usize, round: u8, answer: ReplicaAnswer) -> bool {
        match answer {
            ReplicaAnswer::Fetched(fetched) => {
                let said = match fetched.answer {
                    Answer::State(state) => Said::State(state),
                    Answer::Digest(digest) => Said::Digest(digest),
                    Answer::Version(_) => return false,
                };
                self.replies.heard(turn.now.mono, place, round, said);
            }
            ReplicaAnswer::Failed(_) if round == self.round => {}
            _ => return false,
        }
        if round == self.round {
            self.awaited.remove(place);
        }
        self.go_on(turn)
    }

    /// Goes on once nobody is awaited; true if the comparison is over.
    fn go_on(&mut self, turn: &mut Turn<'_>) -> bool {
        if !self.awaited.is_empty() {
            return false;
        }
        let joined = match self.replies.join(None) {
            Ok(joined) => joined,
            Err(conflict) => {
                raise_conflict(&self.task, turn, &self.replies, conflict);
                return true;
            }
        };
        let beyond = self.replies.beyond(joined.as_ref());
        if !beyond.is_empty() && !self.fetches_states {
            self.fetches_states = true;
            self.ask(turn, beyond, Want::State);
            return false;
        }
        if let Some(joined) = joined {
            mend(&self.task, turn, &self.replies, &joined);
        }
        true
    }

    fn ask(&mut self, turn: &mut Turn<'_>, places: Places, want: Want) {
        self.round += 1;
        self.awaited = places;
        for place in places.iter() {
            self.replies.asked(turn.now.mono, place);
            self.task.fetch(turn, place, self.round, want);
        }
    }
}

impl Comparisons {
    /// Begins a comparison, unless too many are under way.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_>, mut comparison: Comparison, comparing: Comparing) {
        if comparing == Comparing::Nobody || self.under_way.len() >= COMPARISONS_MAX {
            return;
        }
        comparison.task.header.deadline = turn.now.mono + TIMEOUT;
        if !comparison.start(turn, comparing) {
            let id = comparison.task.id;
            self.timers.set(comparison.task.header.deadline, id);
            self.under_way.insert(id, comparison);
        }
    }

    /// A replica made something of a request that is not an operation's.
    pub(super) fn answered(&mut self, turn: &mut Turn<'_>, from: NodeId, step: Step, answer: ReplicaAnswer) {
        let Some(comparison) = self.under_way.get_mut(&step.operation) else {
            return;
        };
        if let Some(place) = comparison.task.plan.place(from)
            && comparison.answered(turn, place, step.round, answer)
        {
            self.end(step.operation);
        }
    }

    /// What `peer` was asked it will not answer.
    pub(super) fn peer_down(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        let waits = |comparison: &Comparison| {
            comparison.task.plan.place(peer).is_some_and(|place| comparison.awaited.contains(place))
        };
        let waiting: Vec<_> =
            self.under_way.iter().filter(|(_, c)| waits(c)).map(|(id, c)| (*id, c.round)).collect();
        for (operation, round) in waiting {
            let lost = ReplicaAnswer::Failed(super::Failed::unsure(super::CONNECTION_LOST));
            self.answered(turn, peer, Step { operation, round }, lost);
        }
    }

    /// Makes do with what was heard where the rest is late.
    pub(super) fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        while let Some(id) = self.timers.pop_due(turn.now.mono) {
            if let Some(mut comparison) = self.under_way.remove(&id) {
                comparison.task.header.deadline = turn.now.mono + TIMEOUT;
                comparison.awaited = Places::default();
                comparison.fetches_states = true;
                comparison.go_on(turn);
            }
        }
    }

    /// When [`Comparisons::fire_timers`] is due.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Panics if the state contradicts itself.
    pub(super) fn validate(&self) {
        self.timers.validate();
        assert!(self.under_way.len() <= COMPARISONS_MAX);
        for (id, comparison) in &self.under_way {
            assert!(self.timers.holds(comparison.task.header.deadline, *id), "every comparison has a timer");
            assert!(!comparison.awaited.is_empty(), "a comparison that awaits nobody is over");
        }
    }

    fn end(&mut self, id: OperationId) {
        if let Some(comparison) = self.under_way.remove(&id) {
            self.timers.cancel(comparison.task.header.deadline, id);
        }
    }
}

/// Comparisons at a time; further reads do without.
const COMPARISONS_MAX: usize = 256;
/// How long replicas have to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
