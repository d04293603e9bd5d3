//! One version with two contents (rule V4): nothing is picked, nothing is served, and all who hold one hear of it.
//!
//! What a first round finds may be a digest that differs from a state of the same version. That does not tell which of
//! several siblings is concerned, nor does the replica that holds the other content know of it. So a read asks for all
//! states before it refuses, as after any disagreement, and then sends each content to a replica that holds the other.
//! Their merges refuse it, and from then on they tell neither (`replica/conflicts.rs`).

use quorate_ring::Tag;
use quorate_storage::State;

use super::{
    Phase, Read,
    finish::NOBODY_WAITS,
    replies::{Conflict, Replies},
};
use crate::{
    coordinator::{Verdict, count, operation::Task},
    node::{Alarm, Effect, Turn},
    wire::{Failure, RequestError},
};

impl Read {
    /// Whether states are on their way that may tell what a conflict is about, and the read can still succeed.
    pub(super) fn awaits_states(&self) -> bool {
        matches!(&self.phase, Phase::Consulting { tracker, patient: true }
            if tracker.outstanding() > 0 && tracker.verdict() != Verdict::Impossible)
    }

    /// Ends the read, and has the key served no more.
    pub(super) fn refuse(&self, task: &Task, turn: &mut Turn<'_>, conflict: Conflict) -> RequestError {
        raise_conflict(task, turn, &self.replies, conflict);
        let why = "its replicas hold different contents under one version; look at the nodes' alarms";
        RequestError::not_applied(Failure::ReplicasFailed {
            required: count(task.plan.required),
            answered: count(self.replies.speakers().len()),
            failed: 0,
            reason: why.to_owned(),
        })
    }
}

/// Tells the operator, and those replicas that hold one of the contents. This node's is told without a message, and so
/// before its own disk would be.
pub(in crate::coordinator) fn raise_conflict(
    task: &Task,
    turn: &mut Turn<'_>,
    replies: &Replies,
    Conflict(tag): Conflict,
) {
    let row = &task.plan.row;
    // Where it cannot be told which of its siblings is concerned, the newest stands for all of them.
    let own = task.plan.own;
    if let Some(concerned) = tag.or_else(|| own.and_then(|own| replies.newest_in_question(own)))
        && own.is_some()
        && !turn.cache.get(row).is_some_and(|held| is_over(held.as_ref(), concerned))
    {
        turn.conflicts.found(row, concerned);
    }
    let (table, key, node) = (row.table, row.key.clone(), turn.config.node);
    turn.effects.push(Effect::Alarm(Alarm::TagConflict { table, key, node, tag }));
    for (place, other) in replies.contradicted().filter(|(place, _)| own != Some(*place)) {
        task.store(turn, place, NOBODY_WAITS, other);
    }
}

/// Whether a later write has replaced the content meanwhile.
fn is_over(held: Option<&State>, tag: Tag) -> bool {
    held.is_some_and(|held| {
        held.version().covers(tag) && !held.contents().any(|(content_tag, _)| content_tag == tag)
    })
}
