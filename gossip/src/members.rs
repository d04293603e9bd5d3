//! The table of members, with its digest.

use std::collections::BTreeMap;

use quorate_ring::NodeId;

use crate::{
    facts::Facts,
    life::{Claim, Life, MemberState},
    message::{BUCKETS, Head},
    random::{Random, mix},
};

/// The most members; further ones are ignored.
pub const MEMBERS_MAX: usize = 10_000;

/// What is held of a node.
#[derive(Clone, Debug)]
pub struct Member {
    pub(crate) claim: Claim,
    pub(crate) facts: Facts,
}

impl Member {
    /// What is claimed of it.
    pub fn claim(&self) -> Claim {
        self.claim
    }

    /// Its state.
    pub fn state(&self) -> MemberState {
        self.claim.state
    }

    /// How much is held of it.
    pub fn head(&self) -> Head {
        Head { claim: self.claim, facts_life: self.facts.life(), watermark: self.facts.watermark() }
    }

    fn validate(&self) {
        self.facts.validate();
        assert!(self.facts.life() <= self.claim.life, "entries of a life that is not known");
        let is_own = |node| node == self.claim.node;
        assert!(self.facts.entries().iter().all(|entry| is_own(entry.key.node)), "another node's entry");
    }
}

/// All members, this node among them, with hashes over buckets of them and an order in which to probe.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    own: NodeId,
    table: BTreeMap<NodeId, Member>,
    hashes: [u64; BUCKETS],
    /// Others that are alive or suspect: shuffled at each turn, so that each is probed once a turn (SWIM, 4.3).
    order: Vec<NodeId>,
    cursor: usize,
}

impl Members {
    pub(crate) fn new(own: NodeId, life: Life) -> Self {
        let table = BTreeMap::new();
        let mut members = Self { own, table, hashes: [0; BUCKETS], order: Vec::new(), cursor: 0 };
        let mut random = Random::new(0); // there is no order yet to draw a place in
        members.insert(Claim::alive(own, life, 0), &mut random);
        members.edit(own, &mut random, |member| member.facts = Facts::none_in(life));
        members
    }

    pub(crate) fn own(&self) -> Claim {
        self.table[&self.own].claim
    }

    pub(crate) fn find(&self, node: NodeId) -> Option<&Member> {
        self.table.get(&node)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.table.values()
    }

    /// Members that are alive or suspect, this node included.
    pub(crate) fn active(&self) -> usize {
        self.order.len() + 1
    }

    /// Adds a member; false if it is there already, or there is no room.
    pub(crate) fn insert(&mut self, claim: Claim, random: &mut Random) -> bool {
        if self.table.len() >= MEMBERS_MAX || self.table.contains_key(&claim.node) {
            return false;
        }
        let member = Member { claim, facts: Facts::default() };
        self.hashes[bucket_of(claim.node)] ^= hash(&member);
        self.table.insert(claim.node, member);
        self.reorder(claim.node, false, random);
        true
    }

    /// Changes a member and all that depends on it.
    pub(crate) fn edit<T>(
        &mut self,
        node: NodeId,
        random: &mut Random,
        change: impl FnOnce(&mut Member) -> T,
    ) -> Option<T> {
        let member = self.table.get_mut(&node)?;
        let was_active = is_active(member);
        let before = hash(member);
        let result = change(member);
        self.hashes[bucket_of(node)] ^= before ^ hash(member);
        self.reorder(node, was_active, random);
        Some(result)
    }

    pub(crate) fn remove(&mut self, node: NodeId) {
        if let Some(member) = self.table.remove(&node) {
            self.hashes[bucket_of(node)] ^= hash(&member);
            if is_active(&member) {
                self.leave_order(node);
            }
        }
    }

    fn reorder(&mut self, node: NodeId, was_active: bool, random: &mut Random) {
        let is_active = self.table.get(&node).is_some_and(is_active);
        if node == self.own || is_active == was_active {
            return;
        }
        if is_active {
            // At a random place, so that nobody is probed at once by everybody who hears of it.
            let at = random.below(self.order.len() + 1);
            self.order.insert(at, node);
            self.cursor += usize::from(at < self.cursor);
        } else {
            self.leave_order(node);
        }
    }

    fn leave_order(&mut self, node: NodeId) {
        if let Some(at) = self.order.iter().position(|other| *other == node) {
            self.order.remove(at);
            self.cursor -= usize::from(at < self.cursor);
        }
    }

    /// Whom to probe next.
    pub(crate) fn next_target(&mut self, random: &mut Random) -> Option<NodeId> {
        if self.cursor >= self.order.len() {
            random.shuffle(&mut self.order);
            self.cursor = 0;
        }
        let target = *self.order.get(self.cursor)?;
        self.cursor += 1;
        Some(target)
    }

    /// Up to `count` different active members at random that `suits` lets pass. Among many unsuitable ones it may find
    /// fewer than there are.
    pub(crate) fn pick(
        &self,
        count: usize,
        random: &mut Random,
        suits: impl Fn(&Claim) -> bool,
    ) -> Vec<NodeId> {
        let suits = |node: &NodeId| self.table.get(node).is_some_and(|member| suits(&member.claim));
        if self.order.len() <= 4 * count {
            let mut all: Vec<_> = self.order.iter().copied().filter(suits).collect();
            random.shuffle(&mut all);
            all.truncate(count);
            return all;
        }
        let mut picked = Vec::with_capacity(count);
        for _ in 0..8 * count {
            if picked.len() == count {
                break;
            }
            let node = self.order[random.below(self.order.len())];
            if !picked.contains(&node) && suits(&node) {
                picked.push(node);
            }
        }
        picked
    }

    pub(crate) fn bucket_hashes(&self) -> [u64; BUCKETS] {
        self.hashes
    }

    pub(crate) fn root_hash(&self) -> u64 {
        self.hashes.iter().fold(0, |root, hash| mix(root.rotate_left(1) ^ hash))
    }

    pub(crate) fn validate(&self) {
        let mut hashes = [0; BUCKETS];
        for (node, member) in &self.table {
            assert_eq!(*node, member.claim.node);
            member.validate();
            hashes[bucket_of(*node)] ^= hash(member);
            let times = self.order.iter().filter(|other| *other == node).count();
            let expected = usize::from(*node != self.own && is_active(member));
            assert_eq!(times, expected, "{node} stands {times} times in the order");
        }
        assert_eq!(hashes, self.hashes, "the digest does not follow the members");
        assert!(self.table.contains_key(&self.own) && self.table.len() <= MEMBERS_MAX);
        assert!(self.cursor <= self.order.len());
    }
}

/// Where a node stands in the digest. Ids are dense, so the buckets are even.
pub(crate) fn bucket_of(node: NodeId) -> usize {
    node.0 as usize % BUCKETS
}

fn is_active(member: &Member) -> bool {
    matches!(member.claim.state, MemberState::Alive | MemberState::Suspect)
}

/// Of all that an exchange compares.
fn hash(member: &Member) -> u64 {
    let Head { claim, facts_life, watermark } = member.head();
    let words = [
        u64::from(claim.node.0) << 32 | u64::from(claim.refutation) << 2 | claim.state as u64,
        claim.life.0,
        facts_life.0,
        watermark,
    ];
    words.iter().fold(0x517c_c1b7_2722_0a95, |sum, word| mix(sum ^ word).wrapping_mul(3))
}
