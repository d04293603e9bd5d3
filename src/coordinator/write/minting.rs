//! Naming a write and making its state: a tag above all that was heard (rules Q4, V2, V5).

use quorate_ring::{Hlc, Instant, TableKind, Tag};
use quorate_storage::{Content, Register, Seen, Siblings, State, VersionVector};

use super::{Knowledge, MINTING, Phase, Write};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    coordinator::{
        operation::{Conclusion, Task},
        refusal::Refusals,
    },
    node::{Alarm, Effect, Turn},
    replica,
    wire::{Failure, RequestError},
};

impl Write {
    /// This node's own replica has come further than the new version: it holds one that its clock does not follow
    /// (rule V2), and which no quorum of the first round had, if there was one. The write goes above it, once.
    pub(super) fn mint_above(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        seen: Tag,
    ) -> Option<Conclusion> {
        let Phase::Minting { heard, .. } = &mut self.phase else {
            return None;
        };
        if std::mem::replace(&mut self.raised, true) {
            return Some(Err(RequestError::not_applied(version_ahead(turn, Some(seen)))));
        }
        let mut heard = std::mem::take(heard);
        heard.floor = heard.floor.max(Some(seen));
        self.mint(task, turn, heard)
    }

    /// Every replica that a register's write was sent to keeps a version that no clock has come to yet, of which no first
    /// round has told, and nobody has the write: it goes above them, once. Its first name is known to nobody, so this is no
    /// retry under another tag (rule Q10).
    pub(super) fn name_above(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        kept: Tag,
    ) -> Option<Conclusion> {
        self.refusals = Refusals::default();
        self.mint(task, turn, Knowledge { floor: Some(kept), seen: None })
    }

    /// Names the write by a tag above all that was `heard` and sends it, unless readers are to agree first or the
    /// clock must wait.
    pub(super) fn mint(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        heard: Knowledge,
    ) -> Option<Conclusion> {
        task.hedge_at = None;
        if let Err(error) = task.plan.check_alive(turn) {
            return Some(Err(error));
        }
        if let Some(until) = deferred_until(task, turn) {
            task.hedge_at = Some(until);
            self.phase = Phase::Deferred { heard };
            return None;
        }
        if let Some(error) = in_conflict(task, turn, &heard) {
            return Some(Err(error));
        }
        let floor = heard.floor();
        let by_clock = !floor.is_some_and(|floor| turn.clock.is_ahead(turn.now, floor.hlc));
        if by_clock && let Some(ahead_ms) = turn.clock.ahead_of_peers(turn.now) {
            return Some(Err(RequestError::not_applied(Failure::ClockAhead { ahead_ms })));
        }
        let Some(mut tag) = turn.clock.mint(turn.now, floor, turn.effects) else {
            self.phase = Phase::AwaitingClock { heard };
            return None;
        };
        assert!(Some(tag) > floor, "rule Q4: a new tag exceeds every tag heard of");
        let content = self.intent.content(tag);
        let state = match task.plan.kind {
            TableKind::Siblings if task.plan.own.is_some() => {
                let seen = heard.seen.clone().map_or(Seen::Durable, Seen::Context);
                task.plan.own.iter().for_each(|own| self.record.asked(turn.now.mono, *own));
                // What a replica said in the first round is so; what a client says its own replica must know.
                let horizon = turn.clock.own_horizon(turn.now, !self.asked_first);
                tag.actor = turn.clock.actor_for(&task.plan.row);
                let write = quorate_storage::Write::Mint {
                    row: task.plan.row.clone(),
                    dot: tag,
                    seen,
                    content,
                    horizon,
                };
                task.mint(turn, MINTING, write);
                self.phase = Phase::Minting { heard, by_clock };
                return None;
            }
            // Only a replica can tell whether the key has come so far.
            TableKind::Siblings if !by_clock => {
                return Some(Err(RequestError::not_applied(version_ahead(turn, floor))));
            }
            TableKind::Siblings => stand_in_state(turn, tag, &heard.seen.unwrap_or_default(), content),
            _ if by_clock => State::Register(Register { tag, content }),
            // Two writes may be named just above one version: each needs an actor of its own.
            _ => {
                tag.actor = turn.clock.draw_actor();
                State::Register(Register { tag, content })
            }
        };
        task.plan.alive(turn).iter().for_each(|place| self.store(task, turn, place, &state, by_clock));
        self.phase = Phase::Storing { tracker: task.tracker(turn, task.plan.required), state, by_clock };
        #[cfg(feature = "mutants")]
        if turn.config.mutant == Some(Mutant::RetryNewTag) {
            task.hedge_after_delay(turn);
        }
        None
    }

