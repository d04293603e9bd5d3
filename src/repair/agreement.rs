//! When two replicas last held the same.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Instant, NodeId, TableId};

/// When this node and each of its peers last agreed, by table and replica set.
#[derive(Debug, Default)]
pub(super) struct Agreements(BTreeMap<(NodeId, TableId, u32), Instant>);

impl Agreements {
    /// All that the two hold of a table as replicas of one set is the same.
    pub(super) fn agreed(&mut self, peer: NodeId, table: TableId, set: u32, now: Instant) {
        self.0.insert((peer, table, set), now);
    }

    /// How long ago they last agreed, on that of `sets` for which it is longest; counted from now for those that are new.
    pub(super) fn age(&mut self, peer: NodeId, sets: &[(TableId, u32)], now: Instant) -> Duration {
        let last = |(table, set): &(TableId, u32)| *self.0.entry((peer, *table, *set)).or_insert(now);
        sets.iter().map(last).min().map_or(Duration::ZERO, |oldest| now.since(oldest))
    }

    /// Forgets tables that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(TableId) -> bool) {
        self.0.retain(|(_, table, _), _| is_there(*table));
    }
}
