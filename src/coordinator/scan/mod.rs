//! Reading a table in the order of its keys' tokens, page by page.
//!
//! A page is a read of every key between two places, those that are absent included. It is carried out in two steps.
//!
//! 1. *Gathering*. Of each stretch of tokens behind the place, as many replicas as the level names are asked for their keys,
//!    in order, a bounded number of them. The page ends where they cannot carry it further together: before the first
//!    place up to which fewer of a stretch's replicas than the level names have told everything (`gather`).
//! 2. *Reading*. Each key that any of them named is read as by a client, with what was said of it as the first answers
//!    (`Read::start_with`): that a replica holds a state, or its digest, or, if it has told everything about the place and
//!    did not name the key, nothing. So rules Q5 to Q8 and D1 decide, for every kind of table: where enough answers are
//!    identical that is all there is to it, and where they are not the read goes on from there, with a message for each
//!    replica and key, a bounded number of keys at a time.
//!
//! Why that is as good as reading each key. An ordinary read asks after it began, and any answer that describes a moment
//! since then will do; these do, since the page began. A key that nobody named is one of which as many replicas as the level
//! names have said that they hold nothing, which is what an ordinary read answers at once as absent: at QUORUM, what was
//! acknowledged or answered before the page began is durable on a quorum, and one of those was asked. A replica that lost
//! its state since it answered ends the page in an error, as it may end a read that has settled (rule R7). One that is
//! recovering a stretch is not asked for it, and refuses if it is; one whose record is damaged has no say about that key
//! (rule S3). Below QUORUM this node's own replica is always waited for, where it is one.
//!
//! So at QUORUM and ALL every key of a page, and every absence, is linearizable by itself. The scan as a whole is no snapshot:
//! of two keys the second is read later, and what was written in between may show in one and not in the other; a key
//! that is written behind the place that the scan has come to is not in it. No key comes twice, because places only
//! grow.
//!
//! Bounds: a page has so many keys and bytes; what replicas send for it is bounded likewise; pages under
//! way are bounded, and the client's page counts as one request (rule Q11). A key that cannot be read ends the page before
//! it, and is an error once it is the first one. A page may be empty and not the last: its keys were deleted, or others'
//! tables fill the stretch.

mod gather;
mod page;
mod span;

use std::collections::BTreeMap;

use quorate_ring::{Instant, NodeId};

use self::{
    gather::Gathering,
    page::{Page, ROWS_MAX},
};
use super::{
    Coordinator, OperationId, ReplicaAnswer, STATE_LOST, Step, answer, count,
    operation::{Conclusion, Operation, Origin, Work},
    plan,
    read::Read,
    reason,
    receipt::unavailable,
    refuse, timeout,
};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    node::{ClientId, Effect, Observation, Timers, Turn},
    wire::{self, ClientMessage, Failure, Header, Outcome, RequestError},
};

/// The pages under way.
#[derive(Debug, Default)]
pub(super) struct Scans {
    under_way: BTreeMap<OperationId, Page>,
    timers: Timers<OperationId>,
}

