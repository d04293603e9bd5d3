//! How many requests of peers wait at a replica (rule Q11).

use std::collections::BTreeMap;

use quorate_ring::NodeId;

use crate::node::NodeConfig;

/// Counts those that wait, in all and per peer. Full means refused at once, never queued; and one peer alone cannot
/// fill it, so that the requests of the others find room whatever that one asks for.
///
/// Events: [`enter`](Self::enter) and [`leave`](Self::leave). The rest only looks.
#[derive(Debug, Default)]
pub(super) struct Room {
    waiting: usize,
    of_peer: BTreeMap<NodeId, usize>,
}

impl Room {
    /// Whether one more request of `peer` may wait.
    pub(super) fn is_there_for(&self, peer: NodeId, config: &NodeConfig) -> bool {
        let most = config.replica_requests_max;
        let of_peer = self.of_peer.get(&peer).copied().unwrap_or_default();
        self.waiting < most && of_peer < NodeConfig::share_of_peer(most)
    }

    /// A request of `peer` waits.
    pub(super) fn enter(&mut self, peer: NodeId) {
        self.waiting += 1;
        *self.of_peer.entry(peer).or_default() += 1;
    }

    /// A request of `peer` waits no longer.
    pub(super) fn leave(&mut self, peer: NodeId) {
        self.waiting -= 1;
        if let Some(of_peer) = self.of_peer.get_mut(&peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                self.of_peer.remove(&peer);
            }
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Panics if the state contradicts itself.
    pub(super) fn validate(&self, replica_requests_max: usize) {
        assert!(self.waiting <= replica_requests_max, "more requests wait than were let in");
        assert_eq!(self.of_peer.values().sum::<usize>(), self.waiting, "every request is somebody's");
        let share = NodeConfig::share_of_peer(replica_requests_max);
        assert!(self.of_peer.values().all(|of_peer| (1..=share).contains(of_peer)));
    }
}

#[cfg(test)]
mod tests {
    use quorate_ring::Actor;

    use super::*;

    #[test]
    fn one_peer_cannot_take_the_room_of_the_others() {
        let mut config = NodeConfig::new(NodeId(1), Actor(1), "test");
        config.replica_requests_max = 5;
        let mut room = Room::default();
        let mut taken = |peer| {
            let enters = || room.is_there_for(NodeId(peer), &config).then(|| room.enter(NodeId(peer)));
            std::iter::from_fn(enters).count()
        };
        assert_eq!([taken(2), taken(3), taken(4)], [3, 2, 0], "half of it, and no more than all");
        room.leave(NodeId(2));
        assert!(room.is_there_for(NodeId(4), &config) && room.is_there_for(NodeId(2), &config));
        (0..2).for_each(|_| room.leave(NodeId(2)));
        (0..2).for_each(|_| room.leave(NodeId(3)));
        assert_eq!(
            (room.waiting(), room.of_peer.len()),
            (0, 0),
            "peers that ask for nothing leave nothing behind"
        );
        config.replica_requests_max = 1;
        assert!(room.is_there_for(NodeId(2), &config), "one request always finds room");
    }
}
