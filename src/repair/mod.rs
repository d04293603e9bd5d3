//! Anti-entropy (rules A1 to A4): replicas that differ find out and become equal, whether anybody reads or not.
//!
//! Each pair of replicas compares what their records add up to (the live digests of storage, rule A1): one message for all
//! replica sets that they share. Where that differs they descend, a sixteenth at a time, to single cells, tell each
//! other the keys in those, and give each other the states that the other lacks. What moves grows with the difference
//! (rule A3).
//!
//! # Why it does no harm
//!
//! - A state travels as a [`Store`](crate::wire::Store) and is merged by the receiver's commit step like any other,
//!   through the same gates (rule A4). Merges are idempotent and keep what either side holds, so it matters neither
//!   how often nor in which order they come, nor how old the comparison was that led to them.
//! - Nothing is ever removed, and no tag is ever minted: a key that the other side lacks is given to it (rule A2; *mutant:
//!   absence wins*). So an exchange that is cut off anywhere has done no more than some of its work.
//! - Nothing here counts toward any level. A replica that recovers (rule R7) neither compares nor is compared with:
//!   its absence is its own affair.
//! - Only durable states are compared and given (rule S1), and only after their checksum was verified, by the scan that
//!   lists keys and again by the read that gives a state (rule S3; *mutant: bad checksum given*). Of a damaged key a
//!   replica says just that.
//!
//! # Why replicas become equal
//!
//! Digests are exact (storage's `merkle`), so two replicas that differ have roots that differ, save for a collision of 64
//! bits. Once no write is under way each comparison of a pair leaves the cells that it got to equal, and what it does not
//! get to, because a node or a connection failed, is found by the next. Rounds go on for ever.
//!
//! A digest that was left out of an update would go unnoticed if it made two nodes look equal: the scrub verifies leaves
//! against the records, and the simulator after every commit (*mutant: digest not updated*).
//!
//! # Why writes under way cause no chatter
//!
//! While clients write, roots differ nearly always: one replica's commit is a little earlier. Each level of a descent is
//! compared anew, so what has become equal meanwhile is left off; cells that still differ are looked at again
//! after [`SETTLE`], and only those that differ then have their keys compared. A pair that goes on finding differences
//! compares less often, up to the usual interval.
//!
//! # Why little is given twice
//!
//! A replica that lacks much lacks it of both others, which do not know of each other's gifts. So each pair of a set goes through
//! the cells in an order of its own ([`sets::Order`]): the two meet where everything is equal already. A peer that is given
//! many hints is compared with once it has them.
//!
//! # Rooms
//!
//! [`Session`] is one comparison, driven by the side that began it; [`answers`] is the other side, which keeps no
//! state; [`Giving`] sends states, as many as the other acknowledges; [`Upkeep`] has digests rebuilt, written down and
//! scrubbed; [`Sets`] knows which cells two nodes share; `account` and `ages` tell of it all.

mod account;
mod ages;
mod agreement;
mod answers;
mod due;
mod giving;
mod session;
mod sets;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};

use quorate_ring::{Actor, Duration, Instant, NodeId, Ring, token_of};
use quorate_storage::{
    DigestAnswer, DigestWork, EngineError, ReadError, Row, State, Write, WriteError, Written,
};

pub use self::ages::{AgreementAges, Oldest};
pub use self::answers::{CompareErrand, KeysErrand};
pub use self::upkeep::Chore;
use self::{
    agreement::Agreements,
    due::Due,
    giving::{Given, Giving},
    session::{Outcome, Session},
    sets::Sets,
    upkeep::Upkeep,
};
use crate::{
    node::{DiskOperation, DiskRequest, DiskResult, Effect, Observation, RequestIds, Ticket, Turn},
    wire::{Compare, CompareKeys, Compared, Frame, Header, KeysCompared, PeerMessage, RequestId},
};

/// What a piece of this room's disk work is for.
#[derive(Clone, Debug)]
pub enum RepairTicket {
    /// This node's digests, or its keys, for the session of this number.
    Session(u64),
    /// This node's digests for a peer.
    Compare(Box<CompareErrand>),
    /// This node's keys for a peer.
    Keys(Box<KeysErrand>),
    /// A state for a peer.
    Give(NodeId, Row),
    /// The digests' own needs.
    Upkeep(Chore),
    /// Nothing that anybody waits for.
    #[cfg(feature = "mutants")]
    Mistake,
}

