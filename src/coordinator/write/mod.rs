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
//! Once a store or a mint was sent, the outcome of a failure is unknown: a replica may have it.

use bytes::Bytes;
use quorate_ring::{Actor, Duration, Hlc, Instant, TableKind, Tag};
use quorate_storage::{Content, Register, Seen, Siblings, State, Version, VersionVector};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    context,
    operation::{Conclusion, ReplicaAnswer, Task},
    quorum::{Places, Tracker, Verdict},
    record::Record,
};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    node::{Alarm, Effect, Turn},
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
    record: Record,
}

#[derive(Debug)]
enum Phase {
    /// Not started.
    New,
    /// Round 1: a quorum says what it has seen of the key.
    Asking { tracker: Tracker, asked: Places, heard: Knowledge },
    /// The clock may not go on before its next reservation is durable (rule V1).
    AwaitingClock { heard: Knowledge },
    /// Readers of the key cannot agree: a new write of it waits a moment (rule Q5).
    Deferred { heard: Knowledge },
    /// This node's own commit step makes the state, of siblings.
    Minting,
    /// Round 2: the replicas store it.
    Storing { tracker: Tracker, state: State },
}

/// What is known of a key's writes before a new one.
#[derive(Clone, Debug, Default)]
struct Knowledge {
    /// Of a register: the greatest tag.
    floor: Option<Tag>,
    /// Of siblings: what the write replaces; none for what is durable on this node.
    seen: Option<VersionVector>,
}

impl Knowledge {
    fn learn(&mut self, version: Option<Version>) {
        match version {
            Some(Version::Tag(tag)) => self.floor = self.floor.max(Some(tag)),
            Some(Version::Vector(vector)) => self.seen.get_or_insert_default().join(&vector),
            None => {}
        }
    }
}

