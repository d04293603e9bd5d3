//! Which nodes hold a range: distinct nodes clockwise, racks spread.

use crate::circle::Circle;

/// Chooses replicas on a circle whose owners stand in racks.
///
/// Nodes are taken in rounds. The first round takes the first node of each rack met clockwise from the range,
/// the second round the second node of each rack, and so on; within a round, clockwise order. So no rack holds
/// more than one replica more than another that still has a node to give, the list for n is the head of the
/// list for n+1, and without racks it is simply the distinct nodes clockwise. A node that joins pushes nodes
/// off lists and a node that leaves lets nodes in, but neither moves data between two other nodes.
pub(crate) struct Placement<'a> {
    circle: &'a Circle,
    /// The rack of each owner.
    racks: &'a [u32],
    /// How many nodes are chosen.
    count: usize,
    /// Rounds that every rack with enough nodes takes part in.
    full_rounds: u32,
    /// Places left for one more round.
    partial: usize,
    /// For each owner, the number of the walk that last met it.
    met: Vec<u32>,
    /// For each rack, the number of the walk that last met it and how many of its nodes that walk chose.
    chosen: Vec<(u32, u32)>,
    walk: u32,
    /// Of the present walk: round and owner of each chosen node.
    list: Vec<(u32, u32)>,
}

impl<'a> Placement<'a> {
    /// Chooses `n` replicas, or all owners if there are fewer.
    pub(crate) fn new(circle: &'a Circle, racks: &'a [u32], n: usize) -> Self {
        let count = n.min(racks.len());
        let mut sizes = vec![0_u32; racks.iter().max().map_or(0, |&rack| rack as usize + 1)];
        racks.iter().for_each(|&rack| sizes[rack as usize] += 1);
        let places = |rounds: u32| sizes.iter().map(|&size| size.min(rounds) as usize).sum::<usize>();
        // Ends: a round more adds a place until every owner has one, and `count` is at most that.
        let full_rounds = (0..).take_while(|&rounds| places(rounds) <= count).take(count + 1).last();
        let full_rounds = full_rounds.unwrap_or(0);
        Self {
            circle,
            racks,
            count,
            full_rounds,
            partial: count - places(full_rounds),
            met: vec![0; racks.len()],
            chosen: vec![(0, 0); sizes.len()],
            walk: 0,
            list: Vec::with_capacity(count),
        }
    }

    /// The replicas of `slot`, in order of preference.
    pub(crate) fn replicas(&mut self, slot: usize) -> impl Iterator<Item = u32> {
        self.choose(slot);
        // Rounds overlap on the walk; a stable sort brings them in order and keeps clockwise order within.
        self.list.sort_by_key(|&(round, _)| round);
        self.list.iter().map(|&(_, owner)| owner)
    }

    fn choose(&mut self, slot: usize) -> usize {
        self.walk += 1;
        self.list.clear();
        let mut partial = self.partial;
        let mut reach = 0;
        for owner in self.circle.walk(slot) {
            reach += 1;
            if std::mem::replace(&mut self.met[owner as usize], self.walk) == self.walk {
                continue;
            }
            let (walk, round) = &mut self.chosen[self.racks[owner as usize] as usize];
            if *walk != self.walk {
                (*walk, *round) = (self.walk, 0);
            }
            if *round == self.full_rounds && partial > 0 {
                partial -= 1;
            } else if *round >= self.full_rounds {
                continue;
            }
            self.list.push((*round, owner));
            *round += 1;
            if self.list.len() == self.count {
                break;
            }
        }
        reach
    }
}
