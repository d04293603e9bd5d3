//! What a seed draws before anything happens: swarm testing (Groce et al., "Swarm testing", 2012). Every run
//! leaves most faults out and turns a few up, so that none drowns another.

use std::fmt;

use quorate::{
    node::Mutant as CoreMutant,
    ring::{Duration, TableKind},
};

use crate::{
    mutants::Mutant,
    random::Random,
    world::faults::{FaultKind, Plan},
};

mod disk;
mod keys;
mod network;
mod scans;

pub(crate) use self::{
    disk::DiskOptions,
    keys::{KeyOptions, KeysOptions},
    network::NetworkOptions,
};

/// Nanoseconds of virtual time.
pub(crate) const MS: u64 = 1_000_000;
/// Nanoseconds of virtual time.
pub(crate) const SECOND: u64 = 1_000 * MS;

/// How seldom wall clocks may tick.
const CLOCK_TICKS: [u64; 6] = [1_000, 1_000, 1_000, 16 * MS, SECOND, 30 * SECOND];

/// Everything drawn for one run. Times are in nanoseconds of virtual time, rates per mille.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) mutant: Option<Mutant>,
    pub(crate) nodes: u32,
    pub(crate) replication: u8,
    pub(crate) clients: u32,
    /// Requests of all clients together.
    pub(crate) operations: u32,
    pub(crate) keys: KeysOptions,
    /// The replicas of the one key are torn apart all the time.
    pub(crate) torn: bool,
    /// Disks of the one key's replicas are slow and get lost, and nothing else happens.
    pub(crate) losing: bool,
    /// Replicas of the one key forget what only they have heard, and nothing else happens.
    pub(crate) forgetting: bool,
    /// Many clients change tables while members come and go, and nothing else is of interest.
    pub(crate) racing: bool,
    /// Records rot on a node that restarts and falls behind, and nothing else happens.
    pub(crate) rotting: bool,
    /// Whether the cluster is founded, and has its tables, before anything happens.
    pub(crate) founded: bool,
    /// Attempts to create, alter, drop and truncate tables, under two names.
    pub(crate) tables: u32,
    /// How many of them are creations.
    pub(crate) creations: u64,
    /// Pages of tables that a client reads from begin to end.
    pub(crate) scans: u32,
    /// Keys of such a page, at most.
    pub(crate) page_rows: u32,
    pub(crate) reads: u64,
    pub(crate) deletes: u64,
    pub(crate) alls: u64,
    /// How often a client that chooses a node chooses the first one.
    pub(crate) favour: u64,
    pub(crate) coordinators: Coordinators,
    /// How long faults last; then all ends well.
    pub(crate) duration: u64,
    pub(crate) request_timeout: u64,
    /// Nodes give requests no more than twice that, or 4 s, so that a damaged record is restored before long.
    pub(crate) brief: bool,
    pub(crate) hedge_delay: u64,
    pub(crate) gossip: Gossip,
    /// Whether the first node has settings for the cluster map.
    pub(crate) has_settings: bool,
    /// What a node keeps for another at most. With no hints at all, other ways of repair have more to do.
    pub(crate) hint_bytes_max: u64,
    /// How much of what it holds a node remembers.
    pub(crate) state_cache_bytes: u64,
    /// How old a hint gets.
    pub(crate) hint_age_max: u64,
    pub(crate) requests_max: usize,
    pub(crate) requests_per_client_max: usize,
    pub(crate) replica_requests_max: usize,
    pub(crate) network: NetworkOptions,
    pub(crate) disk: DiskOptions,
    /// Wall clocks start up to this far apart, either way.
    pub(crate) clock_offset_max: u64,
    /// Clocks run up to this much too fast or slow, in parts per million.
    pub(crate) clock_drift_max: u64,
    /// Wall clocks tick this seldom.
    pub(crate) clock_tick: u64,
    /// Nodes take clocks for working that are at most this far apart (rule V2).
    pub(crate) clock_tolerance: u64,
    pub(crate) faults: Plan,
    /// At one in so many events the node that it concerns looks whether its state contradicts itself.
    pub(crate) validate_one_in: u64,
}

