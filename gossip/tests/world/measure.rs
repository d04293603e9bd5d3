//! What the world measures: how fast things become known, how often in error, at what cost.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use quorate_gossip::{Config, Event, MemberState};
use quorate_ring::NodeId;

use super::{MS, SECOND, Sight, World};

/// Nodes that everybody knows from the start.
const SEEDS: u32 = 3;

/// Times in seconds, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(pub(crate) Vec<f64>);

impl Times {
    fn of(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        Self(nanos.into_iter().map(|time| time as f64 / SECOND as f64).collect())
    }

    /// The time within which this share of them lies.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let at = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }
}

/// Many trials of something that becomes known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Until a node knows: one time per node and trial.
    pub(crate) by_node: Times,
    /// Until the last node knows: one time per trial.
    pub(crate) by_all: Times,
}

impl Known {
    fn of(trials: Vec<Vec<u64>>) -> Self {
        let last = trials.iter().filter_map(|times| times.iter().max().copied()).collect();
        Self { by_node: Times::of(trials.concat()), by_all: Times::of(last) }
    }
}

/// A long run with losses and pauses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    /// Pauses that were made.
    pub(crate) pauses: u64,
    /// Verdicts of death about nodes that were stopped at the time: right at the time.
    pub(crate) downs_of_paused: u64,
    /// Verdicts of death about nodes that ran.
    pub(crate) downs_of_running: u64,
    /// Suspicions of nodes that ran, as first told to each node's user.
    pub(crate) suspects_of_running: u64,
}

/// `nodes` nodes with three entries each, all of which know everything; and how long that took, in nanoseconds.
pub(crate) fn settled(config: Config, nodes: u32, loss: u64, seed: u64) -> (World, u64) {
    let mut world = World::new(config, nodes, seed);
    world.network.loss = loss;
    let seeds: Vec<_> = world.ids().take(SEEDS as usize).collect();
    for node in world.ids() {
        world.start(node, &seeds);
        let address = format!("10.0.{}.{}:7000", node.0 / 256, node.0 % 256);
        world.set(node, "address", address.as_bytes());
        world.set(node, "rack", b"rack-1");
        world.set(node, "map_epoch", &[1]);
    }
    assert!(world.run_stepwise(300 * SECOND, 100 * MS, agree), "{nodes} nodes do not agree");
    let joined = world.now;
    world.run(60 * SECOND);
    (world, joined)
}

/// Whether all running nodes hold the same of all nodes.
pub(crate) fn agree(world: &World) -> bool {
    let digests: BTreeSet<_> = world.ids().filter_map(|node| Some(world.find(node)?.digest())).collect();
    let is_known =
        world.ids().filter_map(|node| world.find(node)).all(|g| g.members().count() == world.size());
    digests.len() == 1 && is_known
}

/// Bytes and messages that a node sends in a second of calm.
pub(crate) fn traffic(world: &mut World, time: u64) -> (f64, f64) {
    let before = world.traffic();
    world.run(time);
    let after = world.traffic();
    let per_node = (time as f64 / SECOND as f64) * world.size() as f64;
    ((after.0 - before.0) as f64 / per_node, (after.1 - before.1) as f64 / per_node)
}

/// Crashes one node after another, and starts it again once its failure is known: the times until the failure is
/// known, and until the new life is.
pub(crate) fn failures(world: &mut World, trials: usize) -> (Known, Known) {
    let (mut downs, mut ups) = (Vec::new(), Vec::new());
    for _ in 0..trials {
        let victim = any(world);
        let others: Vec<_> = world.ids().filter(|node| *node != victim).collect();
        let pause = world.draw() % SECOND;
        world.run(pause);
        world.crash(victim);
        let is_down = move |event: &Event| matches!(event, Event::MemberDown { node, .. } if *node == victim);
        downs.push(times_until(world, others.len(), is_down));
        world.run(2 * SECOND);
        world.start(victim, &others[..SEEDS.min(others.len() as u32) as usize]);
        let is_up = move |event: &Event| matches!(event, Event::MemberUp { node, .. } if *node == victim);
        ups.push(times_until(world, others.len(), is_up));
        world.run(5 * SECOND);
    }
    (Known::of(downs), Known::of(ups))
}

/// Changes an entry of one node after another: the times until the change is known.
pub(crate) fn changes(world: &mut World, trials: usize) -> Known {
    let mut all = Vec::new();
    for trial in 0..trials {
        let node = any(world);
        let value = trial.to_le_bytes();
        world.set(node, "load", &value);
        let is_change = move |event: &Event| matches!(event, Event::EntryChanged(e) if e.key.node == node && *e.value == value);
        let others = world.size() - 1;
        all.push(times_until(world, others, is_change));
        world.run(3 * SECOND);
    }
    Known::of(all)
}

/// Every 10 s, one node of 100 stops for 10 s.
pub(crate) fn watch(world: &mut World, time: u64) -> Watch {
    const PAUSE: u64 = 10 * SECOND;
    let end = world.now + time;
    let watch = Rc::new(RefCell::new(Watch::default()));
    // A node that resumes may be called dead for a moment more: its objection travels.
    let paused_until = Rc::new(RefCell::new(vec![0_u64; world.size() + 1]));
    let (seen, until) = (Rc::clone(&watch), Rc::clone(&paused_until));
    world.watcher = Some(Box::new(move |now, sight| {
        let Sight::Told { event, .. } = sight else { return };
        let is_paused = |node: &NodeId| until.borrow()[node.0 as usize] > now;
        let mut seen = seen.borrow_mut();
        match event {
            Event::MemberDown { node, .. } if is_paused(node) => seen.downs_of_paused += 1,
            Event::MemberDown { .. } => seen.downs_of_running += 1,
            Event::MemberSuspect { node, .. } if !is_paused(node) => seen.suspects_of_running += 1,
            _ => {}
        }
    }));
    while world.now < end {
        for node in world.ids() {
            if world.draw().is_multiple_of(100) {
                let begins = world.now;
                watch.borrow_mut().pauses += 1;
                paused_until.borrow_mut()[node.0 as usize] = begins + PAUSE + SECOND;
                world.pause(node, PAUSE);
            }
        }
        world.run(PAUSE.min(end - world.now));
    }
    world.watcher = None;
    watch.take()
}

/// When each of `count` nodes is first told something, in nanoseconds from now.
fn times_until(world: &mut World, count: usize, is_it: impl Fn(&Event) -> bool + 'static) -> Vec<u64> {
    let begin = world.now;
    let seen = Rc::new(RefCell::new(std::collections::BTreeMap::new()));
    let times = Rc::clone(&seen);
    world.watcher = Some(Box::new(move |now, sight| {
        if let Sight::Told { node, event } = sight
            && is_it(event)
        {
            times.borrow_mut().entry(node).or_insert(now - begin);
        }
    }));
    let is_known = world.run_stepwise(begin + 120 * SECOND, 100 * MS, |_| seen.borrow().len() >= count);
    assert!(is_known, "{} of {count} nodes know after 120 s", seen.borrow().len());
    world.watcher = None;
    seen.take().into_values().collect()
}

/// A running node.
fn any(world: &mut World) -> NodeId {
    let ids: Vec<_> = world.ids().filter(|node| world.find(*node).is_some()).collect();
    ids[world.draw() as usize % ids.len()]
}

/// Whether nobody calls anybody dead or suspect.
pub(crate) fn is_calm(world: &World) -> bool {
    let gossips = world.ids().filter_map(|node| world.find(node));
    gossips.flat_map(|gossip| gossip.members()).all(|member| member.state() == MemberState::Alive)
}
