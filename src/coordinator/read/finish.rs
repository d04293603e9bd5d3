//! How a read ends: which of its values have expired, what the client hears, who is repaired.

use quorate_ring::{Hlc, Instant, TableKind};
use quorate_storage::{State, VersionVector};

use super::{
    Comparing, Phase, Read, Settled,
    conflict::raise_conflict,
    expiry::{Standing, open_expiry, standing},
    replies::Replies,
};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    coordinator::{
        Verdict, context,
        operation::{Conclusion, Task},
        quorum::{Places, Tracker},
        receipt::Effort,
    },
    node::{Effect, Observation, Turn},
    wire::{Got, Part, ReplicaReport, RequestError, VersionedValue},
};

impl Read {
    /// The state to answer is known. If a value of it may have expired, the clocks of a quorum decide
    /// (rule D1); below QUORUM those that were heard have to do.
    pub(super) fn settle(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        settled: Settled,
    ) -> Option<Conclusion> {
        match self.open_expiry(task, turn, &settled) {
            None => Some(self.conclude(task, turn, settled)),
            Some(to) => self.ask_clocks(task, turn, settled, to),
        }
    }

    /// The last expiry on which the clocks heard so far do not decide.
    fn open_expiry(&self, task: &Task, turn: &Turn<'_>, settled: &Settled) -> Option<Hlc> {
        if !task.plan.is_strict() || one_clock_decides(turn) {
            return None;
        }
        open_expiry(settled.state.as_ref()?, || self.replies.clocks(), task.plan.quorum())
    }

    /// Asks those for their clocks who have not told them; if all have, a quorum must pass the expiry.
    fn ask_clocks(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        settled: Settled,
        to: Hlc,
    ) -> Option<Conclusion> {
        let silent: Places = self.clocks_below(None);
        let alive = task.plan.alive(turn);
        let to_ask: Places = alive.iter().filter(|place| silent.contains(*place)).collect();
        if to_ask.is_empty() {
            return match self.is_passed(to) {
                true => self.advance(task, turn, settled, to),
                false => Some(Err(self.too_few_clocks(task))),
            };
        }
        self.round += 1;
        let mut tracker = task.tracker(turn, 0);
        (0..task.plan.replicas.len())
            .filter(|place| !to_ask.contains(*place))
            .for_each(|place| tracker.fail(place));
        self.phase = Phase::AskingClocks { tracker, settled };
        task.hedge_at = Some(turn.now.mono + self.patience(task, turn));
        self.send_advance(task, turn, to_ask, Hlc::ZERO);
        self.judge_clocks(task, turn)
    }

    /// Clocks disagree: a quorum passes the expiry, so that no later read can find it ahead.
    fn advance(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        settled: Settled,
        to: Hlc,
    ) -> Option<Conclusion> {
        if self.round >= NOBODY_WAITS - 1 {
            return Some(Err(RequestError::not_applied(self.contended())));
        }
        self.round += 1;
        let mut tracker = task.tracker(turn, task.plan.quorum());
        let behind = self.clocks_below(Some(to));
        (0..task.plan.replicas.len())
            .filter(|place| !behind.contains(*place))
            .for_each(|place| tracker.succeed(place));
        let to_push = task.plan.alive(turn).iter().filter(|place| behind.contains(*place)).collect();
        self.phase = Phase::Advancing { tracker, to, settled };
        task.hedge_at = None;
        self.send_advance(task, turn, to_push, to);
        self.judge_clocks(task, turn)
    }

    /// Sees whether the clocks decide by now.
    pub(super) fn judge_clocks(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        let (Phase::AskingClocks { settled, .. } | Phase::Advancing { settled, .. }) = &self.phase else {
            return None;
        };
        let Some(to) = self.open_expiry(task, turn, settled) else {
            let settled = self.take_settled()?;
            return Some(self.conclude(task, turn, settled));
        };
        let pushes = match &self.phase {
            Phase::AskingClocks { tracker, .. } if self.is_passed(to) => {
                tracker.outstanding() == 0 || task.hedge_at.is_none()
            }
            Phase::AskingClocks { tracker, .. } if tracker.outstanding() == 0 => {
                return Some(Err(self.too_few_clocks(task)));
            }
            Phase::Advancing { tracker, .. } if tracker.verdict() == Verdict::Impossible => {
                return Some(Err(self.too_few(task)));
            }
            // While a quorum passed one expiry, clocks may have come to disagree about a later one.
            Phase::Advancing { tracker, .. } => tracker.verdict() == Verdict::Reached,
            _ => false,
        };
        if !pushes {
            return None;
        }
        let settled = self.take_settled()?;
        self.advance(task, turn, settled, to)
    }