    /// The state is made and durable on this node, at `own`: the others are sent the whole of it.
    pub(super) fn minted(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        own: usize,
        state: State,
    ) -> Option<Conclusion> {
        let Phase::Minting { by_clock, .. } = self.phase else {
            return None;
        };
        warn_if_crowded(task, turn, &state);
        self.refusals.sent(own);
        let others = task.plan.alive(turn).iter().filter(|place| *place != own);
        #[cfg(feature = "mutants")]
        let (whole, state) = (state.clone(), with_bare_dot(turn, state));
        others.for_each(|place| self.store(task, turn, place, &state, by_clock));
        #[cfg(feature = "mutants")]
        let state = whole;
        let mut tracker = task.tracker(turn, task.plan.required);
        tracker.succeed(own);
        self.phase = Phase::Storing { tracker, state, by_clock };
        self.storing_judged(task, turn)
    }
}

/// This node's replica is to make the state, and may hold a content that is in question, which the writer has not seen:
/// the new state would carry it on (rule V4).
fn in_conflict(task: &mut Task, turn: &Turn<'_>, heard: &Knowledge) -> Option<RequestError> {
    let own = task.plan.own.filter(|_| task.plan.kind == TableKind::Siblings)?;
    // Who says nothing of what was seen replaces all that is durable here.
    let seen = heard.seen.as_ref()?;
    let tag = turn.conflicts.of(&task.plan.row).find(|tag| !seen.covers(*tag))?;
    task.failed(own, &replica::in_conflict(tag).to_string());
    let mut tracker = task.tracker(turn, task.plan.required);
    tracker.fail(own);
    Some(RequestError::not_applied(task.replicas_failed(&tracker)))
}

/// `seen` is ahead of every working clock, and this node cannot write above it (rules V2, V6).
pub(super) fn version_ahead(turn: &Turn<'_>, seen: Option<Tag>) -> Failure {
    let seen = seen.map_or(Hlc::ZERO, |seen| seen.hlc);
    let ahead_ms = seen.0.saturating_sub(turn.clock.present(turn.now).0) >> Hlc::LOGICAL_BITS;
    Failure::VersionAhead { ahead_ms }
}

/// Until when a new state must wait because readers of the key cannot agree (rule Q5). Only a state that is made here
/// waits: what others have made, and what readers write back, is on its way to where it must get. A register needs no
/// such moment: one write-back is enough for its readers.
fn deferred_until(task: &Task, turn: &Turn<'_>) -> Option<Instant> {
    #[cfg(feature = "mutants")]
    if turn.config.mutant == Some(Mutant::NeverDefers) {
        return None;
    }
    let mints = task.plan.kind == TableKind::Siblings && task.plan.own.is_some();
    turn.deferrals.until(turn.now.mono, &task.plan.row).filter(|_| mints)
}

/// What a fallback makes of a write when no replica can be reached (rule Q2). Its usual actor's dots on this key
/// would claim to have seen one another without a replica's state to make it true, so this write has an
/// actor of its own.
fn stand_in_state(turn: &mut Turn<'_>, tag: Tag, seen: &VersionVector, content: Content) -> State {
    #[cfg(feature = "mutants")]
    if matches!(turn.config.mutant, Some(Mutant::NonReplicaMints | Mutant::UsualActorStandsIn)) {
        return State::Siblings(Siblings::first(tag, seen, content));
    }
    let actor = turn.clock.draw_actor();
    State::Siblings(Siblings::first(Tag { hlc: tag.hlc, actor }, seen, content))
}

/// Tells the operator of a key that is written without being read (rule V6).
fn warn_if_crowded(task: &Task, turn: &mut Turn<'_>, state: &State) {
    let row = &task.plan.row;
    if let State::Siblings(state) = state
        && turn.crowded.minted(row, state.siblings().len())
    {
        let (table, key, siblings) = (row.table, row.key.clone(), state.siblings().len());
        turn.effects.push(Effect::Alarm(Alarm::ManySiblings { table, key, siblings }));
    }
}

/// The mistake [`Mutant::BareDot`]: the newest sibling, as if its writer had seen nothing.
#[cfg(feature = "mutants")]
fn with_bare_dot(turn: &Turn<'_>, state: State) -> State {
    match (&state, state.contents().max_by_key(|(dot, _)| *dot)) {
        (State::Siblings(_), Some((dot, content))) if turn.config.mutant == Some(Mutant::BareDot) => {
            State::Siblings(Siblings::first(dot, &VersionVector::new(), content.clone()))
        }
        _ => state,
    }
}
