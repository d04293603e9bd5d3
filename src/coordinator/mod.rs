//! What a node does for its clients: it finds a key's replicas, asks them, and says what came of it.
//!
//! A request is two things, kept apart: arithmetic ([`Tracker`]: who answered, is it enough, can it
//! still be) and choreography (`read`, `write`: who is asked what, and when). Choosing replicas and levels
//! is `plan`, a pure function.

mod admission;
mod cas;
mod comparison;
mod context;
mod crowded;
mod forward;
mod health;
mod loss;
mod operation;
mod plan;
mod quorum;
mod read;
mod receipt;
mod record;
mod refusal;
mod scan;
mod step;
mod stragglers;
mod unconfirmed;
mod write;

use std::collections::BTreeMap;

use quorate_ring::{Actor, Duration, Instant, NodeId, TableKind};

pub use crowded::Crowded;
pub use health::Health;
pub use operation::ReplicaAnswer;
pub use quorum::{Tracker, Verdict};
pub use refusal::Failed;
pub use step::Step;

use self::{
    admission::Admission,
    cas::{Chains, Change},
    comparison::Comparisons,
    forward::Forwarding,
    operation::{Conclusion, Operation, Origin, Work},
    read::Read,
    scan::Scans,
    stragglers::{Straggler, Stragglers},
    write::{Intent, Write},
};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    node::{ClientId, Effect, Observation, Timers, Turn},
    wire::{
        ClientMessage, Delete, Failure, Forward, Forwarded, Frame, Get, Header, OperationId, PeerMessage,
        Put, RequestError,
    },
};

/// The requests of this node's clients that are under way.
#[derive(Debug)]
pub struct Coordinator {
    operations: BTreeMap<OperationId, Operation>,
    admission: Admission,
    /// What reads left to do after their answers; no client waits for it.
    comparisons: Comparisons,
    /// Pages of tables that clients read in the order of tokens.
    scans: Scans,
    /// Whose turn it is of those that make rounds of `cas` keys.
    chains: Chains,
    /// Those whose turn has come since.
    their_turn: Vec<OperationId>,
    takes_turns: bool,
    timers: Timers<OperationId>,
    /// Writes that were answered before every replica had confirmed them.
    stragglers: Stragglers,
    /// Requests that wait for the clock's next reservation (rules V1, D1).
    awaiting_clock: Vec<OperationId>,
    next_id: OperationId,
}

impl Coordinator {
    /// Ids start at a place drawn from the process's actor, so that an answer meant for an earlier
    /// process of this node finds no operation.
    pub fn new(actor: Actor) -> Self {
        Self {
            operations: BTreeMap::new(),
            stragglers: Stragglers::default(),
            admission: Admission::default(),
            comparisons: Comparisons::default(),
            scans: Scans::default(),
            chains: Chains::default(),
            their_turn: Vec::new(),
            takes_turns: false,
            timers: Timers::default(),
            awaiting_clock: Vec::new(),
            next_id: OperationId::first_of(actor),
        }
    }

    /// Starts a read.
    pub fn get(&mut self, turn: &mut Turn<'_>, client: ClientId, header: Header, get: Get) {
        let plan = plan::read(turn, get.table, &get.key, get.consistency);
        let planned = plan.map(|plan| (plan, Work::Read(Read::new(get.monotone))));
        self.begin(turn, Origin::Client(client), header, planned);
    }

    /// Starts a write of a value.
    pub fn put(&mut self, turn: &mut Turn<'_>, client: ClientId, header: Header, put: Put) {
        self.write(turn, Origin::Client(client), header, Forward::Put(put));
    }

    /// Starts a write of a tombstone.
    pub fn delete(&mut self, turn: &mut Turn<'_>, client: ClientId, header: Header, delete: Delete) {
        self.write(turn, Origin::Client(client), header, Forward::Delete(delete));
    }

    /// Starts a write of a peer's client, which the peer could not mint.
    pub fn forwarded(&mut self, turn: &mut Turn<'_>, peer: NodeId, header: Header, forward: Forward) {
        self.write(turn, Origin::Peer(peer), header, forward);
    }

