//! When two replicas last held the same.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Instant, NodeId, TableId};

/// When this node and each of its peers last agreed, by table and replica set.
#[derive(Debug, Default)]
pub(super) struct Agreements(BTreeMap<(NodeId, TableId, u32), Agreement>);

#[derive(Clone, Copy, Debug, Default)]
struct Agreement {
    /// When either side found out that they do.
    found_at: Option<Instant>,
    /// The begin of the last comparison of this node's own that found out. Nothing else is a promise: of a peer's
    /// comparison this node does not know when it began.
    begun_at: Option<Instant>,
}

impl Agreements {
    /// What either of the two held of a table at `begun_at`, as replicas of one set, the other one holds, too.
    pub(super) fn agreed(&mut self, peer: NodeId, table: TableId, set: u32, begun_at: Instant) {
        let agreement = self.0.entry((peer, table, set)).or_default();
        agreement.begun_at = agreement.begun_at.max(Some(begun_at));
        agreement.found_at = agreement.found_at.max(Some(begun_at));
    }

    /// The peer asked, and all that the two hold of a table as replicas of one set is the same, or was a moment ago.
    pub(super) fn found_by_peer(&mut self, peer: NodeId, table: TableId, set: u32, now: Instant) {
        self.0.entry((peer, table, set)).or_default().found_at = Some(now);
    }

    /// How long ago they were last found to agree, on that of `sets` for which it is longest; none if there is one on which
    /// they were not yet.
    pub(super) fn age(
        &self,
        peer: NodeId,
        mut sets: impl Iterator<Item = (TableId, u32)>,
        now: Instant,
    ) -> Option<Duration> {
        let age = |(table, set)| Some(now.since(self.last_found(peer, table, set)?));
        sets.try_fold(Duration::ZERO, |oldest, set| Some(oldest.max(age(set)?)))
    }

    /// When either of the two last found out that they agree on one set; none if neither was seen to.
    pub(super) fn last_found(&self, peer: NodeId, table: TableId, set: u32) -> Option<Instant> {
        self.0.get(&(peer, table, set))?.found_at
    }

    /// What either held at this time the other one holds, of one set; none if they were not seen to agree.
    pub(super) fn last(&self, peer: NodeId, table: TableId, set: u32) -> Option<Instant> {
        self.0.get(&(peer, table, set))?.begun_at
    }

    /// Forgets tables that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(TableId) -> bool) {
        self.0.retain(|(_, table, _), _| is_there(*table));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_found_is_news_but_no_promise() {
        let (mut agreements, peer, table) = (Agreements::default(), NodeId(2), TableId(1));
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let both = || [(table, 0), (table, 1)].into_iter();
        agreements.found_by_peer(peer, table, 0, at(5));
        assert_eq!(agreements.last(peer, table, 0), None, "when the peer began is not known");
        assert_eq!(agreements.last_found(peer, table, 0), Some(at(5)));
        assert_eq!(agreements.age(peer, both(), at(9)), None, "on one of them they did not agree yet");
        agreements.agreed(peer, table, 1, at(6));
        agreements.agreed(peer, table, 1, at(4));
        assert_eq!(agreements.last(peer, table, 1), Some(at(6)), "nothing turns back");
        assert_eq!(agreements.age(peer, both(), at(9)), Some(Duration::from_secs(4)));
    }
}
