//! Hinted handoff (rules H1 to H3): what a replica did not confirm is kept for it, and given when it is back.
//!
//! A hint is a whole state for one target. It is left by the coordinator of a write for each replica that did not
//! confirm it, or kept on behalf of another node's coordinator by a fallback that stood in (sloppy, ANY). Hints
//! are merges, so it does not matter in which order, how often or beside what they arrive; they pass the same
//! gates at the target as any store, but for that of rule V2: only what is new is judged by its tag's clock. A hint
//! never counts toward a level, sloppy and ANY excepted (rule Q2), and trouble with one never fails a write.
//!
//! Replay begins when the target can be reached, with a bounded number of hints under way, the next ones sent as
//! the target acknowledges. A hint is forgotten only once the target has said that it holds it durably; what was
//! under way when a connection broke is sent again. Every hint is on the way to the disk or away from it, or before the pass that
//! is under way, or among those that are remembered for the next one ([`Uncovered`]) or for a later one, because what their target
//! holds contradicts them ([`Contradicted`]): none waits for a chance.
//!
//! What is kept is bounded in bytes and in age (rule H2). A hint that is dropped, or was not taken, leaves the difference
//! to anti-entropy, which needs no mark for it: live digests are exact, so the target differs from every replica that
//! holds the write, and the pair finds out the next time it compares. That only needs a replica that holds it. So a
//! hint that has grown too old is first merged into this node's own records, if it is a replica of the key, and dropped
//! when that is durable; a node that stood in for a replica, and may have the only copy (sloppy, ANY), keeps it.

mod contradicted;
mod forgetting;
mod replay;
mod sweep;
mod uncovered;

use std::collections::BTreeMap;

use quorate_ring::{Actor, Instant, NodeId, token_of};
use quorate_storage::{HintBacklog, HintPage, MergeError, Row, State, Version, Write, WriteError, Written};

use self::{
    contradicted::Contradicted, forgetting::Forgetting, replay::Replay, sweep::Sweep, uncovered::Uncovered,
};
use crate::{
    coordinator::Step,
    node::{DiskOperation, DiskRequest, DiskResult, Effect, Observation, RequestIds, Ticket, Timers, Turn},
    replica,
    wire::{Frame, Header, HintsFor, KeepHint, PeerMessage, PeerRefusal, Refused, RequestId, Stored},
};

/// A state that a node is to be given later.
#[derive(Clone, Debug)]
pub struct Hint {
    /// The node.
    pub target: NodeId,
    /// Where.
    pub row: Row,
    /// What.
    pub state: State,
    /// Who wants to know that it is kept.
    pub keeper: Keeper,
}

/// For whom a hint is kept.
#[derive(Clone, Copy, Debug)]
pub enum Keeper {
    /// This node's coordinator, which has its answer already.
    Nobody,
    /// This node's coordinator, which counts it (rule Q2: sloppy and ANY only).
    Operation(Step),
    /// A peer's coordinator, which counts it.
    Peer(NodeId, Header),
}

/// What a target made of a hint that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It holds that durably, or something that settles it.
    Yes,
    /// It cannot take it for now.
    NotNow,
    /// What it holds contradicts it.
    Contradicted,
}

/// What a piece of disk work for hints is about.
#[derive(Clone, Debug)]
pub enum HintTicket {
    /// A hint on its way to the disk.
    Keep(Box<Hint>),
    /// A page of hints for a target that is back, for the pass of this number.
    Page(NodeId, u64),
    /// A hint that its target now holds, or that is of no use.
    Forget(NodeId),
    /// A page of hints for a target, to see how old they are.
    Sweep(NodeId),
    /// A hint that is too old, on its way into this node's own records.
    Own(Box<(NodeId, Row, Version)>),
}

/// The hints of this node.
#[derive(Debug)]
pub struct Handoff {
    backlogs: BTreeMap<NodeId, HintBacklog>,
    replays: BTreeMap<NodeId, Replay>,
    /// What no pass comes by.
    uncovered: BTreeMap<NodeId, Uncovered>,
    timers: Timers<NodeId>,
    /// What targets that are up do not take.
    contradicted: Contradicted,
    /// When a target may be given more.
    paced: BTreeMap<NodeId, Instant>,
    /// Hints on their way to the disk.
    writing: usize,
    /// Those that the disk is to forget.
    forgetting: Forgetting,
    request_ids: RequestIds,
    sweep: Sweep,
}