impl Coordinator {
    /// Starts a page of a scan.
    pub fn scan(&mut self, turn: &mut Turn<'_>, client: ClientId, header: Header, request: wire::Scan) {
        if header.deadline <= turn.now.mono {
            return turn.effects.push(Effect::Observe(Observation::Expired));
        }
        let deadline = header.deadline.min(turn.now.mono + turn.config.request_timeout_max);
        let header = Header { deadline, ..header };
        let begun = begin(turn, &request).and_then(|(required, gathering)| {
            if self.scans.under_way.len() >= SCANS_MAX {
                let retry_after_ms = RETRY_AFTER_MS;
                return Err(RequestError::not_applied(Failure::Overloaded { retry_after_ms }));
            }
            let origin = Origin::Client(client);
            let admitted = self.admission.admit(turn.config, origin, turn.now.mono, deadline);
            Ok((required, gathering, admitted.map_err(RequestError::not_applied)?))
        });
        let (required, gathering, admitted) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                if matches!(error.failure, Failure::Overloaded { .. }) {
                    turn.effects.push(Effect::Observe(Observation::Overloaded));
                }
                return refuse(turn, client, header, error);
            }
        };
        let rows_max = (request.rows_max as usize).clamp(1, ROWS_MAX);
        let moved_at = turn.catalog.moved_at();
        let (hedge_at, reading) = (None, None);
        let page = Page {
            admitted,
            client,
            header,
            request,
            rows_max,
            required,
            moved_at,
            gathering,
            hedge_at,
            reading,
        };
        let id = self.next_id();
        self.scans.timers.set(page.timer_at(), id);
        self.scans.under_way.insert(id, page);
        self.advance_page(turn, id, |page, turn| page.ask(turn, id, 0));
    }

    /// Whether a step is one of a page.
    pub(super) fn is_of_page(&self, step: Step) -> bool {
        self.scans.under_way.contains_key(&step.operation)
    }

    /// A replica made something of its part of a page.
    pub(super) fn page_answered(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        step: Step,
        answer: ReplicaAnswer,
    ) {
        let id = step.operation;
        self.advance_page(turn, id, |page, turn| {
            // Whoever answers once its rows are being read comes too late.
            if page.reading.is_some() {
                return;
            }
            let now = turn.now.mono;
            match answer {
                ReplicaAnswer::Page(fetched) => {
                    page.gathering.fetched(now, from, step.round, *fetched);
                }
                ReplicaAnswer::Failed(failed)
                    if page.gathering.failed(now, from, step.round, &failed.why) =>
                {
                    page.ask(turn, id, 0);
                }
                _ => {}
            }
        });
    }

    /// A peer is lost: what it was asked for will not come.
    pub(super) fn pages_lose(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        for id in self.scans.ids() {
            let open = self.scans.under_way[&id].gathering.unanswered(peer);
            for round in open {
                let lost = ReplicaAnswer::Failed(super::Failed::unsure(super::CONNECTION_LOST));
                self.page_answered(turn, peer, Step { operation: id, round }, lost);
            }
        }
    }

    /// A peer has lost the state that it told of: pages that it has a part in end (rule R7).
    pub(super) fn pages_disown(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        for id in self.scans.ids() {
            if self.scans.under_way[&id].gathering.concerns(peer)
                && let Some(mut page) = self.scans.remove(id)
            {
                page.gathering.disown(peer, STATE_LOST);
                let reason = reason(peer, &STATE_LOST);
                let failure = Failure::ReplicasFailed {
                    required: count(page.required),
                    answered: 0,
                    failed: 1,
                    reason,
                };
                self.end_page(turn, id, page, Err(RequestError::not_applied(failure)));
            }
        }
    }

    /// Ends pages that are past their deadline, and asks more replicas where the first were slow.
    pub(super) fn fire_page_timers(&mut self, turn: &mut Turn<'_>) {
        while let Some(id) = self.scans.timers.pop_due(turn.now.mono) {
            let Some(page) = self.scans.under_way.get_mut(&id) else {
                continue;
            };
            if turn.now.mono < page.header.deadline {
                page.hedge_at = None;
                self.advance_page(turn, id, |page, turn| page.ask(turn, id, 1));
            } else if let Some(page) = self.scans.under_way.remove(&id) {
                let (answered, _, _) = page.gathering.first();
                let failure = timeout(page.required, answered);
                self.end_page(turn, id, page, Err(RequestError::not_applied(failure)));
            }
        }
    }

    /// A key of a page was read, or could not be.
    pub(super) fn row_read(
        &mut self,
        turn: &mut Turn<'_>,
        id: OperationId,
        read: OperationId,
        conclusion: Conclusion,
    ) {
        if let Some(reading) = self.scans.under_way.get_mut(&id).and_then(|page| page.reading.as_mut())
            && let Some(at) = reading.open.remove(&read)
        {
            reading.settle(at, conclusion);
            self.advance_page(turn, id, |_, _| {});
        }
    }

    /// Lets `event` happen to a page, if it is still under way, and sees to what follows.
    fn advance_page(
        &mut self,
        turn: &mut Turn<'_>,
        id: OperationId,
        event: impl FnOnce(&mut Page, &mut Turn<'_>),
    ) {
        let Some(mut page) = self.scans.remove(id) else {
            return;
        };
        event(&mut page, turn);
        let is_through = match page.gathered(turn) {
            Ok(is_through) => is_through && self.read_rows(turn, id, &mut page),
            Err(failure) => return self.end_page(turn, id, page, Err(RequestError::not_applied(failure))),
        };
        if is_through {
            let conclusion = page.conclude(turn, id);
            return self.end_page(turn, id, page, conclusion);
        }
        self.scans.timers.set(page.timer_at(), id);
        self.scans.under_way.insert(id, page);
        self.take_turns(turn);
    }

    /// Reads as many rows at a time as may be; true if there is nothing left to wait for.
    fn read_rows(&mut self, turn: &mut Turn<'_>, id: OperationId, page: &mut Page) -> bool {
        while let Some((row, words)) = page.next_row() {
            let (consistency, monotone) = (page.request.consistency, page.request.monotone);
            let planned = plan::row_of_page(turn, &row, consistency);
            let Some(reading) = &mut page.reading else {
                return false;
            };
            let at = reading.rows.len();
            reading.rows.push((row, None));
            let plan = match planned {
                Ok(plan) => plan,
                Err(error) => {
                    reading.settle(at, Err(error));
                    continue;
                }
            };
            let read = self.next_id();
            let admitted = self.admission.join(Origin::Scan(id), turn.now.mono);
            let work = Work::Read(Read::new(monotone));
            let mut operation = Operation::new(read, admitted, page.header, plan, work);
            let Operation { task, work } = &mut operation;
            let conclusion = match work {
                Work::Read(read) => read.start_with(task, turn, words),
                Work::Write(_) | Work::Cas(_) | Work::Forward(_) => None,
            };
            match conclusion {
                None => {
                    reading.open.insert(read, at);
                    // It begins when the page is back in its place, to which it answers.
                    if operation.turns_to_round() && self.chains.enter(&operation.task.plan.row, read) {
                        self.their_turn.push(read);
                    }
                    self.keep(operation);
                }
                Some(conclusion) => {
                    self.admission.ended(turn.now.mono, admitted, false);
                    reading.settle(at, conclusion);
                    if let Some((comparison, comparing)) = operation.into_comparison() {
                        self.comparisons.begin(turn, comparison, comparing);
                    }
                }
            }
        }
        page.reading.as_ref().is_some_and(|reading| reading.open.is_empty())
    }

    fn end_page(&mut self, turn: &mut Turn<'_>, id: OperationId, page: Page, conclusion: Conclusion) {
        let conclusion = conclusion.map_err(|error| page.explain(turn, id, error));
        // It took as long as its keys did: that says nothing of how long a request takes.
        self.admission.ended(turn.now.mono, page.admitted, false);
        let nanos = turn.now.mono.since(page.admitted.at()).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        let (operation, consistency, forwarded) = ("scan", page.request.consistency, false);
        let outcome = conclusion.is_ok().then_some(Outcome::Applied);
        let (request, step) = (page.header.id, Step { operation: id, round: 0 });
        let observation =
            Observation::Request { request, step, operation, consistency, forwarded, outcome, nanos };
        turn.effects.push(Effect::Observe(observation));
        answer(turn, page.client, page.header, conclusion.unwrap_or_else(ClientMessage::RequestError));
    }
}