/// The comparisons of this node with its peers.
///
/// Events: [`compare`](Self::compare), [`compared`](Self::compared), [`compare_keys`](Self::compare_keys),
/// [`keys_compared`](Self::keys_compared), [`answered`](Self::answered), [`disk_done`](Self::disk_done),
/// [`peer_up`](Self::peer_up), [`peer_down`](Self::peer_down), [`fire_timers`](Self::fire_timers).
#[derive(Debug)]
pub struct Repair {
    sets: Sets,
    /// By peer, when it is compared with next.
    due: Due,
    /// Those that are compared with again right after the comparison under way.
    again: BTreeSet<NodeId>,
    /// How often in a row comparisons with a peer found something or came to nothing.
    rough: BTreeMap<NodeId, u32>,
    sessions: BTreeMap<NodeId, Session>,
    giving: BTreeMap<NodeId, Giving>,
    /// When a peer may be given more.
    paced: BTreeMap<NodeId, Instant>,
    agreements: Agreements,
    upkeep: Upkeep,
    /// When agreements on tables that are gone are forgotten next.
    forget_at: Instant,
    /// Peers' questions that wait for the disk.
    answering: usize,
    request_ids: RequestIds,
    /// Records that peers were given.
    given: u64,
}

impl Repair {
    /// Nothing is compared yet.
    pub fn new(own: NodeId, actor: Actor, ring: &Ring) -> Self {
        Self {
            sets: Sets::new(own, ring),
            due: Due::default(),
            again: BTreeSet::new(),
            rough: BTreeMap::new(),
            sessions: BTreeMap::new(),
            giving: BTreeMap::new(),
            paced: BTreeMap::new(),
            agreements: Agreements::default(),
            upkeep: Upkeep::default(),
            forget_at: Instant::ZERO,
            answering: 0,
            request_ids: RequestIds::of(ROOM, actor),
            given: 0,
        }
    }

    /// Whether a request id is one of this room's.
    pub fn is_own(id: RequestId) -> bool {
        RequestIds::are_of(ROOM, id)
    }

    /// A peer can be reached.
    pub fn peer_up(&mut self, turn: &Turn<'_>, peer: NodeId) {
        // Two nodes that meet would begin together.
        let apart = Duration::from_millis(u64::from(turn.config.node.0 * 37 + peer.0 * 91) % 500);
        self.due.set(peer, turn.now.mono + FIRST_AFTER + apart);
        self.rough.remove(&peer);
    }

    /// A peer is lost.
    pub fn peer_down(&mut self, peer: NodeId) {
        self.due.remove(peer);
        self.again.remove(&peer);
        self.sessions.remove(&peer);
        self.giving.remove(&peer);
        self.paced.remove(&peer);
    }

    /// A peer asks what this node's records add up to.
    pub fn compare(&mut self, turn: &mut Turn<'_>, peer: NodeId, header: Header, compare: Compare) {
        answers::compare(self, turn, peer, header, compare);
    }

    /// The same of a peer that is being given hints: this node compares with it when they are given.
    pub fn refuse_for_now(turn: &mut Turn<'_>, peer: NodeId, header: Header) {
        answers::refuse_for_now(turn, peer, header);
    }

    /// A peer asks which keys differ.
    pub fn compare_keys(&mut self, turn: &mut Turn<'_>, peer: NodeId, header: Header, compare: CompareKeys) {
        answers::compare_keys(self, turn, peer, header, compare);
    }

    /// A peer says what its records add up to.
    pub fn compared(&mut self, turn: &mut Turn<'_>, peer: NodeId, id: RequestId, compared: Compared) {
        self.in_session(turn, peer, |session, scene| session.compared(scene, id, compared));
    }

    /// A peer says which keys it wants.
    pub fn keys_compared(&mut self, turn: &mut Turn<'_>, peer: NodeId, id: RequestId, answer: KeysCompared) {
        self.in_session(turn, peer, |session, scene| session.keys_compared(scene, id, answer));
    }

