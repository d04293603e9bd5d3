//! Reading a key (rules Q1, Q5 to Q9).
//!
//! One replica sends the state, the others its digest. If all agree, that is the answer. If not, all
//! replicas that can be reached are asked for their states, these are merged, and, at QUORUM and above, the
//! answer is given only when a quorum holds the merged state durably: a later read meets that quorum, so
//! it cannot see less. For a `register` one write-back suffices, because tags are totally ordered.

use quorate_ring::TableKind;
use quorate_storage::{MergeError, Merged, State, Version, VersionVector, merge};

use super::{
    context,
    operation::{Conclusion, ReplicaAnswer, Task},
    quorum::{Places, Tracker, Verdict},
};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    node::{Alarm, Effect, Observation, Turn},
    wire::{Answer, Failure, Fetched, Got, RequestError, VersionedValue, Want},
};

/// How far a read has come.
#[derive(Debug, Default)]
pub(super) struct Read {
    phase: Phase,
    /// What each replica said, by place; the fullest word is kept.
    heard: Vec<Option<Heard>>,
    asked: Places,
}

#[derive(Debug)]
enum Phase {
    /// As many as the level needs are asked, one for the state and the others for digests.
    Asking(Tracker),
    /// They disagreed: all are asked for their states. `patient` until the slow ones have had their time.
    Consulting { tracker: Tracker, patient: bool },
    /// The merged state is on its way to those that lack it.
    WritingBack { tracker: Tracker, joined: State },
}

impl Default for Phase {
    fn default() -> Self {
        Self::Asking(Tracker::new(0, 0))
    }
}

/// What a replica said it holds.
#[derive(Clone, Debug)]
enum Heard {
    State(Option<State>),
    Digest(Option<(Version, u128)>),
}

impl Heard {
    fn digest(&self) -> Option<(Version, u128)> {
        match self {
            Self::State(state) => state.as_ref().map(|state| (state.version(), state.digest())),
            Self::Digest(digest) => digest.clone(),
        }
    }
}

impl Read {
    pub(super) fn start(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        self.heard = vec![None; task.plan.replicas.len()];
        let order = task.plan.asking_order(turn);
        for (nth, place) in order.iter().copied().take(task.plan.required).enumerate() {
            self.asked.insert(place);
            task.fetch(turn, place, ASKING, if nth == 0 { Want::State } else { Want::Digest });
        }
        if self.asked.len() < order.len() && !(task.plan.required == 1 && task.plan.own.is_some()) {
            task.hedge_after_delay(turn);
        }
        self.phase = Phase::Asking(task.tracker(turn, task.plan.required));
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
        let tracker = match &mut self.phase {
            Phase::Asking(tracker)
            | Phase::Consulting { tracker, .. }
            | Phase::WritingBack { tracker, .. } => tracker,
        };
        match answer {
            ReplicaAnswer::Fetched(Fetched { answer, .. }) => {
                #[cfg(feature = "mutants")]
                let answer = match answer {
                    Answer::State(Some(state))
                        if turn.config.mutant == Some(Mutant::TombstoneForgotten)
                            && state.values().next().is_none() =>
                    {
                        Answer::State(None)
                    }
                    answer => answer,
                };
                match (answer, round) {
                    (Answer::State(state), ASKING | CONSULTING) => {
                        self.heard[place] = Some(Heard::State(state))
                    }
                    (Answer::Digest(digest), ASKING) => self.heard[place] = Some(Heard::Digest(digest)),
                    _ => return None,
                }
                tracker.succeed(place);
            }
            ReplicaAnswer::Stored(_) if round == WRITING_BACK => tracker.succeed(place),
            ReplicaAnswer::Stored(_)
            | ReplicaAnswer::Advanced(_)
            | ReplicaAnswer::Minted(_)
            | ReplicaAnswer::Forwarded(_) => return None,
            ReplicaAnswer::Failed(_) => {
                tracker.fail(place);
                self.ask_the_rest(task, turn);
            }
        }
        self.judge(task, turn)
    }