    fn write(&mut self, turn: &mut Turn<'_>, origin: Origin, header: Header, request: Forward) {
        let planned = plan::write(turn, &request).and_then(|(plan, context)| {
            #[cfg(feature = "mutants")]
            let context = context.filter(|_| turn.config.mutant != Some(Mutant::ContextIgnored));
            if must_forward(turn, &plan) {
                return match origin {
                    Origin::Client(_) => Ok((plan, Work::Forward(Forwarding::new(request)))),
                    Origin::Peer(_) | Origin::Scan(_) | Origin::Repair => {
                        Err(RequestError::not_applied(Failure::NotAReplica))
                    }
                };
            }
            let intent = match request {
                Forward::Put(put) => {
                    Intent::Put { value: put.value, ttl: put.ttl_ms.map(Duration::from_millis) }
                }
                Forward::Delete(_) => Intent::Delete,
            };
            if plan.kind == TableKind::Cas {
                return Ok(cas::propose(plan, Change::Write(intent)));
            }
            Ok((plan, Work::Write(Box::new(Write::new(intent, context)))))
        });
        self.begin(turn, origin, header, planned);
    }

    /// A replica, a peer's or this node's own, made something of a request.
    pub fn answered(&mut self, turn: &mut Turn<'_>, from: NodeId, step: Step, answer: ReplicaAnswer) {
        if self.is_of_page(step) {
            return self.page_answered(turn, from, step, answer);
        }
        if !self.operations.contains_key(&step.operation) {
            self.straggler_answered(turn, from, step, &answer);
            return self.comparisons.answered(turn, from, step, answer);
        }
        self.advance(turn, step.operation, |operation, turn| operation.answered(turn, from, step, answer));
    }

    /// Every request that waits for `peer` goes on without it.
    pub fn peer_down(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        self.admission.gone(Origin::Peer(peer));
        let waiting: Vec<_> =
            self.operations.iter().filter(|(_, o)| o.waits_for(peer)).map(|(id, _)| *id).collect();
        for id in waiting {
            self.advance(turn, id, |operation, turn| operation.peer_down(turn, peer));
        }
        self.pages_lose(turn, peer);
        turn.hints.extend(self.stragglers.peer_down(peer));
        let is_complete = |straggler: &Straggler| straggler.waiting.is_empty();
        let complete: Vec<_> =
            self.stragglers.iter().filter(|(_, s)| is_complete(s)).map(|(id, _)| *id).collect();
        complete.into_iter().for_each(|id| self.end_straggler(turn, id));
        self.comparisons.peer_down(turn, peer);
    }

    /// A node that stops waits for no straggler: it leaves hints.
    pub fn drain(&mut self, turn: &mut Turn<'_>) {
        self.stragglers.ids().into_iter().for_each(|id| self.end_straggler(turn, id));
    }

    /// `peer` has lost the state on which it acknowledged: that counts no more, in any request under way (rule R7).
    pub fn peer_replaced(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        #[cfg(feature = "mutants")]
        if turn.config.mutant == Some(crate::node::Mutant::OldAcksCount) {
            return;
        }
        let concerned: Vec<_> =
            self.operations.iter().filter(|(_, o)| o.concerns(peer)).map(|(id, _)| *id).collect();
        for id in concerned {
            self.advance(turn, id, |operation, turn| operation.disown(turn, peer));
        }
        self.pages_disown(turn, peer);
    }

    /// The clock may go on: so may the requests that waited for it.
    pub fn clock_reserved(&mut self, turn: &mut Turn<'_>) {
        for id in std::mem::take(&mut self.awaiting_clock) {
            self.advance(turn, id, Operation::clock_reserved);
        }
    }

    /// Nobody waits for this client's answers any more. Its writes still run to their end: they may
    /// have reached a replica.
    pub fn client_gone(&mut self, client: ClientId) {
        self.admission.gone(Origin::Client(client));
    }

