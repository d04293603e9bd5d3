//! One key that everybody writes and reads (rule Q5): how many rounds its readers need until a quorum holds one identical
//! state, with new writes put off for a moment and without.

use quorate::{node::Mutant as CoreMutant, ring::TableKind};

use crate::{
    mutants::Mutant,
    options::{KeyOptions, MS, Options},
    sweep::Count,
    world::World,
};

/// Tests that putting writes off is worth it: the slowest readers need less than half the rounds.
pub(crate) fn test() -> Count {
    let mut tests = Count::default();
    let without = rounds(Some(Mutant::Core(CoreMutant::NeverDefers)));
    let with = rounds(None);
    match (&without, &with) {
        (Ok(without), Ok(with)) => {
            println!("hot key: rounds of a read {with}; if writes are never put off {without}");
            tests.add(with.p99 * 2 < without.p99);
        }
        (Err(why), _) | (_, Err(why)) => {
            println!("hot key: {why}");
            tests.add(false);
        }
    }
    tests
}

/// What readers of a hot key had to do.
struct Rounds {
    reads: usize,
    p50: u8,
    p99: u8,
    most: u8,
    /// Writes that were acknowledged.
    writes: u64,
}

impl std::fmt::Display for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { reads, p50, p99, most, writes } = self;
        write!(f, "p50 {p50}, p99 {p99}, at most {most} in {reads} reads beside {writes} writes")
    }
}

fn rounds(mutant: Option<Mutant>) -> Result<Rounds, String> {
    let (mut rounds, mut writes) = (Vec::new(), 0);
    for seed in 1..=SEEDS {
        let mut world = World::new(options(seed, mutant));
        world.run()?;
        rounds.append(&mut world.oracle.rounds);
        writes += world.oracle.acknowledged_writes();
    }
    rounds.sort_unstable();
    let at = |per_mille: usize| rounds.get(rounds.len() * per_mille / 1_000).copied();
    let most = rounds.last().copied().ok_or("nothing was read")?;
    let (p50, p99) = (at(500).unwrap_or(most), at(990).unwrap_or(most));
    Ok(Rounds { reads: rounds.len(), p50, p99, most, writes })
}

/// About ten writes in a millisecond, and one read.
fn options(seed: u64, mutant: Option<Mutant>) -> Options {
    let mut options = Options::calm(seed, 3, 3);
    options.mutant = mutant;
    options.keys.keys = vec![KeyOptions { kind: TableKind::Siblings, strict: true, expires: false }];
    (options.keys.contexts, options.keys.monotone, options.keys.sloppy) = (0, 0, 0);
    (options.reads, options.deletes, options.alls, options.favour) = (100, 0, 0, 0);
    (options.clients, options.operations) = (CLIENTS, 60 * CLIENTS);
    options.duration = 200 * MS;
    options.request_timeout = 500 * MS;
    options.hedge_delay = 5 * MS;
    (options.requests_max, options.requests_per_client_max, options.replica_requests_max) =
        (8_192, 64, 8_192);
    let network = &mut options.network;
    (network.delay_min, network.delay_max) = (MS / 10, MS / 5);
    let disk = &mut options.disk;
    (disk.sync_min, disk.sync_max, disk.read_max) = (MS / 10, MS / 5, MS / 100);
    options
}

const CLIENTS: u32 = 40;
const SEEDS: u64 = 3;
