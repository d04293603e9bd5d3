//! For how long replicas have not been seen to hold the same, as far as it is told to whoever watches over the cluster.

use std::{cmp::Reverse, collections::BTreeMap};

use quorate_ring::{Duration, NodeId, TableId};

use super::Repair;
use crate::node::Turn;

/// How long ago a node and its peers were last found to hold the same, by either of the two (rule A3).
#[derive(Clone, Debug, Default)]
pub struct AgreementAges {
    /// Of each peer and table, all that both hold counted.
    pub by_table: Oldest<(NodeId, TableId)>,
    /// Of each peer and table, and of the keys that certain nodes hold together.
    pub by_range: Oldest<(NodeId, TableId, Vec<NodeId>)>,
}

/// Some of many ages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oldest<T> {
    /// The greatest, the greatest of all first, of one whole minute by name; none is what was not seen since the process
    /// started, and greater than any.
    pub kept: Vec<(T, Option<Duration>)>,
    /// How many are left out.
    pub left_out: usize,
}

impl Repair {
    /// How long ago this node and each other one were last found to hold the same: of the two ways to tell each, the `max`
    /// longest ago. None while the cells that it keeps digests of are not those of the ring.
    pub fn ages(&mut self, turn: &Turn<'_>, max: usize) -> Option<AgreementAges> {
        if !self.sets.fit(turn.ring) {
            return None;
        }
        let (mut by_table, mut by_range) = (Longest::new(max), Longest::new(max));
        for table in turn.catalog.tables() {
            let sets = self.sets.of(turn.ring, table.replication);
            for peer in turn.peers() {
                let found = |number| self.agreements.last_found(peer, table.id, number);
                let age = |number| found(number).map(|at| turn.now.mono.since(at));
                let mut oldest = None;
                for (number, _) in sets.shared(peer) {
                    let age = age(number);
                    by_range.insert((peer, table.id, number), age);
                    oldest = oldest.max(Some((age.is_none(), age)));
                }
                // Two that hold nothing of it together have nothing to agree on.
                oldest.into_iter().for_each(|(_, age)| by_table.insert((peer, table.id), age));
            }
        }
        let Oldest { kept, left_out } = by_range.into_oldest();
        let mut named = Vec::with_capacity(kept.len());
        for ((peer, table, number), age) in kept {
            let replication = turn.catalog.table(table)?.replication;
            let replicas = self.sets.of(turn.ring, replication).get(peer, number)?.members();
            named.push(((peer, table, replicas), age));
        }
        Some(AgreementAges { by_table: by_table.into_oldest(), by_range: Oldest { kept: named, left_out } })
    }
}

/// In the order in which it alarms: by whole minutes, so that those that are well do not take turns at being shown. Every
/// series that was ever shown costs whoever collects them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Minutes(u64),
    Unknown,
}

impl Rank {
    fn of(age: Option<Duration>) -> Self {
        age.map_or(Self::Unknown, |age| Self::Minutes(age.as_secs() / 60))
    }
}

/// The greatest ages that it was given, never more than its bound of them.
#[derive(Debug)]
struct Longest<T> {
    max: usize,
    kept: BTreeMap<(Rank, Reverse<T>), Option<Duration>>,
    left_out: usize,
}

impl<T: Ord> Longest<T> {
    fn new(max: usize) -> Self {
        Self { max, kept: BTreeMap::new(), left_out: 0 }
    }

    fn insert(&mut self, of: T, age: Option<Duration>) {
        let place = (Rank::of(age), Reverse(of));
        if self.kept.len() < self.max {
            self.kept.insert(place, age);
            return;
        }
        self.left_out += 1;
        if self.kept.first_key_value().is_some_and(|(least, _)| *least < place) {
            self.kept.pop_first();
            self.kept.insert(place, age);
        }
    }

    fn into_oldest(self) -> Oldest<T> {
        let kept = self.kept.into_iter().rev().map(|((_, Reverse(of)), age)| (of, age)).collect();
        Oldest { kept, left_out: self.left_out }
    }
}

impl<T> Default for Oldest<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), left_out: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The slow obvious twin: all of them, sorted.
        #[test]
        fn the_longest_ago_are_kept_and_what_is_unknown_before_all(
            ages in prop::collection::vec(prop::option::of(0_u64..300), 0..40),
            max in 0_usize..12,
        ) {
            let mut longest = Longest::new(max);
            for (number, age) in ages.iter().enumerate() {
                longest.insert(number, age.map(Duration::from_secs));
            }
            let mut twin: Vec<_> =
                ages.iter().enumerate().map(|(number, age)| (number, age.map(Duration::from_secs))).collect();
            let minutes = |age: &Option<Duration>| age.map_or(u64::MAX, |age| age.as_secs() / 60);
            twin.sort_by_key(|(number, age)| (Reverse(minutes(age)), *number));
            twin.truncate(max);
            let expected = Oldest { left_out: ages.len() - twin.len(), kept: twin };
            prop_assert_eq!(longest.into_oldest(), expected);
        }
    }
}