    /// The first replicas are slow: ask the others too, or make do with those that were heard.
    pub(super) fn hedge(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        match &mut self.phase {
            Phase::Asking(_) => {
                turn.effects.push(Effect::Observe(Observation::Hedge));
                self.ask_the_rest(task, turn);
            }
            Phase::Consulting { patient, .. } => *patient = false,
            Phase::WritingBack { .. } => {}
        }
        self.judge(task, turn)
    }

    pub(super) fn round(&self) -> u8 {
        match self.phase {
            Phase::Asking(_) => ASKING,
            Phase::Consulting { .. } => CONSULTING,
            Phase::WritingBack { .. } => WRITING_BACK,
        }
    }

    pub(super) fn tracker(&self) -> &Tracker {
        match &self.phase {
            Phase::Asking(tracker)
            | Phase::Consulting { tracker, .. }
            | Phase::WritingBack { tracker, .. } => tracker,
        }
    }

    pub(super) fn timeout(&self, task: &Task) -> Failure {
        task.timeout(self.tracker())
    }

    pub(super) fn validate(&self) {
        self.tracker().validate();
        assert_ne!(self.tracker().verdict(), Verdict::Impossible, "an impossible read was concluded");
    }

    /// In the first round, asks every replica that was not asked yet, for its state: whoever was asked
    /// for it first may be the slow one.
    fn ask_the_rest(&mut self, task: &Task, turn: &mut Turn<'_>) {
        if !matches!(self.phase, Phase::Asking(_)) {
            return;
        }
        for place in task.plan.asking_order(turn) {
            if !self.asked.contains(place) {
                self.asked.insert(place);
                task.fetch(turn, place, ASKING, Want::State);
            }
        }
    }

    fn judge(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        match (&self.phase, self.tracker().verdict()) {
            (_, Verdict::Impossible) => {
                Some(Err(RequestError::not_applied(task.replicas_failed(self.tracker()))))
            }
            (_, Verdict::Pending) => None,
            (Phase::Asking(tracker), Verdict::Reached) if awaits_own(task, tracker) => None,
            (Phase::Asking(_), Verdict::Reached) => match self.agreed_state() {
                Some(state) => Some(self.conclude(task, turn, state, false)),
                None => self.consult(task, turn),
            },
            (Phase::Consulting { .. }, Verdict::Reached) => self.consulted(task, turn),
            (Phase::WritingBack { joined, .. }, Verdict::Reached) => {
                let joined = joined.clone();
                Some(self.conclude(task, turn, Some(joined), true))
            }
        }
    }

    /// The state that all who were heard hold, if they agree and one of them sent it.
    fn agreed_state(&self) -> Option<Option<State>> {
        let mut digests = self.heard.iter().flatten().map(Heard::digest);
        let first = digests.next()?;
        if !digests.all(|digest| digest == first) {
            return None;
        }
        self.heard.iter().flatten().find_map(|heard| match heard {
            Heard::State(state) => Some(state.clone()),
            Heard::Digest(_) => None,
        })
    }

    /// Disagreement: asks all that can be reached for their states, before anything is decided (rule Q6).
    fn consult(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        let needed = task.plan.required.max(if task.plan.is_strict() { task.plan.quorum() } else { 1 });
        let mut tracker = task.tracker(turn, needed);
        for place in task.plan.asking_order(turn) {
            if matches!(self.heard[place], Some(Heard::State(_))) {
                tracker.succeed(place);
            } else {
                task.fetch(turn, place, CONSULTING, Want::State);
            }
        }
        self.phase = Phase::Consulting { tracker, patient: true };
        task.hedge_after_delay(turn);
        self.judge(task, turn)
    }