impl Scans {
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(super) fn validate(&self) {
        self.timers.validate();
        assert!(self.under_way.len() <= SCANS_MAX);
        for (id, page) in &self.under_way {
            assert!(self.timers.holds(page.timer_at(), *id), "every page has a timer");
            let waits = page.reading.as_ref().map_or(page.gathering.is_waiting(), |it| !it.open.is_empty());
            assert!(waits, "a page that awaits nobody is over");
        }
    }

    fn ids(&self) -> Vec<OperationId> {
        self.under_way.keys().copied().collect()
    }

    fn remove(&mut self, id: OperationId) -> Option<Page> {
        let page = self.under_way.remove(&id)?;
        self.timers.cancel(page.timer_at(), id);
        Some(page)
    }
}

/// Plans a page: how many replicas of each key must answer, and whom it concerns.
fn begin(turn: &Turn<'_>, request: &wire::Scan) -> Result<(usize, Gathering), RequestError> {
    let refuse = RequestError::not_applied;
    let Some(table) = turn.catalog.table(request.table) else {
        return Err(refuse(Failure::UnknownTable { name: request.table.to_string() }));
    };
    let required = request.consistency.required_reads(table.replication);
    let required = required.map_err(|why| refuse(Failure::BadRequest(why.to_string())))?;
    let from = match &request.after {
        Some(cursor) => {
            let (token, key) = wire::decode_cursor(table.id, cursor.clone()).map_err(refuse)?;
            quorate_storage::Row { token, table: table.id, key }
        }
        None => span::start(table.id),
    };
    let stretches = span::behind(turn.ring, table, from.token);
    let is_strict = required > usize::from(table.replication) / 2;
    #[cfg(feature = "mutants")]
    let required = match turn.config.mutant {
        Some(Mutant::ScanTrustsOneReplica) => 1,
        _ => required,
    };
    let gathering = Gathering::new(from, stretches, required, !is_strict);
    let (replicas, alive) = gathering.first_replicas(turn);
    if alive.len() < required {
        let is_down = |place: usize| !alive.contains(&replicas[place]);
        return Err(unavailable(turn, request.consistency, required, &replicas, is_down));
    }
    Ok((required, gathering))
}

/// Pages at a time; more are refused as overloaded.
const SCANS_MAX: usize = 64;
const RETRY_AFTER_MS: u32 = 50;
