//! Writing a key (rules Q1, Q4, Q10, V5).
//!
//! A write without a context has two rounds at QUORUM and above. The first asks a quorum what it has seen of
//! the key; the second stores the value above all of that and waits for as many replicas as the level says.
//! Any two quorums share a replica, so the write supersedes every one that was acknowledged before it began:
//! without the first round a node with a slow clock would be acknowledged for a `register` write that nobody
//! can ever see, and a blind `siblings` write would leave what it was meant to replace. Below QUORUM there is one
//! round, under the coordinator's own knowledge. A `siblings` write with a context says itself what it
//! replaces, and needs no first round at any level.
//!
//! A `register` state is made here, under a tag above all that was heard. A `siblings` state is made by the
//! commit step of this node, which is a replica of the key, on the newest state that it has: two puts in
//! flight that were both made on one older state would each claim, by their common actor, to have seen the
//! other, and one of two acknowledged writes would be lost (rule V5). The other replicas are sent the whole
//! state once it is durable here, so a disk that is full refuses the write before anybody has it (rule S5).
//! A node that is no replica of the key forwards the write, see `forward`.
//!
//! Once a store or a mint was sent, the outcome of a failure is unknown: a replica may have it. Only if every replica that
//! it was sent to has said that it certainly stored nothing is it known not to be applied, see `refusal`.

mod effort;
mod knowledge;
mod minting;

use bytes::Bytes;
use quorate_ring::{Duration, Hlc, Instant, TableKind, Tag};
use quorate_storage::{Content, State, VersionVector};

use self::{knowledge::Knowledge, minting::version_ahead};
use super::{
    Health, context,
    operation::{Conclusion, NotMinted, ReplicaAnswer, StoreWishes, Task},
    quorum::{Places, Tracker, Verdict},
    record::Record,
    refusal::Refusals,
    stragglers::Refused,
};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    node::{Effect, Observation, Turn},
    wire::{Answer, Fetched, RequestError, Want, Written},
};

/// What a client wants a key to hold.
#[derive(Clone, Debug)]
pub(super) enum Intent {
    /// A value, for good or for a time.
    Put {
        /// The value.
        value: Bytes,
        /// How long it lasts, from its tag on.
        ttl: Option<Duration>,
    },
    /// Nothing.
    Delete,
}

/// How far a write has come.
#[derive(Debug)]
pub(super) struct Write {
    intent: Intent,
    /// What the client had seen, if it says so.
    context: Option<VersionVector>,
    phase: Phase,
    /// Whether a quorum was asked first.
    asked_first: bool,
    /// Whether it was named anew, above what this node's own replica holds.
    raised: bool,
    refusals: Refusals,
    record: Record,
}

#[derive(Debug)]
enum Phase {
    /// Not started.
    New,
    /// Round 1: a quorum says what it has seen of the key.
    /// From `lost_at` on the others are asked, whatever it costs.
    Asking { tracker: Tracker, asked: Places, lost_at: Instant, heard: Knowledge },
    /// The clock may not go on before its next reservation is durable (rule V1).
    AwaitingClock { heard: Knowledge },
    /// Readers of the key cannot agree: a new write of it waits a moment (rule Q5).
    Deferred { heard: Knowledge },
    /// This node's own commit step makes the state, of siblings. `by_clock` as below.
    Minting { heard: Knowledge, by_clock: bool },
    /// Round 2: the replicas store it. `by_clock` unless its tag was named just above a version that is ahead of every
    /// clock.
    Storing { tracker: Tracker, state: State, by_clock: bool },
}

impl Intent {
    /// What a write of it under `tag` leaves behind.
    pub(super) fn content(&self, tag: Tag) -> Content {
        match self {
            Self::Put { value, ttl: None } => Content::Value(value.clone()),
            Self::Put { value, ttl: Some(ttl) } => {
                let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                let span = millis.saturating_mul(1 << Hlc::LOGICAL_BITS);
                Content::Expiring { value: value.clone(), expires: Hlc(tag.hlc.0.saturating_add(span)) }
            }
            Self::Delete => Content::Tombstone,
        }
    }
}

