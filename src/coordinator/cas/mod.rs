//! Keys of `cas` tables: every write, and every read whose replicas disagree, is a round of CASPaxos over the N replicas
//! (Rystsov, "CASPaxos: Replicated State Machines without Logs", 2018; rules C1 to C4).
//!
//! A round has two phases under one ballot. *Prepare*: replicas promise to take part in no earlier round, and tell what they
//! accepted last. Once a quorum has promised, the latest of that is what the key holds, or may hold; the request makes
//! something of it. *Accept*: replicas accept the new content; once a quorum has, it is chosen, and every later round finds
//! it or what was made of it. What a replica promises and accepts is durable before it says so (rule C2): both phases
//! are stores to it, whose answer its disk gives.
//!
//! A value that is put whatever the key holds goes the same way. *Why: beside rounds, a store under a greater tag reaches one
//! replica; a round's quorum without that one decides that the key holds "free", and writes "taken"; the next quorum meets
//! the store, and "taken" is gone, although nobody wrote over it knowingly.*
//!
//! # When no second phase is needed
//!
//! If a quorum has accepted one and the same proposal, that is chosen. A round that changes nothing, because it only reads or
//! because its condition is not met, may then answer at once: whoever completed before it has its write in every
//! quorum, this one too, so it is that proposal or one that it was made of. Likewise if all of a quorum have accepted nothing. In
//! any other case it proposes what it found once more, under its own ballot (rule C3). *Why: a value that one replica of three
//! has accepted may be answered, and the next reader, who asks the other two, finds the one before it.*
//!
//! By the same argument a read asks without a promise first, as reads of other tables do (`read`), and needs a
//! round only if no quorum agrees. That writes nothing and disturbs no writer.
//!
//! # When a round is lost
//!
//! Replicas that have promised a later round refuse. Then a later ballot is tried, a random while later, which doubles: two
//! that outbid each other for ever get nowhere. If it was the first phase that was lost, nothing was sent that anybody could
//! accept. If it was the second, the write may be chosen yet, by those that accepted it, and doing it again could count it
//! twice (rule C4). But the next round's first phase tells more than nothing (`fate`), and only where it does not is the
//! outcome unknown.

mod begin;
mod chains;
mod effort;
mod fate;
mod finish;
mod promises;
mod standing;

use bytes::Bytes;
use quorate_ring::{Actor, Duration, Hlc, Tag};
use quorate_storage::{Accepted, Acceptor, Content, State};

pub(super) use self::begin::propose;
pub(super) use self::chains::Chains;
use self::{
    fate::{Fate, fate},
    promises::{Promise, conflicting, raise_conflict},
};
use super::{
    operation::{Conclusion, ReplicaAnswer, StoreWishes, Task},
    quorum::{Tracker, Verdict},
    record::Record,
    refusal::Refusals,
    write::Intent,
};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    node::Turn,
    wire::{Condition, Failure, RequestError, Stored},
};

/// What a request makes of what a key holds.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Nothing: it reads.
    Nothing,
    /// Nothing, and every replica is to hold it, also those that have promised a round that came to nothing (rule A4).
    Again,
    /// Another content, whatever it is.
    Write(Intent),
    /// Another content, if it is what the client expects.
    If(Condition, Intent),
}

/// A request that proposes.
#[derive(Debug)]
pub(super) struct Proposer {
    change: Change,
    phase: Phase,
    /// Counts phases: an answer to an earlier one is not taken for one to a later.
    round: u8,
    /// Under which the present round runs.
    ballot: Tag,
    /// Whether the ballot is of this node's clock, and not named just above one that is ahead of every clock (rule V2).
    by_clock: bool,
    /// The latest round that anybody was heard to prefer.
    rival: Option<Tag>,
    /// The request's own writes of which somebody may have accepted one, and which may come to be chosen.
    sent: Vec<Tag>,
    /// Whether the last ones to accept were waited for long enough.
    gave_up: bool,
    /// Rounds lost to others.
    lost: u32,
    refusals: Refusals,
    record: Record,
}

#[derive(Debug)]
enum Phase {
    /// Not started: requests of the key by this node take turns.
    New,
    /// The clock may not go on before its next reservation is durable (rule V1).
    AwaitingClock,
    /// Others were quicker: the next round begins a random while later.
    BackingOff,
    /// A quorum is to promise.
    Preparing { tracker: Tracker, promises: Vec<Promise> },
    /// The proposal is to be accepted.
    Accepting { tracker: Tracker, proposal: Accepted, ending: Ending },
}