    /// A peer acknowledged or refused a state, or refused a question. What state it was.
    pub fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        peer: NodeId,
        id: RequestId,
        is_stored: bool,
    ) -> Option<Given> {
        if let Some(giving) = self.giving.get_mut(&peer)
            && let Some(given) = giving.answered(id)
        {
            if is_stored {
                self.given += 1;
                turn.effects.push(Effect::Observe(Observation::Repaired));
            }
            self.give(turn, peer);
            self.in_session(turn, peer, Session::given);
            return Some(given);
        }
        self.in_session(turn, peer, |session, _| session.refused(id));
        None
    }

    /// The disk is done with something. `Err` if the node must stop.
    pub fn disk_done(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: RepairTicket,
        result: DiskResult,
    ) -> Result<(), String> {
        if let Some(why) = fatal(&result) {
            return Err(why.to_string());
        }
        match ticket {
            RepairTicket::Session(number) => {
                let of = |(peer, session): (&NodeId, &Session)| session.is(number).then_some(*peer);
                if let Some(peer) = self.sessions.iter().find_map(of) {
                    self.in_session(turn, peer, |session, scene| session.disk_done(scene, result));
                }
            }
            RepairTicket::Compare(errand) => answers::digests_read(self, turn, *errand, result),
            RepairTicket::Keys(errand) => answers::keys_read(self, turn, *errand, result),
            RepairTicket::Give(peer, row) => {
                if let DiskResult::Read(Err(ReadError::Corrupt(_))) = &result {
                    turn.damaged.push(row.clone());
                }
                if let Some(giving) = self.giving.get_mut(&peer) {
                    let state = match result {
                        DiskResult::Read(Ok(state)) => state.and_then(State::told),
                        _ => None,
                    };
                    giving.read(turn, peer, row, state, &mut self.request_ids);
                    self.give(turn, peer);
                }
            }
            RepairTicket::Upkeep(chore) => self.upkeep.disk_done(turn, chore, result),
            #[cfg(feature = "mutants")]
            RepairTicket::Mistake => {}
        }
        Ok(())
    }

    /// Begins what is due, and gives up what is overdue. With peers that are `given_hints` nothing is compared yet: what they
    /// lack is mostly that.
    pub fn fire_timers(&mut self, turn: &mut Turn<'_>, given_hints: impl Fn(NodeId) -> bool) {
        self.upkeep.fire_timers(turn);
        for peer in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.in_session(turn, peer, Session::fire_timers);
        }
        for peer in self.giving.keys().copied().collect::<Vec<_>>() {
            if self.giving.get_mut(&peer).is_some_and(|giving| giving.drop_overdue(turn.now.mono)) {
                self.give(turn, peer);
            }
        }
        let paced = self.paced.iter().filter(|(_, at)| **at <= turn.now.mono).map(|(peer, _)| *peer);
        for peer in paced.collect::<Vec<_>>() {
            self.paced.remove(&peer);
            self.give(turn, peer);
        }
        self.forget_dropped(turn);
        for peer in self.due.at(turn.now.mono) {
            if given_hints(peer) {
                self.due.set(peer, turn.now.mono + RETRY_AFTER);
            } else {
                self.begin(turn, peer);
            }
        }
    }

    /// When [`Repair::fire_timers`] is due.
    pub fn next_timer(&self) -> Option<Instant> {
        let sessions = self.sessions.values().map(Session::timer);
        let giving = self.giving.values().filter_map(Giving::timer);
        let paced = self.paced.values().copied();
        paced
            .chain(self.due.next())
            .chain(sessions)
            .chain(giving)
            .chain(self.upkeep.next_timer())
            .chain([self.forget_at])
            .min()
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        assert!(self.sessions.len() <= SESSIONS_MAX, "more comparisons than were begun");
        assert!(self.answering <= ANSWERING_MAX, "more questions wait than were let in");
        self.due.validate();
        assert!(self.sessions.keys().all(|peer| self.due.contains(*peer)), "only with peers that are up");
        self.giving.values().for_each(Giving::validate);
    }

    fn begin(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        let now = turn.now.mono;
        self.due.set(peer, now + EVERY);
        if self.sessions.contains_key(&peer) || !turn.serves || !self.sets.fit(turn.ring) {
            return;
        }
        if self.sessions.len() >= SESSIONS_MAX {
            // Sooner than who has just had its turn.
            self.due.set(peer, now + RETRY_AFTER / 2);
            return;
        }
        let number = self.request_ids.next().0;
        self.sessions.insert(peer, Session::new(number, now));
        self.in_session(turn, peer, Session::begin);
    }

    /// Lets something happen to a session, and sees to its end.
    fn in_session(
        &mut self,
        turn: &mut Turn<'_>,
        peer: NodeId,
        happens: impl FnOnce(&mut Session, &mut session::Scene<'_, '_>),
    ) {
        let Some(session) = self.sessions.get_mut(&peer) else {
            return;
        };
        let backlog = self.giving.get(&peer).map_or(0, Giving::len);
        let mut scene = session::Scene {
            peer,
            sets: &mut self.sets,
            request_ids: &mut self.request_ids,
            agreements: &mut self.agreements,
            backlog,
            to_give: Vec::new(),
            turn: &mut *turn,
        };
        happens(session, &mut scene);
        let to_give = scene.to_give;
        let outcome = session.outcome().map(|outcome| (outcome, session.differing()));
        self.queue(turn, peer, to_give);
        let Some((outcome, differing)) = outcome else {
            return;
        };
        self.sessions.remove(&peer);
        let name = outcome.name();
        turn.effects.push(Effect::Observe(Observation::Compared { peer, outcome: name, differing }));
        let rough = self.rough.entry(peer).or_default();
        *rough = if outcome == Outcome::Agreed { 0 } else { *rough + 1 };
        let pause = match *rough {
            _ if self.again.remove(&peer) => RETRY_AFTER,
            0 => EVERY,
            rough => (RETRY_AFTER * (1 << rough.min(5))).min(EVERY),
        };
        self.due.set(peer, turn.now.mono + pause);
        if outcome == Outcome::OwnUnknown {
            self.upkeep.rebuild(turn.now.mono);
        }
    }

    /// Gives a peer the states of these rows, one after the other.
    fn queue(&mut self, turn: &mut Turn<'_>, peer: NodeId, rows: Vec<Row>) {
        if !rows.is_empty() {
            self.giving.entry(peer).or_default().push(rows);
            self.give(turn, peer);
        }
    }

    fn give(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        let Some(giving) = self.giving.get_mut(&peer) else {
            return;
        };
        while giving.can_read() {
            if let Err(at) = turn.budget.take_for_repair(turn.now.mono) {
                self.paced.insert(peer, at);
                break;
            }
            let Some(row) = giving.next_to_read() else {
                break;
            };
            disk(turn, RepairTicket::Give(peer, row.clone()), DiskOperation::Read(row));
        }
        if giving.len() == 0 {
            self.giving.remove(&peer);
        }
    }
}

