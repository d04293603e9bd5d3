//! What a request costs, and what nodes do without any, in clusters of a few nodes and of many: a cluster grows to serve
//! more, so one more node must not make every request dearer.
//!
//! Every cluster gets the same requests at the same times, on the same keys. What is theirs is told from what runs in the
//! background by the kind of each message ([`Purpose`]).

#![expect(clippy::disallowed_methods, reason = "how long a run takes is measured on the machine's clock")]

mod bounds;

use std::time::Instant;

use quorate::ring::TableKind;

use crate::{
    cli::Arguments,
    invariants::alive,
    options::{Coordinators, Gossip, KeyOptions, MS, Options, SECOND},
    sweep::Count,
    world::{
        World,
        traffic::{Flow, Purpose, Traffic},
    },
};

/// Measures clusters of 3, 30 and 300 nodes, or of as many as the arguments say; or how long one of them takes.
pub(crate) fn measure(arguments: &Arguments) -> Count {
    let size = arguments.overrides.nodes.map(|nodes| vec![nodes.max(REPLICATION.into())]);
    let sizes = size.unwrap_or_else(|| SIZES.to_vec());
    if let Some(minutes) = arguments.minutes_virtual {
        let mut tests = Count::default();
        for nodes in sizes {
            let outcome = pass_time(nodes, minutes * 60 * SECOND);
            println!("{}", outcome.as_ref().unwrap_or_else(|why| why));
            tests.add(outcome.is_ok());
        }
        return tests;
    }
    compare(&sizes)
}

/// The same with clusters that take a few seconds.
pub(crate) fn test() -> Count {
    compare(&SIZES_OF_TEST)
}

fn compare(sizes: &[u32]) -> Count {
    let (mut tests, mut clusters) = (Count::default(), Vec::new());
    for nodes in sizes {
        let begin = Instant::now();
        match Cluster::run(*nodes) {
            Ok(cluster) => clusters.push(cluster),
            Err(why) => {
                println!("growth: {nodes} nodes: {why}");
                tests.add(false);
            }
        }
        println!("growth: {nodes} nodes took {:.1} s", begin.elapsed().as_secs_f64());
    }
    print(&clusters);
    for cluster in &clusters {
        let wrong = bounds::beyond(cluster, &clusters);
        wrong.iter().for_each(|why| println!("growth: {} nodes: {why}", cluster.nodes));
        tests.add(wrong.is_empty());
    }
    tests
}

/// What was counted in a cluster.
#[derive(Debug)]
struct Cluster {
    nodes: u32,
    /// With requests by way of replicas of their keys.
    replicas: Window,
    /// With requests by way of other nodes, if there are any.
    others: Option<Window>,
    /// Without requests.
    idle: Window,
}

/// What was counted for a while.
#[derive(Debug)]
struct Window {
    nodes: u32,
    lasts: u64,
    requests: u64,
    traffic: Traffic,
}

impl Cluster {
    fn run(nodes: u32) -> Result<Self, String> {
        let mut world = World::new(options(nodes));
        settle(&mut world)?;
        let replicas = Window::busy(&mut world, Coordinators::Replicas)?;
        let others = match nodes > u32::from(REPLICATION) {
            true => Some(Window::busy(&mut world, Coordinators::Others)?),
            false => None,
        };
        // Whoever found a write half done looks again, and again somewhat later.
        world.run_until(world.now + SETTLE, |_| false);
        let idle = Window::idle(&mut world)?;
        world.oracle.judge(&world.processes);
        world.oracle.failure.take().map_or(Ok(Self { nodes, idle, replicas, others }), Err)
    }
}

impl Window {
    fn idle(world: &mut World) -> Result<Self, String> {
        let (before, lasts) = (world.traffic.clone(), IDLE);
        world.run_until(world.now + lasts, |_| false);
        let traffic = world.traffic.clone() - &before;
        let strays = traffic.messages(Purpose::Request).count + traffic.steps(Purpose::Request);
        match (strays, world.oracle.failure.take()) {
            (_, Some(why)) => Err(why),
            (0, None) => Ok(Self { nodes: world.options.nodes, lasts, requests: 0, traffic }),
            _ => Err(format!("{strays} messages and steps pass for those of requests, and there were none")),
        }
    }