    /// Whether any clock is known to have reached `expiry`. None is pushed past it before: a replica that does not
    /// tell its clock is no reason to end a value's life early.
    fn is_passed(&self, expiry: Hlc) -> bool {
        self.replies.clocks().flatten().any(|clock| clock >= expiry)
    }

    /// This node's own clock is asked or pushed like any other, without a message.
    pub(super) fn advance_own(&mut self, task: &Task, turn: &mut Turn<'_>) {
        let Some(own) = task.plan.own else {
            return;
        };
        let (tracker, to) = match &mut self.phase {
            Phase::AskingClocks { tracker, .. } => (tracker, Hlc::ZERO),
            Phase::Advancing { tracker, to, .. } => (tracker, *to),
            _ => return,
        };
        if !tracker.is_outstanding(own) {
            return;
        }
        if to > turn.clock.horizon(turn.now) {
            return tracker.fail(own);
        }
        if let Some(shown) = turn.clock.advance(turn.now, to, turn.effects) {
            tracker.succeed(own);
            self.replies.told_clock(turn.now.mono, own, shown);
        }
    }

    fn send_advance(&mut self, task: &Task, turn: &mut Turn<'_>, places: Places, to: Hlc) {
        for place in places.iter() {
            self.replies.asked(turn.now.mono, place);
            if task.plan.own == Some(place) {
                self.advance_own(task, turn);
            } else {
                task.advance(turn, place, self.round, to);
            }
        }
    }

    /// Those whose clock is not known to have reached `expiry`; without one, those whose clock is not known.
    fn clocks_below(&self, expiry: Option<Hlc>) -> Places {
        let unknown = |clock: Option<Hlc>| clock.is_none() || clock < expiry;
        self.replies
            .clocks()
            .enumerate()
            .filter(|(_, clock)| unknown(*clock))
            .map(|(place, _)| place)
            .collect()
    }

    fn take_settled(&mut self) -> Option<Settled> {
        let (Phase::AskingClocks { tracker, settled } | Phase::Advancing { tracker, settled, .. }) =
            &mut self.phase
        else {
            return None;
        };
        let nothing = Settled { state: None, holders: tracker.succeeded(), monotone: false };
        Some(std::mem::replace(settled, nothing))
    }

    /// Whether a value that expires at `expiry` is answered. Nothing is open any more.
    fn is_there(&self, task: &Task, turn: &Turn<'_>, expiry: Hlc) -> bool {
        #[cfg(feature = "mutants")]
        if turn.config.mutant == Some(Mutant::CoordinatorClockExpiry) {
            return turn.clock.present(turn.now) < expiry;
        }
        if !task.plan.is_strict() || one_clock_decides(turn) {
            let heard = self.replies.clocks().flatten().max();
            return heard.unwrap_or_else(|| turn.clock.present(turn.now)) < expiry;
        }
        standing(expiry, self.replies.clocks(), task.plan.quorum()) != Standing::Past
    }

    fn conclude(&mut self, task: &Task, turn: &mut Turn<'_>, settled: Settled) -> Conclusion {
        let Settled { state, holders, monotone } = settled;
        self.plan_repairs(task, turn, state.as_ref(), holders);
        let mut receipt = task.receipt(
            turn,
            self.answered_by(task, holders),
            state.as_ref().map(State::newest_write),
            !self.mended.is_empty(),
        );
        receipt.monotone = monotone;
        receipt.rounds = self.round.saturating_add(1);
        receipt.reports = self.reports(task, holders);
        let contents = state.iter().flat_map(State::contents);
        let values = contents.filter_map(|(tag, content)| {
            let (value, expires) = (content.value()?, content.expires());
            let is_there = expires.is_none_or(|expiry| self.is_there(task, turn, expiry));
            is_there.then(|| VersionedValue { value: value.clone(), tag, expires })
        });
        let values = values.collect();
        let context = match &state {
            Some(State::Siblings(state)) => context::encode(&task.plan.row, state.vector()),
            None if task.plan.kind == TableKind::Siblings => {
                context::encode(&task.plan.row, &VersionVector::new())
            }
            _ => bytes::Bytes::new(),
        };
        Ok(Got { values, context, receipt }.into())
    }

    /// Whose answers counted: at QUORUM and above those that hold what is answered, else all that were heard.
    fn answered_by(&self, task: &Task, holders: Places) -> Places {
        if task.plan.is_strict() { holders } else { self.replies.speakers() }
    }

