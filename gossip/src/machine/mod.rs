//! The state machine: what it holds, what it takes in, and the parts of the protocol in a file each.

mod exchange;
mod judging;
mod probing;
mod spreading;

use std::collections::{BTreeMap, BTreeSet};

use quorate_ring::{Instant, NodeId};

use crate::{
    codec::{DecodeError, decode},
    config::{Config, ConfigError},
    effect::{Effect, Event, Input, Sink},
    entry::{self, ENTRIES_PER_NODE_MAX, Entry, EntryError, EntryKey, Version},
    health::Health,
    life::{Claim, Life, MemberState},
    members::{Member, Members},
    message::{Message, News, Packet},
    probe::{PROBES_MAX, Probe, RELAYS_MAX, Relay},
    random::Random,
    rumors::{Rumors, Topic},
    suspicion::Suspicion,
    timers::{Timer, Timers},
};

/// One node's gossip.
///
/// - Events go in through [`handle`](Self::handle), [`set_own`](Self::set_own) and [`forget`](Self::forget).
/// - Effects come out of `handle` alone, into the sink that it is given.
/// - [`next_timer`](Self::next_timer) says when to call `handle` with [`Input::Tick`] at the latest; earlier and
///   additional ticks do no harm. Ask anew after each of the calls above.
/// - Everything else only looks.
///
/// Instants must not go back from call to call.
#[derive(Clone, Debug)]
pub struct Gossip {
    config: Config,
    own: NodeId,
    members: Members,
    rumors: Rumors,
    health: Health,
    /// Probes under way by their sequence numbers.
    probes: BTreeMap<u32, Probe>,
    /// Pings for others under way by their sequence numbers.
    relays: BTreeMap<u32, Relay>,
    /// One for each member that is suspect.
    suspicions: BTreeMap<NodeId, Suspicion>,
    /// Whom to try to reach: peers that were never heard of, and the dead.
    absent: BTreeSet<NodeId>,
    /// Nodes that were removed for good.
    forgotten: BTreeSet<NodeId>,
    timers: Timers,
    random: Random,
    sequence: u32,
    generation: u64,
    is_spreading: bool,
}

impl Gossip {
    /// A node that knows nobody yet. It tries to reach `peers` until each was heard of; they are no members before.
    ///
    /// `life` should exceed that of every earlier process under this node id: microseconds of the wall clock do.
    /// The same `seed` and inputs give the same effects.
    ///
    /// # Errors
    /// If a setting is out of its bounds.
    pub fn new(
        config: Config,
        own: NodeId,
        life: Life,
        seed: u64,
        peers: impl IntoIterator<Item = NodeId>,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let mut random = Random::new(seed);
        let mut timers = Timers::default();
        // Nodes that start together spread their work over the interval.
        let mut jitter = |time: quorate_ring::Duration| time * random.below(1_000) as u32 / 1_000;
        timers.set(now + jitter(config.probe_interval), Timer::Probe);
        timers.set(now + jitter(config.exchange_interval), Timer::Exchange);
        timers.set(now + jitter(config.spread_interval), Timer::Reconnect);
        let mut gossip = Self {
            members: Members::new(own, life.clamp(Life(1), Life::MAX)),
            rumors: Rumors::default(),
            health: Health::new(config.health_max),
            probes: BTreeMap::new(),
            relays: BTreeMap::new(),
            suspicions: BTreeMap::new(),
            absent: peers.into_iter().filter(|peer| *peer != own).collect(),
            forgotten: BTreeSet::new(),
            sequence: random.next() as u32,
            generation: 0,
            is_spreading: false,
            config,
            own,
            timers,
            random,
        };
        gossip.tell(now, Topic::Claim(own));
        Ok(gossip)
    }

