//! Reading a key (rules Q1, Q5 to Q9, Q12, D1).
//!
//! One replica sends the state, the others version and digest. If as many as the level needs are identical,
//! that is the answer, whatever the rest say. If not, all replicas that can be reached are asked for their
//! states, and everything heard is joined. Below QUORUM the join is the answer, and bringing the replicas
//! together is left to the background. At QUORUM and above it is written back first:
//!
//! - of a `register` until a quorum has it, or something newer. Tags are totally ordered, so reads are ordered by
//!   what they answer, and a later read meets the quorum of an earlier one.
//! - of `siblings` until a quorum holds *one identical state*. What a replica acknowledges with more than it was
//!   sent goes into the next join, which is written back in turn, until replicas agree or the deadline ends it.
//!
//! Why identical. The states of one key are only partly ordered, and linearizability asks that any two answers
//! be comparable. Let {x} be written to n1 and {y} to n2, both puts still under way, n3 holds neither.
//!
//! ```text
//!   read A hears n1 and n3: joins {x}       read B hears n2 and n3: joins {y}
//!   A writes {x} back to n1 and n3          B writes {y} back to n2 and n3
//!   both have their quorum of acknowledgements. A answers {x}, B answers {y}
//! ```
//!
//! No order of the two reads explains this: whichever came second missed what the first one saw. With the rule,
//! n3 holds {x} and then {x, y}, say. It acknowledges {y} to B with more, B joins {x, y} and goes on. In general:
//! a quorum held exactly a at some moments and a quorum held exactly b, so some replica held both, and because what a
//! replica holds only grows, one of a and b contains the other. A read that begins after another one ended
//! finds that replica with no less than the other's answer, so the order agrees with time.
//!
//! A read that allows it (`monotone`) answers siblings after one write-back. It sees what was complete and
//! never goes backward, but the two reads above may both happen, and the receipt says so.
//!
//! Levels above QUORUM ask for as many identical replies as they name replicas. So a read at ALL that needs no
//! repair has seen what was acknowledged at ONE.

pub(super) use conflict::raise_conflict;
pub(super) use finish::{NOBODY_WAITS, mend};
pub(super) use first::FirstWord;

mod choose;
mod conflict;
mod expiry;
mod finish;
mod first;
pub(super) mod replies;

use quorate_ring::{Instant, TableKind};
use quorate_storage::State;

use self::replies::{Replies, Said};
use super::{
    Health,
    operation::{Conclusion, ReplicaAnswer, Task},
    quorum::{Places, Tracker, Verdict},
};
use crate::{
    node::{Effect, Observation, Turn},
    replica::shown_with,
    wire::{Answer, Failure, Fetched, Stored, Want},
};

/// How far a read has come.
#[derive(Debug)]
pub(super) struct Read {
    /// Whether its client settles for less than linearizable.
    monotone: bool,
    phase: Phase,
    /// Counts what was sent: an answer to an earlier round is not taken for one to a later.
    round: u8,
    replies: Replies,
    asked: Places,
    /// From then on an answer is lost and another replica is asked whatever the budget says (rule Q9).
    lost_at: Instant,
    /// Who was sent the merge.
    mended: Places,
    /// Whom to compare in the background after the answer.
    comparison: Comparing,
    /// Of a `cas` table: that its replicas disagree, and the latest version that one of them holds.
    round_above: Option<Option<quorate_ring::Tag>>,
}

#[derive(Debug)]
enum Phase {
    /// As many as the level needs are asked, one for the state and the others for digests.
    Asking(Tracker),
    /// They disagreed: all are asked for their states. `patient` until the slow ones have had their time.
    Consulting { tracker: Tracker, patient: bool },
    /// The merge is on its way to those that lack it.
    WritingBack(WriteBack),
    /// The state is settled. Replicas that have not told their clocks are asked, because a value of it may
    /// have expired.
    AskingClocks { tracker: Tracker, settled: Settled },
    /// Clocks disagree about an expiry: a quorum must pass it.
    Advancing { tracker: Tracker, to: quorate_ring::Hlc, settled: Settled },
}

