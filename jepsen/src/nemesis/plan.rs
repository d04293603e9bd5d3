//! The schedule of faults: a pure function of the seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};

use super::partition::{self, Partition};
use crate::cluster::link::{End, Shape, Shapes};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Nemesis {
    /// No fault at all.
    None,
    /// Nodes that do not hear each other: halves, one alone, a ring of majorities, a bridge, one way, clients only.
    Partition,
    /// SIGKILL to one node, a minority, a majority or all, and a restart.
    Kill,
    /// SIGSTOP to some nodes, and SIGCONT.
    Pause,
    /// Wall clocks that jump or strobe.
    Clock,
    /// Datagrams lost, delayed, doubled, overtaken or held up, and storms of rubbish.
    Packet,
    /// Disks without room.
    DiskFull,
    /// A sync that fails, every second time of a batch that is on the disk all the same; the node must stop itself.
    Fsync,
    /// A restart with an empty data directory.
    Wipe,
    /// A restart with an older data directory.
    Rollback,
    /// A node that gets a fraction of its processor.
    Slow,
}

/// What is done to the cluster.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Pairs of parties that do not hear each other.
    Partition(Partition),
    /// Nodes killed, and started again at the end.
    Kill(Vec<usize>),
    /// Nodes that do not run.
    Pause(Vec<usize>),
    /// Nodes whose clocks are off by so many microseconds.
    Clock(Vec<(usize, i64)>),
    /// Nodes whose clocks jump to and fro by so many microseconds, after each such time.
    Strobe(Vec<(usize, i64)>, Duration),
    /// The same for every direction between nodes, and clients and nodes.
    Packets(Shape),
    /// Rubbish to every node.
    Storm,
    /// Nodes that find no room.
    DiskFull(Vec<usize>),
    /// A node whose next sync fails, and whether the disk has what was to be synced all the same.
    Fsync { node: usize, is_on_disk: bool },
    /// A node whose disk is emptied.
    Wipe(usize),
    /// A node whose disk goes back to what it held when the fault began.
    Rollback(usize),
    /// A node that mostly does not run.
    Slow(usize),
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    /// When it begins, from the start of the test.
    pub(crate) from: Duration,
    /// When it ends.
    pub(crate) to: Duration,
    /// Which nemesis does it.
    pub(crate) nemesis: Nemesis,
    /// What it does.
    pub(crate) fault: Fault,
}

/// Who takes part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parties {
    /// How many nodes.
    pub(crate) nodes: usize,
    /// How many clients.
    pub(crate) clients: usize,
    /// How many replicas a key has.
    pub(crate) replication: usize,
}