fn disk(turn: &mut Turn<'_>, ticket: RepairTicket, operation: DiskOperation) {
    let ticket = Ticket::Repair(Box::new(ticket));
    turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
}

fn digests(turn: &mut Turn<'_>, ticket: RepairTicket, work: DigestWork) {
    disk(turn, ticket, DiskOperation::Write(Write::Digest(work)));
}

fn digest_answer(result: DiskResult) -> Option<DigestAnswer> {
    match result {
        DiskResult::Written(Ok(Written::Digest(answer))) => Some(answer),
        _ => None,
    }
}

fn send(turn: &mut Turn<'_>, peer: NodeId, id: RequestId, message: PeerMessage) {
    let header = Header { id, epoch: turn.epoch, deadline: turn.now.mono + PATIENCE };
    turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
}

/// The engine's word that the node must stop.
fn fatal(result: &DiskResult) -> Option<&EngineError> {
    let error = match result {
        DiskResult::Written(Err(WriteError::Engine(why)))
        | DiskResult::Hashed(Err(why))
        | DiskResult::Read(Err(ReadError::Engine(why))) => why,
        _ => return None,
    };
    error.is_fatal().then_some(error)
}

fn row(table: quorate_ring::TableId, key: bytes::Bytes) -> Row {
    Row { token: token_of(&key), table, key }
}

/// The number of this room; the coordinator's ids are of 0 and 1, those of handoff of 2.
const ROOM: u64 = 3;
/// How often two replicas compare that agree.
const EVERY: Duration = Duration::from_secs(10);
/// How soon after they have met.
const FIRST_AFTER: Duration = Duration::from_millis(500);
/// How soon after a comparison that found something or came to nothing; twice that after the next, and so on.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a write may take to reach the last of its replicas, usually: cells that differ are looked at again after it.
const SETTLE: Duration = Duration::from_millis(500);
/// Comparisons at a time that this node has begun.
const SESSIONS_MAX: usize = 4;
/// Questions of peers at a time.
const ANSWERING_MAX: usize = 16;
