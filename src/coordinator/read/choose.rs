//! What to do with what was heard: answer it, ask everybody, or write the merge back.

use quorate_ring::{Duration, TableKind};
use quorate_storage::State;

use super::{
    Phase, Read, Settled, WriteBack, needs_identical,
    replies::{Conflict, Said},
};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    coordinator::{
        Verdict,
        operation::{Conclusion, StoreWishes, Task},
        quorum::Places,
    },
    node::{Effect, Observation, Turn},
    wire::{RequestError, Want},
};

impl Read {
    /// Sees whether the read can go on, or end.
    pub(super) fn judge(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        let judged = match &self.phase {
            Phase::Asking(_) | Phase::Consulting { .. } if !task.plan.is_strict() => {
                self.judge_weak(task, turn)
            }
            Phase::Asking(_) | Phase::Consulting { .. } => self.judge_strict(task, turn),
            Phase::WritingBack(_) => self.judge_write_back(task, turn),
            Phase::AskingClocks { .. } | Phase::Advancing { .. } => return self.judge_clocks(task, turn),
        };
        // What a digest differs in only states tell (rule V4).
        let judged = match judged {
            Err(_) if matches!(self.phase, Phase::Asking(_)) => self.consult(task, turn),
            judged => judged,
        };
        match judged {
            Ok(conclusion) => conclusion,
            Err(_) if self.awaits_states() => None,
            Err(conflict) => Some(Err(self.refuse(task, turn, conflict))),
        }
    }

