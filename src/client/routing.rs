//! Which node to ask: the ring as the cluster last described it.

use std::{collections::BTreeSet, slice};

use quorate_ring::{Epoch, Member, NodeId, Ring, RingError, Token};

use crate::wire::ClusterInfo;

/// The cluster map that requests are routed by. Being out of date costs a hop, never correctness: nodes place
/// keys by their own map.
#[derive(Debug)]
pub(super) struct Map {
    epoch: Epoch,
    ring: Ring,
    /// The members in the client's rack.
    near: BTreeSet<NodeId>,
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

/// How a node that is connected looks to a request, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Health {
    /// It answers.
    Well,
    /// It has not answered anybody for a while.
    Silent,
    /// The request is with it already, or it failed there.
    Tried,
}

impl Map {
    /// The map of a client in `local_rack`; an empty name is none, as it is for members.
    pub(super) fn new(info: &ClusterInfo, local_rack: &str) -> Result<Self, RingError> {
        let ring = Ring::new(info.layout.clone())?;
        let is_near = |member: &&Member| !local_rack.is_empty() && member.rack == local_rack;
        let near = ring.members().iter().filter(is_near).map(|member| member.id).collect();
        Ok(Self { epoch: info.epoch, ring, near })
    }

    /// What a client in `local_rack` should be told if no member is there: most likely the name is another's.
    pub(super) fn trouble_with(&self, local_rack: &str) -> Option<String> {
        if local_rack.is_empty() || !self.near.is_empty() {
            return None;
        }
        let racks: BTreeSet<_> = self.ring.members().iter().map(|member| member.rack.as_str()).collect();
        let racks: Vec<_> = racks.into_iter().filter(|rack| !rack.is_empty()).collect();
        let racks = if racks.is_empty() { "none".to_owned() } else { racks.join(", ") };
        Some(format!(
            "no node is in rack '{local_rack}': the client has no preference; the cluster's racks: {racks}"
        ))
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The best of the nodes that `look` finds usable: the healthiest, and of several that are equally healthy the
    /// first in the order of `route`. Looks no further than the first that is well.
    pub(super) fn choose<N>(
        &self,
        route: Route<'_>,
        look: impl FnMut(NodeId) -> Option<(Health, N)>,
    ) -> Option<N> {
        let mut best: Option<(Health, N)> = None;
        for (health, node) in self.order(&route).filter_map(look) {
            if health == Health::Well {
                return Some(node);
            }
            if best.as_ref().is_none_or(|(least, _)| health < *least) {
                best = Some((health, node));
            }
        }
        best.map(|(_, node)| node)
    }

    /// Whom `route` may lead to: a key's replicas in order of preference, then everyone else; of both those in the
    /// client's rack first. Always asking the same replica first keeps what it caches of the key useful.
    fn order<'m>(&'m self, route: &'m Route<'_>) -> impl Iterator<Item = NodeId> + 'm {
        let members = self.ring.members();
        let (first, members): (&[NodeId], &[Member]) = match route {
            Route::Key(key, replication) => (self.ring.replicas_of_key(key, *replication), members),
            Route::Token(token, replication) => (self.ring.replicas(*token, *replication), members),
            Route::Node(node) => (slice::from_ref(node), members),
            Route::Only(node) => (slice::from_ref(node), &[]),
            Route::Anyone => (&[], members),
        };
        let others = members.iter().map(|member| member.id).filter(|id| !first.contains(id));
        self.near_first(first.iter().copied()).chain(self.near_first(others))
    }

    /// Otherwise in the order in which they come.
    fn near_first(&self, nodes: impl Iterator<Item = NodeId> + Clone) -> impl Iterator<Item = NodeId> {
        let far = nodes.clone().filter(|id| !self.near.contains(id));
        nodes.filter(|id| self.near.contains(id)).chain(far)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*, sample::select};
    use quorate_ring::{Founder, Layout};

    use super::*;
    use crate::wire::PROTOCOL_VERSION;

    /// A member for each rack, seen by a client in `rack`.
    fn map(racks: &[&str], rack: &str) -> Map {
        let founder =
            |(n, rack): (u32, &str)| Founder::new(format!("n{n}"), format!("127.0.0.1:{n}")).in_rack(rack);
        let founders: Vec<_> = (1..).zip(racks.iter().copied()).map(founder).collect();
        let layout = Layout::found("test", &founders).expect("founders");
        let info = ClusterInfo {
            protocol: PROTOCOL_VERSION,
            cluster_name: "test".to_owned(),
            node: NodeId(1),
            epoch: layout.epoch,
            layout,
            up: Vec::new(),
            value_bytes_max: 1,
        };
        Map::new(&info, rack).expect("a ring")
    }

    fn order(map: &Map, route: Route<'_>) -> Vec<NodeId> {
        map.order(&route).collect()
    }

    fn nodes(ids: impl IntoIterator<Item = u32>) -> Vec<NodeId> {
        ids.into_iter().map(NodeId).collect()
    }

    #[test]
    fn asks_replicas_in_order_and_others_last() {
        for rack in ["", "elsewhere"] {
            let map = map(&["", "", "a", "a", "b"], rack);
            let mut asked = order(&map, Route::Key(b"alice", 3));
            assert_eq!(asked[..3], *map.ring.replicas_of_key(b"alice", 3));
            asked.sort_unstable();
            assert_eq!(asked, nodes(1..=5), "every node once");
            assert_eq!(order(&map, Route::Anyone), nodes(1..=5));
        }
    }

    #[test]
    fn asks_the_replica_in_the_clients_rack_first() {
        let racks = ["a", "b", "c", "a", "b", "c"];
        for n in 0..100_u32 {
            let (map, key) = (map(&racks, "b"), n.to_be_bytes());
            let replicas = map.ring.replicas_of_key(&key, 3);
            let (near, far): (Vec<_>, Vec<_>) =
                replicas.iter().partition(|id| [NodeId(2), NodeId(5)].contains(id));
            assert_eq!(near.len(), 1, "racks are spread");
            assert_eq!(order(&map, Route::Key(&key, 3))[..3], [near, far].concat());
        }
    }

    #[test]
    fn asks_anyone_in_the_rack_first_and_who_is_named_before_them() {
        let map = map(&["a", "b", "c", "b"], "b");
        assert_eq!(order(&map, Route::Anyone), nodes([2, 4, 1, 3]));
        assert_eq!(order(&map, Route::Node(NodeId(3))), nodes([3, 2, 4, 1]));
        assert_eq!(order(&map, Route::Only(NodeId(3))), nodes([3]));
    }

    #[test]
    fn a_rack_that_is_nobodys_is_told_of() {
        let racks = ["", "b", "a", "a"];
        assert_eq!(map(&racks, "").trouble_with(""), None, "a client in none, as the first node is");
        assert_eq!(map(&racks, "a").trouble_with("a"), None);
        let trouble = map(&racks, "A").trouble_with("A").expect("a name with a slip");
        assert!(
            trouble.starts_with("no node is in rack 'A'") && trouble.ends_with("racks: a, b"),
            "{trouble}"
        );
        assert!(map(&[""], "a").trouble_with("a").is_some_and(|trouble| trouble.ends_with("racks: none")));
    }

    proptest! {
        /// The slow obvious twin: everyone sorted.
        #[test]
        fn chooses_by_health_then_by_what_a_node_holds_then_by_rack(
            members in vec((select(&RACKS[..]), option::of(select(&HEALTH[..]))), 1..9),
            rack in select(&RACKS[..]),
            key in option::of(any::<u32>()),
            n in 1..5_u8,
        ) {
            let (racks, health): (Vec<_>, Vec<_>) = members.into_iter().unzip();
            let map = map(&racks, rack);
            let key = key.map(u32::to_be_bytes);
            let route = key.as_ref().map_or(Route::Anyone, |key| Route::Key(key, n));
            let replicas = key.as_ref().map_or(&[][..], |key| map.ring.replicas_of_key(key, n));
            let at = |id: NodeId| id.0 as usize - 1;

            let ids = map.ring.members().iter().map(|member| member.id);
            let mut expected: Vec<_> = ids.filter(|id| health[at(*id)].is_some()).collect();
            expected.sort_by_key(|id| {
                let preference = replicas.iter().position(|replica| replica == id);
                let is_far = rack.is_empty() || racks[at(*id)] != rack;
                (health[at(*id)], preference.is_none(), is_far, preference, *id)
            });

            let mut chosen = Vec::new();
            let look = |chosen: &[NodeId], id| health[at(id)].filter(|_| !chosen.contains(&id)).zip(Some(id));
            while let Some(next) = map.choose(route, |id| look(&chosen, id)) {
                chosen.push(next);
            }
            prop_assert_eq!(chosen, expected);
        }
    }

    const RACKS: [&str; 4] = ["", "a", "b", "c"];
    const HEALTH: [Health; 3] = [Health::Well, Health::Silent, Health::Tried];
}
