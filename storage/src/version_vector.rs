//! Version vectors: how much of each actor's writes to one key is known.

use std::cmp::Ordering;

use quorate_ring::{Actor, Hlc, Tag};
use serde::{Deserialize, Serialize};

/// For each actor that wrote a key, the greatest clock reading seen of it (Parker et al., "Detection of
/// Mutual Inconsistency in Distributed Systems", 1983, with clock readings in place of counters). Whoever
/// knows an actor's dot at a reading knows all earlier dots of that actor for the key, because an actor
/// mints on its newest state of the key and only whole states travel (rule V5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<(Actor, Hlc)>")]
pub struct VersionVector(Vec<(Actor, Hlc)>);

/// Entries that are no version vector: out of order, or two of one actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the entries of a version vector are not in the order of their actors, or not one each")]
pub struct UnorderedVector;

impl TryFrom<Vec<(Actor, Hlc)>> for VersionVector {
    type Error = UnorderedVector;

    fn try_from(entries: Vec<(Actor, Hlc)>) -> Result<Self, UnorderedVector> {
        if entries.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            Ok(Self(entries))
        } else {
            Err(UnorderedVector)
        }
    }
}

impl VersionVector {
    /// A vector that covers nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The vector with these entries; of two for one actor the greater counts.
    pub fn from_entries(entries: impl IntoIterator<Item = (Actor, Hlc)>) -> Self {
        let mut vector = Self::new();
        entries.into_iter().for_each(|(actor, hlc)| vector.advance(Tag { hlc, actor }));
        vector
    }

    /// Whether the write that `dot` names is known.
    pub fn covers(&self, dot: Tag) -> bool {
        self.of(dot.actor).is_some_and(|seen| seen >= dot.hlc)
    }

    /// Whether every write that `other` covers is covered here.
    pub fn dominates(&self, other: &Self) -> bool {
        other.0.iter().all(|(actor, hlc)| self.covers(Tag { hlc: *hlc, actor: *actor }))
    }

    /// The greatest reading seen of `actor`.
    pub fn of(&self, actor: Actor) -> Option<Hlc> {
        self.find(actor).ok().map(|at| self.0[at].1)
    }

    /// Learns of the write that `dot` names, and with it of all earlier ones of its actor.
    pub fn advance(&mut self, dot: Tag) {
        match self.find(dot.actor) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(dot.hlc),
            Err(at) => self.0.insert(at, (dot.actor, dot.hlc)),
        }
    }

    /// Learns of everything that `other` covers: the least vector that dominates both.
    pub fn join(&mut self, other: &Self) {
        if self.0.is_empty() {
            self.clone_from(other);
        } else {
            other.entries().for_each(|dot| self.advance(dot));
        }
    }

    /// The greatest reading of any actor, with the actor: what a new dot must exceed (rule V5).
    pub fn greatest(&self) -> Option<Tag> {
        self.entries().max()
    }

    /// The newest known dot of each actor, by actor.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Tag> + '_ {
        self.0.iter().map(|(actor, hlc)| Tag { hlc: *hlc, actor: *actor })
    }

    /// How many actors it knows of.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, actor: Actor) -> Result<usize, usize> {
        self.0.binary_search_by_key(&actor, |(actor, _)| *actor)
    }
}

impl PartialOrd for VersionVector {
    /// Less is covered by more; `None` for vectors that each cover a write which the other does not.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.dominates(other), other.dominates(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn vectors() -> impl Strategy<Value = BTreeMap<Actor, Hlc>> {
        proptest::collection::btree_map((0_u64..5).prop_map(Actor), (0_u64..5).prop_map(Hlc), 0..5)
    }

    fn vector(twin: &BTreeMap<Actor, Hlc>) -> VersionVector {
        VersionVector::from_entries(twin.iter().rev().map(|(actor, hlc)| (*actor, *hlc)))
    }

    proptest! {
        /// The slow obvious twin: a map, and the set of all dots below each entry.
        #[test]
        fn agrees_with_maps(a in vectors(), b in vectors(), dot in (0_u64..6, 0_u64..6)) {
            let dot = Tag { actor: Actor(dot.0), hlc: Hlc(dot.1) };
            let (va, vb) = (vector(&a), vector(&b));
            let entries: Vec<_> = va.entries().map(|dot| (dot.actor, dot.hlc)).collect();
            prop_assert_eq!(VersionVector::try_from(entries.clone()), Ok(va.clone()));
            let backwards: Vec<_> = entries.into_iter().rev().collect();
            prop_assert_eq!(VersionVector::try_from(backwards).is_ok(), va.len() < 2);
            prop_assert_eq!(va.covers(dot), a.get(&dot.actor).is_some_and(|seen| *seen >= dot.hlc));
            let mut joined = a.clone();
            for (actor, hlc) in &b {
                let seen = joined.entry(*actor).or_insert(*hlc);
                *seen = (*seen).max(*hlc);
            }
            let mut fast = va.clone();
            fast.join(&vb);
            prop_assert_eq!(&fast, &vector(&joined));
            prop_assert!(fast.dominates(&va) && fast.dominates(&vb));
            let below = |x: &BTreeMap<Actor, Hlc>, y: &BTreeMap<Actor, Hlc>| {
                x.iter().all(|(actor, hlc)| y.get(actor).is_some_and(|seen| seen >= hlc))
            };
            prop_assert_eq!(va.dominates(&vb), below(&b, &a));
            prop_assert_eq!(va.partial_cmp(&vb).is_none(), !below(&a, &b) && !below(&b, &a));
            prop_assert_eq!(va.greatest(), a.iter().map(|(actor, hlc)| Tag { hlc: *hlc, actor: *actor }).max());
        }
    }
}