/// One round of writing back.
#[derive(Debug)]
struct WriteBack {
    tracker: Tracker,
    joined: State,
    /// What a replica that holds exactly that would say.
    exactly: Said,
    /// The round of the first one.
    first_round: u8,
    since: Instant,
    /// Until the slow ones have had their time.
    patient: bool,
}

/// What is to be answered, once it is known which of its values have expired.
#[derive(Debug)]
struct Settled {
    state: Option<State>,
    /// Who is known to hold it.
    holders: Places,
    /// Whether it may be incomparable with what a concurrent read answers.
    monotone: bool,
}

/// What is left to do after the answer (rules Q6, Q8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparing {
    /// Nothing.
    Nobody,
    /// To fetch what those that were heard hold beyond the rest.
    Heard,
    /// To hear the others, too.
    Everybody,
}

impl Read {
    /// A read; `monotone` if it need not be linearizable.
    pub(super) fn new(monotone: bool) -> Self {
        Self {
            monotone,
            phase: Phase::Asking(Tracker::new(0, 0)),
            round: 0,
            replies: Replies::default(),
            asked: Places::default(),
            lost_at: Instant::NEVER,
            mended: Places::default(),
            comparison: Comparing::Nobody,
            round_above: None,
        }
    }

    /// Whether it cannot be answered without a round of its `cas` key (rule C3): above which version.
    pub(super) fn needs_round(&self) -> Option<Option<quorate_ring::Tag>> {
        self.round_above
    }

    pub(super) fn start(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        turn.health.earn();
        self.replies = Replies::new(task.plan.replicas.len());
        self.phase = Phase::Asking(task.tracker(turn, task.plan.required));
        let order = task.plan.asking_order(turn);
        for (nth, place) in order.iter().copied().take(task.plan.required).enumerate() {
            self.fetch(task, turn, place, if nth == 0 { Want::State } else { Want::Digest });
        }
        if self.asked.len() < order.len() && !(task.plan.required == 1 && task.plan.own.is_some()) {
            self.hedge_later(task, turn);
        }
        None
    }

    /// Sets the times after which those that are asked are late, and lost.
    fn hedge_later(&mut self, task: &mut Task, turn: &Turn<'_>) {
        let delay = self.patience(task, turn);
        self.lost_at = turn.now.mono + Health::lost_after(delay, turn.config.hedge_delay);
        task.hedge_at = Some(turn.now.mono + delay);
    }

    pub(super) fn answered(
        &mut self,
        task: &mut Task,
        turn: &mut Turn<'_>,
        place: usize,
        round: u8,
        answer: ReplicaAnswer,
    ) -> Option<Conclusion> {
        if round > self.round {
            return None;
        }
        match answer {
            ReplicaAnswer::Fetched(fetched) => self.fetched(task, turn, place, round, fetched)?,
            ReplicaAnswer::Stored(stored) => self.stored(turn, place, round, stored)?,
            ReplicaAnswer::Advanced(advanced) => {
                self.replies.told_clock(turn.now.mono, place, advanced.to);
                match &mut self.phase {
                    Phase::AskingClocks { tracker, .. } if round == self.round => tracker.succeed(place),
                    Phase::Advancing { tracker, to, .. } if advanced.to >= *to => tracker.succeed(place),
                    _ => {}
                }
            }
            ReplicaAnswer::Failed(_) if round == self.round => {
                self.replies.failed(turn.now.mono, place);
                self.tracker_mut().fail(place);
                self.ask_more(task, turn);
            }
            ReplicaAnswer::Failed(_)
            | ReplicaAnswer::Minted(_)
            | ReplicaAnswer::Forwarded(_)
            | ReplicaAnswer::Page(_) => return None,
        }
        self.judge(task, turn)
    }

    /// The replica at `place` has lost its state: what it said holds no more. True if the answer was settled on it
    /// already.
    pub(super) fn disown(&mut self, place: usize) -> bool {
        self.replies.forget(place);
        self.tracker_mut().disown(place);
        match &self.phase {
            Phase::AskingClocks { settled, .. } | Phase::Advancing { settled, .. } => {
                settled.holders.contains(place)
            }
            Phase::Asking(_) | Phase::Consulting { .. } | Phase::WritingBack(_) => false,
        }
    }

