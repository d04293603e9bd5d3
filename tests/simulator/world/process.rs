//! A node's process: the node, its clocks, its disk, and how it dies and comes back.

use std::sync::Arc;

use bytes::Bytes;
use quorate::{
    membership::map::Settings,
    node::{Input, Node, NodeConfig},
    ring::{Actor, ClusterId, Duration, Epoch, Hlc, Incarnation, NodeId},
    storage::{Identity, Life, MemoryImage, MetaWrite, Write},
};

use super::{Event, World, clock::Clock, disk::Disk};
use crate::{
    invariants::{Clocks, OnDisk, first_life},
    mutants::Mutant,
    options::{MS, Options, SECOND, time},
    random::Random,
    workload::LAST_READ_TIMEOUT,
};

/// One node of the cluster.
#[derive(Debug)]
pub(crate) struct Process {
    /// `None` while it is down.
    pub(crate) node: Option<Node>,
    /// Which life: events meant for an earlier one are void.
    pub(crate) life: u32,
    /// Until then it does nothing.
    pub(crate) paused_until: u64,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    /// When the timer planned last goes off.
    pub(crate) timer: u64,
    /// After how many more frames it dies, and for how long.
    pub(crate) crash_midway: Option<(u32, u64)>,
    /// What every other disk knew of the cluster map when the process started.
    pub(crate) floor: Epoch,
    /// What the process says of itself.
    pub(crate) said: Life,
    actors: Random,
    incarnations: Random,
}

impl Process {
    pub(crate) fn new(options: &Options, number: u32) -> Self {
        Self {
            node: None,
            life: 0,
            paused_until: 0,
            clock: Clock::draw(options, number),
            disk: Disk::new(options, number),
            timer: u64::MAX,
            crash_midway: None,
            floor: Epoch(0),
            said: Life { incarnation: Incarnation(0), starts: 0, actor: Actor(0) },
            actors: Random::numbered(options.seed, "actor", u64::from(number)),
            incarnations: Random::numbered(options.seed, "incarnation", u64::from(number)),
        }
    }

    /// Begins the first life of the node's disk, with the map that is on it.
    pub(crate) fn settle(&mut self, number: usize, cluster_map: Option<Bytes>) {
        let identity = identity(number, first_life(NodeId(number as u32 + 1)).0);
        let writes =
            [MetaWrite::Identity(identity)].into_iter().chain(cluster_map.map(MetaWrite::ClusterMap));
        self.disk.provision(&writes.map(Write::Meta).collect::<Vec<_>>());
    }

    fn actor(&mut self, mutant: Option<Mutant>) -> Actor {
        match mutant {
            Some(Mutant::ActorReused) => Actor(self.actors.clone().next()),
            _ => Actor(self.actors.next()),
        }
    }
}

impl World {
    /// Starts a process that is down.
    pub(crate) fn start(&mut self, number: usize) {
        let floor = self.others_know(number);
        let process = &mut self.processes[number];
        if process.node.is_some() {
            return;
        }
        let fresh = || identity(number, process.incarnations.next());
        let mut recovered = match process.disk.begin(fresh) {
            Ok(Some(recovered)) => recovered,
            Ok(None) => return self.agenda.push(self.now + RESTART_DELAY, Event::Start(number)),
            Err(why) => return self.fail(format!("n{} does not start: {why}", number + 1)),
        };
        if self.options.mutant == Some(Mutant::ActorReused) {
            recovered.hlc_bound = Hlc::ZERO;
        }
        // A batch that was kept although the crash came before its sync: nobody was told of it.
        if let Some(map) = recovered.cluster_map.clone() {
            self.oracle.tables.durable(number, &MetaWrite::ClusterMap(map));
        }
        process.clock.resumes(recovered.hlc_bound.wall());
        let actor = process.actor(self.options.mutant);
        self.oracle.actors.insert(actor);
        process.said = recovered.life(actor);
        let config = config(&self.options, NodeId(number as u32 + 1), actor);
        process.node = Some(Node::new(config, Arc::clone(&self.ring), recovered));
        process.timer = u64::MAX;
        process.floor = floor;
        self.trace.line(|| format!("{} n{} starts", time(self.now), number + 1));
        for peer in (0..self.processes.len()).filter(|peer| *peer != number) {
            self.network.redial(self.now, number, peer, &mut self.agenda);
        }
        self.input(number, Input::Tick);
    }

