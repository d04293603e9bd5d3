//! The cluster map on a live node: [`MapKeeper`] with timers, a disk, peers and clients.
//!
//! The keeper decides what is true; this room only sees to it that things go on. Nothing here can make two maps at
//! one epoch, because nothing here makes a promise, counts a vote or calls a map decided. What it adds, and why that
//! is enough:
//!
//! 1. **A record is durable before anyone hears of it** (C2, S1): a record goes to the disk as the keeper hands it
//!    over, in order, and the keeper is told when it is there. Its answers and the map's installation wait for
//!    that inside the keeper.
//! 2. **A client hears of a change when nobody can contradict it.** `CREATE` and `ALTER` are answered once a majority
//!    of the members has installed the map. Whoever lists the tables asks a majority first, so one of those asked
//!    has the map. `DROP` and `TRUNCATE` wait also for N-Q+1 members of each replica set: fewer than Q of any set then
//!    know the old table id, so no request at QUORUM that goes by it can succeed. *Were a majority of the members
//!    enough: of five, n1 to n3 install `TRUNCATE t`. A key on n3, n4 and n5 is written, through n5, by the old id,
//!    at n4 and n5: acknowledged, and nowhere to be found.*
//! 3. **A node that is behind learns of it before it refuses.** Every frame carries its sender's epoch (M5). A request
//!    for a table that this node does not know, from somebody who knows a later map, waits until the map is here
//!    (`node::held`). One from somebody who knows no more is refused.
//! 4. **Things go on.** A lost ballot is tried again after a random while that doubles; what has no end is tried again
//!    from time to time; a process that nobody has answered asks again; members that have not confirmed a map that
//!    a client waits for are told again.

mod letters;
mod listing;
mod requests;
mod settings;

use std::{collections::BTreeMap, sync::Arc};

use quorate_ring::{Duration, Epoch, Instant, NodeId, Ring};
use quorate_storage::{MetaWrite, Write, WriteError};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use self::{letters::Parked, listing::Listing, requests::Waiting};
use super::map::{
    Change, ChangeId, ClusterMap, Fork, MapEffect, MapKeeper, MapRecord, MapTicket, Process, Standing,
};
use crate::{
    node::{Alarm, DiskOperation, DiskRequest, DiskResult, Effect, RequestIds, Ticket, Timers, Turn},
    wire::{Header, PeerMessage, RequestId},
};

/// This node's part in deciding the cluster map, and the changes that its clients have asked for.
///
/// Events, after each of which [`news`](Self::news) may be had: [`tick`](Self::tick) before any other,
/// [`handle`](Self::handle), [`disk_done`](Self::disk_done), [`peer_up`](Self::peer_up),
/// [`hear_epoch`](Self::hear_epoch), [`change`](Self::change), [`list`](Self::list).
#[derive(Debug)]
pub struct Agreement {
    keeper: MapKeeper,
    is_started: bool,
    todo: Vec<MapEffect>,
    news: Option<Arc<ClusterMap>>,
    random: StdRng,
    /// Changes that clients wait for.
    waiting: BTreeMap<ChangeId, Waiting>,
    /// Clients that wait for a list of tables.
    listings: BTreeMap<RequestId, Listing>,
    /// Ids of the questions that lists lead to.
    listing_ids: RequestIds,
    timers: Timers<Timer>,
    back_off_at: Option<Instant>,
    resume_at: Option<Instant>,
    /// Attempts without an end since the last one that had one.
    resumed: u32,
    ask_at: Option<Instant>,
    remind_at: Option<Instant>,
    /// When this node's settings may be proposed again.
    settings_at: Option<Instant>,
    /// What was proposed then.
    settings_id: Option<ChangeId>,
    /// The map whose settings are this node's.
    settings_agree_at: Option<Epoch>,
    /// Until when each peer is not asked for its map again.
    asked: BTreeMap<NodeId, Instant>,
    /// A ballot of each peer that goes by a map which is not here yet.
    parked: BTreeMap<NodeId, Parked>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Expire(ChangeId),
    Listing(RequestId),
}