    fn reports(&self, task: &Task, holders: Places) -> Vec<ReplicaReport> {
        let mut reports = Vec::with_capacity(task.plan.replicas.len());
        reports.extend(self.replies.by_time().map(|(place, latency_us, failed)| {
            let part = match (holders.contains(place), self.mended.contains(place)) {
                (false, _) if failed => Part::Failed,
                (_, true) => Part::Repaired,
                (_, false) => Part::Agreed,
            };
            let why = task.why_failed(place).filter(|_| part == Part::Failed).unwrap_or_default();
            ReplicaReport { node: task.plan.replicas[place], latency_us, part, why: why.to_owned() }
        }));
        reports
    }

    /// Repairs everyone who was heard and lacks something, in the background (rule Q6): at once where all that
    /// they hold is here, after another look where it is not. Of reads below QUORUM a sample looks at the
    /// others, too (rule Q8).
    fn plan_repairs(&mut self, task: &Task, turn: &mut Turn<'_>, state: Option<&State>, holders: Places) {
        let heard = self.replies.speakers();
        let looks_further = !task.plan.is_strict()
            && heard.len() < task.plan.replicas.len()
            && (matches!(self.phase, Phase::Consulting { .. })
                || task.id.is_sampled(turn.config.compare_one_in));
        if looks_further {
            self.comparison = Comparing::Everybody;
        } else if heard != holders && !self.replies.beyond(state).is_empty() {
            self.comparison = Comparing::Heard;
        } else if heard != holders
            && let Ok(Some(joined)) = self.replies.join(state.cloned())
            && (self.mended.is_empty() || Some(&joined) != state)
        {
            self.mended = mend(task, turn, &self.replies, &joined);
        }
    }

    /// How far it has come.
    pub(in crate::coordinator) fn effort(&self, task: &Task, now: Instant) -> Effort {
        let (tracker, is_first) = (self.tracker(), matches!(self.phase, Phase::Asking(_)));
        // Later rounds ask everyone whom they wait for.
        let is_awaited =
            |place: &usize| tracker.is_outstanding(*place) && (!is_first || self.asked.contains(*place));
        let part = |place| if self.mended.contains(place) { Part::Repaired } else { Part::Answered };
        let awaited = (0..task.plan.replicas.len()).filter(is_awaited);
        let heard = self.replies.by_time().map(|(place, latency_us, _)| (place, latency_us, part(place)));
        Effort {
            answered: tracker.succeeded(),
            heard: heard.collect(),
            awaited: awaited.map(|place| (place, self.replies.waited(now, place))).collect(),
            tag: None,
            rounds: self.round.saturating_add(1),
        }
    }

    pub(super) fn too_few(&self, task: &Task) -> RequestError {
        RequestError::not_applied(task.replicas_failed(self.tracker()))
    }

    /// Fewer than a quorum have told their clocks, and nobody is left who could.
    fn too_few_clocks(&self, task: &Task) -> RequestError {
        let mut tracker = Tracker::new(task.plan.replicas.len(), task.plan.quorum());
        for (place, clock) in self.replies.clocks().enumerate() {
            if clock.is_some() { tracker.succeed(place) } else { tracker.fail(place) }
        }
        RequestError::not_applied(task.replicas_failed(&tracker))
    }
}

/// Sends `joined` to everyone who is known to hold less; nobody waits for their acknowledgements.
pub(in crate::coordinator) fn mend(
    task: &Task,
    turn: &mut Turn<'_>,
    replies: &Replies,
    joined: &State,
) -> Places {
    let behind = match replies.behind(joined) {
        Ok(behind) => behind,
        Err(conflict) => {
            raise_conflict(task, turn, replies, conflict);
            return Places::default();
        }
    };
    if !behind.is_empty() {
        turn.effects.push(Effect::Observe(Observation::ReadRepair));
    }
    behind.iter().for_each(|place| task.store(turn, place, NOBODY_WAITS, joined));
    behind
}

/// Whether a mistake lets a single clock decide on an expiry.
#[cfg(feature = "mutants")]
fn one_clock_decides(turn: &Turn<'_>) -> bool {
    matches!(turn.config.mutant, Some(Mutant::CoordinatorClockExpiry | Mutant::AnyClockExpiry))
}

#[cfg(not(feature = "mutants"))]
fn one_clock_decides(_: &Turn<'_>) -> bool {
    false
}

/// A round that no read and no comparison comes to.
pub(in crate::coordinator) const NOBODY_WAITS: u8 = u8::MAX;
