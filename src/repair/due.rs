//! Which peer is compared with next, and when.

use std::collections::BTreeMap;

use quorate_ring::{Instant, NodeId};

use crate::node::Timers;

/// A time for each peer that is up. Every step of the node asks for the first of them, so that is not looked for among all.
#[derive(Debug, Default)]
pub(super) struct Due {
    by_peer: BTreeMap<NodeId, Instant>,
    in_order: Timers<NodeId>,
}

impl Due {
    /// A peer is due at `at`, whatever was set before.
    pub(super) fn set(&mut self, peer: NodeId, at: Instant) {
        self.remove(peer);
        self.by_peer.insert(peer, at);
        self.in_order.set(at, peer);
    }

    /// A peer that has a time is not due before `at`.
    pub(super) fn put_off(&mut self, peer: NodeId, at: Instant) {
        if self.by_peer.get(&peer).is_some_and(|due| *due < at) {
            self.set(peer, at);
        }
    }

    /// A peer that has a time is due at `at` at the latest.
    pub(super) fn bring_forward(&mut self, peer: NodeId, at: Instant) {
        if self.by_peer.get(&peer).is_some_and(|due| *due > at) {
            self.set(peer, at);
        }
    }

    /// A peer has no time any more.
    pub(super) fn remove(&mut self, peer: NodeId) {
        if let Some(at) = self.by_peer.remove(&peer) {
            self.in_order.cancel(at, peer);
        }
    }

    /// Whether a peer has a time.
    pub(super) fn contains(&self, peer: NodeId) -> bool {
        self.by_peer.contains_key(&peer)
    }

    /// All peers that have one.
    pub(super) fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.by_peer.keys().copied()
    }

    /// The first time.
    pub(super) fn next(&self) -> Option<Instant> {
        self.in_order.next()
    }

    /// Those that are due, in the order of their ids. Each must be given another time, or it remains due.
    pub(super) fn at(&self, now: Instant) -> Vec<NodeId> {
        let mut due: Vec<_> = self.in_order.until(now).collect();
        due.sort_unstable();
        due
    }

    /// Panics if the state contradicts itself.
    pub(super) fn validate(&self) {
        self.in_order.validate();
        assert_eq!(self.in_order.count(), self.by_peer.len(), "one timer for each peer");
        assert!(self.by_peer.iter().all(|(peer, at)| self.in_order.holds(*at, *peer)), "at its time");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Change {
        Set,
        PutOff,
        BringForward,
        Remove,
    }

    proptest! {
        /// The slow obvious twin: a map that is searched.
        #[test]
        fn whoever_is_due_is_found(
            changes in prop::collection::vec(
                (
                    prop::sample::select(vec![
                        Change::Set,
                        Change::PutOff,
                        Change::BringForward,
                        Change::Remove,
                    ]),
                    1_u32..6,
                    0_u64..20,
                ),
                0..60,
            ),
            now in 0_u64..20,
        ) {
            let (mut due, mut twin) = (Due::default(), BTreeMap::<NodeId, Instant>::new());
            for (change, peer, at) in changes {
                let (peer, at) = (NodeId(peer), Instant(at));
                match change {
                    Change::Set => {
                        due.set(peer, at);
                        twin.insert(peer, at);
                    }
                    Change::PutOff => {
                        due.put_off(peer, at);
                        twin.entry(peer).and_modify(|due| *due = (*due).max(at));
                    }
                    Change::BringForward => {
                        due.bring_forward(peer, at);
                        twin.entry(peer).and_modify(|due| *due = (*due).min(at));
                    }
                    Change::Remove => {
                        due.remove(peer);
                        twin.remove(&peer);
                    }
                }
                due.validate();
            }
            let expected: Vec<_> =
                twin.iter().filter(|(_, at)| at.0 <= now).map(|(peer, _)| *peer).collect();
            prop_assert_eq!(due.at(Instant(now)), expected);
            prop_assert_eq!(due.next(), twin.values().copied().min());
            prop_assert!(due.peers().eq(twin.keys().copied()));
        }
    }
}
