//! Preference lists: who holds a key, and who stands in.

use crate::{NodeId, Ring};

/// The nodes to turn to for a key, best first: its replicas, then fallbacks for those that do not answer.
#[derive(Clone, Copy, Debug)]
pub struct PreferenceList<'r> {
    ring: &'r Ring,
    slot: usize,
    primaries: &'r [NodeId],
}

impl<'r> PreferenceList<'r> {
    pub(crate) fn new(ring: &'r Ring, slot: usize, primaries: &'r [NodeId]) -> Self {
        Self { ring, slot, primaries }
    }

    /// The key's replicas.
    pub fn primaries(&self) -> &'r [NodeId] {
        self.primaries
    }

    /// Every other node once, clockwise from the key: the order in which nodes stand in for a replica, the same
    /// on every coordinator.
    pub fn fallbacks(&self) -> impl Iterator<Item = NodeId> + use<'r> {
        let members = self.ring.members();
        let mut met = vec![false; members.len()];
        let mut left = members.len() - self.primaries.len();
        let mut walk = self.ring.circle().walk(self.slot);
        let primaries = self.primaries;
        std::iter::from_fn(move || {
            while left > 0 {
                let owner = walk.next()? as usize;
                let id = members[owner].id;
                if !std::mem::replace(&mut met[owner], true) && !primaries.contains(&id) {
                    left -= 1;
                    return Some(id);
                }
            }
            None
        })
    }

    /// Primaries, then fallbacks: every member once.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + use<'r> {
        self.primaries.iter().copied().chain(self.fallbacks())
    }
}