    /// At QUORUM and above: as many identical replies as the level names are an answer, whatever the others
    /// say. A quorum held the state, so what was complete is in it, and what is beyond it was not complete.
    /// Absence is no answer while anybody holds something (rule Q6).
    fn judge_strict(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Result<Option<Conclusion>, Conflict> {
        let group = self.replies.largest_agreement(self.replies.speakers())?;
        if group.len() >= task.plan.required
            && let Some(state) = self.replies.state_of(group)
            && (state.is_some() || self.replies.holding().is_empty())
        {
            // They may all hold a content to which somebody else has another, beside what else that one holds.
            if group.len() < self.replies.speakers().len() {
                self.replies.check()?;
            }
            self.learn_who_is_behind(task, turn, state.as_ref(), group);
            return Ok(self.settle(task, turn, Settled { state, holders: group, monotone: false }));
        }
        match (&self.phase, self.tracker().verdict()) {
            (_, Verdict::Pending) => Ok(None),
            (_, Verdict::Impossible) => Ok(Some(Err(self.too_few(task)))),
            (Phase::Asking(_), Verdict::Reached) => self.consult(task, turn),
            (Phase::Consulting { tracker, patient: true }, _) if tracker.outstanding() > 0 => Ok(None),
            (_, Verdict::Reached) if task.plan.kind == TableKind::Cas => {
                self.replies.check()?;
                self.round_above = Some(self.replies.greatest());
                Ok(None)
            }
            (_, Verdict::Reached) => self.join(task, turn),
        }
    }

    /// Below QUORUM: as many replies as the level names are enough, and their merge is the answer.
    fn judge_weak(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Result<Option<Conclusion>, Conflict> {
        match self.tracker().verdict() {
            Verdict::Pending if matches!(self.phase, Phase::Asking(_)) => return Ok(None),
            Verdict::Pending => return self.replies.check().map(|()| None),
            Verdict::Impossible => {
                self.replies.check()?;
                return Ok(Some(Err(self.too_few(task))));
            }
            Verdict::Reached if self.awaits_own(task) => return Ok(None),
            Verdict::Reached => {}
        }
        let joined = self.replies.join(None)?;
        #[cfg(feature = "mutants")]
        let joined = joined.filter(|_| !self.absence_wins(turn));
        if matches!(self.phase, Phase::Asking(_)) && !self.replies.beyond(joined.as_ref()).is_empty() {
            return self.consult(task, turn);
        }
        let holders = match &joined {
            Some(joined) => self.replies.holders(&Said::of(joined))?,
            None => self.replies.speakers(),
        };
        Ok(self.settle(task, turn, Settled { state: joined, holders, monotone: false }))
    }

    /// Below QUORUM a read waits for this node's own replica, which took every write that this node acknowledged
    /// at such a level: a faster answer from elsewhere may miss one.
    fn awaits_own(&self, task: &Task) -> bool {
        task.plan.own.is_some_and(|place| self.tracker().is_outstanding(place))
    }

    /// Disagreement: asks all that can be reached for their states, before anything is decided (rule Q6).
    fn consult(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Result<Option<Conclusion>, Conflict> {
        turn.effects.push(Effect::Observe(Observation::DigestMismatch));
        self.round += 1;
        let mut tracker = task.tracker(turn, task.plan.required);
        let here = self.replies.with_state();
        for place in task.plan.asking_order(turn) {
            if here.contains(place) {
                tracker.succeed(place);
            } else {
                self.fetch(task, turn, place, Want::State);
            }
        }
        self.phase = Phase::Consulting { tracker, patient: true };
        task.hedge_at = Some(turn.now.mono + self.patience(task, turn));
        if task.plan.is_strict() { self.judge_strict(task, turn) } else { self.judge_weak(task, turn) }
    }

    /// Enough states are here: their join goes back to those that lack it. Where all are absent there is
    /// nothing to write back, and whoever could know more is not in this quorum.
    fn join(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Result<Option<Conclusion>, Conflict> {
        let joined = self.replies.join(None)?;
        #[cfg(feature = "mutants")]
        let joined = joined.filter(|_| !self.absence_wins(turn));
        let Some(joined) = joined else {
            let holders = self.replies.speakers();
            return Ok(self.settle(task, turn, Settled { state: None, holders, monotone: false }));
        };
        turn.effects.push(Effect::Observe(Observation::ReadRepair));
        self.learn_who_is_behind(task, turn, Some(&joined), Places::default());
        let first_round = self.round + 1;
        self.write_back(task, turn, joined, first_round)
    }

    /// Tells of each replica that was heard whether it lacks something of `state`: whoever often does is asked last.
    /// `holders` are known to hold it.
    fn learn_who_is_behind(&self, task: &Task, turn: &mut Turn<'_>, state: Option<&State>, holders: Places) {
        let speakers = self.replies.speakers();
        let state = state.filter(|_| speakers.len() > holders.len());
        // A conflict is for those to raise who pick an answer.
        let behind = state.and_then(|state| self.replies.behind(state).ok()).unwrap_or_default();
        for place in speakers.iter() {
            turn.health.compared(turn.now.mono, task.plan.replicas[place], behind.contains(place));
        }
    }

    /// Writes `joined` back to all who can be reached and are not known to hold exactly that.
    fn write_back(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        joined: State,
        first_round: u8,
    ) -> Result<Option<Conclusion>, Conflict> {
        if self.round >= ROUNDS_MAX {
            return Ok(Some(Err(RequestError::not_applied(self.contended()))));
        }
        self.round += 1;
        let exactly = Said::of(&joined);
        let holders = self.replies.holders(&exactly)?;
        let mut tracker = task.tracker(turn, task.plan.quorum());
        let wishes = StoreWishes {
            report: needs_identical(task.plan.kind),
            defer: needs_identical(task.plan.kind) && self.round > first_round,
            fresh: false,
        };
        for place in holders.iter() {
            self.replies.confirm(place, self.round);
            tracker.succeed(place);
        }
        for place in task.plan.alive(turn).iter().filter(|place| !holders.contains(*place)) {
            self.replies.asked(turn.now.mono, place);
            self.mended.insert(place);
            task.store_with(turn, place, self.round, &joined, wishes);
        }
        task.hedge_at = None;
        let since = turn.now.mono;
        self.phase =
            Phase::WritingBack(WriteBack { tracker, joined, exactly, first_round, since, patient: true });
        self.judge_write_back(task, turn)
    }

    /// Siblings are answered once a quorum holds one identical state, a register once a quorum has it.
    fn judge_write_back(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Conclusion>, Conflict> {
        let Phase::WritingBack(write_back) = &self.phase else {
            return Ok(None);
        };
        let verdict = write_back.tracker.verdict();
        #[cfg(feature = "mutants")]
        let verdict = match turn.config.mutant {
            Some(Mutant::NoWriteBack) => Verdict::Reached,
            _ => verdict,
        };
        if is_enough_once(self.monotone, task, turn) && verdict == Verdict::Reached {
            let (joined, holders) = (write_back.joined.clone(), write_back.tracker.succeeded());
            let monotone = self.monotone && needs_identical(task.plan.kind);
            return Ok(self.settle(task, turn, Settled { state: Some(joined), holders, monotone }));
        }
        let group = self.replies.largest_agreement(self.replies.since(write_back.first_round))?;
        if needs_identical(task.plan.kind) && group.len() >= task.plan.quorum() {
            let joined = || Some(write_back.joined.clone());
            let state = self.replies.state_of(group).unwrap_or_else(joined);
            return Ok(self.settle(task, turn, Settled { state, holders: group, monotone: false }));
        }
        match verdict {
            Verdict::Pending => Ok(None),
            Verdict::Impossible => Ok(Some(Err(self.too_few(task)))),
            Verdict::Reached => self.write_back_more(task, turn, group),
        }
    }

    /// A quorum acknowledged, but some with more than was written back. Those that are still to be heard may make
    /// `group` large enough, and are waited for about as long as the others took; else the next round begins.
    fn write_back_more(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        group: Places,
    ) -> Result<Option<Conclusion>, Conflict> {
        let Phase::WritingBack(write_back) = &self.phase else {
            return Ok(None);
        };
        let can_agree = group.len() + write_back.tracker.outstanding() >= task.plan.quorum();
        if can_agree && write_back.patient {
            let taken = turn.now.mono.since(write_back.since);
            let wait = taken.max(PATIENCE_MIN).min(turn.config.hedge_delay);
            task.hedge_at.get_or_insert(turn.now.mono + wait);
            return Ok(None);
        }
        let (base, first_round) = (write_back.joined.clone(), write_back.first_round);
        match self.replies.join(Some(base))? {
            Some(joined) => self.write_back(task, turn, joined, first_round),
            None => Ok(None),
        }
    }

    #[cfg(feature = "mutants")]
    fn absence_wins(&self, turn: &Turn<'_>) -> bool {
        turn.config.mutant == Some(Mutant::AbsenceWins) && self.replies.some_are_absent()
    }
}

/// Whether one write-back is enough for an answer.
#[cfg_attr(not(feature = "mutants"), expect(unused_variables, reason = "only a mutant looks"))]
fn is_enough_once(monotone: bool, task: &Task, turn: &Turn<'_>) -> bool {
    #[cfg(feature = "mutants")]
    if matches!(turn.config.mutant, Some(Mutant::SiblingsAnsweredEarly | Mutant::NoWriteBack)) {
        return true;
    }
    monotone || !needs_identical(task.plan.kind)
}

/// More rounds than that do not fit the id of a request; two are left for the clocks.
const ROUNDS_MAX: u8 = u8::MAX - 4;
/// How long a slow acknowledgement is waited for at least: less than a round takes.
const PATIENCE_MIN: Duration = Duration::from_micros(500);
