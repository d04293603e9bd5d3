//! A world of gossiping nodes: virtual time, a network that delays and loses, processes that stop.
//!
//! Shared by this crate's tests and its scale measurement (`tests/bench/gossip.rs`).

#![allow(dead_code, reason = "each program uses a part of it")]

pub(crate) mod measure;

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use quorate_gossip::{Config, Effect, Event, Gossip, Input, Life};
use quorate_ring::{Duration, Instant, NodeId};

/// A millisecond, in the world's unit of time.
pub(crate) const MS: u64 = 1_000_000;
/// A second.
pub(crate) const SECOND: u64 = 1_000 * MS;

/// What the network does to messages.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Way in one direction, evenly drawn.
    pub(crate) delay: (u64, u64),
    /// Datagrams lost of 1,000.
    pub(crate) loss: u64,
    /// Directions that let nothing through.
    pub(crate) cut: BTreeSet<(NodeId, NodeId)>,
}

/// A process.
pub(crate) struct Process {
    /// `None` if it does not run.
    pub(crate) gossip: Option<Gossip>,
    paused_until: u64,
    backlog: Vec<(NodeId, Vec<u8>, bool)>,
    /// The earliest tick in the agenda.
    ticks_at: u64,
    /// Bytes of datagrams and streams that it sent.
    pub(crate) bytes: u64,
    /// Datagrams and streams that it sent.
    pub(crate) messages: u64,
}

/// Something that is going to happen.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Arrive { from: NodeId, to: NodeId, bytes: Vec<u8>, is_stream: bool },
    Tick(NodeId),
    Resume(NodeId),
}

/// What a watcher may see.
pub(crate) enum Sight<'a> {
    /// A message leaves; whether it is lost, and whether it is a stream.
    Sent { from: NodeId, to: NodeId, bytes: &'a [u8], is_lost: bool, is_stream: bool },
    /// A node tells its user something.
    Told { node: NodeId, event: &'a Event },
}

type Watcher = Box<dyn FnMut(u64, Sight<'_>)>;

/// All of it.
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) network: Network,
    pub(crate) now: u64,
    pub(crate) watcher: Option<Watcher>,
    /// Check every state after every step.
    pub(crate) is_strict: bool,
    processes: Vec<Process>,
    agenda: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    count: u64,
    random: u64,
    effects: Vec<Effect>,
}

impl World {
    /// Node ids from 1 to `nodes`, none running.
    pub(crate) fn new(config: Config, nodes: u32, seed: u64) -> Self {
        let process = || Process {
            gossip: None,
            paused_until: 0,
            backlog: Vec::new(),
            ticks_at: u64::MAX,
            bytes: 0,
            messages: 0,
        };
        Self {
            config,
            network: Network { delay: (MS / 5, 2 * MS), loss: 0, cut: BTreeSet::new() },
            now: 0,
            watcher: None,
            is_strict: false,
            processes: (0..nodes).map(|_| process()).collect(),
            agenda: BinaryHeap::new(),
            count: 0,
            random: seed,
            effects: Vec::new(),
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=self.processes.len() as u32).map(NodeId)
    }

    /// How many nodes there are, running or not.
    pub(crate) fn size(&self) -> usize {
        self.processes.len()
    }

    /// Starts a process whose life is the world's clock, and which knows the ids of `peers`.
    pub(crate) fn start(&mut self, node: NodeId, peers: &[NodeId]) {
        self.start_in_life(node, peers, Life(self.now / 1_000 + 1));
    }

    pub(crate) fn start_in_life(&mut self, node: NodeId, peers: &[NodeId], life: Life) {
        let (seed, now) = (self.draw(), Instant(self.now));
        let gossip = Gossip::new(self.config.clone(), node, life, seed, peers.iter().copied(), now);
        let process = self.process(node);
        process.gossip = Some(gossip.expect("a preset keeps the bounds"));
        process.backlog.clear();
        (process.paused_until, process.ticks_at) = (0, u64::MAX);
        self.schedule(node);
    }

    pub(crate) fn crash(&mut self, node: NodeId) {
        self.process(node).gossip = None;
    }

    /// Stops a process; what arrives meanwhile waits in its socket.
    pub(crate) fn pause(&mut self, node: NodeId, time: u64) {
        let until = self.now + time;
        self.process(node).paused_until = until;
        self.push(until, Happening::Resume(node));
    }

    pub(crate) fn is_paused(&self, node: NodeId) -> bool {
        self.processes[node.0 as usize - 1].paused_until > self.now
    }

    pub(crate) fn leave(&mut self, node: NodeId) {
        self.handle(node, Input::Leave);
    }

    pub(crate) fn set(&mut self, node: NodeId, subject: &str, value: &[u8]) {
        let now = Instant(self.now);
        let gossip = self.process(node).gossip.as_mut().expect("a running process sets its entries");
        gossip.set_own(now, subject, value).expect("an entry within its bounds");
        self.schedule(node);
    }

    pub(crate) fn forget(&mut self, at: NodeId, node: NodeId) {
        self.process(at).gossip.as_mut().expect("a running process forgets").forget(node);
    }

