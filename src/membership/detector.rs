//! Gossip on a live node: which members answer, and what each says of itself.
//!
//! Two things say that a member is up, and they are not the same. A *connection* says that this node reaches it: requests
//! go by that alone (rule Q3). *Gossip* says whether anybody reaches it. What follows from gossip:
//!
//! - A **suspect** is asked last while it has time to object: a process that was stopped stays connected until its
//!   connections are idle for too long, and until then every read that begins with it waits.
//! - The connection to a member that is called **dead** is closed, and dialled again as if it had been lost. What was under
//!   way to it ends as after any loss, with hints left (H1), and the next requests are judged without it at once.
//! - A **fact** of a later epoch has the cluster map fetched (M5).
//!
//! None of it can make an answer wrong. Levels are counted in acknowledgements of members by name (Q2), and a verdict adds
//! or voids none: a false one costs a reconnection and a few requests that end as unknown, and a missing one costs the
//! wait for a deadline. *Were the dead left out of N instead: two halves of a cluster would each hold a quorum of what it
//! believes to be alive.* Nor does a verdict touch the map: members are decided by majorities (M1), never by silence.
//!
//! What gossip carries is what operators ask for: the facts in [`crate::wire`] under [`About`], [`Progress`] and [`Vitals`],
//! and whom a node cannot reach. Of these the node itself reads the epoch alone.

use std::collections::BTreeSet;

use quorate_gossip::{Effect as GossipEffect, Event, Gossip, Input as GossipInput, Life, MemberState};
use quorate_ring::{Duration, Epoch, Instant, Member, NodeId};
use quorate_storage::EngineStats;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    node::{DiskOperation, DiskRequest, Effect, Observation, Ticket, Turn},
    wire::{self, About, Frame, Header, NodeStatus, PeerMessage, Progress, RequestId, Verdict, Vitals},
};

/// This node's gossip.
///
/// Events, after each of which [`take_news`](Self::take_news) may have some: [`tick`](Self::tick) before any other,
/// [`datagram`](Self::datagram), [`stream`](Self::stream), [`reached`](Self::reached), [`refresh`](Self::refresh), [`measured`](Self::measured),
/// [`leave`](Self::leave).
#[derive(Debug, Default)]
pub struct Detector {
    /// `None` before the first event: until then nobody has said what time it is.
    gossip: Option<Gossip>,
    todo: Vec<GossipEffect>,
    news: Vec<News>,
    /// Whom gossip heard of and this node did not reach when it looked last.
    missing: BTreeSet<NodeId>,
    /// When vitals were taken last, and how many requests of clients had begun by then.
    taken: (Instant, u64),
    vitals_at: Option<Instant>,
    /// How often gossip was given something.
    steps: u64,
}

/// What the rest of the node has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A member answers.
    Alive(NodeId),
    /// A member is suspected, or says goodbye.
    Suspect(NodeId),
    /// A member does not answer this node's own last call either.
    Dead(NodeId),
    /// A member goes by this epoch of the cluster map.
    Epoch(NodeId, Epoch),
}

impl Detector {
    /// Does what is due.
    pub fn tick(&mut self, turn: &mut Turn<'_>) {
        if self.gossip.is_none() {
            self.begin(turn);
        }
        if self.gossip.as_ref().and_then(Gossip::next_timer).is_some_and(|at| at <= turn.now.mono) {
            self.input(turn, GossipInput::Tick);
        }
        if self.vitals_at.is_some_and(|at| at <= turn.now.mono) {
            self.vitals_at = Some(turn.now.mono + vitals_every(turn));
            self.look_around(turn);
            let (ticket, operation) = (Ticket::Vitals, DiskOperation::Measure);
            turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
        }
    }

    /// A datagram arrived from `from`: anything at all.
    pub fn datagram(&mut self, turn: &mut Turn<'_>, from: NodeId, bytes: &[u8]) {
        self.input(turn, GossipInput::Datagram { from, bytes });
    }

    /// What did not fit a datagram arrived from `from`: anything at all.
    pub fn stream(&mut self, turn: &mut Turn<'_>, from: NodeId, bytes: &[u8]) {
        self.input(turn, GossipInput::Stream { from, bytes });
    }

    /// There is a connection to `peer`, which may be to a later process than gossip has heard of.
    pub fn reached(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        self.input(turn, GossipInput::Reached(peer));
    }

    /// How far this node has come may have changed.
    pub fn refresh(&mut self, turn: &mut Turn<'_>) {
        let progress =
            Progress { epoch: turn.epoch, serves: turn.serves, recovering: turn.catalog.left().len() as u64 };
        self.say(turn.now.mono, PROGRESS, &progress);
    }

