//! Writing a key of a `register` table (rules Q1, Q4, Q10).
//!
//! At QUORUM and above a write has two rounds. The first asks a quorum for its greatest tag; the second
//! stores the value under a greater one at all replicas and waits for as many as the level says. Any two
//! quorums share a replica, so the tag exceeds that of every write that was acknowledged before this one
//! began: without the first round a node with a slow clock would be acknowledged for a write that nobody
//! can ever see. Below QUORUM there is one round, under the coordinator's own knowledge.
//!
//! Once a store was sent the outcome of a failure is unknown: the replica may have it.

use quorate_ring::Tag;
use quorate_storage::{Content, Register, State, Version};

use super::{
    operation::{Conclusion, ReplicaAnswer, Task},
    quorum::{Places, Tracker, Verdict},
};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    node::Turn,
    wire::{Answer, Fetched, RequestError, Want, Written},
};

/// How far a write has come.
#[derive(Debug)]
pub(super) struct Write {
    name: &'static str,
    content: Content,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Not started.
    New,
    /// Round 1: a quorum says its greatest tag.
    Asking { tracker: Tracker, asked: Places, floor: Option<Tag> },
    /// The clock may not go on before its next reservation is durable (rule V1).
    AwaitingClock { floor: Option<Tag> },
    /// Round 2: the replicas store it.
    Storing { tracker: Tracker, tag: Tag },
}

