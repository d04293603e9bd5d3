//! The world of one run: an agenda of events drives the same compiled node as production.
//!
//! *Running it*: [`World::new`], then [`World::run`]. Everything that happens is an [`Event`]; every event
//! that concerns a node becomes one [`Input`], and its effects become events again.

pub(crate) mod agenda;
mod clock;
mod disk;
mod ending;
pub(crate) mod faults;
mod frames;
mod mistakes;
mod network;
mod observed;
mod process;
mod step;
mod trace;
pub(crate) mod traffic;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use quorate::{
    node::{ClientId, Effects, Input},
    ring::{Epoch, NodeId, Ring},
    storage::{MemoryImage, MetaWrite, Write},
    wire::{ClientMessage, PeerMessage},
};

use self::{
    agenda::Agenda,
    disk::{DiskEvent, Progress},
    faults::FaultKind,
    frames::Copies,
    network::Network,
    trace::Trace,
    traffic::Traffic,
};
pub(crate) use self::{
    disk::{Disk, Minted},
    frames::{decoded, encoded},
    process::{CLUSTER_NAME, Process},
};
use crate::{
    invariants::Oracle,
    options::{Options, SECOND, time},
    random::Random,
    render, rings,
    workload::Client,
};

/// Something that happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// A frame reaches a node.
    Frame { from: usize, to: usize, generation: u32, bytes: Bytes },
    /// A datagram of gossip reaches a node.
    Datagram { from: usize, to: usize, packet: Bytes },
    /// A node learns of a connection.
    PeerUp { node: usize, peer: usize, generation: u32 },
    /// A node learns of the loss of one.
    PeerDown { node: usize, peer: usize, generation: u32 },
    /// Two nodes try to connect.
    Dial { a: usize, b: usize },
    /// A direction has been blocked for the idle timeout.
    Idle { from: usize, to: usize, block: u32 },
    /// A direction is cut.
    Block { from: usize, to: usize },
    /// A cut ends.
    Unblock { from: usize, to: usize },
    /// A process that paused has not been heard of for the idle timeout.
    Silent(usize),
    /// A node's timer.
    Timer { node: usize, life: u32 },
    /// A node's disk goes on.
    Disk { node: usize, life: u32, event: DiskEvent },
    /// A process starts.
    Start(usize),
    /// A node loses its disk, or the record of a key.
    Forget { node: usize, key: Option<usize> },
    /// A fault begins.
    FaultBegin(usize),
    /// A fault ends.
    FaultEnd(usize),
    /// All faults end.
    Heal,
    /// A client's request reaches a node.
    Request { node: usize, client: ClientId, bytes: Bytes },
    /// A client's connection is closed.
    ClientGone { node: usize, life: u32, client: ClientId },
    /// An answer reaches a client.
    Answer { client: ClientId, bytes: Bytes },
    /// A client does something.
    Wake(usize),
    /// A client has waited long enough for its request.
    GiveUp { client: usize, request: u64 },
}

/// One run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) now: u64,
    pub(crate) agenda: Agenda<Event>,
    pub(crate) ring: Arc<Ring>,
    pub(crate) processes: Vec<Process>,
    pub(crate) network: Network,
    copies: Copies,
    pub(crate) clients: Vec<Client>,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) traffic: Traffic,
    pub(crate) healed: bool,
    /// The newest epoch that any client was told of.
    pub(crate) told_epoch: Epoch,
    /// Events so far: the checkers' clock.
    pub(crate) events: u64,
    pub(crate) next_connection: u64,
    /// Faults that have begun and not ended.
    under_way: BTreeSet<usize>,
    /// Directions that are cut one by one.
    single_cuts: Vec<(usize, usize)>,
    /// What each partition under way cuts.
    cuts: BTreeMap<usize, Vec<(usize, usize)>>,
    /// How the next write is to be forgotten by whom it reaches first.
    forgets_next: Option<FaultKind>,
    /// Whose proposal is next to rely on a promise that will be forgotten.
    promised: Option<faults::Promised>,
    /// How many disks were replaced so far.
    disks_lost: u32,
    /// Copies of disks for faults under way.
    images: BTreeMap<usize, MemoryImage>,
    effects: Effects,
}

impl World {
    /// A cluster with its tables, about to start.
    pub(crate) fn new(options: Options) -> Self {
        let nodes = options.nodes as usize;
        let ring = rings::of(options.nodes);
        let mut world = Self {
            now: 0,
            agenda: Agenda::default(),
            processes: (0..options.nodes).map(|number| Process::new(&options, number)).collect(),
            network: Network::new(nodes, options.seed, options.network.clone()),
            copies: Copies::default(),
            clients: Vec::new(),
            oracle: Oracle::new(&options, &ring),
            trace: Trace::default(),
            traffic: Traffic::default(),
            healed: false,
            told_epoch: Epoch(1),
            events: 0,
            next_connection: 1,
            under_way: BTreeSet::new(),
            single_cuts: Vec::new(),
            cuts: BTreeMap::new(),
            forgets_next: None,
            promised: None,
            disks_lost: 0,
            images: BTreeMap::new(),
            effects: Effects::default(),
            ring,
            options,
        };
        let Options { nodes, replication, .. } = world.options;
        let has_cas = world.options.has_cas();
        let (map, record) = rings::founded((nodes, replication, has_cas), || world.oracle.found(&world.ring));
        let record = world.options.founded.then_some(record);
        if record.is_some() {
            world.oracle.tables.begin(map);
        }
        for (number, process) in world.processes.iter_mut().enumerate() {
            process.settle(number, record.clone());
        }
        world
    }