impl Intent {
    fn content(&self, tag: Tag) -> Content {
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
        Self { intent, context, phase: Phase::New, asked_first: false, record: Record::default() }
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
        if asked.len() < order.len() {
            task.hedge_after_delay(turn);
        }
        let heard = Knowledge { floor: None, seen: Some(VersionVector::new()) };
        self.phase = Phase::Asking { tracker, asked, heard };
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
        match (&mut self.phase, answer) {
            (
                Phase::Asking { tracker, heard, .. },
                ReplicaAnswer::Fetched(Fetched { answer: Answer::Version(version), .. }),
            ) => {
                tracker.succeed(place);
                heard.learn(version);
                self.asking_judged(task, turn)
            }
            (Phase::Asking { tracker, .. }, ReplicaAnswer::Failed(_)) => {
                tracker.fail(place);
                self.hedge(task, turn);
                self.asking_judged(task, turn)
            }
            (Phase::Minting, ReplicaAnswer::Minted(minted)) => match minted {
                Ok(state) => self.minted(task, turn, place, state),
                Err(failure) => Some(Err(RequestError::not_applied(failure))),
            },
            // Only this node's own disk has been asked for anything: who else is lost meanwhile changes nothing, and
            // the commit may be under way (rule Q10).
            (Phase::Minting, ReplicaAnswer::Failed(_)) if task.plan.replicas[place] == turn.config.node => {
                Some(Err(RequestError::not_applied(task.replicas_failed(&task.tracker(turn, 1)))))
            }
            (Phase::Storing { tracker, .. }, ReplicaAnswer::Stored(_)) => {
                tracker.succeed(place);
                self.storing_judged(task, turn)
            }
            (Phase::Storing { tracker, .. }, ReplicaAnswer::Failed(_)) => {
                #[cfg(feature = "mutants")]
                if turn.config.mutant == Some(Mutant::FailedCounts) {
                    tracker.succeed(place);
                }
                tracker.fail(place);
                self.storing_judged(task, turn)
            }
            _ => None,
        }
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
        if let Phase::Storing { state: State::Register(register), .. } = &self.phase {
            let heard = Knowledge { floor: Some(register.tag), seen: None };
            return self.mint(task, turn, heard);
        }
        if let Phase::Deferred { heard } = &mut self.phase {
            let heard = std::mem::take(heard);
            return self.mint(task, turn, heard);
        }
        if let Phase::Asking { asked, .. } = &mut self.phase {
            for place in task.plan.asking_order(turn) {
                if !asked.contains(place) {
                    asked.insert(place);
                    self.record.asked(turn.now.mono, place);
                    task.fetch(turn, place, ASKING, Want::Version);
                }
            }
        }
        None
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
            Phase::AwaitingClock { .. } | Phase::Deferred { .. } | Phase::Minting => MINTING,
            Phase::Storing { .. } => STORING,
        }
    }

    pub(super) fn tracker(&self) -> Option<&Tracker> {
        match &self.phase {
            Phase::Asking { tracker, .. } | Phase::Storing { tracker, .. } => Some(tracker),
            Phase::New | Phase::AwaitingClock { .. } | Phase::Deferred { .. } | Phase::Minting => None,
        }
    }

    /// The state that was sent, and who has it.
    pub(super) fn sent(&self) -> Option<(&Tracker, &State)> {
        match &self.phase {
            Phase::Storing { tracker, state } => Some((tracker, state)),
            _ => None,
        }
    }

    pub(super) fn timeout(&self, task: &Task) -> RequestError {
        match &self.phase {
            Phase::Storing { tracker, .. } => RequestError::unknown(task.timeout(tracker)),
            Phase::Minting => RequestError::unknown(super::timeout(task.plan.required, 0)),
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
            assert_ne!(tracker.verdict(), Verdict::Impossible, "an impossible write was concluded");
        }
    }

    fn ask(&mut self, task: &Task, turn: &mut Turn<'_>, place: usize) {
        self.record.asked(turn.now.mono, place);
        task.fetch(turn, place, ASKING, Want::Version);
    }

    fn store(&mut self, task: &Task, turn: &mut Turn<'_>, place: usize, state: &State) {
        self.record.asked(turn.now.mono, place);
        task.store(turn, place, STORING, state);
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

    /// Names the write by a tag above all that was `heard` and sends it, unless readers are to agree first or the
    /// clock must wait.
    fn mint(&mut self, task: &mut Task, turn: &mut Turn<'_>, heard: Knowledge) -> Option<Conclusion> {
        task.hedge_at = None;
        if let Err(error) = task.plan.check_alive(turn) {
            return Some(Err(error));
        }
        if let Some(until) = deferred_until(task, turn) {
            task.hedge_at = Some(until);
            self.phase = Phase::Deferred { heard };
            return None;
        }
        let floor = heard.floor.max(heard.seen.as_ref().and_then(VersionVector::greatest));
        let Some(tag) = turn.clock.mint(turn.now, floor, turn.effects) else {
            self.phase = Phase::AwaitingClock { heard };
            return None;
        };
        assert!(Some(tag) > floor, "rule Q4: a new tag exceeds every tag heard of");
        let content = self.intent.content(tag);
        let state = match task.plan.kind {
            TableKind::Siblings if task.plan.own.is_some() => {
                let seen = heard.seen.map_or(Seen::Durable, Seen::Context);
                task.plan.own.iter().for_each(|own| self.record.asked(turn.now.mono, *own));
                task.mint(turn, MINTING, tag, seen, content);
                self.phase = Phase::Minting;
                return None;
            }
            TableKind::Siblings => stand_in_state(turn, tag, &heard.seen.unwrap_or_default(), content),
            _ => State::Register(Register { tag, content }),
        };
        task.plan.alive(turn).iter().for_each(|place| self.store(task, turn, place, &state));
        self.phase = Phase::Storing { tracker: task.tracker(turn, task.plan.required), state };
        #[cfg(feature = "mutants")]
        if turn.config.mutant == Some(Mutant::RetryNewTag) {
            task.hedge_after_delay(turn);
        }
        None
    }

    /// The state is made and durable on this node, at `own`: the others are sent the whole of it.
    fn minted(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        own: usize,
        state: State,
    ) -> Option<Conclusion> {
        warn_if_crowded(task, turn, &state);
        let others = task.plan.alive(turn).iter().filter(|place| *place != own);
        #[cfg(feature = "mutants")]
        let (whole, state) = (state.clone(), with_bare_dot(turn, state));
        others.for_each(|place| self.store(task, turn, place, &state));
        #[cfg(feature = "mutants")]
        let state = whole;
        let mut tracker = task.tracker(turn, task.plan.required);
        tracker.succeed(own);
        self.phase = Phase::Storing { tracker, state };
        self.storing_judged(task, turn)
    }

    fn storing_judged(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        let Phase::Storing { tracker, state } = &self.phase else {
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
            Verdict::Impossible => Some(Err(RequestError::unknown(task.replicas_failed(tracker)))),
        }
    }
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
/// actor of its own, mixed from the process's random one and the reading, which no other write of it has.
#[cfg_attr(not(feature = "mutants"), expect(unused_variables, reason = "only a mutant looks at the turn"))]
fn stand_in_state(turn: &Turn<'_>, tag: Tag, seen: &VersionVector, content: Content) -> State {
    #[cfg(feature = "mutants")]
    if matches!(turn.config.mutant, Some(Mutant::NonReplicaMints | Mutant::UsualActorStandsIn)) {
        return State::Siblings(Siblings::first(tag, seen, content));
    }
    let actor = Actor(StdRng::seed_from_u64(tag.actor.0 ^ tag.hlc.0.rotate_left(32)).random());
    State::Siblings(Siblings::first(Tag { hlc: tag.hlc, actor }, seen, content))
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

/// Below QUORUM a later read through the same coordinator waits for this node's own replica. So does the
/// write, so that the read finds it.
fn awaits_own(task: &Task, tracker: &Tracker) -> bool {
    !task.plan.is_strict() && task.plan.own.is_some_and(|place| tracker.is_outstanding(place))
}

const ASKING: u8 = 0;
const MINTING: u8 = 1;
const STORING: u8 = 2;