    /// Enough states are here: merges them and brings those who lack something up to date. Where all are
    /// absent there is nothing to write back, and whoever could know more is not in this quorum.
    fn consulted(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        let joined = match self.joined() {
            #[cfg(feature = "mutants")]
            Ok(Some(_)) if self.absence_wins(turn) => return Some(self.conclude(task, turn, None, false)),
            Ok(Some(joined)) => joined,
            Ok(None) => return Some(self.conclude(task, turn, None, false)),
            Err(_) => return Some(Err(self.conflict(task, turn))),
        };
        let target = Some((joined.version(), joined.digest()));
        let holders: Places = self.places(|heard| heard.digest() == target);
        let settled = !task.plan.is_strict() || holders.len() >= task.plan.quorum();
        let Phase::Consulting { tracker, patient } = self.phase else {
            return None;
        };
        if !settled && patient && tracker.outstanding() > 0 {
            return None;
        }
        turn.effects.push(Effect::Observe(Observation::ReadRepair));
        let lacking: Vec<_> = task
            .plan
            .alive(turn)
            .iter()
            .filter(|place| !holders.contains(*place) && (!settled || self.heard[*place].is_some()))
            .collect();
        lacking.iter().for_each(|place| task.store(turn, *place, WRITING_BACK, &joined));
        #[cfg(feature = "mutants")]
        let settled = settled || turn.config.mutant == Some(Mutant::NoWriteBack);
        if settled {
            return Some(self.conclude(task, turn, Some(joined), true));
        }
        task.hedge_at = None;
        let mut tracker = task.tracker(turn, task.plan.quorum());
        holders.iter().for_each(|place| tracker.succeed(place));
        self.phase = Phase::WritingBack { tracker, joined };
        self.judge(task, turn)
    }

    /// The merge of every state heard; `None` if there is none. Absence takes nothing away (rule Q6).
    fn joined(&self) -> Result<Option<State>, MergeError> {
        let mut joined: Option<State> = None;
        for heard in self.heard.iter().flatten() {
            if let Heard::State(Some(state)) = heard {
                match merge(joined.as_ref(), state)? {
                    Merged::Incoming => joined = Some(state.clone()),
                    Merged::Joined(state) => joined = Some(state),
                    Merged::Held => {}
                }
            }
        }
        Ok(joined)
    }

    #[cfg(feature = "mutants")]
    fn absence_wins(&self, turn: &Turn<'_>) -> bool {
        turn.config.mutant == Some(Mutant::AbsenceWins)
            && self.heard.iter().flatten().any(|heard| matches!(heard, Heard::State(None)))
    }

    fn places(&self, which: impl Fn(&Heard) -> bool) -> Places {
        (0..self.heard.len()).filter(|place| self.heard[*place].as_ref().is_some_and(&which)).collect()
    }

    fn conclude(&self, task: &Task, turn: &mut Turn<'_>, state: Option<State>, repaired: bool) -> Conclusion {
        let answered = match &self.phase {
            Phase::WritingBack { tracker, .. } => tracker.succeeded(),
            _ => self.places(|_| true),
        };
        let receipt = task.receipt(turn, answered, state.as_ref().map(State::tag), repaired);
        let contents = state.iter().flat_map(State::contents);
        let values = contents.filter_map(|(tag, content)| {
            let value = content.value()?.clone();
            Some(VersionedValue { value, tag, expires: content.expires() })
        });
        let values = values.collect();
        let context = match &state {
            Some(State::Siblings(state)) => context::encode(&task.plan.row, state.vector()),
            None if task.plan.kind == TableKind::Siblings => {
                context::encode(&task.plan.row, &VersionVector::new())
            }
            _ => bytes::Bytes::new(),
        };
        Ok(Got { values, context, receipt }.into())
    }

    /// One tag with two contents: nothing is picked and nothing is served (rule V4).
    fn conflict(&self, task: &Task, turn: &mut Turn<'_>) -> RequestError {
        let row = &task.plan.row;
        let alarm =
            Alarm::TagConflict { table: row.table, key: row.key.clone(), node: turn.config.node, tag: None };
        turn.effects.push(Effect::Alarm(alarm));
        let why = "its replicas hold different contents under one version; look at the nodes' alarms";
        let failure = Failure::ReplicasFailed {
            required: super::count(task.plan.required),
            answered: super::count(self.places(|_| true).len()),
            failed: 0,
            reason: why.to_owned(),
        };
        RequestError::not_applied(failure)
    }
}

/// Below QUORUM a read waits for this node's own replica, which took every write that this node acknowledged
/// at such a level: a faster answer from elsewhere may miss one.
fn awaits_own(task: &Task, tracker: &Tracker) -> bool {
    !task.plan.is_strict() && task.plan.own.is_some_and(|place| tracker.is_outstanding(place))
}

const ASKING: u8 = 0;
const CONSULTING: u8 = 1;
const WRITING_BACK: u8 = 2;
