//! The cells that two replicas share.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use quorate_ring::{Epoch, NodeId, Ring, TokenRange};
use quorate_storage::Slicing;

/// Nodes that hold ranges together, this one among them, and the cells of those ranges.
#[derive(Debug)]
pub(super) struct ReplicaSet {
    members: Vec<NodeId>,
    pub(super) ranges: Vec<TokenRange>,
    /// Ascending; neighbours joined.
    cells: Vec<Range<u32>>,
    len: u32,
}

/// The sets that this node is in, by replication, worked out when they are first needed.
#[derive(Debug)]
pub(super) struct Sets {
    own: NodeId,
    epoch: Epoch,
    slicing: Arc<Slicing>,
    by_replication: BTreeMap<u8, Arc<OwnSets>>,
}

/// The sets that a node is in, and which of them each peer is in, too.
#[derive(Debug)]
pub(super) struct OwnSets {
    sets: Vec<ReplicaSet>,
    /// Places in `sets`. The place of a place is the number that the peer gives the set as well.
    by_peer: BTreeMap<NodeId, Vec<u32>>,
}

impl Sets {
    pub(super) fn new(own: NodeId, ring: &Ring) -> Self {
        let slicing = Arc::new(Slicing::of(ring));
        Self { own, epoch: ring.epoch(), slicing, by_replication: BTreeMap::new() }
    }

    pub(super) fn slicing(&self) -> &Slicing {
        &self.slicing
    }

    /// Whether the cells are those of `ring`.
    pub(super) fn fit(&self, ring: &Ring) -> bool {
        self.epoch == ring.epoch()
    }

    pub(super) fn of(&mut self, ring: &Ring, replication: u8) -> Arc<OwnSets> {
        let Self { own, slicing, by_replication, .. } = self;
        let sets = by_replication.entry(replication).or_insert_with(|| {
            let sets = ring.replica_sets_of(*own, replication).into_iter();
            let sets = sets.map(|(members, ranges)| ReplicaSet::new(members, ranges, slicing));
            Arc::new(OwnSets::new(*own, sets.collect()))
        });
        Arc::clone(sets)
    }
}

impl OwnSets {
    fn new(own: NodeId, sets: Vec<ReplicaSet>) -> Self {
        let mut by_peer = BTreeMap::<NodeId, Vec<u32>>::new();
        for (place, set) in (0..).zip(&sets) {
            for peer in set.members.iter().filter(|member| **member != own) {
                by_peer.entry(*peer).or_default().push(place);
            }
        }
        Self { sets, by_peer }
    }

    /// Those that `peer` is in, by the numbers that both give them.
    pub(super) fn shared(&self, peer: NodeId) -> impl Iterator<Item = (u32, &ReplicaSet)> {
        let places = self.by_peer.get(&peer).map_or(&[][..], Vec::as_slice);
        (0..).zip(places.iter().map(|place| &self.sets[*place as usize]))
    }

    /// The one that both call `number`, if there is one.
    pub(super) fn get(&self, peer: NodeId, number: u32) -> Option<&ReplicaSet> {
        let place = self.by_peer.get(&peer)?.get(number as usize)?;
        self.sets.get(*place as usize)
    }
}

/// In which order the cells of a set are gone through. Of three replicas each pair has its own: where one of them lacks much,
/// the two that give it to it meet where the other one is done, and what is equal by then is left off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// From the last cell to the first.
    Down,
    /// From the first to the last.
    Up,
    /// From the middle up to the last, and from the first up to there.
    FromTheMiddle,
}

impl Order {
    /// Puts the parts of a branch, which are in the order of their cells, on a stack: the first of this order on top.
    pub(super) fn stack<T>(self, is_root: bool, parts: &mut [T]) {
        match self {
            Self::Down => {}
            Self::Up => parts.reverse(),
            Self::FromTheMiddle => {
                if is_root {
                    parts.rotate_left(parts.len() / 2);
                }
                parts.reverse();
            }
        }
    }
}

impl ReplicaSet {
    fn new(members: Vec<NodeId>, ranges: Vec<TokenRange>, slicing: &Slicing) -> Self {
        let mut cells: Vec<_> = ranges.iter().flat_map(|range| slicing.cells_of(*range)).collect();
        cells.sort_unstable_by_key(|run| run.start);
        let mut joined: Vec<Range<u32>> = Vec::with_capacity(cells.len());
        for run in cells {
            match joined.last_mut() {
                Some(last) if last.end == run.start => last.end = run.end,
                _ => joined.push(run),
            }
        }
        let len = joined.iter().map(|run| run.end - run.start).sum();
        Self { members, ranges, cells: joined, len }
    }

    /// The nodes that hold its ranges.
    pub(super) fn members(&self) -> Vec<NodeId> {
        self.members.clone()
    }