    pub(crate) fn gossip(&self, node: NodeId) -> &Gossip {
        self.find(node).expect("a running process")
    }

    pub(crate) fn find(&self, node: NodeId) -> Option<&Gossip> {
        self.processes[node.0 as usize - 1].gossip.as_ref()
    }

    pub(crate) fn process(&mut self, node: NodeId) -> &mut Process {
        &mut self.processes[node.0 as usize - 1]
    }

    /// Bytes and messages that all processes have sent.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        self.processes.iter().fold((0, 0), |sum, p| (sum.0 + p.bytes, sum.1 + p.messages))
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: u64) {
        self.run_until(self.now + time, |_| false);
    }

    /// Lets time pass until `end`, or until `done`, which is asked every `step`; true if it was.
    pub(crate) fn run_stepwise(&mut self, end: u64, step: u64, done: impl Fn(&Self) -> bool) -> bool {
        while self.now < end {
            if done(self) {
                return true;
            }
            self.run(step.min(end - self.now));
        }
        done(self)
    }

    fn run_until(&mut self, end: u64, done: impl Fn(&Self) -> bool) {
        while let Some(Reverse((at, _, _))) = self.agenda.peek() {
            if *at > end || done(self) {
                break;
            }
            let Some(Reverse((at, _, happening))) = self.agenda.pop() else { break };
            self.now = at;
            self.happen(happening);
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive { from, to, bytes, is_stream } => {
                if self.is_paused(to) {
                    self.process(to).backlog.push((from, bytes, is_stream));
                } else {
                    self.arrive(from, to, &bytes, is_stream);
                }
            }
            Happening::Tick(node) => {
                if self.process(node).ticks_at == self.now {
                    self.process(node).ticks_at = u64::MAX;
                }
                let is_due = self.find(node).and_then(Gossip::next_timer).is_some_and(|at| at.0 <= self.now);
                if is_due && !self.is_paused(node) {
                    self.handle(node, Input::Tick);
                } else if !self.is_paused(node) {
                    self.schedule(node);
                }
            }
            Happening::Resume(node) => {
                if !self.is_paused(node) {
                    for (from, bytes, is_stream) in std::mem::take(&mut self.process(node).backlog) {
                        self.arrive(from, node, &bytes, is_stream);
                    }
                    self.handle(node, Input::Tick);
                }
            }
        }
    }

    fn arrive(&mut self, from: NodeId, to: NodeId, bytes: &[u8], is_stream: bool) {
        self.handle(
            to,
            if is_stream { Input::Stream { from, bytes } } else { Input::Datagram { from, bytes } },
        );
    }

    fn handle(&mut self, node: NodeId, input: Input<'_>) {
        let (now, is_strict) = (Instant(self.now), self.is_strict);
        let mut effects = std::mem::take(&mut self.effects);
        let Some(gossip) = &mut self.process(node).gossip else { return };
        gossip.handle(now, input, &mut effects).expect("nodes send packets");
        if is_strict {
            gossip.validate();
        }
        effects.drain(..).for_each(|effect| self.carry_out(node, effect));
        self.effects = effects;
        self.schedule(node);
    }

    fn carry_out(&mut self, node: NodeId, effect: Effect) {
        let (to, bytes, is_stream) = match effect {
            Effect::Datagram { to, bytes } => (to, bytes, false),
            Effect::Stream { to, bytes } => (to, bytes, true),
            Effect::Event(event) => {
                if let Some(watcher) = &mut self.watcher {
                    watcher(self.now, Sight::Told { node, event: &event });
                }
                return;
            }
        };
        let bytes_max =
            if is_stream { quorate_gossip::STREAM_BYTES_MAX } else { quorate_gossip::DATAGRAM_BYTES_MAX };
        assert!(bytes.len() <= bytes_max, "{} bytes", bytes.len());
        let process = self.process(node);
        process.bytes += bytes.len() as u64;
        process.messages += 1;
        let is_lost = self.network.cut.contains(&(node, to))
            || (!is_stream && self.network.loss > 0 && self.draw() % 1_000 < self.network.loss);
        if let Some(watcher) = &mut self.watcher {
            watcher(self.now, Sight::Sent { from: node, to, bytes: &bytes, is_lost, is_stream });
        }
        if !is_lost {
            let (min, max) = self.network.delay;
            let delay = min + self.draw() % (max - min + 1);
            // A stream takes its handshake and the repair of what is lost.
            let delay = if is_stream { 3 * delay } else { delay };
            self.push(self.now + delay, Happening::Arrive { from: node, to, bytes, is_stream });
        }
    }

    fn schedule(&mut self, node: NodeId) {
        let Some(at) = self.find(node).and_then(Gossip::next_timer) else { return };
        let at = at.0.max(self.now);
        if at < self.process(node).ticks_at {
            self.process(node).ticks_at = at;
            self.push(at, Happening::Tick(node));
        }
    }

    fn push(&mut self, at: u64, happening: Happening) {
        self.count += 1;
        self.agenda.push(Reverse((at, self.count, happening)));
    }

    /// The world's own dice (SplitMix64).
    pub(crate) fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The world's time as a duration.
pub(crate) fn nanos(time: u64) -> Duration {
    Duration::from_nanos(time)
}
