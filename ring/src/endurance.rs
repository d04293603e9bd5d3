//! Which failures a cluster still bears.

use std::collections::BTreeSet;

use crate::{NodeId, Ring, quorum};

/// What is left of the quorums of a ring's replica sets while some nodes are down.
#[derive(Clone, Debug, PartialEq)]
pub struct Endurance {
    /// The share of the circle, 0 to 1, whose replicas have no quorum.
    pub without_quorum: f64,
    /// How many more nodes may fail, whichever they are, before any part of the circle loses its quorum; 0 where one
    /// has lost it already.
    pub nodes: usize,
    /// Nodes that are up and any one of which takes the quorum of some part of the circle with it, by id.
    pub critical: Vec<NodeId>,
    /// Racks with nodes that are up, and that may fail as a whole without any part losing its quorum, by name. Empty if all
    /// nodes are in one.
    pub racks: Vec<String>,
}

impl Ring {
    /// What the replica sets under factor `n` still bear while `down` are down.
    pub fn endurance(&self, n: u8, down: &BTreeSet<NodeId>) -> Endurance {
        let (mut without_quorum, mut nodes, mut critical) = (0.0, usize::MAX, BTreeSet::new());
        let needed = usize::from(quorum(n.min(u8::try_from(self.members().len()).unwrap_or(n))));
        for (range, replicas) in self.ranges(n) {
            let up = || replicas.iter().filter(|node| !down.contains(node));
            match up().count().checked_sub(needed) {
                None => {
                    without_quorum += range.fraction();
                    nodes = 0;
                }
                Some(spare) => {
                    if spare == 0 {
                        critical.extend(up().copied());
                    }
                    nodes = nodes.min(spare);
                }
            }
        }
        let racks: BTreeSet<_> = self.members().iter().map(|member| &member.rack).collect();
        let bears = |rack: &str| {
            let fails = || self.members().iter().filter(|member| member.rack == rack).map(|member| member.id);
            if fails().all(|node| down.contains(&node)) {
                return false;
            }
            let down: BTreeSet<_> = down.iter().copied().chain(fails()).collect();
            self.ranges(n).all(|(_, replicas)| {
                let up = replicas.iter().filter(|node| !down.contains(node)).count();
                up >= needed
            })
        };
        let racks = racks.iter().filter(|rack| racks.len() > 1 && bears(rack)).map(|rack| (*rack).clone());
        Endurance { without_quorum, nodes, critical: critical.into_iter().collect(), racks: racks.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Founder;

    fn ring(racks: &[&str]) -> Ring {
        let founder = |(n, rack): (usize, &&str)| {
            Founder::new(format!("n{n}"), format!("host{n}:7000")).in_rack((*rack).to_owned())
        };
        let founders: Vec<_> = racks.iter().enumerate().map(founder).collect();
        Ring::found("c", &founders).unwrap()
    }

    fn ids(ids: &[u32]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn three_of_three_bear_one_failure_and_no_second() {
        let ring = ring(&["", "", ""]);
        let whole = ring.endurance(3, &BTreeSet::new());
        let expected = Endurance { without_quorum: 0.0, nodes: 1, critical: vec![], racks: vec![] };
        assert_eq!(whole, expected);
        let one_down = ring.endurance(3, &BTreeSet::from([NodeId(2)]));
        assert_eq!((one_down.nodes, one_down.critical), (0, ids(&[1, 3])));
        let two_down = ring.endurance(3, &BTreeSet::from([NodeId(2), NodeId(3)]));
        assert!((two_down.without_quorum - 1.0).abs() < 1e-9, "{two_down:?}");
        assert_eq!((two_down.nodes, two_down.critical), (0, vec![]));
    }

    #[test]
    fn of_five_two_failures_cost_some_parts_their_quorum_and_not_others() {
        let ring = ring(&["", "", "", "", ""]);
        let two_down = ring.endurance(3, &BTreeSet::from([NodeId(1), NodeId(2)]));
        // Sets with both have a share of 3 of 10.
        assert!((0.2..0.4).contains(&two_down.without_quorum), "{two_down:?}");
        assert_eq!(ring.endurance(5, &BTreeSet::new()).nodes, 2);
        let single = ring.endurance(1, &BTreeSet::new());
        assert_eq!((single.nodes, single.critical), (0, ids(&[1, 2, 3, 4, 5])));
    }

    #[test]
    fn a_rack_may_fail_where_every_part_has_a_quorum_elsewhere() {
        let spread = ring(&["a", "b", "c", "a", "b", "c"]);
        assert_eq!(spread.endurance(3, &BTreeSet::new()).racks, ["a", "b", "c"]);
        let lopsided = ring(&["a", "a", "b"]);
        assert_eq!(lopsided.endurance(3, &BTreeSet::new()).racks, ["b"]);
        assert_eq!(lopsided.endurance(3, &BTreeSet::from([NodeId(1)])).racks, Vec::<String>::new());
        let one_gone = spread.endurance(3, &BTreeSet::from([NodeId(1), NodeId(4)]));
        assert_eq!(
            one_gone.racks,
            Vec::<String>::new(),
            "neither another one nor the one that is gone: {one_gone:?}"
        );
    }
}
