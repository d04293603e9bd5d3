//! Founding a ring: equal slices of the circle, dealt out like cards.
//!
//! Every slice being equal, a node owns exactly its share. What is left to choose is the order. Each node's
//! turns come at even intervals with jitter, so that its neighbours vary and its work spreads over many nodes
//! when it fails. Between two turns of a node, and of a rack, other nodes and racks get theirs: if at least N-1
//! others lie between, each slice of a node makes it a replica of exactly N slices, and replicated ownership is
//! exact too.

use std::collections::VecDeque;

use super::number_racks;
use crate::{Founder, Token, TokenRange, partitioner::finish};

/// Cuts the circle into as many equal slices as the founders have tokens, and deals them out.
pub(super) fn deal(founders: &[Founder]) -> Vec<Vec<Token>> {
    let racks = number_racks(founders.iter().map(|founder| founder.rack.as_str()));
    let mut turns = turns(founders, &racks);
    let slices = TokenRange::FULL.divide(turns.len() as u32);
    let mut seating = Seating::new(&racks);
    let mut claims = vec![Vec::new(); founders.len()];
    for slice in slices {
        let Some(node) = turns.remove(seating.choose(&turns)) else { break };
        seating.seat(node);
        claims[node].push(slice.end);
    }
    claims
}

/// One turn for each token, in the order in which they are due. A rack's turns come at even intervals with
/// jitter, and within the rack so do each node's.
fn turns(founders: &[Founder], racks: &[u32]) -> VecDeque<usize> {
    let mut by_rack = vec![Vec::new(); racks.iter().max().map_or(0, |&rack| rack as usize + 1)];
    for (node, (founder, &rack)) in founders.iter().zip(racks).enumerate() {
        let count = founder.token_count() as u64;
        by_rack[rack as usize].extend((0..count).map(|turn| (due(node as u64 + 1, turn, count), node)));
    }
    let mut turns = Vec::new();
    for (rack, of_rack) in by_rack.iter_mut().enumerate() {
        of_rack.sort_unstable();
        let count = of_rack.len() as u64;
        let dues = (0..count).map(|turn| due(!(rack as u64), turn, count));
        turns.extend(dues.zip(of_rack.iter().map(|&(_, node)| node)));
    }
    turns.sort_unstable();
    turns.into_iter().map(|(_, node)| node).collect()
}

/// A random place within the `turn`-th of `count` equal parts of the circle, which is 2^32 long here.
fn due(who: u64, turn: u64, count: u64) -> u64 {
    let jitter = finish(finish(who) ^ turn) >> 32;
    ((turn << 32) + jitter) / count
}

/// Who sat where.
struct Seating<'a> {
    racks: &'a [u32],
    /// The seat the next node takes, counted from 1.
    seat: usize,
    /// The last seat of each node and of each rack; 0 for none.
    node_seats: Vec<usize>,
    rack_seats: Vec<usize>,
    /// How many seats apart two turns of a node and of a rack should be.
    node_apart: usize,
    rack_apart: usize,
    /// Turns looked at for one seat: few, or a rack too large to keep apart would queue up until the end.
    look_ahead: usize,
    previous: usize,
    /// How often each node (column) followed each (row); empty for clusters so large that few pairs repeat.
    followed: Vec<u16>,
}

impl<'a> Seating<'a> {
    fn new(racks: &'a [u32]) -> Self {
        let nodes = racks.len();
        let rack_count = racks.iter().max().map_or(0, |&rack| rack as usize + 1);
        Self {
            racks,
            seat: 1,
            node_seats: vec![0; nodes],
            rack_seats: vec![0; rack_count],
            node_apart: apart(nodes).min(nodes - 1),
            rack_apart: apart(rack_count).min(nodes - 1),
            look_ahead: CHOICES + 2 * rack_count,
            previous: 0,
            followed: vec![0; if nodes <= PAIRED_NODES_MAX { nodes * nodes } else { 0 }],
        }
    }

    /// The turn to play next: of the first few due that keep apart, the one whose node followed the previous
    /// node least often; if none keeps apart, the one that does so best.
    fn choose(&self, turns: &VecDeque<usize>) -> usize {
        let window = || turns.iter().take(self.look_ahead).enumerate();
        let apart = window().filter(|&(_, &node)| self.apart(node) == (self.rack_apart, self.node_apart));
        let followed =
            |node| self.followed.get(self.previous * self.racks.len() + node).copied().unwrap_or(0);
        let best = apart.take(CHOICES).min_by_key(|&(at, &node)| (followed(node), at));
        let best = best.or_else(|| window().max_by_key(|&(at, &node)| (self.apart(node), usize::MAX - at)));
        best.map_or(0, |(at, _)| at)
    }

    /// How many seats lie between the next seat and the last one of the node's rack and of the node, each as
    /// far as it matters.
    fn apart(&self, node: usize) -> (usize, usize) {
        let distance =
            |seat: usize, wanted: usize| if seat == 0 { wanted } else { wanted.min(self.seat - seat) };
        let rack_seat = self.rack_seats[self.racks[node] as usize];
        (distance(rack_seat, self.rack_apart), distance(self.node_seats[node], self.node_apart))
    }

    fn seat(&mut self, node: usize) {
        if let Some(followed) = self.followed.get_mut(self.previous * self.racks.len() + node) {
            *followed = followed.saturating_add(1);
        }
        self.node_seats[node] = self.seat;
        self.rack_seats[self.racks[node] as usize] = self.seat;
        self.previous = node;
        self.seat += 1;
    }
}

/// How far apart turns should be if `count` nodes or racks take them: enough for the common replication
/// factors, yet with a choice left, without which the order would be the same each time round.
fn apart(count: usize) -> usize {
    (count / 2).clamp(3, crate::Table::REPLICATION_MAX as usize).min(count)
}

/// Turns that keep apart, to choose from.
const CHOICES: usize = 4;
/// Members above which nobody counts who followed whom: the counts take two bytes for each pair.
const PAIRED_NODES_MAX: usize = 1_024;