    /// The disk has said how much room there is; clients have begun `requests` requests since the process started.
    pub fn measured(
        &mut self,
        turn: &Turn<'_>,
        stats: &EngineStats,
        requests: u64,
        (hints, agreed_ago): (u64, Option<Duration>),
    ) {
        let now = turn.now.mono;
        let (before, requests_before) = std::mem::replace(&mut self.taken, (now, requests));
        let millis = now.since(before).as_millis().max(1) as u64;
        let vitals = Vitals {
            requests_per_s: rounded((requests - requests_before) * 1_000 / millis),
            hints,
            agreed_ago_s: agreed_ago.map(|ago| rounded(ago.as_secs())),
            disk_used: rounded(stats.disk_bytes),
            disk_free: rounded(stats.free_bytes),
        };
        self.say(now, VITALS, &vitals);
    }

    /// Says whom this node does not reach although gossip hears of them, twice in a row: a cut in the network. The dead are
    /// no news of every node's.
    fn look_around(&mut self, turn: &Turn<'_>) {
        let is_cut_off = |peer: &NodeId| {
            !turn.up.contains(*peer) && matches!(self.verdict(*peer), Verdict::Alive | Verdict::Suspect)
        };
        let missing: BTreeSet<_> = turn.peers().filter(is_cut_off).collect();
        let before = std::mem::replace(&mut self.missing, missing);
        let unreachable: Vec<_> = self.missing.intersection(&before).copied().take(UNREACHABLE_MAX).collect();
        self.say(turn.now.mono, UNREACHABLE, &unreachable);
    }

    /// Says goodbye: this node is about to stop, and nobody needs to find out.
    pub fn leave(&mut self, turn: &mut Turn<'_>) {
        self.input(turn, GossipInput::Leave);
        self.input(turn, GossipInput::Tick);
    }

    /// Whether those that are up have been told goodbye as often as any news is told. Each telling is a datagram that may be
    /// lost, so the first one alone is not enough.
    pub fn has_said_goodbye(&self) -> bool {
        self.gossip.as_ref().is_none_or(|gossip| gossip.next_timer().is_none())
    }

    /// Takes what the rest of the node has to know.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Whether a member is in doubt: suspected, or called dead and not heard objecting yet.
    pub fn doubts(&self, node: NodeId) -> bool {
        matches!(self.verdict(node), Verdict::Suspect | Verdict::Dead)
    }

    /// What is held of a member.
    pub fn verdict(&self, node: NodeId) -> Verdict {
        match self.gossip.as_ref().and_then(|gossip| gossip.state(node)) {
            None => Verdict::Unheard,
            Some(MemberState::Alive) => Verdict::Alive,
            Some(MemberState::Suspect) => Verdict::Suspect,
            Some(MemberState::Dead) => Verdict::Dead,
            Some(MemberState::Left) => Verdict::Left,
        }
    }

    /// What is known of every member.
    pub fn describe(&self, turn: &Turn<'_>) -> Vec<NodeStatus> {
        let describe = |node| NodeStatus {
            node,
            verdict: self.verdict(node),
            connected: turn.up.contains(node),
            about: self.fact(node, ABOUT),
            progress: self.fact(node, PROGRESS),
            unreachable: self.fact(node, UNREACHABLE),
            vitals: self.fact(node, VITALS),
        };
        turn.ring.members().iter().map(|member| describe(member.id)).collect()
    }

    /// When [`tick`](Self::tick) is due.
    pub fn next_timer(&self) -> Option<Instant> {
        let gossip = self.gossip.as_ref().and_then(Gossip::next_timer);
        [gossip, self.vitals_at].into_iter().flatten().min()
    }

    /// Panics if the state contradicts itself. Gossip looks at all that it holds, so at every sixteenth of its steps only.
    pub fn validate(&self) {
        if let Some(gossip) = self.gossip.as_ref().filter(|_| self.steps.is_multiple_of(16)) {
            gossip.validate();
        }
        assert!(self.todo.is_empty(), "gossip waits to be carried out");
    }

