//! When two replicas last held the same.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Instant, NodeId, TableId};

/// When this node and each of its peers last agreed, by table and replica set.
#[derive(Debug, Default)]
pub(super) struct Agreements(BTreeMap<(NodeId, TableId, u32), Agreement>);

#[derive(Clone, Copy, Debug)]
struct Agreement {
    /// When they last agreed, or when it was first asked.
    since: Instant,
    is_seen: bool,
}

impl Agreements {
    /// What either of the two held of a table at `at`, as replicas of one set, the other one holds, too.
    pub(super) fn agreed(&mut self, peer: NodeId, table: TableId, set: u32, at: Instant) {
        let agreed = Agreement { since: at, is_seen: true };
        let agreement = self.0.entry((peer, table, set)).or_insert(agreed);
        if !agreement.is_seen || agreement.since < at {
            *agreement = agreed;
        }
    }

    /// How long ago they last agreed, on that of `sets` for which it is longest; counted from now for those that are new.
    pub(super) fn age(
        &mut self,
        peer: NodeId,
        sets: impl IntoIterator<Item = (TableId, u32)>,
        now: Instant,
    ) -> Duration {
        let new = Agreement { since: now, is_seen: false };
        let since = |(table, set)| self.0.entry((peer, table, set)).or_insert(new).since;
        sets.into_iter().map(since).min().map_or(Duration::ZERO, |oldest| now.since(oldest))
    }

    /// When they last agreed on one set, if they did.
    pub(super) fn last(&self, peer: NodeId, table: TableId, set: u32) -> Option<Instant> {
        self.0.get(&(peer, table, set)).filter(|agreement| agreement.is_seen).map(|agreement| agreement.since)
    }

    /// Forgets tables that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(TableId) -> bool) {
        self.0.retain(|(_, table, _), _| is_there(*table));
    }
}