impl Write {
    /// A write of `content`, counted as `name`.
    pub(super) fn new(name: &'static str, content: Content) -> Self {
        Self { name, content, phase: Phase::New }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn start(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        if !task.plan.is_strict() {
            return self.mint(task, turn, None);
        }
        let to_ask = task.plan.quorum();
        #[cfg(feature = "mutants")]
        let to_ask = match turn.config.mutant {
            Some(Mutant::BlindWrite) => return self.mint(task, turn, None),
            Some(Mutant::RoundOneOfOne) => 1,
            _ => to_ask,
        };
        let tracker = task.tracker(turn, to_ask);
        let order = task.plan.asking_order(turn);
        let asked: Places = order.iter().copied().take(to_ask).collect();
        asked.iter().for_each(|place| task.fetch(turn, place, ASKING, Want::Version));
        if asked.len() < order.len() {
            task.hedge_after_delay(turn);
        }
        self.phase = Phase::Asking { tracker, asked, floor: None };
        None
    }

    pub(super) fn answered(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        place: usize,
        round: u8,
        answer: ReplicaAnswer,
    ) -> Option<Conclusion> {
        if round != self.round() {
            return None;
        }
        match (&mut self.phase, answer) {
            (
                Phase::Asking { tracker, floor, .. },
                ReplicaAnswer::Fetched(Fetched { answer: Answer::Version(version), .. }),
            ) => {
                tracker.succeed(place);
                if let Some(Version::Tag(tag)) = version {
                    *floor = (*floor).max(Some(tag));
                }
                self.asking_judged(task, turn)
            }
            (Phase::Asking { tracker, .. }, ReplicaAnswer::Failed(_)) => {
                tracker.fail(place);
                self.hedge(task, turn);
                self.asking_judged(task, turn)
            }
            (Phase::Storing { tracker, .. }, ReplicaAnswer::Stored(_)) => {
                tracker.succeed(place);
                self.storing_judged(task, turn)
            }
            (Phase::Storing { tracker, .. }, ReplicaAnswer::Failed(_)) => {
                #[cfg(feature = "mutants")]
                if turn.config.mutant == Some(Mutant::FailedCounts) {
                    tracker.succeed(place);
                }
                tracker.fail(place);
                self.storing_judged(task, turn)
            }
            _ => None,
        }
    }

    /// Asks every replica that was not asked in round 1 yet.
    pub(super) fn hedge(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        #[cfg(feature = "mutants")]
        if let Phase::Storing { tag, .. } = self.phase {
            return self.mint(task, turn, Some(tag));
        }
        if let Phase::Asking { asked, .. } = &mut self.phase {
            for place in task.plan.asking_order(turn) {
                if !asked.contains(place) {
                    asked.insert(place);
                    task.fetch(turn, place, ASKING, Want::Version);
                }
            }
        }
        None
    }

    pub(super) fn clock_reserved(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        match self.phase {
            Phase::AwaitingClock { floor } => self.mint(task, turn, floor),
            _ => None,
        }
    }

    pub(super) fn awaits_clock(&self) -> bool {
        matches!(self.phase, Phase::AwaitingClock { .. })
    }

    pub(super) fn round(&self) -> u8 {
        match self.phase {
            Phase::New | Phase::Asking { .. } => ASKING,
            Phase::AwaitingClock { .. } => BETWEEN,
            Phase::Storing { .. } => STORING,
        }
    }

    pub(super) fn tracker(&self) -> Option<&Tracker> {
        match &self.phase {
            Phase::Asking { tracker, .. } | Phase::Storing { tracker, .. } => Some(tracker),
            Phase::New | Phase::AwaitingClock { .. } => None,
        }
    }

    pub(super) fn timeout(&self, task: &Task) -> RequestError {
        match &self.phase {
            Phase::Storing { tracker, .. } => RequestError::unknown(task.timeout(tracker)),
            Phase::Asking { tracker, .. } => RequestError::not_applied(task.timeout(tracker)),
            Phase::New | Phase::AwaitingClock { .. } => {
                RequestError::not_applied(super::timeout(task.plan.required, 0))
            }
        }
    }

    pub(super) fn validate(&self) {
        if let Some(tracker) = self.tracker() {
            tracker.validate();
        }
        if let Phase::Storing { tracker, .. } = &self.phase {
            assert_ne!(tracker.verdict(), Verdict::Impossible, "an impossible write was concluded");
        }
    }

    fn asking_judged(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        let Phase::Asking { tracker, floor, .. } = self.phase else {
            return None;
        };
        match tracker.verdict() {
            Verdict::Pending => None,
            Verdict::Reached => self.mint(task, turn, floor),
            Verdict::Impossible => Some(Err(RequestError::not_applied(task.replicas_failed(&tracker)))),
        }
    }

    /// Names the write by a tag above `floor` and sends it, unless the clock must wait.
    fn mint(&mut self, task: &mut Task, turn: &mut Turn<'_>, floor: Option<Tag>) -> Option<Conclusion> {
        task.hedge_at = None;
        if let Err(error) = task.plan.check_alive(turn) {
            return Some(Err(error));
        }
        let Some(tag) = turn.clock.mint(turn.now, floor, turn.effects) else {
            self.phase = Phase::AwaitingClock { floor };
            return None;
        };
        assert!(Some(tag) > floor, "rule Q4: a new tag exceeds every tag heard of");
        let state = State::Register(Register { tag, content: self.content.clone() });
        task.plan.alive(turn).iter().for_each(|place| task.store(turn, place, STORING, &state));
        self.phase = Phase::Storing { tracker: task.tracker(turn, task.plan.required), tag };
        #[cfg(feature = "mutants")]
        if turn.config.mutant == Some(Mutant::RetryNewTag) {
            task.hedge_after_delay(turn);
        }
        None
    }

    fn storing_judged(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        let Phase::Storing { tracker, tag } = self.phase else {
            return None;
        };
        match tracker.verdict() {
            Verdict::Reached if awaits_own(task, &tracker) => None,
            Verdict::Reached => {
                let receipt = task.receipt(turn, tracker.succeeded(), Some(tag), false);
                Some(Ok(Written { context: bytes::Bytes::new(), receipt }.into()))
            }
            Verdict::Pending => None,
            Verdict::Impossible => Some(Err(RequestError::unknown(task.replicas_failed(&tracker)))),
        }
    }
}

/// Below QUORUM a later read through the same coordinator waits for this node's own replica. So does the
/// write, so that the read finds it.
fn awaits_own(task: &Task, tracker: &Tracker) -> bool {
    !task.plan.is_strict() && task.plan.own.is_some_and(|place| tracker.is_outstanding(place))
}

const ASKING: u8 = 0;
const BETWEEN: u8 = 1;
const STORING: u8 = 2;