    /// How many cells it has.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// In which order two of its members look for what differs.
    pub(super) fn order(&self, one: NodeId, other: NodeId) -> Order {
        let place = |node| self.members.iter().position(|member| *member == node).unwrap_or(0);
        match (place(one) + place(other)) % 3 {
            0 => Order::Down,
            1 => Order::Up,
            _ => Order::FromTheMiddle,
        }
    }

    /// The cells from the one numbered `at` within the set on, `span` of them; fewer if it has fewer.
    pub(super) fn cells(&self, at: u32, span: u32) -> Vec<Range<u32>> {
        let (mut skip, mut left, mut found) = (at, span, Vec::new());
        for run in &self.cells {
            let len = run.end - run.start;
            if skip >= len {
                skip -= len;
                continue;
            }
            let start = run.start + skip;
            let end = run.end.min(start.saturating_add(left));
            (skip, left) = (0, left - (end - start));
            found.push(start..end);
            if left == 0 {
                break;
            }
        }
        found
    }
}

/// The parts in which a branch of `span` cells is compared: up to sixteen, by first cell and number of cells.
pub(super) fn parts(at: u32, span: u32) -> impl Iterator<Item = (u32, u32)> {
    let size = span.div_ceil(FAN_OUT).max(1);
    (0..span.div_ceil(size)).map(move |part| (at + part * size, size.min(span - part * size)))
}

/// More, and every difference costs more digests; fewer, and it takes more round trips.
const FAN_OUT: u32 = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quorate_ring::Founder;

    use super::*;

    fn ring(nodes: u16) -> Ring {
        let founders: Vec<_> =
            (1..=nodes).map(|n| Founder::new(format!("n{n}"), format!("127.0.0.1:{}", 7000 + n))).collect();
        Ring::found("sets", &founders).unwrap()
    }

    #[test]
    fn two_members_number_the_same_cells_alike_and_together_they_cover_the_circle() {
        let ring = ring(5);
        let mut covered = BTreeMap::<u32, u32>::new();
        for a in 1..=5 {
            let mut own = Sets::new(NodeId(a), &ring);
            let sets = own.of(&ring, 3);
            for set in &sets.sets {
                set.cells.iter().cloned().flatten().for_each(|cell| *covered.entry(cell).or_default() += 1);
            }
            for b in (1..=5).filter(|b| *b != a) {
                let other = Sets::new(NodeId(b), &ring).of(&ring, 3);
                let mine: Vec<_> = sets.shared(NodeId(b)).map(|(n, set)| (n, &set.cells)).collect();
                let theirs: Vec<_> = other.shared(NodeId(a)).map(|(n, set)| (n, &set.cells)).collect();
                assert_eq!(mine, theirs);
                for (number, cells) in &mine {
                    assert_eq!(sets.get(NodeId(b), *number).map(|set| &set.cells), Some(*cells));
                }
                assert!(sets.get(NodeId(b), mine.len() as u32).is_none());
                assert!(!mine.is_empty());
            }
        }
        assert_eq!(covered.len() as u32, Sets::new(NodeId(1), &ring).slicing().cells());
        assert!(covered.values().all(|holders| *holders == 3), "each cell has three replicas");
    }

    #[test]
    fn each_pair_of_three_replicas_has_an_order_of_its_own() {
        for set in &Sets::new(NodeId(1), &ring(5)).of(&ring(5), 3).sets {
            let [a, b, c] = set.members[..] else { panic!("three replicas") };
            let orders = [set.order(a, b), set.order(a, c), set.order(b, c)];
            assert!(orders[0] != orders[1] && orders[0] != orders[2] && orders[1] != orders[2]);
            assert_eq!(set.order(a, b), set.order(b, a), "whoever begins");
        }
    }

    #[test]
    fn two_orders_meet_half_way() {
        let stacked = |order: Order| {
            let mut cells: Vec<_> = (0..16).collect();
            order.stack(true, &mut cells);
            cells
        };
        for (one, other) in
            [(Order::Down, Order::Up), (Order::Down, Order::FromTheMiddle), (Order::Up, Order::FromTheMiddle)]
        {
            let (mut stacks, mut done) = ([stacked(one), stacked(other)], std::collections::BTreeSet::new());
            let mut steps = 0;
            while done.len() < 16 {
                for stack in &mut stacks {
                    while let Some(cell) = stack.pop()
                        && !done.insert(cell)
                    {}
                }
                steps += 1;
            }
            assert_eq!(steps, 8, "{one:?} and {other:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_the_branch(at in 0_u32..100, span in 1_u32..100_000) {
            let mut next = at;
            let mut count = 0;
            for (first, size) in parts(at, span) {
                prop_assert_eq!(first, next);
                prop_assert!(size > 0 && (size < span || span == 1));
                next += size;
                count += 1;
            }
            prop_assert_eq!(next, at + span);
            prop_assert!(count <= FAN_OUT);
        }
    }
}
