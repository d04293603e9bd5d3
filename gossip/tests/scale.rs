//! The scale measurement in small: `cargo bench -p quorate-gossip --bench gossip` makes the full table.

mod world;

use quorate_gossip::Config;

use self::world::{SECOND, measure};

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