/// Through which nodes requests for a key go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coordinators {
    /// Whichever a client happens to be connected to.
    Any,
    /// Replicas of the key, as those of a client that knows the ring.
    Replicas,
    /// Nodes that are none, as nearly all that a client meets which does not.
    Others,
}

/// How busy gossip is. It costs more events than all else, so many runs do without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gossip {
    /// It says nothing for an hour.
    Silent,
    /// As in production.
    Lan,
    /// So quick that every slow frame looks like a dead node.
    Hasty,
}

impl Gossip {
    /// Gossip's own simulation has large clusters.
    fn draw(seed: u64, nodes: u32) -> Self {
        match Random::stream(seed, "gossip").below(64) {
            _ if nodes > 7 => Self::Silent,
            0 => Self::Hasty,
            1..=6 => Self::Lan,
            _ => Self::Silent,
        }
    }

    pub(crate) fn config(self) -> quorate_gossip::Config {
        let hour = Duration::from_secs(3_600);
        match self {
            Self::Silent => quorate_gossip::Config {
                probe_interval: hour,
                spread_interval: hour,
                exchange_interval: hour,
                reconnect_interval: hour,
                ..quorate_gossip::Config::lan()
            },
            Self::Lan => quorate_gossip::Config::lan(),
            Self::Hasty => quorate_gossip::Config::simulation(),
        }
    }
}

/// What the command line fixes; the rest is drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) mutant: Option<Mutant>,
    pub(crate) nodes: Option<u32>,
    pub(crate) clients: Option<u32>,
    pub(crate) operations: Option<u32>,
    /// Virtual milliseconds.
    pub(crate) millis: Option<u64>,
    /// Numbers of the faults that happen.
    pub(crate) faults: Option<Vec<usize>>,
    /// Kinds of faults that are drawn beside the usual ones.
    pub(crate) unpromised: Vec<FaultKind>,
    /// The kind of every key.
    pub(crate) only: Option<TableKind>,
    /// Whether a node hears of a commit as soon as its sync is over.
    pub(crate) reports_at_once: bool,
    /// Whether no key is of a `cas` table.
    pub(crate) without_cas: bool,
}

impl Options {
    /// Draws the options of `seed`.
    pub(crate) fn draw(seed: u64, overrides: &Overrides) -> Self {
        let random = &mut Random::stream(seed, "options");
        let drawn_nodes = if random.chance(8) { 50 } else { random.range(3, 7) } as u32;
        let nodes = overrides.nodes.unwrap_or(drawn_nodes);
        let replication = *random.pick(&[3, 3, 3, 3, 5, 2, 1, 4]);
        let (clients, operations) = (random.range(2, 6) as u32, random.range(30, 60) as u32);
        let duration = random.scale(200 * MS, 20 * SECOND);
        let tiny = |random: &mut Random, usual: usize| {
            if random.chance(60) { random.range(1, 4) as usize } else { usual }
        };
        let mut options = Self {
            seed,
            mutant: overrides.mutant,
            nodes,
            replication: replication.min(nodes as u8),
            clients,
            operations,
            keys: KeysOptions::draw(random, seed, overrides.only, overrides.without_cas),
            torn: false,
            losing: false,
            forgetting: false,
            racing: false,
            rotting: false,
            founded: true,
            tables: if random.chance(250) { random.range(1, 4) as u32 } else { 0 },
            creations: *Random::stream(seed, "creations").pick(&[300, 500, 1000]),
            scans: 0,
            page_rows: 1,
            reads: *random.pick(&[300, 500, 700]),
            deletes: *random.pick(&[0, 100, 300]),
            alls: *random.pick(&[0, 0, 100, 400]),
            favour: *random.pick(&[0, 0, 500, 900]),
            coordinators: Coordinators::Any,
            duration,
            request_timeout: random.scale(10 * MS, 4 * SECOND),
            brief: Random::stream(seed, "brief").chance(500),
            hedge_delay: random.scale(MS / 10, 200 * MS),
            gossip: Gossip::draw(seed, nodes),
            has_settings: Random::stream(seed, "settings").chance(100),
            hint_bytes_max: *Random::stream(seed, "hints").pick(&[0, 0, 200, u64::MAX]),
            state_cache_bytes: *Random::stream(seed, "cache").pick(&[0, 0, 600, 64 << 10]),
            hint_age_max: *Random::stream(seed, "hint age").pick(&[10_800 * SECOND, 10_800 * SECOND, SECOND]),
            requests_max: tiny(random, 8_192),
            requests_per_client_max: tiny(random, 4_096),
            replica_requests_max: tiny(random, 16_384),
            network: NetworkOptions::draw(random),
            disk: DiskOptions::draw(random, seed, overrides),
            clock_offset_max: if random.chance(500) { random.scale(MS, 10 * SECOND) } else { 0 },
            clock_drift_max: *random.pick(&[0, 0, 100, 50_000]),
            clock_tick: *Random::stream(seed, "tick").pick(&CLOCK_TICKS),
            clock_tolerance: *Random::stream(seed, "tolerance").pick(&[500 * MS, 60 * SECOND]),
            faults: Plan::default(),
            validate_one_in: 1,
        };
        options.crowd();
        options.tear(overrides);
        options.lose(overrides);
        options.forget(overrides);
        options.race(overrides);
        options.rot(overrides);
        options.scan(overrides);
        options.clients = overrides.clients.unwrap_or(options.clients);
        options.operations = overrides.operations.unwrap_or(options.operations);
        options.duration = overrides.millis.map_or(options.duration, |millis| millis * MS);
        options.faults = Plan::draw(&options, &overrides.unpromised);
        if let Some(kept) = &overrides.faults {
            options.faults.keep(kept);
        }
        options
    }

