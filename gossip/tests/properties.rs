//! What holds of many nodes, whatever happens to them.

mod world;

use std::{cell::RefCell, rc::Rc};

use proptest::{collection::vec, prelude::*};
use quorate_gossip::{Config, Event, Life, MemberState};
use quorate_ring::NodeId;

use self::world::{
    MS, SECOND, Sight, World,
    measure::{agree, is_calm},
};

const NODES: u32 = 5;

/// Something that happens to a cluster.
#[derive(Clone, Debug)]
enum Act {
    Set { node: u32, subject: u8, value: u8 },
    Crash(u32),
    Start { node: u32, is_clock_back: bool },
    Pause { node: u32, millis: u64 },
    Cut { a: u32, b: u32, is_one_way: bool },
    Join { a: u32, b: u32 },
    Loss(u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    let node = || 1..=NODES;
    prop_oneof![
        3 => (node(), 0..3_u8, any::<u8>()).prop_map(|(node, subject, value)| Act::Set { node, subject, value }),
        1 => node().prop_map(Act::Crash),
        2 => (node(), any::<bool>()).prop_map(|(node, is_clock_back)| Act::Start { node, is_clock_back }),
        1 => (node(), 1..20_000_u64).prop_map(|(node, millis)| Act::Pause { node, millis }),
        1 => (node(), node(), any::<bool>()).prop_map(|(a, b, is_one_way)| Act::Cut { a, b, is_one_way }),
        1 => (node(), node()).prop_map(|(a, b)| Act::Join { a, b }),
        1 => (0..400_u64).prop_map(Act::Loss),
    ]
}

fn cluster(seed: u64) -> World {
    let mut world = World::new(Config::lan(), NODES, seed);
    world.is_strict = true;
    let all: Vec<_> = world.ids().collect();
    all.iter().for_each(|node| world.start(*node, &all));
    world
}

/// A life within the first second, of a clock that stepped back: not that of any process before.
fn early_life(world: &mut World) -> Life {
    Life(2 + world.draw() % 1_000_000)
}

fn play(world: &mut World, act: &Act) {
    let all: Vec<_> = world.ids().collect();
    match *act {
        Act::Set { node, subject, value } if world.find(NodeId(node)).is_some() => {
            world.set(NodeId(node), &format!("subject {subject}"), &[value]);
        }
        Act::Set { .. } => {}
        Act::Crash(node) => world.crash(NodeId(node)),
        Act::Start { node, is_clock_back: false } => world.start(NodeId(node), &all),
        Act::Start { node, is_clock_back: true } => {
            let life = early_life(world);
            world.start_in_life(NodeId(node), &all, life);
        }
        Act::Pause { node, millis } => world.pause(NodeId(node), millis * MS),
        Act::Cut { a, b, is_one_way } => {
            world.network.cut.insert((NodeId(a), NodeId(b)));
            if !is_one_way {
                world.network.cut.insert((NodeId(b), NodeId(a)));
            }
        }
        Act::Join { a, b } => {
            world.network.cut.remove(&(NodeId(a), NodeId(b)));
            world.network.cut.remove(&(NodeId(b), NodeId(a)));
        }
        Act::Loss(loss) => world.network.loss = loss,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// After any faults, once the network is whole and all run, all hold the same of all, and nobody accuses anybody.
    #[test]
    fn entries_and_members_converge(seed in any::<u64>(), acts in vec((any_act(), 0..8_000_u64), 0..25)) {
        let mut world = cluster(seed);
        for (act, millis) in acts {
            play(&mut world, &act);
            world.run(millis * MS);
        }
        let all: Vec<_> = world.ids().collect();
        for node in &all {
            if world.find(*node).is_none() {
                let life = early_life(&mut world);
                world.start_in_life(*node, &all, life);
            }
        }
        world.network.cut.clear();
        world.network.loss = 0;
        let end = world.now + 120 * SECOND;
        let is_done = world.run_stepwise(end, SECOND, |world| agree(world) && is_calm(world));
        prop_assert!(is_done, "no agreement in 120 s");
    }

    /// Without loss, whatever others do, nobody calls a node dead that answers, nor suspects it.
    #[test]
    fn who_answers_is_never_called_dead(seed in any::<u64>(), acts in vec((any_act(), 0..6_000_u64), 0..20)) {
        const FAITHFUL: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
        let mut world = cluster(seed);
        world.run(SECOND);
        let wrong = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&wrong);
        world.watcher = Some(Box::new(move |now, sight| {
            if let Sight::Told { node: at, event: event @ (Event::MemberDown { node, .. } | Event::MemberSuspect { node, .. }) } = sight
                && FAITHFUL.contains(node)
            {
                seen.borrow_mut().push(format!("{} ms: {at} says {event:?}", now / MS));
            }
        }));
        for (act, millis) in acts {
            // Faults befall the other two only: they crash, stop for any time, come back.
            match &act {
                Act::Crash(node) | Act::Pause { node, .. } | Act::Start { node, .. } if *node > 3 => play(&mut world, &act),
                Act::Set { .. } => play(&mut world, &act),
                _ => {}
            }
            world.run(millis * MS);
        }
        world.run(20 * SECOND);
        prop_assert!(wrong.borrow().is_empty(), "{:#?}", wrong.borrow());
    }

    /// A stall that is shorter than the shortest suspicion costs nobody its life, under loss too.
    #[test]
    fn a_short_stall_is_forgiven(seed in any::<u64>(), loss in 0..100_u64, stalls in vec((1..=NODES, 0..2_500_u64, 0..6_000_u64), 0..20)) {
        let mut world = cluster(seed);
        world.network.loss = loss;
        world.run(5 * SECOND);
        let wrong = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&wrong);
        world.watcher = Some(Box::new(move |now, sight| {
            if let Sight::Told { node: at, event: event @ Event::MemberDown { .. } } = sight {
                seen.borrow_mut().push(format!("{} ms: {at} says {event:?}", now / MS));
            }
        }));
        for (node, stall, millis) in stalls {
            if !world.is_paused(NodeId(node)) {
                world.pause(NodeId(node), stall * MS);
            }
            world.run((stall + millis) * MS);
        }
        prop_assert!(wrong.borrow().is_empty(), "{:#?}", wrong.borrow());
    }
}

