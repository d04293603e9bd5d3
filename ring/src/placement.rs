//! Which nodes hold a range: distinct nodes clockwise, racks spread.

use crate::circle::Circle;

/// The replicas of every slot of `circle`, one list of `n` (or of as many as there are owners) after the other.
/// Takes time in proportion to the slots, however rare the owners of a rack are.
pub(crate) fn replicas_of_all(circle: &Circle, racks: &[u32], n: usize) -> Vec<u32> {
    let mut placement = Placement::new(racks, n);
    let mut ahead = Ahead::new(racks, &placement.quota);
    // Going backward once around leaves what lies ahead of the last slot.
    (0..circle.len()).rev().for_each(|slot| ahead.meet(circle.owner(slot)));
    let width = placement.quota.count;
    let mut table = vec![0; circle.len() * width];
    for (slot, list) in table.chunks_exact_mut(width).enumerate().rev() {
        ahead.meet(circle.owner(slot));
        let (replicas, _) = placement.choose(ahead.owners());
        list.iter_mut().zip(replicas).for_each(|(place, replica)| *place = replica);
    }
    table
}

/// Chooses replicas for owners that stand in racks, following the owners met clockwise from a range.
///
/// Nodes are taken in rounds. The first round takes the first node of each rack met, the second round the
/// second node of each rack, and so on; within a round, clockwise order. So no rack holds more than one replica
/// more than another that still has a node to give, the list for n is the head of the list for n+1, and without
/// racks it is simply the distinct nodes clockwise. A node that joins pushes nodes off lists and a node that
/// leaves lets nodes in, but neither moves data between two other nodes.
pub(crate) struct Placement<'a> {
    /// The rack of each owner.
    racks: &'a [u32],
    quota: Quota,
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
    pub(crate) fn new(racks: &'a [u32], n: usize) -> Self {
        let quota = Quota::new(racks, n);
        Self {
            racks,
            met: vec![0; racks.len()],
            chosen: vec![(0, 0); quota.sizes.len()],
            walk: 0,
            list: Vec::with_capacity(quota.count),
            quota,
        }
    }

    /// The replicas of a range, in order of preference, and how many owners were met until all were found.
    /// `owners` are those of the range and of all that follow, once around the circle.
    pub(crate) fn choose(
        &mut self,
        owners: impl Iterator<Item = u32>,
    ) -> (impl Iterator<Item = u32> + Clone, usize) {
        self.walk += 1;
        self.list.clear();
        let mut partial = self.quota.partial;
        let mut reach = 0;
        for owner in owners {
            reach += 1;
            if std::mem::replace(&mut self.met[owner as usize], self.walk) == self.walk {
                continue;
            }
            let (walk, round) = &mut self.chosen[self.racks[owner as usize] as usize];
            if *walk != self.walk {
                (*walk, *round) = (self.walk, 0);
            }
            if *round == self.quota.full_rounds && partial > 0 {
                partial -= 1;
            } else if *round >= self.quota.full_rounds {
                continue;
            }
            self.list.push((*round, owner));
            *round += 1;
            if self.list.len() == self.quota.count {
                break;
            }
        }
        // Rounds overlap on the walk: a stable sort brings them in order and keeps clockwise order within.
        self.list.sort_by_key(|&(round, _)| round);
        (self.list.iter().map(|&(_, owner)| owner), reach)
    }
}

/// The owners met clockwise from a slot, without those that cannot be chosen: of each rack, the first few.
/// Moves backward one slot at a time.
struct Ahead<'a> {
    racks: &'a [u32],
    /// For each rack its owners in the chain, nearest first: as many as full rounds, and one more.
    nearest: Vec<Vec<u32>>,
    nearest_max: usize,
    /// The chain, nearest first: for each owner the ones before and after it. An owner's index one past the
    /// last is both ends.
    before: Vec<u32>,
    after: Vec<u32>,
}

impl<'a> Ahead<'a> {
    fn new(racks: &'a [u32], quota: &Quota) -> Self {
        let ends = racks.len() as u32;
        Self {
            racks,
            nearest: vec![Vec::new(); quota.sizes.len()],
            nearest_max: quota.full_rounds as usize + 1,
            before: vec![ends; racks.len() + 1],
            after: vec![ends; racks.len() + 1],
        }
    }

    /// Steps back onto a slot of `owner`.
    fn meet(&mut self, owner: u32) {
        let nearest = &mut self.nearest[self.racks[owner as usize] as usize];
        let known = nearest.iter().position(|&other| other == owner);
        let replaced = match known {
            Some(at) => Some(nearest.remove(at)),
            None if nearest.len() == self.nearest_max => nearest.pop(),
            None => None,
        };
        nearest.insert(0, owner);
        if let Some(replaced) = replaced {
            let (before, after) = (self.before[replaced as usize], self.after[replaced as usize]);
            self.after[before as usize] = after;
            self.before[after as usize] = before;
        }
        let ends = self.racks.len() as u32;
        let first = std::mem::replace(&mut self.after[ends as usize], owner);
        self.before[first as usize] = owner;
        (self.before[owner as usize], self.after[owner as usize]) = (ends, first);
    }

    fn owners(&self) -> impl Iterator<Item = u32> {
        let ends = self.racks.len() as u32;
        let next = move |&owner: &u32| Some(self.after[owner as usize]).filter(|&owner| owner != ends);
        std::iter::successors(next(&ends), next)
    }
}

/// How many replicas racks get.
pub(crate) struct Quota {
    /// How many nodes there are in each rack.
    pub(crate) sizes: Vec<u32>,
    /// How many replicas a range has.
    pub(crate) count: usize,
    /// Rounds in which each rack that still has a node gives one.
    pub(crate) full_rounds: u32,
    /// Replicas of the one round more in which only the first racks met give one.
    pub(crate) partial: usize,
}

impl Quota {
    /// Of `n` replicas, or of as many as there are owners.
    pub(crate) fn new(racks: &[u32], n: usize) -> Self {
        let count = n.min(racks.len());
        let mut sizes = vec![0; racks.iter().max().map_or(0, |&rack| rack as usize + 1)];
        racks.iter().for_each(|&rack| sizes[rack as usize] += 1);
        let places = |rounds: u32| sizes.iter().map(|&size| rounds.min(size) as usize).sum::<usize>();
        // Until racks run out, each round adds a place: round `count` is enough.
        let fits = (0..=count as u32).take_while(|&rounds| places(rounds) <= count);
        let full_rounds = fits.last().unwrap_or(0);
        let partial = count - places(full_rounds);
        Self { sizes, count, full_rounds, partial }
    }
}