    /// Takes in one input, does what has become due, and puts what is to be done into `sink`.
    ///
    /// # Errors
    /// If the bytes received are no packet; they are ignored then. What is due is done all the same.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, sink: &mut dyn Sink) -> Result<(), DecodeError> {
        self.notice_lateness(now, sink);
        let result = match input {
            Input::Tick => Ok(()),
            Input::Datagram { from, bytes } | Input::Stream { from, bytes } => {
                decode(bytes).map(|packet| self.receive(now, from, packet, sink))
            }
            Input::Reached(node) => {
                self.greet(node, sink);
                Ok(())
            }
            Input::Leave => {
                self.leave(now);
                Ok(())
            }
        };
        while let Some(timer) = self.timers.pop_due(now) {
            self.run(now, timer, sink);
        }
        result
    }

    /// Sets a fact of this node's own; the same value again changes nothing.
    ///
    /// # Errors
    /// If the entry is out of its bounds.
    pub fn set_own(&mut self, now: Instant, subject: &str, value: &[u8]) -> Result<Version, EntryError> {
        entry::check(subject, value)?;
        let facts = &self.own_member().facts;
        let held = facts.about(subject);
        if let Some(same) = held.filter(|entry| *entry.value == *value) {
            return Ok(same.version);
        }
        if held.is_none() && facts.entries().len() >= ENTRIES_PER_NODE_MAX {
            return Err(EntryError::TooMany);
        }
        let replaced = held.map(|entry| entry.version.number);
        let version = Version { life: self.members.own().life, number: facts.watermark() + 1 };
        let key = EntryKey { node: self.own, subject: subject.into() };
        let entry = Entry { key, version, value: value.into() };
        self.members.edit(self.own, &mut self.random, |member| member.facts.merge(entry));
        self.replace_rumor(now, self.own, replaced, version.number);
        Ok(version)
    }

    /// Removes a node for good: nothing that is said about it, or by it, is heard any more. Node ids are never reused.
    pub fn forget(&mut self, node: NodeId) {
        if node != self.own {
            self.forgotten.insert(node);
            self.absent.remove(&node);
            self.suspicions.remove(&node);
            self.members.remove(node);
            self.rumors.remove_node(node);
        }
    }

    /// When to call [`handle`](Self::handle) at the latest; `None` once the node has left and the word is spread.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// All members, this node among them, by node id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    /// The state of a member; `None` for a node that was not heard of.
    pub fn state(&self, node: NodeId) -> Option<MemberState> {
        self.members.find(node).map(Member::state)
    }

    /// All entries, this node's own among them, by node id and number.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.members.iter().flat_map(|member| member.facts.entries())
    }

    /// What a node says on a subject.
    pub fn entry(&self, node: NodeId, subject: &str) -> Option<&Entry> {
        self.members.find(node)?.facts.about(subject)
    }

    /// What this node claims of itself.
    pub fn own_claim(&self) -> Claim {
        self.members.own()
    }

    /// Lifeguard's score of local health: 0 is well.
    pub fn health_score(&self) -> u32 {
        self.health.score()
    }

    /// A hash of all that is held, equal at two nodes that hold the same.
    pub fn digest(&self) -> u64 {
        self.members.root_hash()
    }

    /// Panics if the parts of the state do not fit together. Takes time proportional to it: for tests.
    pub fn validate(&self) {
        assert_eq!(self.config.validate(), Ok(()));
        self.members.validate();
        self.rumors.validate();
        self.health.validate();
        self.timers.validate();
        assert!(self.probes.len() <= PROBES_MAX && self.relays.len() <= RELAYS_MAX);
        self.probes.values().for_each(Probe::validate);
        self.suspicions.values().for_each(Suspicion::validate);
        let suspects = self.members.iter().filter(|member| member.state() == MemberState::Suspect);
        let suspects: Vec<_> = suspects.map(|member| member.claim.node).filter(|n| *n != self.own).collect();
        assert!(self.suspicions.keys().eq(&suspects), "suspicions of {suspects:?}: {:?}", self.suspicions);
        let own_state = self.members.own().state;
        assert!(matches!(own_state, MemberState::Alive | MemberState::Left), "a node accuses itself");
        for node in &self.absent {
            let state = self.state(*node);
            assert!(matches!(state, None | Some(MemberState::Dead)), "{node} is {state:?} and absent");
        }
        assert!(self.forgotten.iter().all(|node| self.state(*node).is_none()));
    }

    fn run(&mut self, now: Instant, timer: Timer, sink: &mut dyn Sink) {
        match timer {
            Timer::Probe => self.probe_next(now, sink),
            Timer::Round(sequence) => self.end_round(now, sequence, sink),
            Timer::Relay(sequence) => self.end_relay(sequence, sink),
            Timer::Judge(node, generation) => self.judge(now, node, generation, sink),
            Timer::Spread => self.spread(now, sink),
            Timer::Exchange => self.exchange(now, sink),
            Timer::Reconnect => self.reconnect(now, sink),
        }
    }

    fn receive(&mut self, now: Instant, from: NodeId, packet: Packet, sink: &mut dyn Sink) {
        if from == self.own || self.forgotten.contains(&from) {
            return;
        }
        let state = if packet.is_leaving { MemberState::Left } else { MemberState::Alive };
        let claim = Claim { node: from, life: packet.life, refutation: packet.refutation, state };
        self.hear_claim(now, claim, &[], true, sink);
        let entries = match &packet.message {
            Message::Delta { sets, .. } => sets.iter().map(|set| set.entries.len()).sum(),
            _ => 0,
        };
        // The content of a large delta is new to this node alone: it joins, or was cut off.
        let is_news = packet.news.len() + entries <= exchange::NEWS_IN_DELTA_MAX;
        for news in packet.news {
            match news {
                News::Claim { claim, accusers } => self.hear_claim(now, claim, &accusers, is_news, sink),
                News::Entry(entry) => self.hear_entry(now, entry, is_news, sink),
            }
        }
        self.receive_message(now, from, packet.message, is_news, sink);
    }

    fn receive_message(
        &mut self,
        now: Instant,
        from: NodeId,
        message: Message,
        is_news: bool,
        sink: &mut dyn Sink,
    ) {
        match message {
            Message::Ping { sequence } => self.send(from, Message::Ack { sequence }, sink),
            Message::Ack { sequence } => self.receive_ack(from, sequence, sink),
            Message::PingRequest { sequence, target } => self.relay(now, from, sequence, target, sink),
            Message::Relayed { sequence, life, refutation } => {
                self.receive_relayed(now, from, sequence, (life, refutation), sink);
            }
            Message::Nack { sequence } => self.receive_nack(from, sequence),
            Message::News => {}
            Message::Digest { root } => self.receive_digest(from, root, sink),
            Message::Buckets { hashes } => self.receive_buckets(from, &hashes, sink),
            Message::Heads { buckets, heads } => self.receive_heads(now, from, buckets, &heads, sink),
            Message::Delta { sets, wants } => self.receive_delta(now, from, sets, &wants, is_news, sink),
        }
    }

    /// A timer that was due long ago means that this process, not the others, did not do its part.
    fn notice_lateness(&mut self, now: Instant, sink: &mut dyn Sink) {
        let late = self.timers.next().map(|due| now.since(due)).unwrap_or_default();
        if late < self.config.late_min {
            return;
        }
        for (sequence, probe) in std::mem::take(&mut self.probes) {
            self.timers.cancel(probe.ends, Timer::Round(sequence));
        }
        for (sequence, relay) in std::mem::take(&mut self.relays) {
            self.timers.cancel(relay.ends, Timer::Relay(sequence));
        }
        let intervals = late.as_nanos() / self.config.probe_interval.as_nanos();
        self.health.worsen(u32::try_from(intervals).unwrap_or(u32::MAX).saturating_add(1));
        let suspects: Vec<_> = self.suspicions.keys().copied().collect();
        for node in suspects {
            self.prolong(now, node, late);
        }
        let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        sink.push(Effect::Event(Event::WasLate { nanos }));
    }

    fn leave(&mut self, now: Instant) {
        if self.is_leaving() {
            return;
        }
        self.probes.clear();
        self.relays.clear();
        self.timers.clear();
        self.rumors = Rumors::default();
        self.members.edit(self.own, &mut self.random, |member| member.claim.state = MemberState::Left);
        self.rumors.add(Topic::Claim(self.own));
        self.is_spreading = true;
        self.timers.set(now, Timer::Spread);
    }

    fn is_leaving(&self) -> bool {
        self.members.own().state == MemberState::Left
    }

    fn own_member(&self) -> &Member {
        self.members.find(self.own).expect("a node is a member of its own table from its making on")
    }
}

#[cfg(test)]
mod tests;