impl Handoff {
    /// Goes on with what an earlier process left.
    pub fn new(actor: Actor, backlogs: BTreeMap<NodeId, HintBacklog>) -> Self {
        Self {
            uncovered: backlogs.keys().map(|target| (*target, Uncovered::All)).collect(),
            backlogs,
            replays: BTreeMap::new(),
            timers: Timers::default(),
            contradicted: Contradicted::default(),
            paced: BTreeMap::new(),
            writing: 0,
            forgetting: Forgetting::default(),
            request_ids: RequestIds::of(ROOM, actor),
            sweep: Sweep::default(),
        }
    }

    /// Keeps a hint, unless too much is kept for its target already (rule H2).
    pub fn keep(&mut self, turn: &mut Turn<'_>, hint: Hint) {
        let backlog = self.backlogs.entry(hint.target).or_default();
        if backlog.bytes >= turn.config.hint_bytes_max {
            turn.effects.push(Effect::Observe(Observation::HintDropped));
            return self.kept(turn, &hint, Err(PeerRefusal::Overloaded));
        }
        self.writing += 1;
        let Hint { target, row, state, .. } = hint.clone();
        let operation = DiskOperation::Write(Write::Hint { target, row, state });
        let ticket = Ticket::Hint(HintTicket::Keep(Box::new(hint)));
        turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
    }

    /// A peer's coordinator wants a hint kept.
    pub fn keep_for_peer(&mut self, turn: &mut Turn<'_>, peer: NodeId, header: Header, keep: KeepHint) {
        if header.deadline <= turn.now.mono {
            return turn.effects.push(Effect::Observe(Observation::Expired));
        }
        let KeepHint { owner, table, key, state } = keep;
        let row = Row { token: token_of(&key), table, key };
        let hint = Hint { target: owner, row, state, keeper: Keeper::Peer(peer, header) };
        // For this node itself and for strangers it would lie there until it is too old; a newer map may have more nodes.
        let is_known = header.epoch > turn.epoch || turn.peers().any(|peer| peer == owner);
        let refusal = match turn.catalog.table(table) {
            _ if header.epoch < turn.catalog.moved_at() => {
                Some(PeerRefusal::WrongEpoch { known: turn.epoch })
            }
            None => Some(PeerRefusal::UnknownTable),
            _ if !is_known => Some(PeerRefusal::WrongOwner),
            Some(table) if table.kind != hint.state.kind() => {
                Some(PeerRefusal::Damaged("a state of another table kind was sent".to_owned()))
            }
            Some(_) => None,
        };
        match refusal {
            Some(refusal) => self.kept(turn, &hint, Err(refusal)),
            None => self.keep(turn, hint),
        }
    }

    /// A peer can be reached: it is given what is kept for it.
    pub fn peer_up(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        if self.replays.contains_key(&peer) {
            return;
        }
        let Some(uncovered) = self.uncovered.remove(&peer) else {
            return;
        };
        let hints = self.backlogs.get(&peer).map_or(0, |backlog| backlog.hints);
        if hints > 0 && !uncovered.is_empty() {
            let number = self.request_ids.next().0;
            let replay = self.replays.entry(peer).or_insert(Replay::of(number, uncovered, hints));
            read_page(turn, peer, replay, None);
        }
    }

    /// A peer is lost: what was under way to it stays kept.
    pub fn peer_down(&mut self, peer: NodeId) {
        self.paced.remove(&peer);
        self.uncovered.entry(peer).or_default().join(self.contradicted.take(peer));
        if let Some(replay) = self.replays.remove(&peer) {
            replay.timer().into_iter().for_each(|at| self.timers.cancel(at, peer));
            self.uncovered.entry(peer).or_default().join(replay.left());
        }
    }

    /// Whether a peer is being given much that is kept for it. If it refused something it is not, for a moment.
    pub fn gives_much(&self, peer: NodeId) -> bool {
        self.backlogs.get(&peer).is_some_and(|backlog| backlog.hints >= MUCH)
            && self.replays.get(&peer).is_some_and(|replay| !replay.is_exhausted() || replay.is_reading())
    }