    fn busy(world: &mut World, coordinators: Coordinators) -> Result<Self, String> {
        let (before, served) = (world.traffic.clone(), world.oracle.counts().1);
        world.options.coordinators = coordinators;
        world.start_clients();
        let lasts = BUSY;
        world.run_until(world.now + lasts, |_| false);
        if let Some(why) = world.oracle.failure.take() {
            return Err(why);
        }
        let requests = all_served(world, served)?;
        let traffic = world.traffic.clone() - &before;
        Ok(Self { nodes: world.options.nodes, lasts, requests, traffic })
    }

    fn per_request(&self, amount: u64) -> f64 {
        amount as f64 / self.requests as f64
    }

    fn per_node_and_second(&self, amount: u64) -> f64 {
        amount as f64 / f64::from(self.nodes) / (self.lasts as f64 / SECOND as f64)
    }

    /// What nodes say to each other that is neither of requests nor of any purpose that has a column of its own.
    fn rest(&self) -> Flow {
        let purposes = [Purpose::Handoff, Purpose::Map, Purpose::Recovery];
        purposes.iter().fold(Flow::default(), |sum, purpose| sum + self.traffic.messages(*purpose))
    }
}

fn settle(world: &mut World) -> Result<(), String> {
    world.start_processes();
    world.run_until(SETTLE, |_| false);
    world.oracle.failure.take().map_or(Ok(()), Err)?;
    alive::check(&world.processes)
}

/// How many requests were acknowledged since `before` had been: all of them.
fn all_served(world: &World, before: u64) -> Result<u64, String> {
    let (acknowledged, requests) = (world.oracle.counts().1 - before, u64::from(world.options.operations));
    match acknowledged == requests {
        true => Ok(requests),
        false => Err(format!("{acknowledged} of {requests} requests were acknowledged")),
    }
}

/// Lets a cluster with little to do run for a while, and says how long that took.
fn pass_time(nodes: u32, lasts: u64) -> Result<String, String> {
    let begin = Instant::now();
    let mut options = options(nodes);
    // As far from the end as `BUSY` leaves it, so that all requests are served by then.
    options.duration = (lasts - SETTLE) * 4 / 5;
    options.operations = (lasts / SECOND) as u32 * REQUESTS_PER_SECOND_IDLE;
    let mut world = World::new(options);
    settle(&mut world)?;
    let settled = begin.elapsed().as_secs_f64();
    world.options.coordinators = Coordinators::Replicas;
    world.start_clients();
    world.run_until(lasts, |_| false);
    world.oracle.judge(&world.processes);
    world.oracle.failure.take().map_or(Ok(()), Err)?;
    alive::check(&world.processes)?;
    all_served(&world, 0)?;
    let (seconds, events) = (begin.elapsed().as_secs_f64(), world.events);
    let minutes = lasts / SECOND / 60;
    let each = seconds * 1e6 / events as f64;
    Ok(format!(
        "growth: {nodes} nodes, {minutes} virtual minutes, {REQUESTS_PER_SECOND_IDLE} requests a second: {seconds:.1} s, \
         the first {} virtual seconds {settled:.1} s; {events} events, {each:.2} us each",
        SETTLE / SECOND
    ))
}

fn print(clusters: &[Cluster]) {
    println!(
        "growth: {OPERATIONS} requests by way of replicas of their keys, as many by way of other nodes; QUORUM, half of them \
         reads, N={REPLICATION}"
    );
    println!("each request      by way of a replica                  by way of another node");
    println!("       between nodes  with client   steps   between nodes  with client   steps");
    println!("nodes  messages bytes messages bytes        messages bytes messages bytes");
    for Cluster { nodes, replicas, others, .. } in clusters {
        println!("{nodes:5} {}{}", costs(replicas), others.as_ref().map(costs).unwrap_or_default());
    }
    print_background("without requests", clusters.iter().map(|cluster| &cluster.idle));
    print_background("beside requests", clusters.iter().map(|cluster| &cluster.replicas));
}

fn print_background<'a>(when: &str, windows: impl Iterator<Item = &'a Window>) {
    println!("each node and second, {when}");
    println!("          gossip         comparisons     standings, clocks   rest          steps for  timers");
    println!("nodes  messages   bytes messages   bytes messages   bytes messages   bytes  these");
    windows.for_each(|window| println!("{:5} {}", window.nodes, background(window)));
}