    /// Ends what is past its deadline and asks more replicas where the first were slow.
    pub fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        while let Some(id) = self.timers.pop_due(turn.now.mono) {
            self.end_straggler(turn, id);
            self.advance(turn, id, Operation::timer);
        }
        self.fire_page_timers(turn);
        self.comparisons.fire_timers(turn);
    }

    /// When [`Coordinator::fire_timers`] is due.
    pub fn next_timer(&self) -> Option<Instant> {
        [self.timers.next(), self.comparisons.next_timer(), self.scans.next_timer()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether no request is under way.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty() && self.scans.len() == 0
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        self.timers.validate();
        self.comparisons.validate();
        self.scans.validate();
        for (id, operation) in &self.operations {
            assert_eq!(*id, operation.id(), "operations are filed under their own id");
            assert!(self.timers.holds(operation.timer_at(), *id), "every operation has a timer");
            operation.validate();
        }
        for (id, straggler) in self.stragglers.iter() {
            assert!(self.timers.holds(straggler.deadline, *id), "every straggler has a timer");
        }
        let rounds = self.operations.values().filter(|o| matches!(o.work, Work::Cas(_))).count();
        assert!(self.chains.len() <= rounds, "whoever has its turn, or waits for it, is under way");
        assert!(self.their_turn.is_empty(), "whose turn it is has begun");
        let under_way = self.operations.len() + self.scans.len();
        assert_eq!(self.admission.in_flight(), under_way, "admission counts what is under way");
    }

    fn begin(
        &mut self,
        turn: &mut Turn<'_>,
        origin: Origin,
        header: Header,
        planned: Result<(plan::Plan, Work), RequestError>,
    ) {
        if header.deadline <= turn.now.mono {
            return turn.effects.push(Effect::Observe(Observation::Expired));
        }
        let (plan, work) = match planned {
            Ok(planned) => planned,
            Err(error) => return conclude(turn, origin, header, Err(error)),
        };
        let deadline = header.deadline.min(turn.now.mono + turn.config.request_timeout_max);
        let header = Header { deadline, ..header };
        let admitted = match self.admission.admit(turn.config, origin, turn.now.mono, deadline) {
            Ok(admitted) => admitted,
            Err(failure) => {
                turn.effects.push(Effect::Observe(Observation::Overloaded));
                return conclude(turn, origin, header, Err(RequestError::not_applied(failure)));
            }
        };
        let id = self.next_id();
        self.start(turn, Operation::new(id, admitted, header, plan, work));
    }

    fn next_id(&mut self) -> OperationId {
        let id = self.next_id;
        self.next_id = id.next();
        id
    }

    /// An operation is under way from now on.
    fn keep(&mut self, operation: Operation) {
        let id = operation.id();
        self.timers.set(operation.timer_at(), id);
        if operation.awaits_clock() {
            self.awaiting_clock.push(id);
        }
        self.operations.insert(id, operation);
    }

    /// Lets `event` happen to an operation, if it is still under way, and sees to what follows.
    fn advance(
        &mut self,
        turn: &mut Turn<'_>,
        id: OperationId,
        event: impl FnOnce(&mut Operation, &mut Turn<'_>) -> Option<Conclusion>,
    ) {
        let Some(operation) = self.operations.get_mut(&id) else {
            return;
        };
        let timer_before = operation.timer_at();
        let mut conclusion = event(operation, turn);
        let chains = &mut self.chains;
        if conclusion.is_none() && operation.turns_to_round() && chains.enter(&operation.task.plan.row, id) {
            conclusion = operation.start(turn);
        }
        if conclusion.is_none() && operation.lets_others_go_on() {
            self.their_turn.extend(chains.leave(&operation.task.plan.row, id));
        }
        if let Some(conclusion) = conclusion {
            self.timers.cancel(timer_before, id);
            self.finish(turn, id, conclusion);
            return self.take_turns(turn);
        }
        if operation.timer_at() != timer_before || !self.timers.holds(timer_before, id) {
            self.timers.cancel(timer_before, id);
            self.timers.set(operation.timer_at(), id);
        }
        if operation.awaits_clock() && !self.awaiting_clock.contains(&id) {
            self.awaiting_clock.push(id);
        }
        self.take_turns(turn);
    }

    fn finish(&mut self, turn: &mut Turn<'_>, id: OperationId, conclusion: Conclusion) {
        let Some(operation) = self.operations.remove(&id) else {
            return;
        };
        if let Work::Cas(_) = &operation.work {
            self.their_turn.extend(self.chains.leave(&operation.task.plan.row, id));
        }
        let (origin, header) = (operation.origin(), operation.header());
        self.admission.ended(turn.now.mono, operation.task.admitted, conclusion.is_ok());
        let hints_before = turn.hints.len();
        self.leave_hints(turn, id, &operation, conclusion.is_ok());
        let conclusion = conclusion.map_err(|error| {
            let hinted = turn.hints[hints_before..].iter().map(|hint| hint.target);
            operation.explain(turn, error, hinted)
        });
        match origin {
            Origin::Scan(page) => self.row_read(turn, page, id, conclusion),
            Origin::Repair => {}
            Origin::Client(_) | Origin::Peer(_) => {
                turn.effects.push(Effect::Observe(operation.observation(turn.now.mono, &conclusion)));
                conclude(turn, origin, header, conclusion);
            }
        }
        if let Some((comparison, comparing)) = operation.into_comparison() {
            self.comparisons.begin(turn, comparison, comparing);
        }
    }

    /// Sees to the replicas that have not confirmed a write that has ended (rule H1).
    fn leave_hints(&mut self, turn: &mut Turn<'_>, id: OperationId, operation: &Operation, applied: bool) {
        let Some(unconfirmed) = operation.unconfirmed(turn, applied) else {
            return;
        };
        let deadline = operation.header().deadline;
        let (round, row, state) = (unconfirmed.round, unconfirmed.row, unconfirmed.state);
        let refusals = unconfirmed.refusals;
        let straggler = Straggler { round, row, state, waiting: unconfirmed.outstanding, deadline, refusals };
        turn.hints.extend(unconfirmed.failed.into_iter().map(|node| straggler.hint(node)));
        if straggler.waiting.is_empty() {
            return;
        }
        if deadline <= turn.now.mono || self.stragglers.len() >= turn.config.requests_max {
            turn.hints.extend(straggler.waiting.iter().map(|node| straggler.hint(*node)));
            return;
        }
        self.timers.set(deadline, id);
        self.stragglers.insert(id, straggler);
    }

    fn straggler_answered(&mut self, turn: &mut Turn<'_>, from: NodeId, step: Step, answer: &ReplicaAnswer) {
        if let ReplicaAnswer::Failed(failed) = answer
            && let Some(limit) = failed.limit()
            && let Some(limit) = self.stragglers.refused_as_ahead(step, from, limit)
        {
            refusal::tell(limit, turn);
        }
        let is_stored = matches!(answer, ReplicaAnswer::Stored(_));
        let (hint, is_complete) = self.stragglers.answered(step, from, is_stored);
        turn.hints.extend(hint);
        if is_complete {
            self.end_straggler(turn, step.operation);
        }
    }

    fn end_straggler(&mut self, turn: &mut Turn<'_>, id: OperationId) {
        if let Some((deadline, hints)) = self.stragglers.remove(id) {
            self.timers.cancel(deadline, id);
            turn.hints.extend(hints);
        }
    }
}

/// Only a replica of a key mints for it (rule V5), while there is one to be reached.
fn must_forward(turn: &Turn<'_>, plan: &plan::Plan) -> bool {
    #[cfg(feature = "mutants")]
    if turn.config.mutant == Some(Mutant::NonReplicaMints) {
        return false;
    }
    plan.kind == TableKind::Siblings && plan.own.is_none() && plan.has_live_replica(turn)
}

/// Tells whoever waits how a request ended.
fn conclude(turn: &mut Turn<'_>, origin: Origin, header: Header, conclusion: Conclusion) {
    match origin {
        Origin::Client(client) => {
            answer(turn, client, header, conclusion.unwrap_or_else(ClientMessage::RequestError));
        }
        Origin::Peer(peer) => {
            let result = match conclusion {
                Ok(ClientMessage::Written(written)) => Ok(written),
                Ok(_) => Err(RequestError::unknown(Failure::BadRequest("no write was forwarded".to_owned()))),
                Err(error) => Err(error),
            };
            let header = Header { epoch: turn.epoch, ..header };
            let message = PeerMessage::Forwarded(Forwarded { result });
            turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
        }
        // It is told where the operation ends, if anybody is.
        Origin::Scan(_) | Origin::Repair => {}
    }
}

/// Answers a client.
pub fn answer(turn: &mut Turn<'_>, client: ClientId, header: Header, message: ClientMessage) {
    let header = Header { epoch: turn.epoch, ..header };
    turn.effects.push(Effect::ToClient { client, frame: Frame { header, message } });
}

/// Tells a client that its request failed before anything was done for it.
pub fn refuse(turn: &mut Turn<'_>, client: ClientId, header: Header, error: RequestError) {
    answer(turn, client, header, ClientMessage::RequestError(error));
}

/// The text for a replica that was lost.
const CONNECTION_LOST: &str = "its connection was lost";
/// The text for a replica that came back without its state.
const STATE_LOST: &str = "it has lost its state";

/// Says which replica gave which reason.
fn reason(node: NodeId, why: &impl std::fmt::Display) -> String {
    format!("{node} {why}")
}

/// The failure of a request whose deadline passed.
fn timeout(required: usize, answered: usize) -> Failure {
    Failure::Timeout { required: count(required), answered: count(answered) }
}

/// Replica counts are at most 15.
fn count(replicas: usize) -> u8 {
    u8::try_from(replicas).unwrap_or(u8::MAX)
}