impl Agreement {
    /// Goes on with what an earlier process wrote down; without that, begins with the founders of `ring`.
    ///
    /// # Panics
    /// If the record is none, or the founders are more than a map holds: whoever opened the data directory, and read the
    /// configuration, has checked.
    pub fn new(own: Process, ring: Arc<Ring>, record: Option<&[u8]>) -> Self {
        let record = record.map(|bytes| {
            MapRecord::decode(bytes).expect("whoever opened the data directory has read the cluster map")
        });
        let first = match &record {
            Some(record) => Arc::clone(&record.map),
            None => Arc::new(ClusterMap::founding_on(ring).expect("a ring that is in use makes a map")),
        };
        let keeper = MapKeeper::new(own, first, record).expect("a map is of its own cluster");
        Self {
            keeper,
            is_started: false,
            todo: Vec::new(),
            news: None,
            random: StdRng::seed_from_u64(own.actor.0 ^ PURPOSE),
            waiting: BTreeMap::new(),
            listings: BTreeMap::new(),
            listing_ids: RequestIds::of(0, own.actor),
            timers: Timers::default(),
            back_off_at: None,
            resume_at: None,
            resumed: 0,
            ask_at: None,
            remind_at: None,
            settings_at: None,
            settings_id: None,
            settings_agree_at: None,
            asked: BTreeMap::new(),
            parked: BTreeMap::new(),
        }
    }

