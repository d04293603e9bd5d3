//! Which map follows: rule M1, one step at a time, each with the interleaving that breaks it.
//!
//! 1. **Slot e+1 is decided by a majority of the members of map e.** *By the members of the new map alone: map 1 has
//!    n1 to n3; n1 removes n2 and n3 and is a majority of itself, while n2 and n3 remove n1. By both sets taken
//!    together: of n1 to n3 plus four joiners, four make a majority without any two of the old ones.*
//! 2. **Map e is decided**, and prepare and accept carry it. *Built on a map that is merely accepted, the next one
//!    counts its majority among members that may never have been: the accepted map loses its slot to another, and
//!    both have children.*
//! 3. **A value found in prepare is finished first**; the own change is made again on the result, for the slot
//!    after. *What was found may be decided already, by acceptors of which this ballot met one.*
//! 4. **What an acceptor says is durable first** (C2). *See [`synod`](crate::membership::synod).*
//! 5. **An acceptor that knows map e+1 answers only with it.** *Its record of slot e+1 is gone, so a sleeper that
//!    still works on that slot would find it empty, and decide it a second time.* One that knows less than map e
//!    takes the carried map and starts the slot empty: nobody can have asked it before.
//! 6. **A life that the map does not name is mute**, save for giving out decided maps: it may have forgotten
//!    what an earlier life of the same node said. It has itself named ([`Change::Renew`]) by the others, and votes
//!    on slots after that map only, of which its earlier life cannot have heard.
//! 7. **The founders' lives are named by all founders**: see [`ClusterMap::founding`].
//! 8. **A process serves after it has asked.** *A member that slept through `DROP TABLE` would answer for the table
//!    as if nothing had happened: at ONE nobody contradicts it.* Any member's answer will do; a member of a map of
//!    one asks itself, and first finishes what it finds accepted.
//! 9. **A change is refused only by a map that a majority has confirmed as the newest since it was asked for**: by
//!    a prepare that began after and finds the slot empty. *`DROP TABLE` asked of a node that missed `CREATE TABLE`
//!    would say "no such table" of a table that is acknowledged; and so it would if promises were counted that were
//!    on their way before the table was. Unlike a register's failed condition (C3) this needs no accept: a map is
//!    only ever read from decided maps, never from what a prepare found.*
//! 10. **A change whose accept was sent is unknown until its slot is decided** (Q10): a later proposer may find it.
//!     It is not tried in another slot once its author was told so, which makes that slot's map the answer.

mod accepting;
mod effect;
mod journal;
mod learning;
mod message;
#[cfg(feature = "mutants")]
mod mutant;
mod proposing;
mod record;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use quorate_ring::{Epoch, Incarnation, NodeId, TableId};

use self::{journal::Journal, proposing::Pending};
use super::{Change, ChangeId, ClusterMap};
use crate::membership::synod::{Acceptor, Ballot, Electorate, Proposer};

pub use effect::{Fork, MapEffect, MapRecord, MapTicket, Outcome, Process, Standing};
pub use message::{MapMessage, Vote};
#[cfg(feature = "mutants")]
pub use mutant::MapMutant;

/// Keeps the cluster's map on one node: acceptor of its next slot, proposer of changes, and learner of maps.
///
/// *Events*, each of which adds what is to be done to the effects: [`start`](Self::start) once and first;
/// [`handle`](Self::handle) a peer's message; [`persisted`](Self::persisted) and
/// [`persist_failed`](Self::persist_failed); [`propose`](Self::propose) and [`expire`](Self::expire) a change;
/// [`resume`](Self::resume) after a back-off, and when [`wants_round`](Self::wants_round) has held for long without
/// an end; [`ask`](Self::ask) when a peer comes up or nobody has answered; [`hear_epoch`](Self::hear_epoch) when a
/// frame carries a later epoch (rule M5). It has no clock and draws no random numbers: when to resume is the
/// caller's choice.
///
/// *Views*: [`map`](Self::map) to route by, [`serves`](Self::serves), [`standing`](Self::standing),
/// [`installed_on`](Self::installed_on), [`newest`](Self::newest).
#[derive(Clone, Debug)]
pub struct MapKeeper {
    own: Process,
    /// The newest decided map that this process knows.
    newest: Arc<ClusterMap>,
    /// The newest that is durable here.
    installed: Option<Arc<ClusterMap>>,
    /// The slot after the newest map.
    slot: Acceptor<Arc<ClusterMap>>,
    named_at: Option<TableId>,
    /// The epoch that the first member to answer this process knew.
    asked: Option<Epoch>,
    journal: Journal,
    queue: VecDeque<Pending>,
    round: Option<Proposer<NodeId, Arc<ClusterMap>>>,
    /// The latest ballot heard of in the slot.
    seen: Ballot,
    losses: u32,
    is_backing_off: bool,
    /// What the other members said of themselves last.
    others: BTreeMap<NodeId, Other>,
    /// Messages to this node itself.
    to_self: VecDeque<MapMessage>,
    #[cfg(feature = "mutants")]
    mutant: Option<MapMutant>,
}