    /// A time that was set has come: the first replicas are slow. Asks one more, or makes do with those that
    /// were heard.
    pub(super) fn hedge(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        match &mut self.phase {
            Phase::Asking(_) => self.hedge_asking(task, turn),
            Phase::Consulting { patient, .. } => *patient = false,
            Phase::WritingBack(write_back) => write_back.patient = false,
            Phase::AskingClocks { .. } | Phase::Advancing { .. } => {}
        }
        self.judge(task, turn)
    }

    /// The clock may go on, for which this node's own replica waits.
    pub(super) fn clock_reserved(&mut self, task: &mut Task, turn: &mut Turn<'_>) -> Option<Conclusion> {
        self.advance_own(task, turn);
        self.judge(task, turn)
    }

    /// Whether this node's own clock holds it up.
    pub(super) fn awaits_clock(&self, own: Option<usize>) -> bool {
        let (Phase::AskingClocks { tracker, .. } | Phase::Advancing { tracker, .. }) = &self.phase else {
            return false;
        };
        own.is_some_and(|own| tracker.is_outstanding(own))
    }

    pub(super) fn round(&self) -> u8 {
        self.round
    }

    pub(super) fn tracker(&self) -> &Tracker {
        match &self.phase {
            Phase::Asking(tracker)
            | Phase::Consulting { tracker, .. }
            | Phase::WritingBack(WriteBack { tracker, .. })
            | Phase::AskingClocks { tracker, .. }
            | Phase::Advancing { tracker, .. } => tracker,
        }
    }

    pub(super) fn timeout(&self, task: &Task) -> Failure {
        match &self.phase {
            Phase::WritingBack(write_back) if self.round > write_back.first_round => self.contended(),
            _ => task.timeout(self.tracker()),
        }
    }

    /// What it leaves to do after its answer.
    pub(super) fn into_comparison(self) -> (Comparing, Replies, u8) {
        (self.comparison, self.replies, self.round)
    }

    pub(super) fn validate(&self) {
        self.tracker().validate();
        assert_ne!(self.tracker().verdict(), Verdict::Impossible, "an impossible read was concluded");
    }

    fn tracker_mut(&mut self) -> &mut Tracker {
        match &mut self.phase {
            Phase::Asking(tracker)
            | Phase::Consulting { tracker, .. }
            | Phase::WritingBack(WriteBack { tracker, .. })
            | Phase::AskingClocks { tracker, .. }
            | Phase::Advancing { tracker, .. } => tracker,
        }
    }

    fn contended(&self) -> Failure {
        Failure::Contended { rounds: self.round.saturating_add(1) }
    }

    /// Takes in what a replica holds; `None` if it is no answer to what is asked now.
    fn fetched(
        &mut self,
        task: &Task,
        turn: &mut Turn<'_>,
        place: usize,
        round: u8,
        fetched: Fetched,
    ) -> Option<()> {
        let said = match fetched.answer {
            #[cfg(feature = "mutants")]
            Answer::State(Some(state)) if is_forgotten(turn, &state) => Said::State(None),
            Answer::State(state) => Said::State(state),
            Answer::Digest(digest) => Said::Digest(digest),
            Answer::Version(_) => return None,
        };
        let now = turn.now.mono;
        let is_state = matches!(said, Said::State(_));
        match &mut self.phase {
            Phase::Asking(tracker) if round == self.round => {
                turn.health.answered(now, task.plan.replicas[place], self.replies.waited(now, place));
                tracker.succeed(place);
            }
            Phase::Consulting { tracker, .. } if is_state => tracker.succeed(place),
            _ => {}
        }
        let clock = match &said {
            Said::State(state) if task.plan.own == Some(place) => shown_with(turn, state.as_ref()),
            _ => fetched.clock,
        };
        self.replies.heard(now, place, round, said);
        if let Some(clock) = clock {
            self.replies.told_clock(now, place, clock);
        }
        self.heard_late(place, round);
        Some(())
    }