    /// Whether a request id is one of handoff's.
    pub fn is_own(id: RequestId) -> bool {
        RequestIds::are_of(ROOM, id)
    }

    /// A target said what it made of a hint.
    pub fn answered(&mut self, turn: &mut Turn<'_>, from: NodeId, id: RequestId, taken: Taken) {
        let Some((row, version)) = self.replays.get_mut(&from).and_then(|replay| replay.answered(id, taken))
        else {
            return;
        };
        match taken {
            Taken::Yes => {
                turn.effects.push(Effect::Observe(Observation::HintReplayed));
                self.forgetting.begin(turn, from, row, Some(version));
            }
            Taken::NotNow => {}
            Taken::Contradicted => self.contradicted.add(turn.now.mono, from, &row),
        }
        self.go_on(turn, from);
    }

    /// The disk is done with a piece of work for hints.
    pub fn disk_done(&mut self, turn: &mut Turn<'_>, ticket: HintTicket, result: DiskResult) {
        if let DiskResult::Written(Err(WriteError::Engine(why))) = &result
            && why.is_fatal()
        {
            return turn.effects.push(Effect::Halt(why.to_string()));
        }
        let change = match &result {
            DiskResult::Written(Ok(Written::Hints(change))) => Some(*change),
            _ => None,
        };
        raise_conflict(turn, &ticket, &result);
        match ticket {
            HintTicket::Keep(hint) => {
                self.writing -= 1;
                if let Some(change) = change {
                    self.backlogs.entry(hint.target).or_default().apply(change);
                    self.uncovered.entry(hint.target).or_default().add(&hint.row);
                    self.kept(turn, &hint, Ok(()));
                    if turn.up.contains(hint.target) {
                        self.peer_up(turn, hint.target);
                    }
                } else {
                    turn.effects.push(Effect::Observe(Observation::HintDropped));
                    self.kept(turn, &hint, Err(PeerRefusal::Disk("the hint was not written".to_owned())));
                }
            }
            HintTicket::Forget(target) => {
                self.forgetting.ended(target);
                match change {
                    Some(change) => self.backlogs.entry(target).or_default().apply(change),
                    None => self.not_forgotten(turn, target),
                }
            }
            HintTicket::Sweep(target) => {
                let page = match result {
                    DiskResult::Hints(Ok(page)) => Some(page),
                    _ => None,
                };
                self.sweep.page_read(turn, target, page, (&self.backlogs, &mut self.forgetting));
            }
            HintTicket::Own(hint) => {
                let (target, row, version) = *hint;
                // A proposal of a `cas` key that is hinted was chosen: whoever has promised a later round hears of it there.
                if let DiskResult::Written(
                    Ok(Written::Stored { .. } | Written::Covered { .. })
                    | Err(WriteError::Merge(MergeError::Outbid { .. })),
                ) = result
                {
                    turn.effects.push(Effect::Observe(Observation::HintDropped));
                    self.forgetting.begin(turn, target, row, Some(version));
                }
            }
            HintTicket::Page(target, number) => {
                let is_of_pass = self.replays.get(&target).is_some_and(|replay| replay.is(number));
                match result {
                    _ if !is_of_pass => {}
                    DiskResult::Hints(Ok(page)) => self.page_read(turn, target, page),
                    _ => self.start_over(turn, target),
                }
            }
        }
    }

