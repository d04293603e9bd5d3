//! What a quorum's promises tell.

use quorate_storage::{Accepted, Acceptor, State};

use super::{Change, Ending, Proposer};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    coordinator::{operation::Task, quorum::Places, read::NOBODY_WAITS},
    node::{Alarm, Effect, Turn},
};

/// What a replica has promised with.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) place: usize,
    pub(super) accepted: Option<Accepted>,
    /// Whether that is a vote: see [`Acceptor::vote`].
    pub(super) is_vote: bool,
}

impl Proposer {
    /// Those who hold what was `found`, if that needs no second phase: as many have accepted it as the level asks for, or
    /// nobody anything.
    #[cfg_attr(not(feature = "mutants"), expect(unused_variables, reason = "only a mutant looks"))]
    pub(super) fn holders(
        &self,
        task: &Task,
        turn: &Turn<'_>,
        (found, ending): (Option<&Accepted>, Ending),
        promises: &[Promise],
    ) -> Option<Places> {
        let holds = |promise: &&Promise| match (&promise.accepted, found) {
            (Some(accepted), Some(found)) => promise.is_vote && accepted.ballot == found.ballot,
            (accepted, found) => accepted.is_none() && found.is_none(),
        };
        // What was chosen does not shut out an own write that is later than it.
        let leaves_open = |ending| ending == Ending::NotMet && !self.sent.is_empty();
        if matches!(self.change, Change::Again) || leaves_open(ending) {
            return None;
        }
        let holders: Places = promises.iter().filter(holds).map(|promise| promise.place).collect();
        #[cfg(feature = "mutants")]
        if turn.config.mutant == Some(Mutant::CasAnsweredEarly) {
            return Some(holders);
        }
        (holders.len() >= task.plan.required.max(task.plan.quorum())).then_some(holders)
    }
}

/// Two replicas that hold different proposals under one ballot (rule V4).
pub(super) fn conflicting(promises: &[Promise]) -> Option<(&Promise, &Promise)> {
    promises.iter().enumerate().find_map(|(nth, one)| {
        let accepted = one.accepted.as_ref()?;
        let contradicts = |other: &&Promise| {
            let other = other.accepted.as_ref();
            other.is_some_and(|other| other.ballot == accepted.ballot && other != accepted)
        };
        promises[nth + 1..].iter().find(contradicts).map(|other| (one, other))
    })
}

/// Tells the operator of two proposals under one ballot, and each of those that hold one: whoever is sent the other one refuses
/// it, and serves the key no more (rule V4).
pub(super) fn raise_conflict(task: &Task, turn: &mut Turn<'_>, one: &Promise, other: &Promise) {
    let row = &task.plan.row;
    let (table, key, node) = (row.table, row.key.clone(), turn.config.node);
    let tag = one.accepted.as_ref().map(|accepted| accepted.ballot);
    turn.effects.push(Effect::Alarm(Alarm::TagConflict { table, key, node, tag }));
    for (holder, another) in [(one, other), (other, one)] {
        if task.plan.own == Some(holder.place) {
            tag.into_iter().for_each(|tag| turn.conflicts.found(row, tag));
        } else if let Some(accepted) = &another.accepted {
            let message = State::Cas(Acceptor::accepting(accepted.clone()));
            task.store(turn, holder.place, NOBODY_WAITS, &message);
        }
    }
}
