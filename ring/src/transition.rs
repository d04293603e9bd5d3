//! The difference between two rings: what must move.

use crate::{NodeId, Ring, Token, TokenRange};

/// A range whose replicas change from one ring to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The range.
    pub range: TokenRange,
    /// Nodes that hold it in the new ring only, in the order of their ids.
    pub gained_by: Vec<NodeId>,
    /// Nodes that hold it in the old ring only, in the order of their ids.
    pub lost_by: Vec<NodeId>,
}

/// The ranges whose set of replicas under factor `n` differs between `old` and `new`, clockwise from the
/// smallest token, neighbours that change alike joined. A change of order alone moves nothing.
pub fn moves(old: &Ring, new: &Ring, n: u8) -> Vec<Move> {
    let mut ends: Vec<Token> = tokens(old).chain(tokens(new)).collect();
    ends.sort_unstable();
    ends.dedup();

    let mut moves: Vec<Move> = Vec::new();
    let starts = ends.last().into_iter().chain(&ends);
    for (&start, &end) in starts.zip(&ends) {
        let (before, after) = (old.replicas(end, n), new.replicas(end, n));
        let (gained_by, lost_by) = (only_in(after, before), only_in(before, after));
        if gained_by.is_empty() && lost_by.is_empty() {
            continue;
        }
        match moves.last_mut() {
            Some(last)
                if last.range.end == start && last.gained_by == gained_by && last.lost_by == lost_by =>
            {
                last.range.end = end;
            }
            _ => moves.push(Move { range: TokenRange::new(start, end), gained_by, lost_by }),
        }
    }
    if let [first, .., last] = &mut *moves
        && (last.range.end, &last.gained_by, &last.lost_by)
            == (first.range.start, &first.gained_by, &first.lost_by)
    {
        first.range.start = last.range.start;
        moves.pop();
    }
    moves
}

fn tokens(ring: &Ring) -> impl Iterator<Item = Token> {
    ring.members().iter().flat_map(|member| &member.tokens).copied()
}

/// The nodes in `these` that are not in `others`, in the order of their ids.
fn only_in(these: &[NodeId], others: &[NodeId]) -> Vec<NodeId> {
    let mut only: Vec<_> = these.iter().copied().filter(|id| !others.contains(id)).collect();
    only.sort_unstable();
    only
}