    /// A cluster in which nothing goes wrong and everything takes its time to the millisecond.
    pub(crate) fn calm(seed: u64, nodes: u32, replication: u8) -> Self {
        let (nodes, faults) = (Some(nodes), Some(Vec::new()));
        let overrides = Overrides { nodes, faults, without_cas: true, ..Overrides::default() };
        let mut options = Self::draw(seed, &overrides);
        options.replication = replication;
        options.faults = Plan::default();
        options.tables = 0;
        options.hedge_delay = 25 * MS;
        (options.gossip, options.has_settings) = (Gossip::Silent, false);
        options.hint_bytes_max = 0;
        (options.request_timeout, options.brief) = (250 * MS, true);
        (options.requests_max, options.requests_per_client_max, options.replica_requests_max) =
            (100, 100, 100);
        (options.clock_drift_max, options.clock_offset_max, options.clock_tick) = (0, 0, 1_000);
        let network = &mut options.network;
        (network.delay_min, network.delay_max, network.slow, network.uneven) = (MS, MS, 0, 0);
        (network.loss, network.duplication, network.reordering, network.client_loss) = (0, 0, 0, 0);
        (network.idle_timeout, network.redial_delay) = (1_000 * MS, MS);
        let disk = &mut options.disk;
        (disk.sync_min, disk.sync_max, disk.read_max, disk.kept_at_crash) = (2 * MS, 2 * MS, MS / 10, 0);
        disk.report_max = 0;
        options
    }

    /// Three replicas of one key of siblings, of which two hear only the third, if that is drawn: writes that one of the
    /// two has alone, and readers on both sides at once.
    fn tear(&mut self, overrides: &Overrides) {
        let random = &mut Random::stream(self.seed, "tear");
        if !random.chance(40) || overrides.nodes.is_some_and(|nodes| nodes != 3) {
            return;
        }
        self.torn = true;
        let kind = if self.has_cas() { TableKind::Cas } else { TableKind::Siblings };
        self.one_key(random, overrides.only.unwrap_or(kind));
        self.duration = random.range(100, 500) * MS;
        self.request_timeout = 300 * MS;
        self.network.idle_timeout = SECOND;
    }