    /// Begins again where a target was too slow or refused.
    pub fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        while let Some(target) = self.timers.pop_due(turn.now.mono) {
            if let Some(replay) = self.replays.remove(&target) {
                self.uncovered.entry(target).or_default().join(replay.left());
            }
            self.peer_up(turn, target);
        }
        for (target, rows) in self.contradicted.take_due(turn.now.mono) {
            self.uncovered.entry(target).or_default().join(rows);
            self.peer_up(turn, target);
        }
        let paced = self.paced.iter().filter(|(_, at)| **at <= turn.now.mono).map(|(target, _)| *target);
        for target in paced.collect::<Vec<_>>() {
            self.paced.remove(&target);
            self.go_on(turn, target);
        }
        self.sweep.fire_timers(turn, &self.backlogs);
    }

    /// When [`Handoff::fire_timers`] is due.
    pub fn next_timer(&self) -> Option<Instant> {
        let paced = self.paced.values().copied();
        let others = self.contradicted.next_timer().into_iter().chain(self.sweep.next_timer());
        self.timers.next().into_iter().chain(paced).chain(others).min()
    }

    /// Whether no hint is on its way to the disk: a draining node may stop.
    pub fn is_idle(&self) -> bool {
        self.writing == 0
    }

    /// What is kept for each target.
    pub fn backlogs(&self) -> &BTreeMap<NodeId, HintBacklog> {
        &self.backlogs
    }

    /// How many hints are on their way to the disk.
    pub fn under_way(&self) -> u64 {
        self.writing as u64
    }

    /// What is kept, and since when.
    pub fn describe(&self, turn: &Turn<'_>) -> Vec<HintsFor> {
        let kept = self.backlogs.iter().filter(|(_, backlog)| backlog.hints > 0);
        let describe = |(target, backlog): (&NodeId, &HintBacklog)| HintsFor {
            target: *target,
            hints: backlog.hints,
            bytes: backlog.bytes,
            oldest_ms: self.sweep.oldest_age(turn, *target).map(|age| age.as_millis() as u64),
        };
        kept.map(describe).collect()
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        self.timers.validate();
        let with_timer = self.replays.values().filter(|replay| replay.timer().is_some()).count();
        assert_eq!(self.timers.count(), with_timer, "every timer is that of a replay");
        for (target, replay) in &self.replays {
            assert!(
                replay.timer().is_none_or(|at| self.timers.holds(at, *target)),
                "a replay's timer is set"
            );
        }
        let is_left_alone = |target: &NodeId| {
            self.writing == 0
                && !self.forgetting.is_any_of(*target)
                && !self.contradicted.is_any_of(*target)
                && !self.replays.contains_key(target)
                && self.uncovered.get(target).is_none_or(Uncovered::is_empty)
        };
        let kept = self.backlogs.iter().filter(|(_, backlog)| backlog.hints > 0);
        let forgotten = kept.map(|(target, _)| target).find(|target| is_left_alone(target));
        assert_eq!(forgotten, None, "somebody thinks of every hint (rule H1)");
    }

    fn page_read(&mut self, turn: &mut Turn<'_>, target: NodeId, page: HintPage) {
        let Some(replay) = self.replays.get_mut(&target) else {
            return;
        };
        for row in page.damaged {
            self.forgetting.begin(turn, target, row, None);
        }
        // What belongs to a table that was dropped is of no use to anybody; everything else is, however old it is.
        let is_of_use = |(row, _): &(Row, State)| !turn.catalog.is_retired(row.table);
        let (useful, useless): (Vec<_>, Vec<_>) = page.hints.into_iter().partition(is_of_use);
        for (row, state) in useless {
            turn.effects.push(Effect::Observe(Observation::HintDropped));
            self.forgetting.begin(turn, target, row, Some(state.version()));
        }
        replay.page_read(useful, page.next);
        self.go_on(turn, target);
    }

    /// Sends what may be under way, reads the next page, or ends.
    fn go_on(&mut self, turn: &mut Turn<'_>, target: NodeId) {
        let Some(replay) = self.replays.get_mut(&target).filter(|replay| !replay.is_waiting()) else {
            return;
        };
        let timer_before = replay.timer();
        let mut goes_on = false;
        while replay.can_send() {
            if let Err(at) = turn.budget.take_for_hint(turn.now.mono, replay.pace()) {
                self.paced.insert(target, at);
                break;
            }
            let Some((row, state)) = replay.next_to_send() else {
                break;
            };
            let id = self.request_ids.next();
            let deadline = turn.now.mono + REPLAY_TIMEOUT;
            replay.sent(id, row.clone(), state.version(), deadline);
            let header = Header { id, epoch: turn.epoch, deadline };
            let message = replay::store(row, state);
            turn.effects.push(Effect::ToPeer { peer: target, frame: Frame { header, message } });
        }
        let is_exhausted = replay.is_exhausted();
        if is_exhausted {
            replay.stop_waiting();
        }
        if is_exhausted && let Some(after) = replay.next_page() {
            read_page(turn, target, replay, Some(after));
        } else if is_exhausted && !replay.is_reading() {
            if replay.had_refusals() {
                replay.wait_until(turn.now.mono + RETRY_AFTER);
            } else {
                goes_on = true;
                self.replays.remove(&target);
            }
        }
        let timer = self.replays.get(&target).and_then(Replay::timer);
        if timer != timer_before {
            timer_before.into_iter().for_each(|at| self.timers.cancel(at, target));
            timer.into_iter().for_each(|at| self.timers.set(at, target));
        }
        if goes_on {
            self.peer_up(turn, target);
        }
    }

    fn start_over(&mut self, turn: &mut Turn<'_>, target: NodeId) {
        if let Some(replay) = self.replays.get_mut(&target) {
            replay.timer().into_iter().for_each(|at| self.timers.cancel(at, target));
            let at = turn.now.mono + RETRY_AFTER;
            replay.begin_anew_at(at);
            self.timers.set(at, target);
        }
    }

    /// A hint is still there although its target holds it, because the disk is full or fails. All begins anew a little later:
    /// at once it would be given again for nothing, as fast as the budget allows, and without a timer perhaps never.
    fn not_forgotten(&mut self, turn: &mut Turn<'_>, target: NodeId) {
        self.peer_down(target);
        self.uncovered.insert(target, Uncovered::All);
        if turn.up.contains(target) {
            let hints = self.backlogs.get(&target).map_or(0, |backlog| backlog.hints);
            let number = self.request_ids.next().0;
            self.replays.insert(target, Replay::of(number, Uncovered::All, hints));
            self.start_over(turn, target);
        }
    }

    fn kept(&self, turn: &mut Turn<'_>, hint: &Hint, outcome: Result<(), PeerRefusal>) {
        let message = match outcome {
            Ok(()) => Stored { held: hint.state.tag(), more: None }.into(),
            Err(refusal) => Refused { refusal }.into(),
        };
        match hint.keeper {
            Keeper::Nobody => {}
            Keeper::Operation(step) => turn.own_answers.push((step, message)),
            Keeper::Peer(peer, header) => {
                let header = Header { epoch: turn.epoch, ..header };
                turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
            }
        }
    }
}