    /// A replica that was waited for no longer has told its state while the merge was on its way to it, and that is the
    /// merge: it counts like those that told it sooner, for it held exactly that at some time since the read began.
    fn heard_late(&mut self, place: usize, round: u8) {
        if let Phase::WritingBack(write_back) = &mut self.phase
            && round < write_back.first_round
            && self.replies.holders(&write_back.exactly).is_ok_and(|holders| holders.contains(place))
        {
            self.replies.confirm(place, self.round);
            write_back.tracker.succeed(place);
        }
    }

    /// A replica has stored what it was sent, and says what more it holds. Anything else than that is no
    /// acknowledgement.
    fn stored(&mut self, turn: &Turn<'_>, place: usize, round: u8, stored: Stored) -> Option<()> {
        let now = turn.now.mono;
        match &mut self.phase {
            Phase::WritingBack(write_back) if round == self.round => {
                let said = match stored.more {
                    Some(more) => Said::State(Some(more)),
                    None => write_back.exactly.clone(),
                };
                self.replies.heard(now, place, round, said);
                write_back.tracker.succeed(place);
                Some(())
            }
            // It came late, but what it tells is worth knowing.
            Phase::WritingBack(write_back) if round >= write_back.first_round => {
                self.replies.heard(now, place, round, Said::State(Some(stored.more?)));
                Some(())
            }
            _ => None,
        }
    }

    fn fetch(&mut self, task: &Task, turn: &mut Turn<'_>, place: usize, want: Want) {
        self.asked.insert(place);
        self.replies.asked(turn.now.mono, place);
        task.fetch(turn, place, self.round, want);
    }

    /// How long the replicas that are asked now have before they are late.
    fn patience(&self, task: &Task, turn: &Turn<'_>) -> quorate_ring::Duration {
        let asked = self.asked.iter().map(|place| task.plan.replicas[place]);
        turn.health.delay(asked, turn.config.hedge_delay)
    }

    /// Some of those asked first are late.
    fn hedge_asking(&mut self, task: &mut Task, turn: &mut Turn<'_>) {
        let now = turn.now.mono;
        for place in self.asked.iter().filter(|place| self.tracker().is_outstanding(*place)) {
            turn.health.late(now, task.plan.replicas[place], self.replies.waited(now, place));
        }
        if now >= self.lost_at || turn.health.spend() {
            turn.effects.push(Effect::Observe(Observation::Hedge));
            self.ask(task, turn, self.tracker().shortfall());
        }
        if self.asked.len() < task.plan.alive(turn).len() {
            let again = now + turn.config.hedge_delay;
            task.hedge_at = Some(if now < self.lost_at { again.min(self.lost_at) } else { again });
        }
    }

    /// Replicas failed in the first round: others are asked in their place.
    fn ask_more(&mut self, task: &Task, turn: &mut Turn<'_>) {
        let Phase::Asking(tracker) = &self.phase else {
            return;
        };
        let under_way = self.asked.iter().filter(|place| tracker.is_outstanding(*place)).count();
        self.ask(task, turn, tracker.shortfall().saturating_sub(under_way));
    }

    /// Asks `more` replicas for their states: whoever was asked for it first may be the slow one.
    fn ask(&mut self, task: &Task, turn: &mut Turn<'_>, more: usize) {
        let order = task.plan.asking_order(turn);
        let unasked: Places =
            order.iter().copied().filter(|place| !self.asked.contains(*place)).take(more).collect();
        unasked.iter().for_each(|place| self.fetch(task, turn, place, Want::State));
    }
}

#[cfg(feature = "mutants")]
fn is_forgotten(turn: &Turn<'_>, state: &State) -> bool {
    turn.config.mutant == Some(crate::node::Mutant::TombstoneForgotten) && state.values().next().is_none()
}

/// Whether reads of such a table answer only what a quorum holds identically.
fn needs_identical(kind: TableKind) -> bool {
    kind == TableKind::Siblings
}