    /// Runs to the end: faults, then peace, then the last questions. `Err` says what broke.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        self.start_processes();
        for (place, fault) in self.options.faults.0.iter().enumerate() {
            self.agenda.push(fault.at, Event::FaultBegin(place));
        }
        self.agenda.push(self.options.duration, Event::Heal);
        self.start_clients();
        let patience = self.options.duration + PATIENCE + self.options.request_timeout * 20;
        self.run_until(patience, |world| world.healed && world.clients.iter().all(Client::is_done));
        if self.oracle.failure.is_none() && !(self.healed && self.clients.iter().all(Client::is_done)) {
            self.fail(format!("clients are not served {PATIENCE} ns after the last fault"));
        }
        self.settle();
        self.oracle.judge(&self.processes);
        self.oracle.failure.take().map_or(Ok(()), Err)
    }

    /// Has every process start soon.
    pub(crate) fn start_processes(&mut self) {
        let starts = &mut Random::stream(self.options.seed, "topology");
        for node in 0..self.processes.len() {
            let at = starts.below(self.options.network.redial_delay);
            self.agenda.push(at, Event::Start(node));
        }
    }

    /// Lets events happen until `done`, or nothing is left to happen before `end`, or an invariant breaks.
    pub(crate) fn run_until(&mut self, end: u64, done: impl Fn(&Self) -> bool) {
        while self.oracle.failure.is_none()
            && !done(self)
            && self.agenda.next_at().is_some_and(|at| at <= end)
        {
            if let Some((at, event)) = self.agenda.pop() {
                self.now = self.now.max(at);
                self.happen(event);
            }
        }
    }

    /// Records what broke.
    pub(crate) fn fail(&mut self, why: String) {
        self.oracle.fail(format!("at {} ns: {why}", self.now));
    }

    fn happen(&mut self, event: Event) {
        if let Some(until) = self.postponed(&event) {
            self.agenda.push(until, event);
            return;
        }
        if self.is_void(&event) {
            return;
        }
        self.events += 1;
        self.trace.add(self.now);
        self.oracle.now = self.now;
        match event {
            Event::Frame { from, to, generation, bytes } => self.frame(from, to, generation, bytes),
            Event::Datagram { from, to, packet } => {
                self.trace.add_bytes(&packet);
                self.input(to, Input::Gossip { from: id(from), packet });
            }
            Event::PeerUp { node, peer, generation } => self.peer_up(node, peer, generation),
            Event::PeerDown { node, peer, generation } => {
                if self.network.disbelieve(node, peer, generation) {
                    self.trace.line(|| format!("{} n{} loses n{}", time(self.now), node + 1, peer + 1));
                    self.input(node, Input::PeerDown(id(peer)));
                }
            }
            Event::Dial { a, b } => {
                let reachable = self.processes[a].node.is_some() && self.processes[b].node.is_some();
                self.network.dial(self.now, a, b, reachable, &mut self.agenda);
            }
            Event::Idle { from, to, block } => self.network.idle(self.now, from, to, block, &mut self.agenda),
            Event::Block { from, to } => self.block(from, to),
            Event::Unblock { from, to } => self.unblock(from, to),
            Event::Silent(node) => self.silent(node),
            Event::Timer { node, .. } => {
                self.processes[node].timer = u64::MAX;
                self.input(node, Input::Tick);
            }
            Event::Disk { node, event, .. } => self.disk(node, event),
            Event::Start(node) => self.start(node),
            Event::Forget { node, key } => self.forgets(node, key),
            Event::FaultBegin(place) => self.begin_fault(place),
            Event::FaultEnd(place) => self.end_fault(place),
            Event::Heal => self.heal(),
            Event::Request { node, client, bytes } => self.request(node, client, bytes),
            Event::ClientGone { node, client, .. } => self.input(node, Input::ClientGone(client)),
            Event::Answer { client, bytes } => self.answer(client, bytes),
            Event::Wake(client) => self.wake(client),
            Event::GiveUp { client, request } => self.give_up(client, request),
        }
    }

    /// Whether an event was meant for an earlier life of its process, or is a timer that is set no more.
    fn is_void(&self, event: &Event) -> bool {
        match event {
            Event::Disk { node, life, .. } | Event::ClientGone { node, life, .. } => {
                self.processes[*node].life != *life
            }
            // One that another took the place of is no timer any more: each that went off would set the next once more.
            Event::Timer { node, life } => {
                let process = &self.processes[*node];
                process.life != *life || process.timer > self.now
            }
            _ => false,
        }
    }

    /// When an event happens that meets a paused process.
    fn postponed(&self, event: &Event) -> Option<u64> {
        let node = match event {
            Event::Frame { to: node, .. }
            | Event::Datagram { to: node, .. }
            | Event::PeerUp { node, .. }
            | Event::PeerDown { node, .. }
            | Event::Timer { node, .. }
            | Event::Disk { node, .. }
            | Event::Request { node, .. }
            | Event::ClientGone { node, .. } => *node,
            // A process that does nothing lets nobody in.
            Event::Dial { a, b } if self.processes[*a].paused_until < self.processes[*b].paused_until => *b,
            Event::Dial { a, .. } => *a,
            _ => return None,
        };
        let until = self.processes[node].paused_until;
        (until > self.now).then_some(until)
    }

    fn frame(&mut self, from: usize, to: usize, generation: u32, bytes: Bytes) {
        if !self.network.arrives(from, to, generation) {
            return;
        }
        self.trace.add_bytes(&bytes);
        let now = self.processes[to].clock.now(self.now).mono;
        match decoded::<PeerMessage>(bytes, now) {
            Ok(frame) => {
                self.trace.line(|| {
                    let what = render::peer(&frame.message);
                    format!("{} n{} > n{} {what}", time(self.now), from + 1, to + 1)
                });
                self.input(to, Input::Peer { from: id(from), frame });
            }
            Err(why) => self.fail(format!("n{} sent a frame that does not decode: {why}", from + 1)),
        }
    }

    fn peer_up(&mut self, node: usize, peer: usize, generation: u32) {
        if self.processes[node].node.is_none() {
            return;
        }
        if let Some(believed) = self.network.believe(node, peer, generation) {
            if believed {
                self.input(node, Input::PeerDown(id(peer)));
            }
            self.trace.line(|| format!("{} n{} has n{}", time(self.now), node + 1, peer + 1));
            let process = &self.processes[peer];
            let wall = process.clock.now(self.now).wall;
            self.input(node, Input::PeerUp { peer: id(peer), life: process.said, wall });
        }
    }

    fn request(&mut self, node: usize, client: ClientId, bytes: Bytes) {
        if self.processes[node].node.is_none() {
            return self.refused(client);
        }
        self.trace.add_bytes(&bytes);
        let now = self.processes[node].clock.now(self.now).mono;
        match decoded::<ClientMessage>(bytes, now) {
            Ok(frame) => {
                self.trace.line(|| {
                    let what = render::client(&frame.message);
                    format!("{} c{} > n{} {what}", time(self.now), client.0, node + 1)
                });
                self.input(node, Input::Client { client, frame });
            }
            Err(why) => self.fail(format!("a client's frame does not decode: {why}")),
        }
    }

    fn disk(&mut self, node: usize, event: DiskEvent) {
        let process = &mut self.processes[node];
        let progress = match event {
            DiskEvent::Read(request) => process.disk.read(request, process.clock.now(self.now).mono),
            DiskEvent::Stage => process.disk.stage(),
            DiskEvent::Synced => process.disk.synced(),
            DiskEvent::Report => process.disk.reported(),
            DiskEvent::Done(ticket, result) => {
                Progress { done: vec![(ticket, result)], ..Progress::default() }
            }
        };
        let life = process.life;
        progress.minted.into_iter().for_each(|minted| self.oracle.minted(node, minted));
        for write in progress.durable.iter().filter(|write| !matches!(write, Write::Digest(_))) {
            self.trace.line(|| format!("{} n{} disk {}", time(self.now), node + 1, render::write(write)));
            match write {
                Write::Store { row, .. } | Write::Mint { row, .. } => {
                    self.oracle.durable(node, row, &self.processes[node].disk);
                }
                Write::Restore { row, .. } => {
                    self.oracle.restored(node, row, &self.processes[node].disk, self.events);
                }
                Write::Meta(write) => {
                    self.oracle.tables.durable(node, write);
                    if matches!(write, MetaWrite::ClusterMap(_) | MetaWrite::Recovery(_)) {
                        self.oracle.recheck(node, &self.processes[node].disk);
                    }
                }
                _ => {}
            }
        }
        for (ticket, result) in progress.done {
            if self.processes[node].life == life {
                self.input(node, Input::DiskDone { ticket, result });
            }
        }
        let is_up = self.processes[node].life == life;
        for (delay, event) in progress.next.into_iter().filter(|_| is_up) {
            self.agenda.push(self.now + delay, Event::Disk { node, life, event });
        }
        if let Some(why) = self.oracle.tables.failure.take() {
            self.fail(why);
        }
    }
}

/// The id of the node at a place.
pub(crate) fn id(place: usize) -> NodeId {
    NodeId(place as u32 + 1)
}

/// How long after the last fault everything must work again.
const PATIENCE: u64 = 60 * SECOND;
