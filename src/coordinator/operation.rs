//! One request under way: what it is about, who waits for it, and how far it has come.

use quorate_ring::{Hlc, Instant, NodeId, Tag};
use quorate_storage::{Row, State, StoreTerms, WriteError, Written};

use super::{
    Failed, OperationId, Step,
    admission::Admitted,
    cas::{Change, Proposer},
    comparison::Comparison,
    context,
    forward::Forwarding,
    plan::Plan,
    quorum::Tracker,
    read::{Comparing, Read},
    reason, timeout,
    write::Write,
};
use crate::{
    handoff::{Hint, Keeper},
    node::{ClientId, DiskOperation, DiskRequest, DiskResult, Effect, Observation, Ticket, Turn},
    replica,
    wire::{
        Advance, Advanced, ClientMessage, Failure, Fetch, Fetched, Forward, Forwarded, Frame, Header,
        KeepHint, Outcome, PageFetched, PeerMessage, RequestError, Store, Stored, Want,
    },
};

/// What a replica, this node's own or a peer's, made of a request.
#[derive(Clone, Debug)]
pub enum ReplicaAnswer {
    /// What it holds.
    Fetched(Fetched),
    /// It holds what was sent, or more, durably.
    Stored(Stored),
    /// Its clock has passed what was sent, durably (rule D1).
    Advanced(Advanced),
    /// This node's commit step made a state and it is durable, or it made none (rule V5).
    Minted(Result<State, NotMinted>),
    /// What it says of a write that it was to carry out.
    Forwarded(Box<Forwarded>),
    /// What it holds of a part of a table.
    Page(Box<PageFetched>),
    /// It did not do it.
    Failed(Failed),
}

/// Why this node's commit step made no state. Nothing was written.
#[derive(Clone, Debug)]
pub enum NotMinted {
    /// The client must do something else.
    Failure(Failure),
    /// The key has come further than the dot, as far as this.
    TooLow(Tag),
}

impl ReplicaAnswer {
    /// What this node's commit step says of a state that it was to make.
    ///
    /// # Errors
    /// The result, if it says what any piece of disk work may come to.
    pub fn of_mint(row: &Row, result: DiskResult) -> Result<Self, DiskResult> {
        match result {
            DiskResult::Written(Ok(Written::Minted(state))) => Ok(Self::Minted(Ok(state))),
            DiskResult::Written(Err(WriteError::TooManySiblings { siblings, context })) => {
                let siblings = u32::try_from(siblings).unwrap_or(u32::MAX);
                let context = context::encode(row, &context);
                Ok(Self::Minted(Err(NotMinted::Failure(Failure::TooManySiblings { siblings, context }))))
            }
            DiskResult::Written(Err(WriteError::DotTooLow { seen, .. })) => {
                Ok(Self::Minted(Err(NotMinted::TooLow(seen))))
            }
            other => Err(other),
        }
    }
}

/// How a request ends.
pub(super) type Conclusion = Result<ClientMessage, RequestError>;

/// One request under way.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) task: Task,
    pub(super) work: Work,
}

/// What there is to do, and how far it has come.
#[derive(Debug)]
pub(super) enum Work {
    /// A read.
    Read(Read),
    /// A write.
    Write(Box<Write>),
    /// A write of a `cas` table, or a read of one whose replicas disagree.
    Cas(Box<Proposer>),
    /// A write that another node carries out.
    Forward(Forwarding),
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// A client of this node.
    Client(ClientId),
    /// A peer that forwarded a write of a client of its own.
    Peer(NodeId),
    /// A page of a scan, for one of its keys.
    Scan(OperationId),
    /// This node itself, which has found that replicas of a `cas` key cannot be brought together otherwise.
    Repair,
}

/// What the sender of a state wants beside its being kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StoreWishes {
    /// To hear what else is held (rule Q5).
    pub(super) report: bool,
    /// That new writes of the key wait a moment (rule Q5).
    pub(super) defer: bool,
    /// To be refused if the tag is ahead of every working clock: nobody is known to hold the state yet (rule V2).
    pub(super) fresh: bool,
}

/// What reads and writes have in common.
#[derive(Debug)]
pub(super) struct Task {
    /// Its name.
    pub(super) id: OperationId,
    /// Who waits, and since when.
    pub(super) admitted: Admitted,
    /// Its request id, and the deadline.
    pub(super) header: Header,
    /// Whom it concerns.
    pub(super) plan: Plan,
    /// When more replicas are asked, a round ends with what it has, or a write that was put off goes on.
    pub(super) hedge_at: Option<Instant>,
    /// What replicas that failed said, the last one last.
    failures: Vec<(usize, String)>,
}

