//! Which members are up, as this node sees it.

use std::collections::BTreeSet;

use quorate_ring::NodeId;

/// The members that can be reached, this node always among them. A wrong entry costs latency or a
/// refusal, never safety: quorums are counted in acknowledgements.
#[derive(Clone, Debug)]
pub struct UpSet {
    own: NodeId,
    peers: BTreeSet<NodeId>,
}

impl UpSet {
    /// Only this node is up.
    pub fn new(own: NodeId) -> Self {
        Self { own, peers: BTreeSet::new() }
    }

    /// A peer can be reached.
    pub fn insert(&mut self, peer: NodeId) {
        if peer != self.own {
            self.peers.insert(peer);
        }
    }

    /// A peer cannot be reached.
    pub fn remove(&mut self, peer: NodeId) {
        self.peers.remove(&peer);
    }

    /// Whether a member is up.
    pub fn contains(&self, node: NodeId) -> bool {
        node == self.own || self.peers.contains(&node)
    }

    /// The members that are up, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> {
        let mut up: Vec<_> = self.peers.iter().copied().chain([self.own]).collect();
        up.sort_unstable();
        up.into_iter()
    }
}
