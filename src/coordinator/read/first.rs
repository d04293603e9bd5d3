//! Reads whose first answers are here when they begin: those of the keys of a page (see `scan`).

use quorate_ring::{Hlc, Instant, NodeId};

use super::{
    Phase, Read,
    replies::{Replies, Said},
};
use crate::{
    coordinator::operation::{Conclusion, Task},
    node::Turn,
    wire::Want,
};

/// What a replica has said of a key before its read began, since the request that the read is part of did.
#[derive(Clone, Debug)]
pub(in crate::coordinator) struct FirstWord {
    /// Who.
    pub(in crate::coordinator) node: NodeId,
    /// When it was asked.
    pub(in crate::coordinator) asked_at: Instant,
    /// What it holds; `None` if it cannot say.
    pub(in crate::coordinator) said: Option<Said>,
    /// What its clock showed then (rule D1).
    pub(in crate::coordinator) clock: Option<Hlc>,
}

impl Read {
    /// Starts with what was said, as if it had come in answer to the first round; asks others where that is too little.
    /// Words of those that are no replicas of the key by the plan count for nothing.
    pub(in crate::coordinator) fn start_with(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        words: Vec<FirstWord>,
    ) -> Option<Conclusion> {
        let now = turn.now.mono;
        self.replies = Replies::new(task.plan.replicas.len());
        let mut tracker = task.tracker(turn, task.plan.required);
        for FirstWord { node, asked_at, said, clock } in words {
            let is_own = node == turn.config.node;
            let Some(place) = task.plan.place(node).filter(|place| !is_own || task.plan.own == Some(*place))
            else {
                continue;
            };
            self.asked.insert(place);
            self.replies.asked(asked_at, place);
            match said {
                Some(said) => {
                    tracker.succeed(place);
                    self.replies.heard(now, place, 0, said);
                    clock.into_iter().for_each(|clock| self.replies.told_clock(now, place, clock));
                }
                None => {
                    tracker.fail(place);
                    self.replies.failed(now, place);
                    task.failed(place, DAMAGED);
                }
            }
        }
        self.phase = Phase::Asking(tracker);
        if let Some(own) = task.plan.own.filter(|own| !self.asked.contains(*own) && !task.plan.is_strict()) {
            self.fetch(task, turn, own, Want::State);
        }
        self.ask_more(task, turn);
        if self.tracker().outstanding() > 0 {
            turn.health.earn();
            self.hedge_later(task, turn);
        }
        self.judge(task, turn)
    }
}

/// Of a replica that named the key and could not say what it holds.
const DAMAGED: &str = "holds a damaged record";