impl Operation {
    pub(super) fn new(id: OperationId, admitted: Admitted, header: Header, plan: Plan, work: Work) -> Self {
        let task = Task { id, admitted, header, plan, hedge_at: None, failures: Vec::new() };
        Self { task, work }
    }

    /// Sends what the first round sends.
    pub(super) fn start(&mut self, turn: &mut Turn<'_>) -> Option<Conclusion> {
        match &mut self.work {
            Work::Read(read) => read.start(&mut self.task, turn),
            Work::Write(write) => write.start(&mut self.task, turn),
            Work::Cas(proposer) => proposer.start(&mut self.task, turn),
            Work::Forward(forwarding) => forwarding.start(&mut self.task, turn),
        }
    }

    /// A replica made something of a request of round `step.round`.
    pub(super) fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        step: Step,
        answer: ReplicaAnswer,
    ) -> Option<Conclusion> {
        let place = self.task.plan.place(from)?;
        if let ReplicaAnswer::Failed(failed) = &answer {
            self.task.failed(place, &failed.why);
        }
        match &mut self.work {
            Work::Read(read) => read.answered(&mut self.task, turn, place, step.round, answer),
            Work::Write(write) => write.answered(&mut self.task, turn, place, step.round, answer),
            Work::Cas(proposer) => proposer.answered(&mut self.task, turn, place, step.round, answer),
            Work::Forward(forwarding) => forwarding.answered(&mut self.task, turn, place, step.round, answer),
        }
    }

    /// Whether a read of a `cas` table is to go on as a round that changes nothing, because its replicas disagree (rule C3).
    /// If so it is one from now on, and has yet to begin.
    pub(super) fn turns_to_round(&mut self) -> bool {
        let Work::Read(read) = &self.work else {
            return false;
        };
        let Some(rival) = read.needs_round() else {
            return false;
        };
        self.task.hedge_at = None;
        self.work = Work::Cas(Box::new(Proposer::new(Change::Nothing, read.round(), rival)));
        true
    }

    /// Whether other requests for rounds of its key need not wait for it any more.
    pub(super) fn lets_others_go_on(&self) -> bool {
        matches!(&self.work, Work::Cas(proposer) if proposer.is_decided(self.task.plan.quorum()))
    }

    /// The clock may go on.
    pub(super) fn clock_reserved(&mut self, turn: &mut Turn<'_>) -> Option<Conclusion> {
        match &mut self.work {
            Work::Read(read) => read.clock_reserved(&mut self.task, turn),
            Work::Write(write) => write.clock_reserved(&mut self.task, turn),
            Work::Cas(proposer) => proposer.clock_reserved(&mut self.task, turn),
            Work::Forward(_) => None,
        }
    }

    /// The time of [`Operation::timer_at`] has come.
    pub(super) fn timer(&mut self, turn: &mut Turn<'_>) -> Option<Conclusion> {
        if turn.now.mono >= self.task.header.deadline {
            #[cfg(feature = "mutants")]
            if turn.config.mutant == Some(crate::node::Mutant::TimeoutNotApplied) {
                return Some(Err(RequestError::not_applied(self.timed_out().failure)));
            }
            return Some(Err(self.timed_out()));
        }
        if self.task.hedge_at.is_none_or(|at| turn.now.mono < at) {
            return None;
        }
        self.task.hedge_at = None;
        match &mut self.work {
            Work::Read(read) => read.hedge(&mut self.task, turn),
            Work::Write(write) => write.hedge(&mut self.task, turn),
            Work::Cas(proposer) => proposer.hedge(&mut self.task, turn),
            Work::Forward(_) => None,
        }
    }

    /// When it wants to be called.
    pub(super) fn timer_at(&self) -> Instant {
        self.task.hedge_at.map_or(self.task.header.deadline, |at| at.min(self.task.header.deadline))
    }

    /// Whether the clock holds it up.
    pub(super) fn awaits_clock(&self) -> bool {
        match &self.work {
            Work::Read(read) => read.awaits_clock(self.task.plan.own),
            Work::Write(write) => write.awaits_clock(),
            Work::Cas(proposer) => proposer.awaits_clock(),
            Work::Forward(_) => false,
        }
    }

    /// What it leaves to do in the background after its answer (rules Q6, Q8).
    pub(super) fn into_comparison(self) -> Option<(Comparison, Comparing)> {
        let Work::Read(read) = self.work else {
            return None;
        };
        let (comparing, replies, round) = read.into_comparison();
        Some((Comparison::new(self.task, replies, round), comparing))
    }

    /// Whether `peer` is a replica from which it still wants to hear.
    pub(super) fn waits_for(&self, peer: NodeId) -> bool {
        let Some(place) = self.task.plan.place(peer) else {
            return false;
        };
        match &self.work {
            Work::Read(read) => read.tracker().is_outstanding(place),
            Work::Write(write) => write.tracker().is_some_and(|t| t.is_outstanding(place)),
            Work::Cas(proposer) => proposer.tracker().is_some_and(|t| t.is_outstanding(place)),
            Work::Forward(forwarding) => forwarding.waits_for(place),
        }
    }

    pub(super) fn id(&self) -> OperationId {
        self.task.id
    }

    pub(super) fn origin(&self) -> Origin {
        self.task.admitted.origin()
    }

    pub(super) fn header(&self) -> Header {
        self.task.header
    }

    /// What to count when it ends.
    pub(super) fn observation(&self, now: Instant, conclusion: &Conclusion) -> Observation {
        let (operation, is_write) = match &self.work {
            Work::Read(_) => ("get", false),
            Work::Write(write) => (write.name(), true),
            Work::Cas(proposer) => (proposer.name(), proposer.is_write()),
            Work::Forward(forwarding) => (forwarding.name(), true),
        };
        let outcome = match conclusion {
            Ok(_) => Some(Outcome::Applied),
            Err(error) => is_write.then_some(error.outcome),
        };
        let nanos = u64::try_from(now.since(self.task.admitted.at()).as_nanos()).unwrap_or(u64::MAX);
        let consistency = self.task.plan.consistency;
        let forwarded = matches!(self.origin(), Origin::Peer(_));
        let (request, step) = (self.task.header.id, Step { operation: self.task.id, round: 0 });
        Observation::Request { request, step, operation, consistency, forwarded, outcome, nanos }
    }

    /// Panics if the state contradicts itself.
    pub(super) fn validate(&self) {
        match &self.work {
            Work::Read(read) => read.validate(),
            Work::Write(write) => write.validate(),
            Work::Cas(proposer) => proposer.validate(),
            Work::Forward(_) => {}
        }
    }

    fn timed_out(&self) -> RequestError {
        match &self.work {
            Work::Read(read) => RequestError::not_applied(read.timeout(&self.task)),
            Work::Write(write) => write.timeout(&self.task),
            Work::Cas(proposer) => proposer.timeout(&self.task),
            Work::Forward(forwarding) => forwarding.timeout(&self.task),
        }
    }
}