/// The faults of a test that takes `time`, in the order in which they begin. Each nemesis has a time line of its own,
/// so that faults of several overlap as chance has it.
pub(crate) fn plan(nemeses: &[Nemesis], parties: Parties, time: Duration, seed: u64) -> Vec<Planned> {
    let mut planned = Vec::new();
    for &nemesis in nemeses.iter().filter(|nemesis| **nemesis != Nemesis::None) {
        // The faults of one nemesis do not depend on which others there are.
        let mut rng = StdRng::seed_from_u64(seed ^ (nemesis as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut deck = Deck::new(nemesis, parties, seed);
        let mut from = between(&mut rng, 500, 2_500);
        loop {
            let left = time.saturating_sub(from + REST);
            if left < SHORTEST {
                break;
            }
            // What would outlast the test is shortened, so that faults go on to its end.
            let to = from + deck.lasts(&mut rng, time).min(left);
            planned.push(Planned { from, to, nemesis, fault: deck.draw(&mut rng) });
            from = to + between(&mut rng, 800, 3_500);
        }
    }
    planned.sort_by_key(|planned| planned.from);
    planned
}

/// The kinds of fault of one nemesis, each of which comes before any comes twice.
struct Deck {
    nemesis: Nemesis,
    parties: Parties,
    /// More than N-Q lost disks at a time are more than any replicated store survives: it is always the same one.
    victim: usize,
    left: Vec<usize>,
    /// Turns with each failed sync; the seed has the first.
    is_on_disk: bool,
}

impl Deck {
    fn new(nemesis: Nemesis, parties: Parties, seed: u64) -> Self {
        let victim = StdRng::seed_from_u64(seed).random_range(0..parties.nodes);
        Self { nemesis, parties, victim, left: Vec::new(), is_on_disk: seed & 1 == 1 }
    }

    /// How long the next fault lasts.
    fn lasts(&self, rng: &mut StdRng, time: Duration) -> Duration {
        match self.nemesis {
            // One in four pauses is long.
            Nemesis::Pause if rng.random_range(0..4) == 0 => {
                let most = (time.as_millis() as u64 / 2).clamp(3_001, 60_000);
                between(rng, 3_000, most)
            }
            Nemesis::Pause => between(rng, 1_000, 3_000),
            Nemesis::Kill => between(rng, 300, 5_000),
            Nemesis::Fsync | Nemesis::Wipe => between(rng, 1_000, 2_500),
            _ => between(rng, 1_000, 7_000),
        }
    }

    fn card(&mut self, kinds: usize, rng: &mut StdRng) -> usize {
        if self.left.is_empty() {
            self.left = (0..kinds).collect();
            self.left.shuffle(rng);
        }
        self.left.pop().unwrap_or(0)
    }

    fn draw(&mut self, rng: &mut StdRng) -> Fault {
        let nodes = self.parties.nodes;
        match self.nemesis {
            Nemesis::None | Nemesis::Partition => {
                let kind = self.card(partition::KINDS.len(), rng);
                Fault::Partition(partition::draw(partition::KINDS[kind], self.parties, rng))
            }
            Nemesis::Kill => {
                let counts = [1, minority(nodes), nodes / 2 + 1, nodes];
                let count = counts[self.card(counts.len(), rng)];
                Fault::Kill(some(nodes, count, rng))
            }
            Nemesis::Pause => {
                let counts = [1, 1, minority(nodes), nodes / 2 + 1];
                let count = counts[self.card(counts.len(), rng)];
                Fault::Pause(some(nodes, count, rng))
            }
            Nemesis::Clock => self.clock(rng),
            Nemesis::Packet => self.packets(rng),
            Nemesis::DiskFull => {
                let counts = [1, minority(nodes), nodes];
                let count = counts[self.card(counts.len(), rng)];
                Fault::DiskFull(some(nodes, count, rng))
            }
            Nemesis::Fsync => {
                self.is_on_disk = !self.is_on_disk;
                Fault::Fsync { node: self.victim, is_on_disk: self.is_on_disk }
            }
            Nemesis::Wipe => Fault::Wipe(self.victim),
            Nemesis::Rollback => Fault::Rollback(self.victim),
            Nemesis::Slow => Fault::Slow(rng.random_range(0..nodes)),
        }
    }

    fn clock(&mut self, rng: &mut StdRng) -> Fault {
        let kind = self.card(4, rng);
        let count = rng.random_range(1..=self.parties.nodes);
        let chosen = some(self.parties.nodes, count, rng);
        let far = if kind == 3 { 3_600_000_000 } else { [60_000, 400_000, 5_000_000][kind] };
        let offset = |rng: &mut StdRng| rng.random_range(-far..=far);
        let offsets = chosen.into_iter().map(|node| (node, offset(rng))).collect();
        if rng.random_range(0..3) == 0 {
            return Fault::Strobe(offsets, between(rng, 15, 400));
        }
        Fault::Clock(offsets)
    }

    fn packets(&mut self, rng: &mut StdRng) -> Fault {
        let whole = Shape::default();
        Fault::Packets(match self.card(6, rng) {
            0 => Shape { loss: rng.random_range(0.05..0.5), ..whole },
            1 => Shape { delay: between(rng, 5, 150), jitter: between(rng, 5, 150), ..whole },
            2 => Shape { duplicate: 0.5, reorder: 0.3, ..whole },
            3 => Shape { bytes_per_second: Some(rng.random_range(20_000..200_000)), ..whole },
            4 => {
                let (delay, jitter) = (between(rng, 1, 40), between(rng, 1, 80));
                Shape { loss: 0.1, delay, jitter, duplicate: 0.1, reorder: 0.2, ..whole }
            }
            _ => return Fault::Storm,
        })
    }
}

/// Every direction between nodes, and between clients and nodes, has this shape.
pub(crate) fn everywhere(shape: Shape, parties: Parties) -> Shapes {
    let mut shapes = Shapes::new();
    for node in (0..parties.nodes).map(End::Node) {
        let others = (0..parties.nodes).map(End::Node).chain((0..parties.clients).map(End::Client));
        for other in others {
            shapes.insert((node, other), shape);
            shapes.insert((other, node), shape);
        }
    }
    shapes
}

/// The largest number of nodes that are fewer than half.
fn minority(nodes: usize) -> usize {
    (nodes.div_ceil(2) - 1).max(1)
}

/// So many nodes, ascending.
pub(super) fn some(nodes: usize, count: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut all: Vec<usize> = (0..nodes).collect();
    all.shuffle(rng);
    all.truncate(count);
    all.sort_unstable();
    all
}

/// At least so long nothing goes wrong before a test ends.
const REST: Duration = Duration::from_millis(500);
/// A fault that would have to be shorter is left out.
const SHORTEST: Duration = Duration::from_secs(1);

fn between(rng: &mut impl Rng, least_ms: u64, most_ms: u64) -> Duration {
    Duration::from_millis(rng.random_range(least_ms..=most_ms))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PARTIES: Parties = Parties { nodes: 5, clients: 30, replication: 3 };
    const MINUTE: Duration = Duration::from_secs(60);
    const ALL: [Nemesis; 10] = [
        Nemesis::Partition,
        Nemesis::Kill,
        Nemesis::Pause,
        Nemesis::Clock,
        Nemesis::Packet,
        Nemesis::DiskFull,
        Nemesis::Fsync,
        Nemesis::Wipe,
        Nemesis::Rollback,
        Nemesis::Slow,
    ];

    #[test]
    fn the_seed_decides_and_the_company_does_not() {
        let alone = plan(&[Nemesis::Kill], PARTIES, MINUTE, 7);
        assert_eq!(alone, plan(&[Nemesis::Kill], PARTIES, MINUTE, 7));
        assert_ne!(alone, plan(&[Nemesis::Kill], PARTIES, MINUTE, 8));
        let mut together = plan(&[Nemesis::Pause, Nemesis::Kill], PARTIES, MINUTE, 7);
        together.retain(|planned| planned.nemesis == Nemesis::Kill);
        assert_eq!(alone, together);
    }

    #[test]
    fn each_nemesis_strikes_within_its_time_and_one_fault_at_a_time() {
        for nemesis in ALL {
            for seed in 0..50 {
                let planned = plan(&[nemesis], PARTIES, MINUTE, seed);
                assert!(!planned.is_empty(), "{nemesis:?} does nothing under seed {seed}");
                assert!(planned.iter().all(|p| p.from < p.to && p.to < MINUTE));
                assert!(planned.windows(2).all(|pair| pair[0].to < pair[1].from));
                let quiet = MINUTE - planned.last().unwrap().to;
                assert!(quiet <= Duration::from_secs(5), "{nemesis:?} is over {quiet:?} before the end");
            }
        }
        assert!(plan(&[Nemesis::None], PARTIES, MINUTE, 1).is_empty());
    }

    #[test]
    fn every_second_failed_sync_has_reached_the_disk() {
        let of_seed = |seed| plan(&[Nemesis::Fsync], PARTIES, MINUTE, seed);
        let is_on_disk = |planned: &Planned| matches!(planned.fault, Fault::Fsync { is_on_disk: true, .. });
        for seed in 0..10 {
            assert!(of_seed(seed).windows(2).all(|pair| is_on_disk(&pair[0]) != is_on_disk(&pair[1])));
        }
        assert_ne!(is_on_disk(&of_seed(0)[0]), is_on_disk(&of_seed(1)[0]), "short runs see either");
    }

    #[test]
    fn only_one_disk_is_ever_lost() {
        for nemesis in [Nemesis::Wipe, Nemesis::Rollback, Nemesis::Fsync] {
            let victims: BTreeSet<usize> = plan(&[nemesis], PARTIES, MINUTE, 3)
                .into_iter()
                .map(|planned| match planned.fault {
                    Fault::Wipe(node) | Fault::Rollback(node) | Fault::Fsync { node, .. } => node,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(victims.len(), 1);
        }
    }

    #[test]
    fn kills_come_in_all_sizes() {
        let sizes: BTreeSet<usize> = (0..20)
            .flat_map(|seed| plan(&[Nemesis::Kill], PARTIES, MINUTE, seed))
            .map(|planned| match planned.fault {
                Fault::Kill(nodes) => nodes.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, BTreeSet::from([1, 2, 3, 5]));
    }
}