/// A laptop that sleeps stops all its processes at once: nobody is to blame when it wakes.
#[test]
fn a_machine_that_sleeps_wakes_in_peace() {
    let mut world = cluster(3);
    world.run(5 * SECOND);
    let told = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&told);
    world.watcher = Some(Box::new(move |_, sight| {
        if let Sight::Told { event, .. } = sight
            && !matches!(event, Event::WasLate { .. })
        {
            seen.borrow_mut().push(event.clone());
        }
    }));
    for node in world.ids() {
        world.pause(node, 3_600 * SECOND);
    }
    world.run(3_660 * SECOND);
    assert_eq!(*told.borrow(), []);
}

/// Both sides of a healed partition call the other side dead; nobody believes it of those whom they can reach.
#[test]
fn a_healed_partition_brings_no_deaths_with_it() {
    for seed in 0..20 {
        let mut world = cluster(seed);
        world.network.loss = 50;
        world.run(5 * SECOND);
        let side = |node: NodeId| node.0 <= 1 + seed as u32 % 2;
        let across: Vec<_> =
            world.ids().flat_map(|a| world.ids().map(move |b| (a, b)).collect::<Vec<_>>()).collect();
        world.network.cut.extend(across.into_iter().filter(|(a, b)| side(*a) != side(*b)));
        world.run(60 * SECOND);
        for (a, b) in world.ids().zip(world.ids().skip(1)).filter(|(a, b)| side(*a) != side(*b)) {
            assert_eq!(world.gossip(a).state(b), Some(MemberState::Dead), "the partition is noticed");
        }
        world.network.cut.clear();
        let wrong = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&wrong);
        world.watcher = Some(Box::new(move |_, sight| {
            if let Sight::Told { node: at, event: Event::MemberDown { node, .. } } = sight {
                seen.borrow_mut().push((at, *node));
            }
        }));
        let end = world.now + 15 * SECOND;
        assert!(world.run_stepwise(end, SECOND, |world| agree(world) && is_calm(world)), "seed {seed}");
        world.run(15 * SECOND);
        assert_eq!(*wrong.borrow(), [], "seed {seed}");
    }
}

#[test]
fn a_restart_is_accepted_at_once_even_if_the_clock_stepped_back() {
    for life in [None, Some(Life(2))] {
        let mut world = cluster(4);
        world.run(10 * SECOND);
        let all: Vec<_> = world.ids().collect();
        world.crash(NodeId(2));
        world.start(NodeId(2), &all);
        world.set(NodeId(2), "address", b"old");
        world.run(2 * SECOND);
        world.crash(NodeId(2));
        world.run(20 * SECOND);
        assert_eq!(world.gossip(NodeId(1)).state(NodeId(2)), Some(MemberState::Dead));
        match life {
            Some(life) => world.start_in_life(NodeId(2), &all, life),
            None => world.start(NodeId(2), &all),
        }
        world.set(NodeId(2), "address", b"new");
        world.run(2 * SECOND);
        for node in world.ids() {
            let gossip = world.gossip(node);
            assert_eq!(gossip.state(NodeId(2)), Some(MemberState::Alive), "at {node} after {life:?}");
            let address = gossip.entry(NodeId(2), "address").map(|entry| &*entry.value);
            assert_eq!(address, Some(&b"new"[..]), "at {node} after {life:?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let digest = |seed| {
        let mut world = cluster(seed);
        world.network.loss = 100;
        world.run(30 * SECOND);
        (world.gossip(NodeId(1)).digest(), world.traffic())
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}
