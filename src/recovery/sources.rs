//! Who ranges are merged from, and whether that is enough: arithmetic.

use std::collections::{BTreeMap, BTreeSet};

use quorate_ring::{NodeId, Token, TokenRange};

/// The other replicas of ranges that have the same replicas, and what was merged of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    others: Vec<NodeId>,
    merged: BTreeSet<NodeId>,
    /// Tokens of keys that are damaged at some source, with those sources.
    unsure: BTreeMap<Token, BTreeSet<NodeId>>,
}

impl Sources {
    /// Nothing is merged yet; `others` are all replicas but this node, of which there is at least one.
    pub fn new(others: Vec<NodeId>) -> Self {
        Self { others, merged: BTreeSet::new(), unsure: BTreeMap::new() }
    }

    /// How many sources it takes: N-Q+1.
    pub fn required(&self) -> usize {
        let replicas = self.others.len() + 1;
        replicas - (replicas / 2 + 1) + 1
    }

    /// The sources that were not merged yet.
    pub fn candidates(&self) -> impl Iterator<Item = NodeId> {
        self.others.iter().copied().filter(|source| !self.merged.contains(source))
    }

    /// The key at `token` is damaged at `source`.
    pub fn damaged(&mut self, source: NodeId, token: Token) {
        self.unsure.entry(token).or_default().insert(source);
    }

    /// `source` is asked afresh: what was damaged there may have been mended.
    pub fn begin(&mut self, source: NodeId) {
        self.unsure.values_mut().for_each(|bad| {
            bad.remove(&source);
        });
    }

    /// Whether a key is damaged at `source`.
    pub fn is_unsure(&self, source: NodeId) -> bool {
        self.unsure.values().any(|bad| bad.contains(&source))
    }

    /// Everything that `source` holds is merged and durable, but for what it said is damaged.
    pub fn merged(&mut self, source: NodeId) {
        if self.others.contains(&source) {
            self.merged.insert(source);
        }
    }

    /// Whether the range is recovered, but for [`Sources::remainder`].
    pub fn is_complete(&self) -> bool {
        self.merged.len() >= self.required()
    }

    /// The tokens for which too few sources count, each as a range of its own with the sources that do.
    pub fn remainder(&self) -> Vec<(TokenRange, Self)> {
        let rest = self.unsure.iter().map(|(token, bad)| {
            let merged = self.merged.difference(bad).copied().collect();
            let range = TokenRange::new(Token(token.0.wrapping_sub(1)), *token);
            (range, Self { others: self.others.clone(), merged, unsure: BTreeMap::new() })
        });
        rest.filter(|(_, sources)| !sources.is_complete()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever quorum acknowledged a write, this node among it or not, a source of every recovered token
        /// holds it.
        #[test]
        fn a_complete_range_met_a_holder_of_every_acknowledged_write(
            replicas in 2_u32..=15,
            events in proptest::collection::vec((0_u32..15, proptest::option::of(0_i64..3)), 0..60),
            order in any::<u64>(),
        ) {
            let others: Vec<_> = (1..replicas).map(NodeId).collect();
            let mut sources = Sources::new(others.clone());
            let mut bad = BTreeSet::new();
            for (source, damage) in events {
                let source = NodeId(1 + source % (replicas - 1));
                match damage {
                    Some(token) if sources.candidates().any(|c| c == source) => {
                        sources.damaged(source, Token(token));
                        bad.insert((source, Token(token)));
                    }
                    _ => sources.merged(source),
                }
            }
            if !sources.is_complete() {
                return Ok(());
            }
            let left: Vec<_> = sources.remainder();
            let quorum = replicas as usize / 2 + 1;
            for token in (0..3).map(Token).filter(|token| !left.iter().any(|(range, _)| range.contains(*token))) {
                // The lost life of this node and any Q-1 others hold a write: try some such sets.
                for shift in 0..replicas as usize {
                    let at = |n: usize| others[(order as usize % others.len() + shift + n) % others.len()];
                    let holders: BTreeSet<_> = (0..quorum - 1).map(at).collect();
                    let met = holders.iter().any(|h| sources.merged.contains(h) && !bad.contains(&(*h, token)));
                    prop_assert!(quorum == 1 || met, "{holders:?} of {sources:?} at {token}");
                }
            }
        }
    }

    #[test]
    fn it_takes_all_but_a_minority_of_the_others() {
        let required = |replicas: u32| Sources::new((1..replicas).map(NodeId).collect()).required();
        assert_eq!([2, 3, 4, 5, 6, 7].map(required), [1, 2, 2, 3, 3, 4]);
    }

    #[test]
    fn a_damaged_key_alone_is_left() {
        let mut sources = Sources::new(vec![NodeId(1), NodeId(2)]);
        sources.damaged(NodeId(1), Token(7));
        sources.merged(NodeId(1));
        sources.merged(NodeId(2));
        assert!(sources.is_complete());
        let (range, rest) = sources.remainder().remove(0);
        assert!(range.contains(Token(7)) && range.width() == 1);
        assert_eq!(rest.candidates().collect::<Vec<_>>(), [NodeId(1)]);
    }
}
