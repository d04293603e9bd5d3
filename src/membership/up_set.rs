//! Which members are up, as this node sees it.

use std::collections::{BTreeMap, BTreeSet};

use quorate_ring::{Duration, Instant, NodeId, TableId, Token, TokenRange};

/// The members that can be reached, this node always among them, whether each acts as a member (rule M1) and answers gossip, and
/// what each of them does not serve yet because it is recovering (rule R7). A wrong entry costs latency or a refusal, never safety: quorums are
/// counted in acknowledgements.
#[derive(Clone, Debug)]
pub struct UpSet {
    own: NodeId,
    /// Since when each can be reached.
    peers: BTreeMap<NodeId, Instant>,
    absent: BTreeSet<NodeId>,
    suspects: BTreeSet<NodeId>,
    recovering: BTreeMap<NodeId, Vec<(TableId, Vec<TokenRange>)>>,
}

impl UpSet {
    /// Only this node is up.
    pub fn new(own: NodeId) -> Self {
        let (peers, absent, suspects) = Default::default();
        Self { own, peers, absent, suspects, recovering: BTreeMap::new() }
    }

    /// A peer can be reached from `now` on.
    pub fn insert(&mut self, peer: NodeId, now: Instant) {
        if peer != self.own {
            self.peers.insert(peer, now);
        }
    }

    /// A peer cannot be reached.
    pub fn remove(&mut self, peer: NodeId) {
        self.peers.remove(&peer);
        self.absent.remove(&peer);
        self.suspects.remove(&peer);
        self.recovering.remove(&peer);
    }

    /// A peer that is up does not answer gossip, or does again.
    pub fn set_suspected(&mut self, peer: NodeId, suspected: bool) {
        if !suspected {
            self.suspects.remove(&peer);
        } else if self.peers.contains_key(&peer) {
            self.suspects.insert(peer);
        }
    }

    /// A peer that is up does not act as a member yet, or does from now on.
    pub fn acts_as_member(&mut self, peer: NodeId, serves: bool) {
        if serves {
            self.absent.remove(&peer);
        } else if self.peers.contains_key(&peer) {
            self.absent.insert(peer);
        }
    }

    /// A member, this node or a peer that is up, recovers exactly these ranges of these tables.
    pub fn recovers(&mut self, node: NodeId, left: Vec<(TableId, Vec<TokenRange>)>) {
        if left.is_empty() {
            self.recovering.remove(&node);
        } else if self.contains(node) {
            self.recovering.insert(node, left);
        }
    }

    /// Whether a member is up.
    pub fn contains(&self, node: NodeId) -> bool {
        node == self.own || self.peers.contains_key(&node)
    }

    /// Whether a peer is up, and has been for longer than `age`.
    pub fn is_older(&self, peer: NodeId, now: Instant, age: Duration) -> bool {
        self.peers.get(&peer).is_some_and(|since| now.since(*since) > age)
    }

    /// Whether a member is up and serves its part of the table around `token`.
    pub fn serves(&self, node: NodeId, table: TableId, token: Token) -> bool {
        self.acts(node) && !self.left_of(node, table).any(|range| range.contains(token))
    }

    /// Whether a member is up and serves the whole of all `ranges`.
    pub fn serves_all(&self, node: NodeId, table: TableId, ranges: &[TokenRange]) -> bool {
        let overlaps = |left: TokenRange| ranges.iter().any(|range| left.overlaps(*range));
        self.acts(node) && !self.left_of(node, table).any(overlaps)
    }

    /// Whether a peer that is up does not act as a member yet.
    pub fn is_absent(&self, node: NodeId) -> bool {
        self.absent.contains(&node)
    }

    /// Whether a peer that is up does not answer gossip: it is asked last.
    pub fn suspects(&self, node: NodeId) -> bool {
        self.suspects.contains(&node)
    }

    /// Whether a member recovers anything.
    pub fn is_recovering(&self, node: NodeId) -> bool {
        self.recovering.contains_key(&node)
    }

    /// The members that are up, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> {
        let mut up: Vec<_> = self.peers.keys().copied().chain([self.own]).collect();
        up.sort_unstable();
        up.into_iter()
    }

    fn acts(&self, node: NodeId) -> bool {
        self.contains(node) && !self.absent.contains(&node)
    }

    fn left_of(&self, node: NodeId, table: TableId) -> impl Iterator<Item = TokenRange> {
        let tables = self.recovering.get(&node).into_iter().flatten();
        tables.filter(move |(id, _)| *id == table).flat_map(|(_, left)| left.iter().copied())
    }
}