/// A hint may contradict another one, or a record of this node's own (rule V4).
fn raise_conflict(turn: &mut Turn<'_>, ticket: &HintTicket, result: &DiskResult) {
    let row = match ticket {
        HintTicket::Keep(hint) => &hint.row,
        HintTicket::Own(hint) => &hint.1,
        HintTicket::Forget(_) | HintTicket::Sweep(_) | HintTicket::Page(..) => return,
    };
    if let DiskResult::Written(Err(WriteError::Merge(MergeError::EqualTagDifferentBytes(tag)))) = result {
        replica::found_conflict(turn, row, *tag);
    }
}

/// Reads the hints of a pass that follow a row.
fn read_page(turn: &mut Turn<'_>, target: NodeId, replay: &Replay, after: Option<Row>) {
    let operation = DiskOperation::ReadHints { target, rows: replay.rows(), after, bytes_max: PAGE_BYTES };
    let ticket = Ticket::Hint(HintTicket::Page(target, replay.number()));
    turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
}

/// The number of this room; the coordinator's ids are of 0 and 1, those of anti-entropy of 3.
const ROOM: u64 = 2;
/// Hints that are worth waiting for: more than are under way at a time.
const MUCH: u64 = 100;
/// How much of the hints is read at a time, and in memory per target. A client's read may wait for such a page: of small
/// values it has some 400, which take a millisecond or two.
const PAGE_BYTES: usize = 64 * 1024;
/// How long a target has to store a hint.
const REPLAY_TIMEOUT: quorate_ring::Duration = quorate_ring::Duration::from_secs(5);
/// How long a target that refused is left alone.
const RETRY_AFTER: quorate_ring::Duration = quorate_ring::Duration::from_secs(1);

/// What this node says to its own coordinator at once, as the answer to a step: whether a hint is kept, and what its
/// replica remembers.
pub type OwnAnswer = (Step, PeerMessage);