    fn begin(&mut self, turn: &Turn<'_>) {
        let (now, config) = (turn.now, turn.config);
        let life = Life(turn.now.wall.0.max(1));
        let gossip =
            Gossip::new(config.gossip.clone(), config.node, life, config.actor.0, turn.peers(), now.mono);
        self.gossip = gossip.ok();
        assert!(self.gossip.is_some(), "settings of gossip are checked by whoever makes a node");
        let own = turn.lives.own();
        let member = turn.ring.member(config.node);
        let word = |word: fn(&Member) -> &String| member.map(word).cloned().unwrap_or_default();
        let about = About {
            address: word(|member| &member.address),
            rack: word(|member| &member.rack),
            incarnation: own.incarnation,
            starts: own.starts,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.say(now.mono, ABOUT, &about);
        self.taken = (now.mono, 0);
        self.say(now.mono, UNREACHABLE, &Vec::<NodeId>::new());
        self.vitals_at = Some(now.mono + vitals_every(turn));
    }

    /// Bytes that are no packet are dropped, as any datagram may be.
    fn input(&mut self, turn: &mut Turn<'_>, input: GossipInput<'_>) {
        let Some(gossip) = &mut self.gossip else {
            return;
        };
        self.steps += 1;
        let _ = gossip.handle(turn.now.mono, input, &mut self.todo);
        for effect in std::mem::take(&mut self.todo) {
            match effect {
                GossipEffect::Datagram { to, bytes } => {
                    turn.effects.push(Effect::Gossip { peer: to, packet: bytes.into() });
                }
                GossipEffect::Stream { to, bytes } => {
                    let deadline = turn.now.mono + turn.config.request_timeout_max;
                    let header = Header { id: RequestId(0), epoch: turn.epoch, deadline };
                    let message = PeerMessage::Gossip(wire::Gossip { packet: bytes.into() });
                    turn.effects.push(Effect::ToPeer { peer: to, frame: Frame { header, message } });
                }
                GossipEffect::Event(event) => self.event(turn, event),
            }
        }
    }

    fn event(&mut self, turn: &mut Turn<'_>, event: Event) {
        let mut member = |node, state| {
            turn.effects.push(Effect::Observe(Observation::Member { node, state }));
            node
        };
        match event {
            Event::MemberUp { node, .. } => {
                self.news.push(News::Alive(member(node, MemberState::Alive)));
            }
            Event::MemberSuspect { node, .. } => {
                self.news.push(News::Suspect(member(node, MemberState::Suspect)));
            }
            Event::MemberDown { node, .. } => {
                self.news.push(News::Dead(member(node, MemberState::Dead)));
            }
            // It closes its connections itself, and is asked last until then.
            Event::MemberLeft { node, .. } => {
                self.news.push(News::Suspect(member(node, MemberState::Left)));
            }
            Event::EntryChanged(entry) if &*entry.key.subject == PROGRESS => {
                let progress: Option<Progress> = rmp_serde::from_slice(&entry.value).ok();
                self.news.extend(progress.map(|progress| News::Epoch(entry.key.node, progress.epoch)));
            }
            Event::Refuted { .. } => turn.effects.push(Effect::Observe(Observation::Suspected)),
            Event::LifeRaised { .. } => turn.effects.push(Effect::Observe(Observation::LifeRaised)),
            Event::WasLate { nanos } => {
                let stalled = Observation::Stalled(Duration::from_nanos(nanos));
                turn.effects.push(Effect::Observe(stalled));
            }
            _ => {}
        }
    }

    /// Sets a fact of this node's own. One that is too long, by an address of hundreds of letters, is not told.
    fn say(&mut self, now: Instant, subject: &str, fact: &impl Serialize) {
        if let (Some(gossip), Ok(value)) = (&mut self.gossip, rmp_serde::to_vec(fact)) {
            let _ = gossip.set_own(now, subject, &value);
        }
    }

    fn fact<F: DeserializeOwned>(&self, node: NodeId, subject: &str) -> Option<F> {
        let entry = self.gossip.as_ref()?.entry(node, subject)?;
        rmp_serde::from_slice(&entry.value).ok()
    }
}

/// How often a node says how it is. It is news for every node each time, so the more of them there are the more seldom: a
/// node hears of five such changes a second at most, however many members there are.
fn vitals_every(turn: &Turn<'_>) -> Duration {
    VITALS_EVERY.max(VITALS_EVERY_PER_MEMBER * turn.ring.members().len() as u32)
}

/// To two digits: what changes no more than that is no news.
fn rounded(number: u64) -> u64 {
    let unit = 10_u64.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number / unit * unit
}

const ABOUT: &str = "about";
const PROGRESS: &str = "progress";
const UNREACHABLE: &str = "unreachable";
const VITALS: &str = "vitals";
/// The most nodes that one says it cannot reach: enough to see that it is cut off.
const UNREACHABLE_MAX: usize = 64;
const VITALS_EVERY: Duration = Duration::from_secs(5);
const VITALS_EVERY_PER_MEMBER: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_two_digits() {
        let rounded: Vec<_> = [0, 7, 42, 129, 13_999, u64::MAX].map(rounded).into();
        assert_eq!(rounded, [0, 7, 42, 120, 13_000, 18_000_000_000_000_000_000]);
    }
}