    /// The same with a mistake.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn with_mutant(self, mutant: Option<super::map::MapMutant>) -> Self {
        Self { keeper: self.keeper.with_mutant(mutant), ..self }
    }

    /// What the keeper knows.
    pub fn keeper(&self) -> &MapKeeper {
        &self.keeper
    }

    /// The map that has become durable here since this was asked last.
    pub fn news(&mut self) -> Option<Arc<ClusterMap>> {
        self.news.take()
    }

    /// Whether no client waits for a change.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Starts, and does what is due.
    pub fn tick(&mut self, turn: &mut Turn<'_>) {
        if !std::mem::replace(&mut self.is_started, true) {
            self.keeper.start(&mut self.todo);
            self.carry_out(turn);
        }
        let now = turn.now.mono;
        let is_due = |at: &mut Option<Instant>| at.take_if(|at| *at <= now).is_some();
        let backed_off = is_due(&mut self.back_off_at);
        let resumes = is_due(&mut self.resume_at);
        if resumes {
            self.resumed += 1;
        }
        if backed_off || resumes {
            self.keeper.resume(&mut self.todo);
        }
        if is_due(&mut self.ask_at) {
            self.keeper.ask(&mut self.todo);
        }
        if is_due(&mut self.remind_at) {
            self.keeper.remind(&mut self.todo);
        }
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Expire(id) => self.expire(turn, id),
                Timer::Listing(id) => self.end_listing(turn, id),
            }
        }
        self.carry_out(turn);
    }

    /// When [`Agreement::tick`] is due.
    pub fn next_timer(&self) -> Option<Instant> {
        let start = (!self.is_started).then_some(Instant::ZERO);
        let timers =
            [start, self.timers.next(), self.back_off_at, self.resume_at, self.ask_at, self.remind_at];
        timers.into_iter().flatten().min()
    }

    /// A peer's word about the map.
    pub fn handle(&mut self, turn: &mut Turn<'_>, from: NodeId, header: Header, message: PeerMessage) {
        let before = self.keeper.newest().epoch();
        self.take(turn, from, header, message);
        if self.keeper.newest().epoch() > before {
            for (peer, parked) in std::mem::take(&mut self.parked) {
                self.take(turn, peer, parked.header, parked.message);
            }
        }
    }

    /// A record is durable, or not. `Err` if the node must stop.
    pub fn disk_done(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: MapTicket,
        result: &DiskResult,
    ) -> Result<(), String> {
        match result {
            DiskResult::Written(Ok(_)) => self.keeper.persisted(ticket, &mut self.todo),
            DiskResult::Written(Err(WriteError::Engine(why))) if why.is_fatal() => {
                return Err(why.to_string());
            }
            _ => {
                self.keeper.persist_failed(ticket);
                self.resume_at = self.resume_at.or(Some(turn.now.mono + ASK_EVERY));
            }
        }
        self.carry_out(turn);
        Ok(())
    }

    /// A peer has come up: it may know a newer map.
    pub fn peer_up(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        self.asked.remove(&peer);
        self.keeper.ask_peer(peer, &mut self.todo);
        self.carry_out(turn);
    }

    /// A peer's frame carried this epoch (rule M5).
    pub fn hear_epoch(&mut self, turn: &mut Turn<'_>, peer: NodeId, epoch: Epoch) {
        if epoch <= self.keeper.newest().epoch()
            || self.asked.get(&peer).is_some_and(|at| *at > turn.now.mono)
        {
            return;
        }
        self.asked.insert(peer, turn.now.mono + ASK_AGAIN_AFTER);
        self.keeper.hear_epoch(peer, epoch, &mut self.todo);
        self.carry_out(turn);
    }

    /// Somebody who is no peer knows a later map.
    pub fn look_for_news(&mut self, turn: &mut Turn<'_>) {
        for peer in turn.peers().filter(|peer| turn.up.contains(*peer)).collect::<Vec<_>>() {
            self.hear_epoch(turn, peer, Epoch(u64::MAX));
        }
    }

    /// Answers those whose change is in force, or whose question is answered. To be called after every other event, when
    /// this node goes by the newest map that is durable here.
    pub fn conclude(&mut self, turn: &mut Turn<'_>) {
        self.look_at_installed(turn);
        self.look_at_listings(turn);
        self.look_at_settings(turn);
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        self.keeper.validate();
        self.timers.validate();
        assert!(self.todo.is_empty(), "something was left to do");
    }

    /// Does what the keeper wants done.
    fn carry_out(&mut self, turn: &mut Turn<'_>) {
        self.carry_out_for(turn, RequestId(0));
    }

    /// The same where an answer to a question of this id is among it.
    fn carry_out_for(&mut self, turn: &mut Turn<'_>, question: RequestId) {
        for effect in std::mem::take(&mut self.todo) {
            match effect {
                MapEffect::Send { to, message } => self.send(turn, to, message, question),
                MapEffect::Persist { ticket, record } => persist(turn, ticket, &record),
                MapEffect::Install(map) => {
                    self.news = Some(map);
                    self.resumed = 0;
                    self.resume_at = None;
                }
                MapEffect::BackOff { losses } => {
                    let pause = self.drawn(BACK_OFF, 4 * BACK_OFF) * (1 << losses.min(16));
                    self.back_off_at = Some(turn.now.mono + pause.min(BACK_OFF_MAX));
                }
                MapEffect::Settled { id, outcome } => self.settled(turn, id, outcome),
                MapEffect::Alarm(fork) => stop(turn, fork),
            }
        }
        self.watch(turn);
    }

    /// Sets the timers that what is unfinished needs.
    fn watch(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.mono;
        if self.keeper.wants_round() && self.resume_at.is_none() {
            let pause = self.drawn(RESUME_AFTER, 2 * RESUME_AFTER) * (1 << self.resumed.min(3));
            self.resume_at = Some(now + pause);
        }
        self.ask_at = match self.keeper.serves() {
            true => None,
            false => self.ask_at.or(Some(now + ASK_EVERY)),
        };
        if self.waiting.values().any(Waiting::is_decided) {
            self.remind_at = self.remind_at.or(Some(now + ASK_EVERY));
        }
        if self.keeper.standing() == Standing::Replaced {
            let known = self.keeper.newest().life(turn.config.node);
            let known = known.map_or_else(|| "none".to_owned(), |life| life.to_string());
            let why =
                format!("the cluster map names {known}, a later life of this node than its directory's");
            turn.effects.push(Effect::Abandon(why));
        }
    }

    /// A random time between two others.
    fn drawn(&mut self, least: Duration, most: Duration) -> Duration {
        Duration::from_micros(self.random.random_range(least.as_micros() as u64..=most.as_micros() as u64))
    }

    /// Puts a change before the members.
    fn propose(&mut self, turn: &mut Turn<'_>, id: ChangeId, change: Change) {
        self.keeper.propose(id, change, &mut self.todo);
        self.carry_out(turn);
    }
}

fn persist(turn: &mut Turn<'_>, ticket: MapTicket, record: &MapRecord) {
    let operation = DiskOperation::Write(Write::Meta(MetaWrite::ClusterMap(record.encode())));
    let request = DiskRequest { ticket: Ticket::Map(ticket), deadline: Instant::NEVER, operation };
    turn.effects.push(Effect::Disk(request));
}

/// Whatever this node did next, one of two halves of the cluster would be wrong about it.
fn stop(turn: &mut Turn<'_>, fork: Fork) {
    turn.effects.push(Effect::Alarm(Alarm::MapFork(fork)));
    turn.effects.push(Effect::Halt(fork.to_string()));
}

/// Sets this room's random numbers apart from those of others.
const PURPOSE: u64 = 0x636c_7573_7465_726d;
/// The shortest pause after the first lost ballot; the longest is four times as long. Each further one doubles it.
const BACK_OFF: Duration = Duration::from_millis(5);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// What has come to no end by then, or twice that, is tried again: later, if that happens again and again.
const RESUME_AFTER: Duration = Duration::from_secs(1);
/// Who has not answered is asked again.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long one answer is waited for before the same peer is asked for a newer map again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);
