//! Which node to ask: the ring as the cluster last described it.

use quorate_ring::{Epoch, NodeId, Ring, RingError, Token};

use crate::wire::ClusterInfo;

/// The cluster map that requests are routed by. Being out of date costs a hop, never correctness: nodes place
/// keys by their own map.
#[derive(Debug)]
pub(super) struct Map {
    epoch: Epoch,
    ring: Ring,
}

/// Whom a request concerns.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route<'k> {
    /// The replicas of a key: the others would only pass the request on.
    Key(&'k [u8], u8),
    /// The replicas of a token.
    Token(Token, u8),
    /// This node, or any other while it cannot be reached.
    Node(NodeId),
    /// This node and no other: what it says of itself.
    Only(NodeId),
    /// Any node.
    Anyone,
}

impl Map {
    pub(super) fn new(info: &ClusterInfo) -> Result<Self, RingError> {
        Ring::new(info.layout.clone()).map(|ring| Self { epoch: info.epoch, ring })
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The first node, best first, that `usable` can make use of: a key's replicas in order of preference,
    /// then everyone else. Always asking the same replica first keeps what it caches of the key useful.
    pub(super) fn choose<N>(
        &self,
        route: Route<'_>,
        mut usable: impl FnMut(NodeId) -> Option<N>,
    ) -> Option<N> {
        let first = match &route {
            Route::Key(key, replication) => self.ring.replicas_of_key(key, *replication),
            Route::Token(token, replication) => self.ring.replicas(*token, *replication),
            Route::Node(node) => std::slice::from_ref(node),
            Route::Only(node) => return usable(*node),
            Route::Anyone => &[],
        };
        let others = || self.ring.members().iter().map(|member| member.id).filter(|id| !first.contains(id));
        first.iter().copied().find_map(&mut usable).or_else(|| others().find_map(&mut usable))
    }
}

#[cfg(test)]
mod tests {
    use quorate_ring::Founder;

    use super::*;

    #[test]
    fn asks_replicas_in_order_and_others_last() {
        let founders: Vec<_> =
            (1..=5).map(|n| Founder::new(format!("n{n}"), format!("127.0.0.1:{n}"))).collect();
        let map = Map { epoch: Epoch(1), ring: Ring::found("test", &founders).expect("founders") };
        let mut asked = Vec::new();
        map.choose(Route::Key(b"alice", 3), |id| {
            asked.push(id);
            None::<()>
        });
        assert_eq!(asked[..3], *map.ring.replicas_of_key(b"alice", 3));
        asked.sort_unstable();
        assert_eq!(asked, (1..=5).map(NodeId).collect::<Vec<_>>(), "every node once");
    }
}