#[derive(Clone, Copy, Debug)]
struct Other {
    incarnation: Incarnation,
    installed: Epoch,
}

impl MapKeeper {
    /// A keeper on `record`, which is what was durable last; without one, on `first`: the founding map, or a map
    /// that a member gave to a joiner or to a node that lost its disk.
    ///
    /// # Errors
    /// [`Fork`] if the record is of another cluster than `first`.
    pub fn new(own: Process, first: Arc<ClusterMap>, record: Option<MapRecord>) -> Result<Self, Fork> {
        let installed = record.as_ref().map(|record| record.map.clone());
        let record = record.unwrap_or_else(|| MapRecord {
            map: first.clone(),
            promised: Ballot::ZERO,
            accepted: None,
            named_at: None,
        });
        if record.map.cluster() != first.cluster() {
            return Err(Fork { ours: record.map.name(), theirs: first.name() });
        }
        let is_named = record.map.life(own.node) == Some(own.incarnation);
        let named_at = record.named_at.or(is_named.then(|| record.map.next_table()));
        Ok(Self {
            own,
            newest: record.map,
            installed,
            slot: Acceptor::restore(record.promised, record.accepted),
            named_at,
            asked: None,
            journal: Journal::default(),
            queue: VecDeque::new(),
            round: None,
            seen: record.promised,
            losses: 0,
            is_backing_off: false,
            others: BTreeMap::new(),
            to_self: VecDeque::new(),
            #[cfg(feature = "mutants")]
            mutant: None,
        })
    }