impl Task {
    /// Asks the replica at `place` what it holds.
    pub(super) fn fetch(&self, turn: &mut Turn<'_>, place: usize, round: u8, want: Want) {
        let row = &self.plan.row;
        if self.plan.own == Some(place) {
            return self.fetch_own(turn, round, want);
        }
        let fetch = Fetch { table: row.table, key: row.key.clone(), want };
        self.send(turn, place, round, fetch.into());
    }

    /// Sends a state to the replica at `place`.
    pub(super) fn store(&self, turn: &mut Turn<'_>, place: usize, round: u8, state: &State) {
        self.store_with(turn, place, round, state, StoreWishes::default());
    }

    /// Sends a state to the replica at `place`, with `wishes`.
    pub(super) fn store_with(
        &self,
        turn: &mut Turn<'_>,
        place: usize,
        round: u8,
        state: &State,
        wishes: StoreWishes,
    ) {
        let StoreWishes { report, defer, fresh } = wishes;
        let (row, state) = (&self.plan.row, state.clone());
        if let Some(owner) = self.plan.owner_of_stand_in(place) {
            return self.keep_hint(turn, place, round, owner, state);
        }
        if self.plan.own == Some(place) {
            turn.clock.observe_stored(turn.now, state.tag().hlc);
            if defer {
                turn.deferrals.defer(turn.now.mono, row);
            }
            let terms = StoreTerms {
                horizon: turn.clock.own_horizon(turn.now, fresh),
                report,
                ..StoreTerms::default()
            };
            let operation = replica::store_operation(row.clone(), state, terms);
            return self.use_own_disk(turn, round, None, operation);
        }
        let (table, key) = (row.table, row.key.clone());
        let store = Store { table, key, state, report, defer, fresh };
        self.send(turn, place, round, store.into());
    }