    /// Three replicas of one key that lose their disks while others are slow to store, if that is drawn: replicas that
    /// acknowledge a write, forget it, and recover from others that do not have it yet.
    fn lose(&mut self, overrides: &Overrides) {
        let random = &mut Random::stream(self.seed, "lose");
        if self.torn || !random.chance(40) || overrides.nodes.is_some_and(|nodes| nodes != 3) {
            return;
        }
        self.losing = true;
        let kind = *random.pick(&[TableKind::Register, TableKind::Siblings]);
        let kind = if self.has_cas() { TableKind::Cas } else { kind };
        self.one_key(random, overrides.only.unwrap_or(kind));
        if self.has_cas() {
            // Later rounds by clocks that are behind, while a proposer pauses between its two phases.
            self.clock_offset_max = *random.pick(&[0, 200 * MS, 230 * MS]);
        }
        self.duration = random.range(500, 2_000) * MS;
        self.request_timeout = SECOND;
        self.network.idle_timeout = 30 * MS;
    }

    /// Five nodes, of which three are replicas of one key, and coordinators that only one replica hears before it loses its
    /// disk or its record, if that is drawn: what it acknowledged counts no more, however it recovers (rules R7, S3).
    fn forget(&mut self, overrides: &Overrides) {
        let random = &mut Random::stream(self.seed, "forget");
        let is_wanted = matches!(
            overrides.mutant,
            Some(Mutant::Core(CoreMutant::OldAcksCount | CoreMutant::RefetchedAtOnce))
        );
        let is_of_cas = overrides.mutant == Some(Mutant::Core(CoreMutant::CasCopiedWithoutPromise));
        let is_wanted = is_wanted || is_of_cas;
        let is_fixed =
            overrides.nodes.is_some_and(|nodes| nodes != 5) || overrides.only == Some(TableKind::Siblings);
        if !(random.chance(10) || is_wanted) || self.torn || self.losing || is_fixed {
            return;
        }
        self.forgetting = true;
        let kind = if self.has_cas() || is_of_cas { TableKind::Cas } else { TableKind::Register };
        self.one_key(random, kind);
        if self.has_cas() {
            self.clock_offset_max = *random.pick(&[0, 200 * MS, 230 * MS]);
        }
        (self.nodes, self.clients, self.operations) = (5, random.range(3, 8) as u32, 80);
        self.duration = random.range(500, 3_000) * MS;
        self.request_timeout = SECOND;
        self.network.idle_timeout = 2 * SECOND;
        (self.disk.sync_min, self.disk.sync_max) = (MS / 2, MS);
    }

    /// Clients that create, alter, drop and truncate two tables at once, through members that die, are cut off and lose their
    /// disks, if that is drawn.
    fn race(&mut self, overrides: &Overrides) {
        let random = &mut Random::stream(self.seed, "race");
        let is_wanted = matches!(overrides.mutant, Some(Mutant::Core(CoreMutant::Map(_))));
        if !(random.chance(30) || is_wanted) || self.torn || self.losing || self.forgetting {
            return;
        }
        self.racing = true;
        self.nodes = overrides.nodes.unwrap_or(if random.chance(700) { 3 } else { 5 });
        self.replication = 3.min(self.nodes as u8);
        (self.clients, self.operations) = (3, 40);
        self.keys.keys.truncate(2);
        (self.tables, self.creations) = (random.range(12, 40) as u32, 400);
        self.duration = random.range(300, 3_000) * MS;
        self.request_timeout = random.scale(20 * MS, 500 * MS);
        (self.network.delay_min, self.network.delay_max) = (MS / 10, random.range(1, 10) * MS);
        self.network.redial_delay = random.range(1, 20) * MS;
        self.network.idle_timeout = random.range(30, 300) * MS;
        (self.disk.sync_min, self.disk.sync_max) = (MS / 10, random.range(1, 20) * MS);
        (self.requests_max, self.requests_per_client_max, self.replica_requests_max) = (8_192, 4_096, 16_384);
    }

    /// Three replicas that keep no hints, of which one restarts again and again and whose records rot, if that is drawn:
    /// what anti-entropy compares is half damaged.
    fn rot(&mut self, overrides: &Overrides) {
        let random = &mut Random::stream(self.seed, "rot");
        let wanted = [Mutant::BadChecksumGiven, Mutant::Core(CoreMutant::RepairAbsenceWins)];
        let is_wanted = overrides.mutant.is_some_and(|mutant| wanted.contains(&mutant));
        let is_taken =
            self.torn || self.losing || self.racing || overrides.nodes.is_some_and(|nodes| nodes != 3);
        if !(random.chance(30) || is_wanted) || is_taken {
            return;
        }
        self.rotting = true;
        (self.nodes, self.replication, self.tables, self.hint_bytes_max) = (3, 3, 0, 0);
        self.duration = random.range(3, 12) * SECOND;
        self.request_timeout = random.range(50, 500) * MS;
        self.reads = *random.pick(&[100, 500]);
    }

