//! The scale measurement in small: `cargo bench -p quorate-gossip --bench gossip` makes the full table.

mod world;

use quorate_gossip::{Config, MemberState};

use self::world::{MS, SECOND, World, measure};

const LOSS: u64 = 50;

#[test]
fn thirty_nodes_keep_the_goals_under_loss() {
    let (mut world, joined) = measure::settled(Config::lan(), 30, LOSS, 1);
    assert!(joined < 15 * SECOND, "joined after {joined} ns");
    let (bytes, _) = measure::traffic(&mut world, 60 * SECOND);
    assert!((60.0..160.0).contains(&bytes), "{bytes} bytes per node and second");
    let (down, up) = measure::failures(&mut world, 20);
    assert!(down.by_all.quantile(0.9) < 6.0, "{:?}", down.by_all);
    assert!(up.by_all.max() < 3.0, "{:?}", up.by_all);
    let change = measure::changes(&mut world, 20);
    assert!(change.by_all.quantile(0.9) < 1.5, "{:?}", change.by_all);
    let watch = measure::watch(&mut world, 600 * SECOND);
    assert!(watch.pauses > 0 && watch.downs_of_paused > 0, "{watch:?}");
    assert_eq!(watch.downs_of_running, 0, "{watch:?}");
    assert!(
        measure::is_calm(&world) || world.run_stepwise(world.now + 30 * SECOND, SECOND, measure::is_calm)
    );
}

#[test]
fn traffic_does_not_grow_with_the_cluster() {
    let bytes = |nodes| {
        let (mut world, _) = measure::settled(Config::lan(), nodes, LOSS, 2);
        measure::traffic(&mut world, 120 * SECOND).0
    };
    let (few, many) = (bytes(3), bytes(60));
    assert!(many < 1.5 * few, "{few} bytes per node and second at 3 nodes, {many} at 60");
}

#[test]
fn each_preset_is_at_peace_with_its_network_and_finds_a_failure() {
    let cases = [
        (Config::lan(), (MS / 5, 20 * MS), 6),
        (Config::wan(), (20 * MS, 250 * MS), 25),
        (Config::simulation(), (MS / 2, 5 * MS), 1),
    ];
    for (config, delay, seconds_max) in cases {
        let interval = config.probe_interval;
        let mut world = World::new(config, 20, 5);
        (world.network.delay, world.network.loss) = (delay, LOSS / 5);
        let all: Vec<_> = world.ids().collect();
        all.iter().for_each(|node| world.start(*node, &all));
        world.run(60 * SECOND);
        let mut calm = 0;
        for _ in 0..300 {
            world.run(SECOND);
            calm += u64::from(measure::is_calm(&world));
        }
        assert_eq!(calm, 300, "seconds of peace, probing every {interval:?}");
        world.crash(all[3]);
        world.run(seconds_max * SECOND);
        let is_down = |node: &&quorate_ring::NodeId| {
            world.find(**node).is_some_and(|gossip| gossip.state(all[3]) == Some(MemberState::Dead))
        };
        assert_eq!(all.iter().filter(is_down).count(), 19, "probing every {interval:?}");
    }
}