    /// The newest epoch of the cluster map that the disks of all other nodes hold. While no disk was replaced nobody holds an
    /// older one than who has never started; disks of many nodes take long to read.
    fn others_know(&self, number: usize) -> Epoch {
        let others = || self.processes.iter().enumerate().filter(|(other, _)| *other != number);
        let epoch = |(_, process): (usize, &Process)| OnDisk::read(&process.disk.engine).epoch();
        let is_new = |(_, process): &(usize, &Process)| process.said.starts == 0 && self.disks_lost == 0;
        let known = others().find(is_new).map(epoch).or_else(|| others().map(epoch).min());
        known.unwrap_or(Epoch(0))
    }

    /// A process dies, and starts again at `back`.
    pub(crate) fn crash(&mut self, number: usize, back: u64) {
        let process = &mut self.processes[number];
        if process.node.take().is_none() {
            return;
        }
        process.life += 1;
        process.paused_until = 0;
        process.disk.crash();
        self.trace.line(|| format!("{} n{} crashes", time(self.now), number + 1));
        self.network.process_gone(self.now, number, &mut self.agenda);
        self.oracle.recheck(number, &self.processes[number].disk);
        self.clients_lose(number);
        self.agenda.push(back, Event::Start(number));
    }

    /// A process has sent a frame: it may be the one after which it dies.
    pub(super) fn sent(&mut self, number: usize) {
        match self.processes[number].crash_midway.take() {
            Some((1, lasts)) => self.crash(number, self.now + lasts),
            Some((frames, lasts)) => self.processes[number].crash_midway = Some((frames - 1, lasts)),
            None => {}
        }
    }

    /// A process does nothing until `end`.
    pub(crate) fn pause(&mut self, number: usize, end: u64) {
        let process = &mut self.processes[number];
        if process.node.is_none() {
            return;
        }
        process.paused_until = process.paused_until.max(end);
        let heard_last = self.now + self.options.network.idle_timeout;
        if end > heard_last {
            self.agenda.push(heard_last, Event::Silent(number));
        }
    }

    /// A paused process has not been heard of for the idle timeout.
    pub(super) fn silent(&mut self, number: usize) {
        if self.processes[number].paused_until > self.now {
            for peer in (0..self.processes.len()).filter(|peer| *peer != number) {
                self.network.reset(self.now, number, peer, &mut self.agenda);
            }
        }
    }

    /// A process dies, and finds another disk when it starts again.
    pub(crate) fn replace_disk(&mut self, number: usize, back: u64, image: Option<MemoryImage>) {
        self.crash(number, back);
        self.processes[number].disk.engine.restore(image.unwrap_or_default());
        self.disks_lost += 1;
        let Clocks { slowest, fastest, set, .. } = self.clocks();
        let is_borne = set == 0 && fastest.0 - slowest.0 <= self.options.clock_tolerance / 1_000;
        self.oracle.replaced(number, self.events, is_borne);
        self.oracle.recheck(number, &self.processes[number].disk);
    }
}

/// A node's settings in this run.
fn config(options: &Options, node: NodeId, actor: Actor) -> NodeConfig {
    let mut config = NodeConfig::new(node, actor, CLUSTER_NAME);
    let timeout = 2 * options.request_timeout;
    config.request_timeout_max = Duration::from_nanos(if options.brief {
        timeout.max(4 * SECOND)
    } else {
        LAST_READ_TIMEOUT.max(timeout)
    });
    config.hedge_delay = Duration::from_nanos(options.hedge_delay);
    config.gossip = options.gossip.config();
    if options.has_settings {
        let words = [("value_bytes_max".to_owned(), config.value_bytes_max.to_string())];
        config.settings = Settings::new(words).expect("one setting, well named");
    }
    config.hint_bytes_max = options.hint_bytes_max;
    config.state_cache_bytes = options.state_cache_bytes;
    config.hint_age_max = Duration::from_nanos(options.hint_age_max);
    config.max_clock_offset = Duration::from_nanos(options.clock_tolerance);
    config.requests_max = options.requests_max;
    config.requests_per_client_max = options.requests_per_client_max;
    config.replica_requests_max = options.replica_requests_max;
    config.mutant = options.mutant.and_then(Mutant::core);
    config
}

fn identity(number: usize, incarnation: u64) -> Identity {
    Identity {
        cluster: ClusterId(1),
        cluster_name: CLUSTER_NAME.to_owned(),
        node: NodeId(number as u32 + 1),
        name: format!("n{}", number + 1),
        incarnation: Incarnation(incarnation),
    }
}

/// A process that found no room to start tries again after this.
const RESTART_DELAY: u64 = 100 * MS;

/// The name of every simulated cluster.
pub(crate) const CLUSTER_NAME: &str = "simulated";