    /// Has the fallback node at `place` keep the state for the replica that it stands in for.
    fn keep_hint(&self, turn: &mut Turn<'_>, place: usize, round: u8, owner: NodeId, state: State) {
        let row = self.plan.row.clone();
        if self.plan.replicas[place] == turn.config.node {
            let keeper = Keeper::Operation(self.step(round));
            return turn.hints.push(Hint { target: owner, row, state, keeper });
        }
        let keep = KeepHint { owner, table: row.table, key: row.key, state };
        self.send(turn, place, round, keep.into());
    }

    /// Has the clock of the replica at `place`, which is another node, pass `to` (rule D1).
    pub(super) fn advance(&self, turn: &mut Turn<'_>, place: usize, round: u8, to: Hlc) {
        self.send(turn, place, round, Advance { to }.into());
    }

    /// Has this node's commit step make a new state of siblings (rule V5).
    pub(super) fn mint(&self, turn: &mut Turn<'_>, round: u8, write: quorate_storage::Write) {
        self.use_own_disk(turn, round, None, DiskOperation::Write(write));
    }

    /// Passes a client's write on to the replica at `place`.
    pub(super) fn forward(&self, turn: &mut Turn<'_>, place: usize, round: u8, request: Forward) {
        self.send(turn, place, round, request.into());
    }

    /// Sets the time after which more replicas are asked, if there are any left.
    pub(super) fn hedge_after_delay(&mut self, turn: &Turn<'_>) {
        self.hedge_at = Some(turn.now.mono + turn.config.hedge_delay);
    }

    /// A round over the replicas in which those that are down have failed already.
    pub(super) fn tracker(&self, turn: &Turn<'_>, required: usize) -> Tracker {
        let mut tracker = Tracker::new(self.plan.replicas.len(), required);
        let alive = self.plan.alive(turn);
        (0..self.plan.replicas.len())
            .filter(|place| !alive.contains(*place))
            .for_each(|place| tracker.fail(place));
        tracker
    }

    /// The replica at `place` did not do what it was asked.
    pub(super) fn failed(&mut self, place: usize, why: &str) {
        self.failures.retain(|(failed, _)| *failed != place);
        let end = why.floor_char_boundary(REASON_BYTES_MAX);
        self.failures.push((place, why[..end].to_owned()));
    }

    /// What the replica at `place` said, if it failed.
    pub(super) fn why_failed(&self, place: usize) -> Option<&str> {
        self.failures.iter().find(|(failed, _)| *failed == place).map(|(_, why)| why.as_str())
    }

    /// Too many replicas failed.
    pub(super) fn replicas_failed(&self, tracker: &Tracker) -> Failure {
        Failure::ReplicasFailed {
            required: super::count(tracker.required()),
            answered: super::count(tracker.succeeded().len()),
            failed: super::count(tracker.failed().len()),
            reason: self
                .failures
                .last()
                .map(|(place, why)| reason(self.plan.replicas[*place], why))
                .unwrap_or_default(),
        }
    }

    /// The deadline passed.
    pub(super) fn timeout(&self, tracker: &Tracker) -> Failure {
        timeout(tracker.required(), tracker.succeeded().len())
    }

    fn step(&self, round: u8) -> Step {
        Step { operation: self.id, round }
    }

    fn send(&self, turn: &mut Turn<'_>, place: usize, round: u8, message: PeerMessage) {
        let header =
            Header { id: self.step(round).request_id(), epoch: turn.epoch, deadline: self.header.deadline };
        let peer = self.plan.replicas[place];
        turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
    }

    /// Asks this node's own replica, which may know without looking.
    fn fetch_own(&self, turn: &mut Turn<'_>, round: u8, want: Want) {
        let row = &self.plan.row;
        if let Some(message) = replica::recall(turn, row, want) {
            return turn.own_answers.push((self.step(round), message));
        }
        turn.cache.asks(row);
        self.use_own_disk(turn, round, Some(want), DiskOperation::Read(row.clone()));
    }

    fn use_own_disk(&self, turn: &mut Turn<'_>, round: u8, want: Option<Want>, operation: DiskOperation) {
        let ticket = Ticket::Operation { step: self.step(round), row: self.plan.row.clone(), want };
        turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: self.header.deadline, operation }));
    }
}

/// What is kept of a replica's reason for a failure.
const REASON_BYTES_MAX: usize = 300;
