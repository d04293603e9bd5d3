//! Ways to cut a network.

use rand::RngExt;
use rand::rngs::StdRng;

use super::plan::{Parties, some};
use crate::cluster::link::{End, Shape, Shapes};

/// How a network is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PartitionKind {
    /// Two parts that do not hear each other, one of them a majority.
    Halves,
    /// One node hears nobody.
    IsolateOne,
    /// Each node hears a majority, no two the same one.
    MajoritiesRing,
    /// Two parts and one node that hears both.
    Bridge,
    /// Two parts of which the one hears the other, but not the other way round.
    OneWay,
    /// Nodes hear each other, and each client only some of them.
    ClientsOnly,
}

/// Every way.
pub(super) const KINDS: [PartitionKind; 6] = [
    PartitionKind::Halves,
    PartitionKind::IsolateOne,
    PartitionKind::MajoritiesRing,
    PartitionKind::Bridge,
    PartitionKind::OneWay,
    PartitionKind::ClientsOnly,
];

/// A cut network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Partition {
    /// How it is cut.
    pub(crate) kind: PartitionKind,
    /// Directions that are cut.
    pub(crate) cuts: Vec<(End, End)>,
}

impl Partition {
    /// What the network is to be.
    pub(crate) fn shapes(&self) -> Shapes {
        self.cuts.iter().map(|pair| (*pair, Shape::CUT)).collect()
    }
}

/// One partition of this kind.
pub(super) fn draw(kind: PartitionKind, parties: Parties, rng: &mut StdRng) -> Partition {
    let nodes = parties.nodes;
    let order = shuffled(nodes, rng);
    let mut cuts = Vec::new();
    match kind {
        PartitionKind::Halves => {
            let small = rng.random_range(1..=nodes / 2);
            cut_parts(&order[..small], &order[small..], &mut cuts);
        }
        PartitionKind::IsolateOne => cut_parts(&order[..1], &order[1..], &mut cuts),
        PartitionKind::MajoritiesRing => {
            for (at, one) in order.iter().enumerate() {
                let deaf = order.iter().enumerate().filter(|(other, _)| {
                    let ahead = (other + nodes - at) % nodes;
                    !hears_in_ring(ahead, nodes)
                });
                cuts.extend(deaf.map(|(_, other)| (End::Node(*one), End::Node(*other))));
            }
        }
        PartitionKind::Bridge => {
            let middle = nodes.div_ceil(2);
            cut_parts(&order[1..middle], &order[middle..], &mut cuts);
        }
        PartitionKind::OneWay => {
            let deaf = rng.random_range(1..nodes);
            for one in &order[deaf..] {
                cuts.extend(order[..deaf].iter().map(|other| (End::Node(*one), End::Node(*other))));
            }
        }
        PartitionKind::ClientsOnly => {
            for client in (0..parties.clients).map(End::Client) {
                let count = rng.random_range(0..nodes);
                for node in some(nodes, count, rng).into_iter().map(End::Node) {
                    cuts.extend([(client, node), (node, client)]);
                }
            }
        }
    }
    Partition { kind, cuts }
}

/// Whether a node of the ring hears the one so many places ahead of it: as many neighbours on either side as make a
/// majority with itself. Of three nodes those would be all, so each of them hears the one behind it alone.
fn hears_in_ring(ahead: usize, nodes: usize) -> bool {
    let reach = (nodes / 2).div_ceil(2);
    if nodes == 3 { ahead != 1 } else { ahead.min(nodes - ahead) <= reach }
}

/// All nodes, in any order.
fn shuffled(nodes: usize, rng: &mut StdRng) -> Vec<usize> {
    use rand::seq::SliceRandom;
    let mut order: Vec<usize> = (0..nodes).collect();
    order.shuffle(rng);
    order
}

fn cut_parts(one: &[usize], two: &[usize], cuts: &mut Vec<(End, End)>) {
    for (a, b) in one.iter().flat_map(|a| two.iter().map(move |b| (*a, *b))) {
        cuts.extend([(End::Node(a), End::Node(b)), (End::Node(b), End::Node(a))]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;

    use super::*;

    /// Whom each node hears, itself included.
    fn heard(partition: &Partition, nodes: usize) -> Vec<BTreeSet<usize>> {
        let hears = |to, from| to == from || !partition.cuts.contains(&(End::Node(from), End::Node(to)));
        (0..nodes).map(|to| (0..nodes).filter(|from| hears(to, *from)).collect()).collect()
    }

    fn each(kind: PartitionKind, mut check: impl FnMut(usize, Vec<BTreeSet<usize>>)) {
        for nodes in 3..=7 {
            for seed in 0..40 {
                let parties = Parties { nodes, clients: 6, replication: 3 };
                let partition = draw(kind, parties, &mut StdRng::seed_from_u64(seed));
                check(nodes, heard(&partition, nodes));
            }
        }
    }

    #[test]
    fn halves_are_two_parts() {
        each(PartitionKind::Halves, |nodes, heard| {
            let parts: BTreeSet<_> = heard.into_iter().collect();
            assert_eq!(parts.len(), 2);
            assert_eq!(parts.iter().map(BTreeSet::len).sum::<usize>(), nodes);
        });
    }

    #[test]
    fn one_alone_hears_itself() {
        each(PartitionKind::IsolateOne, |nodes, heard| {
            assert_eq!(heard.iter().filter(|heard| heard.len() == 1).count(), 1);
            assert_eq!(heard.iter().filter(|heard| heard.len() == nodes - 1).count(), nodes - 1);
        });
    }

    #[test]
    fn a_ring_gives_each_its_own_majority() {
        each(PartitionKind::MajoritiesRing, |nodes, heard| {
            let is_majority = |heard: &BTreeSet<usize>| heard.len() > nodes / 2 && heard.len() < nodes;
            assert!(heard.iter().all(is_majority), "{nodes}: {heard:?}");
            let different: BTreeSet<_> = heard.iter().collect();
            assert_eq!(different.len(), nodes, "{heard:?}");
        });
    }

    #[test]
    fn a_bridge_hears_both_sides() {
        each(PartitionKind::Bridge, |nodes, heard| {
            assert_eq!(heard.iter().filter(|heard| heard.len() == nodes).count(), 1);
        });
    }

    #[test]
    fn one_way_leaves_the_other_way() {
        each(PartitionKind::OneWay, |nodes, heard| {
            assert!(heard.iter().any(|heard| heard.len() == nodes));
            assert!(heard.iter().any(|heard| heard.len() < nodes));
        });
    }

    #[test]
    fn clients_alone_are_cut() {
        each(PartitionKind::ClientsOnly, |nodes, heard| {
            assert!(heard.iter().all(|heard| heard.len() == nodes));
        });
    }

    #[test]
    fn no_partition_cuts_nothing() {
        let parties = Parties { nodes: 3, clients: 6, replication: 3 };
        for kind in KINDS {
            for seed in 0..40 {
                let partition = draw(kind, parties, &mut StdRng::seed_from_u64(seed));
                assert!(!partition.cuts.is_empty(), "{kind:?} under {seed}");
                let is_mutual = |(from, to): &(End, End)| partition.cuts.contains(&(*to, *from));
                let is_clients = kind == PartitionKind::ClientsOnly;
                assert!(!is_clients || partition.cuts.iter().all(is_mutual), "neither hears the other");
            }
        }
    }
}
