//! Measures gossip: how fast a failure, a return and a change become known, how often in error, at what cost.
//!
//! `cargo bench -p quorate-gossip --bench gossip` prints the table of `gossip/PROTOCOL.md` and draws
//! `gossip/curves.svg`. `-- --nodes 3,30` measures these numbers of nodes only, `-- --minutes 5` shortens the hour of
//! losses and pauses, `-- --svg PATH` draws elsewhere.

#![expect(clippy::print_stdout, reason = "a program whose purpose is to print")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and writes a picture")]

#[path = "gossip/picture.rs"]
mod picture;
#[path = "../../gossip/tests/world/mod.rs"]
mod world;

use std::time::Instant;

use quorate_gossip::Config;
use world::{
    SECOND,
    measure::{self, Known},
};

const SIZES: [u32; 4] = [3, 30, 300, 1_000];
const LOSS: u64 = 50;
const TRIALS: usize = 100;

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let value_of = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let sizes: Vec<u32> = match value_of("--nodes") {
        Some(list) => list.split(',').filter_map(|size| size.parse().ok()).collect(),
        None => SIZES.to_vec(),
    };
    let minutes = value_of("--minutes").and_then(|minutes| minutes.parse().ok()).unwrap_or(60);
    let (mut failures, mut changes) = (Vec::new(), Vec::new());
    println!(
        "LAN settings, {} % loss, {TRIALS} failures and {TRIALS} changes each; times in seconds\n",
        LOSS / 10
    );
    println!(
        "| nodes | all joined | failure known, half / 99 % of nodes | by all, half / 99 % / worst | return known by all, \
         99 % | entry change known by all, half / 99 % | bytes / messages per node and second | pauses of 10 s | dead \
         while paused | dead while running | suspect while running | computed in |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for nodes in sizes.iter().copied() {
        let (failure, change) = measure(nodes, minutes);
        failures.push((nodes, failure.by_node));
        changes.push((nodes, change.by_node));
    }
    let path = value_of("--svg").unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/curves.svg"));
    std::fs::write(path, picture::draw(&failures, &changes)).expect("the picture can be written");
    println!("\ndrawn: {path}");
}

/// Measures and prints one size.
fn measure(nodes: u32, minutes: u64) -> (Known, Known) {
    let started = Instant::now();
    let (mut world, joined) = measure::settled(Config::lan(), nodes, LOSS, nodes.into());
    let (bytes, messages) = measure::traffic(&mut world, 60 * SECOND);
    let (down, up) = measure::failures(&mut world, TRIALS);
    let change = measure::changes(&mut world, TRIALS);
    let watch = measure::watch(&mut world, minutes * 60 * SECOND);
    println!(
        "| {nodes} | {:.1} | {:.2} / {:.2} | {:.2} / {:.2} / {:.2} | {:.2} | {:.2} / {:.2} | {bytes:.0} / {messages:.1} | {} | \
         {} | {} | {} | {:.0} |",
        joined as f64 / SECOND as f64,
        down.by_node.quantile(0.5),
        down.by_node.quantile(0.99),
        down.by_all.quantile(0.5),
        down.by_all.quantile(0.99),
        down.by_all.max(),
        up.by_all.quantile(0.99),
        change.by_all.quantile(0.5),
        change.by_all.quantile(0.99),
        watch.pauses,
        watch.downs_of_paused,
        watch.downs_of_running,
        watch.suspects_of_running,
        started.elapsed().as_secs_f64(),
    );
    (down, change)
}