fn costs(window: &Window) -> String {
    let Window { traffic, .. } = window;
    let (nodes, clients) = (traffic.messages(Purpose::Request), traffic.clients);
    let [messages, bytes, with_client, client_bytes, steps] =
        [nodes.count, nodes.bytes, clients.count, clients.bytes, traffic.steps(Purpose::Request)]
            .map(|amount| window.per_request(amount));
    format!("{messages:9.3}{bytes:7.1}{with_client:6.2}{client_bytes:7.1}{steps:8.3}   ")
}

fn background(window: &Window) -> String {
    let traffic = &window.traffic;
    let flow = |flow: Flow| {
        let [messages, bytes] = [flow.count, flow.bytes].map(|amount| window.per_node_and_second(amount));
        format!("{messages:9.2}{bytes:9.0}")
    };
    let flows = [Purpose::Gossip, Purpose::Repair, Purpose::Standing].map(|of| flow(traffic.messages(of)));
    let steps: u64 = BACKGROUND.iter().map(|purpose| traffic.steps(*purpose)).sum();
    let [steps, timers] =
        [steps, traffic.steps(Purpose::Timer)].map(|amount| window.per_node_and_second(amount));
    format!("{}{}{steps:9.2}{timers:9.2}", flows.concat(), flow(window.rest()))
}

/// A few clients on many keys, in a network and on disks that take their time and nothing else.
fn options(nodes: u32) -> Options {
    let mut options = Options::calm(SEED, nodes, REPLICATION);
    let kind = |place| if place % 2 == 0 { TableKind::Register } else { TableKind::Siblings };
    let keys = &mut options.keys;
    keys.keys =
        (0..KEYS).map(|place| KeyOptions { kind: kind(place), strict: true, expires: false }).collect();
    (keys.contexts, keys.stale, keys.monotone, keys.sloppy) = (500, 0, 0, 0);
    (options.reads, options.deletes, options.alls, options.favour, options.scans) = (500, 0, 0, 0, 0);
    (options.clients, options.operations, options.duration) = (CLIENTS, OPERATIONS, BUSY * 4 / 5);
    (options.request_timeout, options.brief) = (SECOND, false);
    options.gossip = Gossip::Lan;
    (options.hint_bytes_max, options.state_cache_bytes) = (256 << 20, 32 << 20);
    (options.requests_max, options.requests_per_client_max, options.replica_requests_max) =
        (8_192, 4_096, 16_384);
    let network = &mut options.network;
    (network.delay_min, network.delay_max) = (MS / 10, 3 * MS / 10);
    (network.idle_timeout, network.redial_delay) = (5 * SECOND, SECOND);
    let disk = &mut options.disk;
    (disk.sync_min, disk.sync_max, disk.read_max) = (MS / 2, MS, MS / 10);
    // What nodes say of themselves is news each time: gossip has as much to do as it can have.
    disk.is_shared = true;
    // Of many peers a node keeps much, and looking through it takes as long: in each cluster about as much time goes there.
    options.validate_one_in = nodes.into();
    options
}

/// What runs in the background.
const BACKGROUND: [Purpose; 7] = [
    Purpose::Gossip,
    Purpose::Repair,
    Purpose::Handoff,
    Purpose::Standing,
    Purpose::Map,
    Purpose::Recovery,
    Purpose::Housekeeping,
];

const SIZES: [u32; 3] = [3, 30, 300];
const SIZES_OF_TEST: [u32; 3] = [3, 30, 100];
const REPLICATION: u8 = 3;
const SEED: u64 = 1;
/// So many that most of 300 nodes hold some.
const KEYS: u32 = 300;
const CLIENTS: u32 = 20;
/// By way of replicas, and again by way of other nodes.
const OPERATIONS: u32 = 2_000;
/// So long, with some to spare for those that come last. A few rounds of what goes in rounds of ten seconds.
const BUSY: u64 = 30 * SECOND;
/// By then everybody has met everybody, and compared what they hold.
const SETTLE: u64 = 15 * SECOND;
/// At least one round of everything that goes in rounds, and in clusters of any size whole ones.
const IDLE: u64 = 60 * SECOND;
const REQUESTS_PER_SECOND_IDLE: u32 = 10;