/// How the request ends once its proposal is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// With what the key holds.
    Read,
    /// Applied, by the write of this name.
    Applied(Tag),
    /// The condition was not met.
    NotMet,
}

impl Change {
    fn intent(&self) -> Option<&Intent> {
        match self {
            Self::Nothing | Self::Again => None,
            Self::Write(intent) | Self::If(_, intent) => Some(intent),
        }
    }

    /// What is to be written in the place of `held`; none if nothing is.
    fn of(&self, held: Option<&Bytes>) -> Option<&Intent> {
        match self {
            Self::If(condition, _) if !condition.is_met_by(held) => None,
            change => change.intent(),
        }
    }
}

impl Proposer {
    /// A request that wants `change`. Rounds are counted from `round` on; `rival` is the latest that it knows of.
    pub(super) fn new(change: Change, round: u8, rival: Option<Tag>) -> Self {
        Self {
            change,
            phase: Phase::New,
            round,
            ballot: NONE,
            by_clock: true,
            rival,
            sent: Vec::new(),
            gave_up: false,
            lost: 0,
            refusals: Refusals::default(),
            record: Record::default(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match &self.change {
            Change::Nothing | Change::Again => "get",
            Change::Write(Intent::Put { .. }) => "put",
            Change::Write(Intent::Delete) => "delete",
            Change::If(..) => "compare_and_set",
        }
    }

    pub(super) fn is_write(&self) -> bool {
        self.change.intent().is_some()
    }

    /// Begins a round.
    pub(super) fn start(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        task.hedge_at = None;
        if self.round >= ROUNDS_MAX {
            return Some(Err(self.error(Failure::Contended { rounds: self.round })));
        }
        if let Err(error) = task.plan.check_alive(turn) {
            return Some(Err(RequestError { outcome: self.outcome(), ..error }));
        }
        self.by_clock = !self.rival.is_some_and(|rival| turn.clock.is_ahead(turn.now, rival.hlc));
        if self.by_clock
            && let Some(ahead_ms) = turn.clock.ahead_of_peers(turn.now)
        {
            return Some(Err(self.error(Failure::ClockAhead { ahead_ms })));
        }
        let Some(mut ballot) = turn.clock.mint(turn.now, self.rival, turn.effects) else {
            self.phase = Phase::AwaitingClock;
            return None;
        };
        if !self.by_clock {
            // Two rounds may be named just above one version: each needs an actor of its own.
            ballot.actor = turn.clock.draw_actor();
        }
        self.ballot = ballot;
        #[cfg(feature = "mutants")]
        if turn.config.mutant == Some(Mutant::CasPlainWrites) && matches!(self.change, Change::Write(_)) {
            return self.decided(task, turn, None, &[]);
        }
        let tracker = task.tracker(turn, task.plan.quorum());
        self.phase = Phase::Preparing { tracker, promises: Vec::new() };
        let prepare = State::Cas(Acceptor::promising(ballot));
        self.send(task, turn, &prepare, true);
        None
    }

    /// Sends a message of this round to every replica that can be reached.
    fn send(&mut self, task: &Task, turn: &mut Turn<'_>, message: &State, report: bool) {
        self.round += 1;
        self.gave_up = false;
        self.refusals = Refusals::default();
        let wishes = StoreWishes { report, fresh: self.by_clock, ..StoreWishes::default() };
        for place in task.plan.alive(turn).iter() {
            self.record.asked(turn.now.mono, place);
            self.refusals.sent(place);
            task.store_with(turn, place, self.round, message, wishes);
        }
    }

    pub(super) fn answered(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        place: usize,
        round: u8,
        answer: ReplicaAnswer,
    ) -> Option<Conclusion> {
        let (Phase::Preparing { tracker, .. } | Phase::Accepting { tracker, .. }) = &mut self.phase else {
            return None;
        };
        if round != self.round {
            return None;
        }
        self.record.heard(turn.now.mono, place);
        match answer {
            ReplicaAnswer::Stored(stored) => self.stored(place, stored),
            ReplicaAnswer::Failed(failed) => {
                tracker.fail(place);
                // There is no round after the last one.
                let outbid = failed.outbid().filter(|promised| promised.hlc < Hlc(u64::MAX));
                self.rival = self.rival.max(outbid);
                self.refusals.failed(place, &failed);
                if self.by_clock {
                    self.refusals.tell(task.plan.blocking(), turn);
                }
            }
            _ => return None,
        }
        self.judge(task, turn)
    }

    /// A replica has promised, or accepted, durably.
    fn stored(&mut self, place: usize, stored: Stored) {
        match &mut self.phase {
            Phase::Preparing { tracker, promises } if stored.held == self.ballot => {
                let (accepted, is_vote) = match stored.more {
                    Some(State::Cas(acceptor)) => (acceptor.accepted().cloned(), acceptor.vote().is_some()),
                    _ => (None, true),
                };
                // What was accepted before a promise is of an earlier round.
                if accepted.as_ref().is_some_and(|accepted| accepted.ballot >= self.ballot) {
                    return tracker.fail(place);
                }
                tracker.succeed(place);
                promises.retain(|promise| promise.place != place);
                promises.push(Promise { place, accepted, is_vote });
            }
            Phase::Accepting { tracker, .. } => tracker.succeed(place),
            // It took what it was sent for something that it was not.
            Phase::Preparing { tracker, .. } => tracker.fail(place),
            Phase::New | Phase::AwaitingClock | Phase::BackingOff => {}
        }
    }

    fn judge(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        match &mut self.phase {
            Phase::New | Phase::AwaitingClock | Phase::BackingOff => None,
            Phase::Preparing { tracker, promises } => match tracker.verdict() {
                Verdict::Pending => None,
                Verdict::Impossible => self.lost(task, turn),
                Verdict::Reached => {
                    let promises = std::mem::take(promises);
                    self.prepared(task, turn, promises)
                }
            },
            Phase::Accepting { tracker, proposal, ending } => match tracker.verdict() {
                Verdict::Pending => None,
                // If those that are still to answer refuse as well, it is known that nobody has it.
                Verdict::Impossible if !self.gave_up && may_be_refused(&self.refusals, tracker) => {
                    task.hedge_after_delay(turn);
                    None
                }
                Verdict::Impossible => self.lost(task, turn),
                Verdict::Reached => {
                    let (content, ending, holders) = (Some(proposal.clone()), *ending, tracker.succeeded());
                    Some(self.conclude(task, turn, content, ending, holders))
                }
            },
        }
    }

    /// A quorum has promised: what the key holds is known, or what it may hold.
    fn prepared(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        promises: Vec<Promise>,
    ) -> Option<Conclusion> {
        let ballot_of = |promise: &Promise| promise.accepted.as_ref().map(|accepted| accepted.ballot);
        let found = promises.iter().max_by_key(|promise| ballot_of(promise));
        let found = found.and_then(|promise| promise.accepted.clone());
        if let Some((one, other)) = conflicting(&promises) {
            raise_conflict(task, turn, one, other);
            task.failed(one.place, TWO_CONTENTS);
            let Phase::Preparing { tracker, .. } = &mut self.phase else {
                return None;
            };
            tracker.disown(one.place);
            let failure = task.replicas_failed(tracker);
            return Some(Err(self.error(failure)));
        }
        self.decided(task, turn, found, &promises)
    }

    /// Makes of what was found what the request wants, and proposes it, unless it is chosen already and stays.
    fn decided(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        found: Option<Accepted>,
        promises: &[Promise],
    ) -> Option<Conclusion> {
        let fate = fate(&self.sent, found.as_ref());
        #[cfg(feature = "mutants")]
        let fate = if turn.config.mutant == Some(Mutant::CasRetried) { Fate::Apart } else { fate };
        let applied = match fate {
            Fate::Unknown => return Some(Err(self.error(Failure::Contended { rounds: self.round }))),
            Fate::Found(sent) => Some(sent),
            Fate::Apart => None,
        };
        // Too many may have been lost since the round began: then nothing need be sent.
        if let Err(error) = task.plan.check_alive(turn) {
            return Some(Err(RequestError { outcome: self.outcome(), ..error }));
        }
        let held = found.as_ref().and_then(|accepted| accepted.content.value());
        let intent = if applied.is_some() { None } else { self.change.of(held) };
        let (proposal, ending) = match (intent, applied) {
            (Some(intent), _) => {
                let replaced = found.as_ref().map_or(NONE, |found| found.write);
                let content = intent.content(self.ballot);
                self.sent.push(self.ballot);
                let proposal = Accepted { ballot: self.ballot, write: self.ballot, replaced, content };
                (proposal, Ending::Applied(self.ballot))
            }
            (None, applied) => {
                let ending = match (applied, &self.change) {
                    (Some(sent), _) => Ending::Applied(sent),
                    (None, Change::Nothing | Change::Again) => Ending::Read,
                    (None, _) => Ending::NotMet,
                };
                if let Some(holders) = self.holders(task, turn, (found.as_ref(), ending), promises) {
                    return Some(self.conclude(task, turn, found, ending, holders));
                }
                (again(self.ballot, found), ending)
            }
        };
        let tracker = task.tracker(turn, task.plan.required.max(task.plan.quorum()));
        let message = State::Cas(Acceptor::accepting(proposal.clone()));
        self.phase = Phase::Accepting { tracker, proposal, ending };
        self.send(task, turn, &message, false);
        None
    }

    /// Too few are left for this round: others were quicker, or replicas fail.
    fn lost(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        let (Phase::Preparing { tracker, .. } | Phase::Accepting { tracker, .. }) = &self.phase else {
            return None;
        };
        let failure = task.replicas_failed(tracker);
        if self.refusals.are_all() && tracker.outstanding() == 0 {
            // Nobody has taken what was sent in this round.
            self.sent.retain(|sent| *sent != self.ballot);
        }
        if self.rival < Some(self.ballot) {
            return Some(Err(self.error(failure)));
        }
        self.lost += 1;
        let most = BACK_OFF * (1 << self.lost.min(DOUBLINGS));
        let wait = turn.clock.draw() % most.as_nanos().max(1) as u64;
        task.hedge_at = Some(turn.now.mono + Duration::from_nanos(wait));
        self.phase = Phase::BackingOff;
        None
    }

    /// The time has come for the next round.
    pub(super) fn hedge(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        match self.phase {
            Phase::BackingOff => self.start(task, turn),
            Phase::Accepting { .. } => {
                self.gave_up = true;
                self.judge(task, turn)
            }
            _ => None,
        }
    }

    pub(super) fn clock_reserved(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        if self.awaits_clock() { self.start(task, turn) } else { None }
    }

    pub(super) fn awaits_clock(&self) -> bool {
        matches!(self.phase, Phase::AwaitingClock)
    }

    /// The replica at `place` has lost what it promised and accepted (rule R7).
    pub(super) fn disown(&mut self, place: usize) {
        match &mut self.phase {
            Phase::Preparing { tracker, promises } => {
                promises.retain(|promise| promise.place != place);
                tracker.disown(place);
            }
            Phase::Accepting { tracker, .. } => tracker.disown(place),
            Phase::New | Phase::AwaitingClock | Phase::BackingOff => {}
        }
    }
}

/// Whether all that a proposal was sent to may yet turn out to have refused it.
fn may_be_refused(refusals: &Refusals, tracker: &Tracker) -> bool {
    let outstanding = tracker.places().filter(|place| tracker.is_outstanding(*place)).collect();
    tracker.outstanding() > 0 && refusals.may_be_all(outstanding)
}

/// What was found, proposed once more under `ballot`. Where nothing was, that nothing is there: an earlier proposal that some
/// replica may have accepted must not come after it.
fn again(ballot: Tag, found: Option<Accepted>) -> Accepted {
    match found {
        Some(found) => Accepted { ballot, ..found },
        None => Accepted { ballot, write: ballot, replaced: NONE, content: Content::Tombstone },
    }
}

/// No write.
const NONE: Tag = Tag { hlc: Hlc::ZERO, actor: Actor(0) };
/// Of a replica that holds one of two.
const TWO_CONTENTS: &str =
    "and another replica hold different contents under one ballot: corruption, or a ballot issued twice";
/// More phases than that do not fit the id of a request.
const ROUNDS_MAX: u8 = u8::MAX - 4;
/// About as long as two phases take; it doubles with every round that is lost.
const BACK_OFF: Duration = Duration::from_millis(4);
/// The longest back-off is a quarter of a second.
const DOUBLINGS: u32 = 6;