impl Write {
    /// A write by someone who had seen `context` of the key.
    pub(super) fn new(intent: Intent, context: Option<VersionVector>) -> Self {
        Self {
            intent,
            context,
            phase: Phase::New,
            asked_first: false,
            raised: false,
            refusals: Refusals::default(),
            record: Record::default(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self.intent {
            Intent::Put { .. } => "put",
            Intent::Delete => "delete",
        }
    }

    pub(super) fn start(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        if !task.plan.is_strict() || self.context.is_some() {
            let heard = Knowledge { floor: None, seen: self.context.take() };
            return self.mint(task, turn, heard);
        }
        let to_ask = task.plan.quorum();
        #[cfg(feature = "mutants")]
        let to_ask = match turn.config.mutant {
            Some(Mutant::BlindWrite) => return self.mint(task, turn, Knowledge::default()),
            Some(Mutant::RoundOneOfOne) => 1,
            _ => to_ask,
        };
        let tracker = task.tracker(turn, to_ask);
        let order = task.plan.asking_order(turn);
        let asked: Places = order.iter().copied().take(to_ask).collect();
        asked.iter().for_each(|place| self.ask(task, turn, place));
        self.asked_first = true;
        turn.health.earn();
        let delay = turn.config.hedge_delay;
        if asked.len() < order.len() {
            task.hedge_at = Some(turn.now.mono + delay);
        }
        let lost_at = turn.now.mono + Health::lost_after(delay, delay);
        let heard = Knowledge { floor: None, seen: Some(VersionVector::new()) };
        self.phase = Phase::Asking { tracker, asked, lost_at, heard };
        None
    }

    pub(super) fn answered(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        place: usize,
        round: u8,
        answer: ReplicaAnswer,
    ) -> Option<Conclusion> {
        if round != self.round() {
            return None;
        }
        self.record.heard(turn.now.mono, place);
        match self.phase {
            Phase::Asking { .. } => self.asked(task, turn, place, answer),
            Phase::Minting { .. } => self.made(task, turn, place, answer),
            Phase::Storing { .. } => self.told(task, turn, place, answer),
            Phase::New | Phase::AwaitingClock { .. } | Phase::Deferred { .. } => None,
        }
    }

    /// A replica says what it has seen of the key.
    fn asked(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        place: usize,
        answer: ReplicaAnswer,
    ) -> Option<Conclusion> {
        let Phase::Asking { tracker, heard, .. } = &mut self.phase else {
            return None;
        };
        match answer {
            ReplicaAnswer::Fetched(Fetched { answer: Answer::Version(version), .. }) => {
                tracker.succeed(place);
                heard.learn(version);
                let took = self.record.waited(turn.now.mono, place);
                // Of one that was late this is known already.
                if took < turn.config.hedge_delay {
                    turn.health.answered(turn.now.mono, task.plan.replicas[place], took);
                }
            }
            ReplicaAnswer::Failed(_) => {
                tracker.fail(place);
                self.ask_others(task, turn);
            }
            _ => return None,
        }
        self.asking_judged(task, turn)
    }

    /// This node's disk has made the state, or not. Nobody else has been asked for anything: who is lost meanwhile
    /// changes nothing, and the commit may be under way (rule Q10).
    fn made(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        place: usize,
        answer: ReplicaAnswer,
    ) -> Option<Conclusion> {
        let Phase::Minting { heard, .. } = &self.phase else {
            return None;
        };
        let failure = match answer {
            ReplicaAnswer::Minted(Ok(state)) => return self.minted(task, turn, place, state),
            ReplicaAnswer::Minted(Err(NotMinted::TooLow(seen))) => return self.mint_above(task, turn, seen),
            ReplicaAnswer::Minted(Err(NotMinted::Failure(failure))) => failure,
            ReplicaAnswer::Failed(_) if task.plan.replicas[place] != turn.config.node => return None,
            ReplicaAnswer::Failed(failed) if failed.is_clock_ahead() => version_ahead(turn, heard.floor()),
            ReplicaAnswer::Failed(_) => task.replicas_failed(&task.tracker(turn, 1)),
            _ => return None,
        };
        Some(Err(RequestError::not_applied(failure)))
    }

    /// A replica has stored the state, or not.
    fn told(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        place: usize,
        answer: ReplicaAnswer,
    ) -> Option<Conclusion> {
        let Phase::Storing { tracker, state, by_clock } = &mut self.phase else {
            return None;
        };
        match answer {
            ReplicaAnswer::Stored(stored) => {
                // It kept what a broken clock has named, which no first round has met, and not this write.
                let is_lost = task.plan.kind == TableKind::Register
                    && stored.held > state.tag()
                    && turn.clock.is_ahead(turn.now, stored.held.hlc);
                if is_lost {
                    self.refusals.superseded(place, stored.held);
                    task.failed(place, AHEAD);
                    tracker.fail(place);
                } else {
                    tracker.succeed(place);
                }
            }
            ReplicaAnswer::Failed(failed) => {
                self.refusals.failed(place, &failed);
                if *by_clock {
                    self.refusals.tell(task.plan.blocking(), turn);
                }
                #[cfg(feature = "mutants")]
                if turn.config.mutant == Some(Mutant::FailedCounts) {
                    tracker.succeed(place);
                }
                tracker.fail(place);
            }
            _ => return None,
        }
        self.storing_judged(task, turn)
    }

    /// What the replica at `place` did holds no more.
    pub(super) fn disown(&mut self, place: usize) {
        if let Phase::Asking { tracker, .. } | Phase::Storing { tracker, .. } = &mut self.phase {
            tracker.disown(place);
        }
    }

    /// A time that was set has come. In round 1 every replica that was not asked yet is asked; a write that was
    /// put off goes on.
    pub(super) fn hedge(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        #[cfg(feature = "mutants")]
        if let Phase::Storing { state: State::Register(register), .. } = &self.phase
            && turn.config.mutant == Some(Mutant::RetryNewTag)
        {
            let heard = Knowledge { floor: Some(register.tag), seen: None };
            return self.mint(task, turn, heard);
        }
        if let Phase::Storing { tracker, .. } = &self.phase
            && tracker.verdict() == Verdict::Impossible
        {
            return Some(Err(RequestError::unknown(task.replicas_failed(tracker))));
        }
        if let Phase::Deferred { heard } = &mut self.phase {
            let heard = std::mem::take(heard);
            return self.mint(task, turn, heard);
        }
        if let Phase::Asking { lost_at, ref tracker, asked, .. } = self.phase {
            let now = turn.now.mono;
            for place in asked.iter().filter(|place| tracker.is_outstanding(*place)) {
                turn.health.late(now, task.plan.replicas[place], self.record.waited(now, place));
            }
            if now >= lost_at || turn.health.spend() {
                turn.effects.push(Effect::Observe(Observation::Hedge));
                self.ask_others(task, turn);
            } else {
                task.hedge_at = Some(lost_at.min(now + turn.config.hedge_delay));
            }
        }
        None
    }

    /// Asks every replica that was not asked yet what it has seen.
    fn ask_others(&mut self, task: &Task, turn: &mut Turn<'_>) {
        if let Phase::Asking { asked, .. } = &mut self.phase {
            for place in task.plan.asking_order(turn) {
                if !asked.contains(place) {
                    asked.insert(place);
                    self.record.asked(turn.now.mono, place);
                    task.fetch(turn, place, ASKING, Want::Version);
                }
            }
        }
    }

    pub(super) fn clock_reserved(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        match &mut self.phase {
            Phase::AwaitingClock { heard } => {
                let heard = std::mem::take(heard);
                self.mint(task, turn, heard)
            }
            _ => None,
        }
    }

    pub(super) fn awaits_clock(&self) -> bool {
        matches!(self.phase, Phase::AwaitingClock { .. })
    }

    pub(super) fn round(&self) -> u8 {
        match self.phase {
            Phase::New | Phase::Asking { .. } => ASKING,
            Phase::AwaitingClock { .. } | Phase::Deferred { .. } | Phase::Minting { .. } => MINTING,
            Phase::Storing { by_clock, .. } => storing(by_clock),
        }
    }

    pub(super) fn tracker(&self) -> Option<&Tracker> {
        match &self.phase {
            Phase::Asking { tracker, .. } | Phase::Storing { tracker, .. } => Some(tracker),
            Phase::New | Phase::AwaitingClock { .. } | Phase::Deferred { .. } | Phase::Minting { .. } => None,
        }
    }

    /// Whether the replica at `place` is to be left without the write: it was named by a clock that is ahead.
    pub(super) fn is_refused_as_ahead(&self, place: usize) -> bool {
        self.refusals.is_ahead(place)
    }

    /// What is known of refusals, for those that have not answered yet.
    pub(super) fn refused(&self, task: &Task) -> Refused {
        let by_clock = matches!(self.phase, Phase::Storing { by_clock: true, .. });
        self.refusals.so_far(by_clock.then(|| task.plan.blocking()))
    }

    /// The state that was sent, and who has it; `None` also if nobody can have it.
    pub(super) fn sent(&self) -> Option<(&Tracker, &State)> {
        match &self.phase {
            Phase::Storing { tracker, state, .. } if !self.refusals.are_all() => Some((tracker, state)),
            _ => None,
        }
    }

    pub(super) fn timeout(&self, task: &Task) -> RequestError {
        match &self.phase {
            Phase::Storing { tracker, .. } => RequestError::unknown(task.timeout(tracker)),
            Phase::Minting { .. } => RequestError::unknown(super::timeout(task.plan.required, 0)),
            Phase::Asking { tracker, .. } => RequestError::not_applied(task.timeout(tracker)),
            Phase::New | Phase::AwaitingClock { .. } | Phase::Deferred { .. } => {
                RequestError::not_applied(super::timeout(task.plan.required, 0))
            }
        }
    }

    pub(super) fn validate(&self) {
        if let Some(tracker) = self.tracker() {
            tracker.validate();
        }
        if let Phase::Storing { tracker, .. } = &self.phase {
            let waits = tracker.outstanding() > 0 && tracker.succeeded().is_empty();
            assert!(waits || tracker.verdict() != Verdict::Impossible, "an impossible write was concluded");
        }
    }

    fn ask(&mut self, task: &Task, turn: &mut Turn<'_>, place: usize) {
        self.record.asked(turn.now.mono, place);
        task.fetch(turn, place, ASKING, Want::Version);
    }

    fn store(&mut self, task: &Task, turn: &mut Turn<'_>, place: usize, state: &State, by_clock: bool) {
        self.record.asked(turn.now.mono, place);
        self.refusals.sent(place);
        // What goes just above a version that some replica holds is not to be refused: it ends with that version.
        let wishes = StoreWishes { fresh: by_clock, ..StoreWishes::default() };
        task.store_with(turn, place, storing(by_clock), state, wishes);
    }

    fn asking_judged(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        let Phase::Asking { tracker, heard, .. } = &mut self.phase else {
            return None;
        };
        match tracker.verdict() {
            Verdict::Pending => None,
            Verdict::Reached => {
                let heard = std::mem::take(heard);
                self.mint(task, turn, heard)
            }
            Verdict::Impossible => Some(Err(RequestError::not_applied(task.replicas_failed(tracker)))),
        }
    }

    fn storing_judged(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        let Phase::Storing { tracker, state, by_clock } = &self.phase else {
            return None;
        };
        match tracker.verdict() {
            Verdict::Reached if awaits_own(task, tracker) => None,
            Verdict::Reached => {
                let mut receipt = task.receipt(turn, tracker.succeeded(), Some(state.tag()), false);
                receipt.rounds = 1 + u8::from(self.asked_first);
                receipt.reports = self.record.reports(task, tracker);
                let missing = task.plan.missing(turn, tracker.succeeded()).iter();
                receipt.hinted = missing
                    .filter(|place| !tracker.is_outstanding(*place))
                    .map(|place| task.plan.replicas[place])
                    .collect();
                let context = context_after(task, state);
                Some(Ok(Written { context, receipt }.into()))
            }
            Verdict::Pending => None,
            Verdict::Impossible if tracker.outstanding() == 0 && self.refusals.are_all() => {
                if let Some(kept) = self.refusals.kept().filter(|_| *by_clock) {
                    return self.name_above(task, turn, kept);
                }
                Some(Err(RequestError::not_applied(task.replicas_failed(tracker))))
            }
            // If those that are still to answer refuse as well, it is known that nobody has it.
            Verdict::Impossible if self.refusals.may_be_all(outstanding(task, tracker)) => {
                task.hedge_after_delay(turn);
                None
            }
            Verdict::Impossible => Some(Err(RequestError::unknown(task.replicas_failed(tracker)))),
        }
    }
}

fn outstanding(task: &Task, tracker: &Tracker) -> Places {
    (0..task.plan.replicas.len()).filter(|place| tracker.is_outstanding(*place)).collect()
}

/// What the writer may carry to its next write without reading first. A version vector can only say "this
/// and all before it", so while concurrent siblings are left it would claim to have seen them: then there is
/// no such context, and the writer must read.
fn context_after(task: &Task, state: &State) -> Bytes {
    match state {
        State::Siblings(state) if state.siblings().len() == 1 => {
            context::encode(&task.plan.row, state.vector())
        }
        _ => Bytes::new(),
    }
}

/// Below QUORUM a later read through the same coordinator waits for this node's own replica. So does the
/// write, so that the read finds it.
fn awaits_own(task: &Task, tracker: &Tracker) -> bool {
    !task.plan.is_strict() && task.plan.own.is_some_and(|place| tracker.is_outstanding(place))
}

/// Of a replica that did not keep a write.
const AHEAD: &str = "holds a version from a clock that is ahead of every other";
const ASKING: u8 = 0;
const MINTING: u8 = 1;

/// A write may be sent a second time above a version that is ahead of every clock: what is said of the first time is not
/// taken for the second.
const fn storing(by_clock: bool) -> u8 {
    if by_clock { 2 } else { 3 }
}