    /// Whether a key is of a `cas` table.
    pub(crate) fn has_cas(&self) -> bool {
        self.keys.keys.iter().any(|key| key.kind == TableKind::Cas)
    }

    /// A few clients that all read and write one key of three replicas, and are answered within milliseconds.
    fn one_key(&mut self, random: &mut Random, kind: TableKind) {
        (self.nodes, self.replication, self.tables) = (3, 3, 0);
        self.keys.keys.truncate(1);
        self.keys.keys[0] = KeyOptions { kind, strict: true, expires: false };
        (self.keys.monotone, self.keys.contexts) = (0, *random.pick(&[0, 500]));
        (self.reads, self.deletes, self.alls, self.favour) = (600, 0, 0, 0);
        (self.clients, self.operations) = (random.range(6, 10) as u32, 120);
        self.hedge_delay = random.range(1, 5) * MS;
        (self.network.delay_min, self.network.delay_max) = (MS / 10, random.range(1, 3) * MS);
        (self.network.redial_delay, self.network.uneven) = (MS, 0);
        // Long enough that readers find a write on one replica and not yet on another.
        (self.disk.sync_min, self.disk.sync_max) = (MS / 2, random.range(5, 50) * MS);
        self.disk.read_max = MS / 10;
    }

    /// Many clients in a hurry on one key, if that was drawn.
    fn crowd(&mut self) {
        if self.keys.crowded {
            self.clients *= 2;
            self.operations *= 2;
            self.duration = self.duration.min(2 * SECOND);
        }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network: n, .. } = self;
        writeln!(f, "seed {} mutant {}", self.seed, self.mutant.map_or("none", Mutant::name))?;
        writeln!(f, "  nodes {} replication {}", self.nodes, self.replication)?;
        writeln!(
            f,
            "  clients {} operations {} tables raced for {} pages scanned {} of {} keys",
            self.clients, self.operations, self.tables, self.scans, self.page_rows
        )?;
        writeln!(f, "  {}", self.keys)?;
        writeln!(
            f,
            "  per mille: reads {} deletes {} ALL {} favoured node {}",
            self.reads, self.deletes, self.alls, self.favour
        )?;
        writeln!(
            f,
            "  duration {} request timeout {} hedge {} gossip {:?}",
            time(self.duration),
            time(self.request_timeout),
            time(self.hedge_delay),
            self.gossip
        )?;
        let queues = (self.requests_max, self.requests_per_client_max, self.replica_requests_max);
        let kept = (self.hint_bytes_max, self.state_cache_bytes);
        writeln!(f, "  queues (node, client, replica) {queues:?}, bytes (hints, states) {kept:?}")?;
        writeln!(
            f,
            "  network: delay {} to {}, idle timeout {}, redial {}; per mille: uneven {} slow {} loss {} duplication {} \
             reordering {} client loss {}",
            time(n.delay_min),
            time(n.delay_max),
            time(n.idle_timeout),
            time(n.redial_delay),
            n.uneven,
            n.slow,
            n.loss,
            n.duplication,
            n.reordering,
            n.client_loss
        )?;
        writeln!(f, "  disk: {}", self.disk)?;
        writeln!(
            f,
            "  clocks: offset up to {}, drift up to {} ppm, a tick each {}, {} apart is borne",
            time(self.clock_offset_max),
            self.clock_drift_max,
            time(self.clock_tick),
            time(self.clock_tolerance)
        )?;
        write!(f, "{}", self.faults)
    }
}

/// A time for people.
pub(crate) fn time(nanos: u64) -> String {
    if nanos >= 10 * SECOND {
        format!("{:.1}s", nanos as f64 / SECOND as f64)
    } else {
        format!("{:.3}ms", nanos as f64 / MS as f64)
    }
}