    /// The same keeper with a mistake.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn with_mutant(self, mutant: Option<MapMutant>) -> Self {
        Self { mutant, ..self }
    }

    /// The process starts: it asks the other members for their newest map.
    pub fn start(&mut self, effects: &mut Vec<MapEffect>) {
        match self.installed.clone() {
            Some(map) => effects.push(MapEffect::Install(map)),
            None => self.persist(effects),
        }
        self.ask(effects);
        if self.is_alone() && self.wants_round() {
            self.begin_round(effects);
        }
        self.end_event(effects);
    }

    /// A peer's message.
    pub fn handle(&mut self, from: NodeId, message: MapMessage, effects: &mut Vec<MapEffect>) {
        self.take(from, message, effects);
        self.end_event(effects);
    }

    /// A record is durable, and so is every earlier one.
    pub fn persisted(&mut self, ticket: MapTicket, effects: &mut Vec<MapEffect>) {
        if let Some((map, answers)) = self.journal.durable(ticket) {
            self.install(map, effects);
            for (to, message) in answers {
                self.send(to, message, effects);
            }
        }
        self.end_event(effects);
    }

    /// A record could not be written, and the disk is otherwise sound (rule S5): nobody is told what it would have
    /// held. It is written again with the next one.
    pub fn persist_failed(&mut self, ticket: MapTicket) {
        self.journal.failed(ticket);
    }

    /// Somebody wants a change. Its end comes as [`MapEffect::Settled`]; asked for twice, it ends once.
    pub fn propose(&mut self, id: ChangeId, change: Change, effects: &mut Vec<MapEffect>) {
        self.enqueue(id, change, effects);
        self.end_event(effects);
    }

    /// Nobody waits for a change any longer: it ends now, and is not tried again.
    pub fn expire(&mut self, id: ChangeId, effects: &mut Vec<MapEffect>) {
        self.give_up(id, effects);
        self.end_event(effects);
    }

    /// A back-off is over, or an attempt has taken long: makes another one, if there is a reason for it.
    pub fn resume(&mut self, effects: &mut Vec<MapEffect>) {
        if self.journal.is_behind() {
            self.persist(effects);
        }
        self.is_backing_off = false;
        if self.wants_round() {
            self.begin_round(effects);
        }
        self.end_event(effects);
    }

    /// Asks the other members for their newest map.
    pub fn ask(&mut self, effects: &mut Vec<MapEffect>) {
        for peer in self.peers() {
            self.fetch_from(peer, effects);
        }
    }

    /// Asks one of them, which has just come up.
    pub fn ask_peer(&mut self, peer: NodeId, effects: &mut Vec<MapEffect>) {
        self.fetch_from(peer, effects);
    }

    /// Tells the members that are not known to have installed the newest map.
    pub fn remind(&mut self, effects: &mut Vec<MapEffect>) {
        let map = self.newest.clone();
        let informed: Vec<_> = self.installed_on(map.epoch()).collect();
        for peer in self.peers().into_iter().filter(|peer| !informed.contains(peer)) {
            self.send(peer, MapMessage::Decided { map: map.clone() }, effects);
        }
    }

    /// A peer's frame carried this epoch.
    pub fn hear_epoch(&mut self, peer: NodeId, epoch: Epoch, effects: &mut Vec<MapEffect>) {
        if epoch > self.newest.epoch() {
            self.fetch_from(peer, effects);
        }
    }

    /// The newest decided map that is durable here: what requests are routed and judged by. `None` before the first.
    pub fn map(&self) -> Option<&Arc<ClusterMap>> {
        self.installed.as_ref()
    }

    /// The newest decided map that this process knows. It may not be durable yet.
    pub fn newest(&self) -> &Arc<ClusterMap> {
        &self.newest
    }

    /// The first table id that had not been given out when a decided map first named this life; `None` if none has.
    /// What an earlier life of the node held of older tables is not here (rule R7).
    pub fn named_at(&self) -> Option<TableId> {
        self.named_at
    }

    /// The map that these bytes are of, if this process has it in its hands already: reading it again would take long.
    pub fn known_map(&self, bytes: &[u8]) -> Option<Arc<ClusterMap>> {
        let accepted = self.slot.accepted().map(|vote| &vote.value);
        accepted.into_iter().chain([&self.newest]).find(|map| map.encode() == bytes).cloned()
    }

    /// This process.
    pub fn own(&self) -> Process {
        self.own
    }

    /// Whether `node` in the life that it last said is a member: its word on the newest map counts.
    pub fn knows_member(&self, node: NodeId) -> bool {
        self.newest.is_founded()
            && self.others.get(&node).is_some_and(|other| self.newest.names(node, other.incarnation))
    }

    /// Whether this process may act as a member on its [`map`](Self::map).
    pub fn serves(&self) -> bool {
        let names_own =
            |map: &ClusterMap| map.is_founded() && self.counts(map, self.own.node, self.own.incarnation);
        let Some(map) = self.installed.as_ref().filter(|map| names_own(map)) else {
            return false;
        };
        #[cfg(feature = "mutants")]
        if self.mutant == Some(MapMutant::ServesStale) {
            return true;
        }
        let has_asked = match self.asked {
            Some(epoch) => map.epoch() >= epoch,
            None => self.is_alone() && self.slot.accepted().is_none(),
        };
        has_asked && names_own(&self.newest)
    }

    /// How this process stands with the newest map.
    pub fn standing(&self) -> Standing {
        match self.newest.life(self.own.node) {
            _ if !self.newest.is_member(self.own.node) => Standing::Stranger,
            None => Standing::Founding,
            Some(life) if life == self.own.incarnation => Standing::Named,
            Some(_) if self.named_at.is_some() => Standing::Replaced,
            Some(_) => Standing::Unnamed,
        }
    }

    /// Whether there is a reason for an attempt: a change waits, or a map is accepted here and not known to be
    /// decided, as a proposer that crashed leaves it.
    pub fn wants_round(&self) -> bool {
        !self.queue.is_empty() || self.slot.accepted().is_some()
    }

    /// Which members, this node included, are known to judge requests by a map at least as new as `epoch`.
    pub fn installed_on(&self, epoch: Epoch) -> impl Iterator<Item = NodeId> + '_ {
        self.newest.members().filter(move |&node| {
            let installed = if node == self.own.node {
                self.installed.as_ref().map(|map| map.epoch())
            } else {
                let other = self.others.get(&node);
                other.filter(|o| self.newest.names(node, o.incarnation)).map(|o| o.installed)
            };
            installed.is_some_and(|installed| installed >= epoch)
        })
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        if let Some(installed) = &self.installed {
            assert!(
                installed.epoch() <= self.newest.epoch(),
                "a map was installed that nobody knows to be decided"
            );
        }
        if let Some(vote) = self.slot.accepted() {
            assert!(vote.value.epoch() > self.newest.epoch(), "a decided slot was voted in");
        }
        assert!(self.to_self.is_empty(), "a message to this node was left lying");
        assert!(self.queue.len() <= proposing::WAITING_MAX + proposing::OWN_CHANGES, "too many changes wait");
    }

    fn take(&mut self, from: NodeId, message: MapMessage, effects: &mut Vec<MapEffect>) {
        match message {
            MapMessage::Prepare { parent, ballot } => self.prepare(from, parent, ballot, effects),
            MapMessage::Accept { parent, vote } => self.accept(from, parent, vote, effects),
            MapMessage::Promised { slot, ballot, incarnation, accepted } => {
                if self.is_answer(from, slot, ballot, incarnation) {
                    self.advance(effects, |round| round.promised(from, accepted));
                }
            }
            MapMessage::Accepted { slot, ballot, incarnation } => {
                if self.is_answer(from, slot, ballot, incarnation) {
                    self.advance(effects, |round| round.accepted(from));
                }
            }
            MapMessage::Outbid { slot, ballot, incarnation, promised } => {
                if self.is_answer(from, slot, ballot, incarnation) {
                    self.seen = self.seen.max(promised);
                    self.advance(effects, |round| round.outbid(from, promised));
                }
            }
            MapMessage::Decided { map } => self.hear_decided(from, map, effects),
            MapMessage::Fetch { asker, known, incarnation } => {
                self.hear_life(from, incarnation, Epoch(0));
                if known > self.newest.epoch() {
                    // It may be the only one: of two members one decides to take in a third, tells it, and loses
                    // its disk. Then no majority of the two is left, and only the third knows that none is needed.
                    self.fetch_from(from, effects);
                }
                let (epoch, incarnation) = (self.newest.epoch(), self.own.incarnation);
                let map = (epoch > known).then(|| self.newest.clone());
                self.send(from, MapMessage::Fetched { asker, map, epoch, incarnation }, effects);
            }
            MapMessage::Fetched { asker, map, epoch, incarnation } => {
                self.hear_answer(from, asker, map, epoch, incarnation, effects);
            }
            MapMessage::Installed { epoch, incarnation } => {
                self.hear_life(from, incarnation, epoch);
                self.hear_epoch(from, epoch, effects);
            }
        }
    }

    /// Whether `from`, in the life that it says, has a vote after `map`.
    fn counts(&self, map: &ClusterMap, from: NodeId, incarnation: Incarnation) -> bool {
        #[cfg(feature = "mutants")]
        if self.mutant == Some(MapMutant::LostDiskVotes) {
            return map.is_member(from);
        }
        map.names(from, incarnation)
    }

    /// Whether there is no other member to ask.
    fn is_alone(&self) -> bool {
        self.newest.members().eq([self.own.node])
    }

    fn peers(&self) -> Vec<NodeId> {
        self.newest.members().filter(|member| *member != self.own.node).collect()
    }

    fn send(&mut self, to: NodeId, message: MapMessage, effects: &mut Vec<MapEffect>) {
        if to == self.own.node {
            self.to_self.push_back(message);
        } else {
            effects.push(MapEffect::Send { to, message });
        }
    }

    /// Who decides the slot after the newest map.
    fn electorate(&self) -> Electorate<NodeId> {
        #[cfg(feature = "mutants")]
        if let Some(mutated) = self.mutated_electorate() {
            return mutated;
        }
        self.newest.electorate()
    }

    /// What this node says to itself, and the changes that it wants for itself.
    fn end_event(&mut self, effects: &mut Vec<MapEffect>) {
        loop {
            while let Some(message) = self.to_self.pop_front() {
                self.take(self.own.node, message, effects);
            }
            self.mind_own_business();
            if self.round.is_some() || self.is_backing_off || self.queue.is_empty() {
                break;
            }
            self.begin_round(effects);
        }
    }
}
