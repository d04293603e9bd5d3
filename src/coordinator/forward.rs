//! Handing a write to a node that can mint for its key (rule V5).
//!
//! Only a replica of a key mints for it, because only a replica holds, with its own earlier dots, the state to mint
//! on. Any node takes any request, so another one passes the write on, once, with its deadline. The replica
//! coordinates it as if the client had asked there; its word is the client's answer. A refusal before the
//! replica began leaves the write undone, and another replica may be tried. A lost connection leaves its
//! outcome unknown.
//!
//! A forwarded write that arrived twice would be carried out twice, under two dots: a value that was deleted in between
//! would come back. The receiver does not look out for that; nothing may send it twice. A QUIC stream delivers each
//! frame once, what is under way on a connection that is lost is not sent again on the next one, and this node asks again
//! only who has not been asked, after the last one said that it did not begin. The SDK does the same (rule Q10). So the
//! simulator, which doubles single frames beyond what connections do, leaves these out (`once` in its network).

use quorate_ring::{Duration, Instant};

use super::{
    operation::{Conclusion, ReplicaAnswer, Task},
    quorum::{Places, Tracker},
    receipt::{Effort, micros},
};
use crate::{
    node::Turn,
    wire::{Forward, Outcome, Part, RequestError},
};

/// A write that another node carries out.
#[derive(Debug)]
pub(super) struct Forwarding {
    request: Forward,
    /// Replicas that have been asked.
    tried: Places,
    /// The one that is asked now.
    asked: Option<usize>,
    /// When.
    asked_at: Instant,
    /// How many were asked before it.
    round: u8,
    tracker: Tracker,
    /// Those that have not carried it out, with what they took to say so.
    refused: Vec<(usize, Duration)>,
}

impl Forwarding {
    pub(super) fn new(request: Forward) -> Self {
        Self {
            request,
            tried: Places::default(),
            asked: None,
            asked_at: Instant::ZERO,
            round: 0,
            tracker: Tracker::new(0, 0),
            refused: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self.request {
            Forward::Put(_) => "put",
            Forward::Delete(_) => "delete",
        }
    }

    pub(super) fn start(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        self.ask_next(task, turn, None)
    }

    pub(super) fn answered(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        place: usize,
        round: u8,
        answer: ReplicaAnswer,
    ) -> Option<Conclusion> {
        if round != self.round || self.asked != Some(place) {
            return None;
        }
        match answer {
            ReplicaAnswer::Forwarded(forwarded) => match forwarded.result {
                Ok(mut written) => {
                    written.receipt.forwarded_by = Some(turn.config.node);
                    Some(Ok(written.into()))
                }
                Err(mut error) => {
                    self.refused(turn, place);
                    task.failed(place, &error.failure.to_string());
                    if let Some(receipt) = &mut error.receipt {
                        receipt.forwarded_by = Some(turn.config.node);
                    }
                    // It had no room or is not ready: another replica may be.
                    if error.outcome == Outcome::NotApplied && error.failure.is_of_one_node() {
                        return self.ask_next(task, turn, Some(error));
                    }
                    Some(Err(error))
                }
            },
            ReplicaAnswer::Failed(_) => {
                self.refused(turn, place);
                let error = RequestError::not_applied(task.replicas_failed(&self.tracker));
                self.ask_next(task, turn, Some(error))
            }
            _ => None,
        }
    }

    /// The peer that was asked is lost: nobody knows what it did before.
    pub(super) fn peer_down(&mut self, task: &Task, turn: &Turn<'_>, place: usize) -> Option<Conclusion> {
        if self.asked != Some(place) {
            return None;
        }
        self.refused(turn, place);
        Some(Err(RequestError::unknown(task.replicas_failed(&self.tracker))))
    }

    pub(super) fn waits_for(&self, place: usize) -> bool {
        self.asked == Some(place)
    }

    pub(super) fn timeout(&self, task: &Task) -> RequestError {
        RequestError::unknown(task.timeout(&self.tracker))
    }

    /// How far it has come.
    pub(super) fn effort(&self, now: Instant) -> Effort {
        let heard = self.refused.iter().map(|(place, took)| (*place, micros(*took), Part::Answered));
        Effort {
            heard: heard.collect(),
            awaited: self.asked.iter().map(|place| (*place, now.since(self.asked_at))).collect(),
            rounds: self.tried.len() as u8,
            ..Effort::default()
        }
    }

    /// The one that was asked will not do it, or is lost.
    fn refused(&mut self, turn: &Turn<'_>, place: usize) {
        self.asked = None;
        self.refused.push((place, turn.now.mono.since(self.asked_at)));
    }

    /// Asks the next replica that is up; gives up with `last` if there is none.
    fn ask_next(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        last: Option<RequestError>,
    ) -> Option<Conclusion> {
        self.tracker = task.tracker(turn, task.plan.required);
        let next = task.plan.asking_order(turn).into_iter().find(|place| !self.tried.contains(*place));
        let Some(place) = next else {
            let none = || RequestError::not_applied(task.replicas_failed(&self.tracker));
            return Some(Err(last.unwrap_or_else(none)));
        };
        self.round = self.tried.len() as u8;
        self.tried.insert(place);
        (self.asked, self.asked_at) = (Some(place), turn.now.mono);
        task.forward(turn, place, self.round, self.request.clone());
        None
    }
}
