//! A state of siblings is what its causal history makes it: of the writes that its vector covers, those stand there
//! that no other of them has superseded. So no concurrent write is lost, none comes back, there are never more
//! siblings than concurrent writes, and every write was made by the commit step of a replica (rule V5).
//!
//! This is the slow obvious twin of version vectors: sets of writes, and for each write the set that it superseded.

use std::collections::BTreeMap;

use quorate::{
    ring::Tag,
    storage::{Siblings, State, VersionVector},
};

use super::acknowledged::shown_vector;

/// The writes of one key.
#[derive(Debug, Default)]
pub(crate) struct Causality {
    mints: Vec<Mint>,
    numbers: BTreeMap<Tag, usize>,
    /// The last state that was found to be right.
    checked: Option<Siblings>,
}

#[derive(Debug)]
struct Mint {
    dot: Tag,
    seen: VersionVector,
    /// Earlier writes that `seen` covers.
    superseded: Set,
    /// Whether it was ever durable on a replica, or acknowledged. What never was has never happened.
    is_real: bool,
    value: Option<u64>,
}

impl Causality {
    /// The commit step of a replica makes a write.
    pub(crate) fn minted(&mut self, dot: Tag, seen: VersionVector, value: Option<u64>) -> Result<(), String> {
        if self.numbers.insert(dot, self.mints.len()).is_some() {
            return Err(format!("causality: {dot} was given out twice"));
        }
        let mut superseded = Set::default();
        let earlier = self.mints.iter().enumerate().filter(|(_, mint)| seen.covers(mint.dot));
        earlier.for_each(|(number, _)| superseded.insert(number));
        self.mints.push(Mint { dot, seen, superseded, is_real: false, value });
        Ok(())
    }

    /// A node sends or keeps `state`. When none of a key's replicas can be reached, a fallback makes a write without
    /// their commit step, under an actor of that write alone (rule Q2): answers what such a write supersedes.
    pub(crate) fn stand_in(&self, state: &Siblings) -> Option<(Tag, VersionVector)> {
        let [sibling] = state.siblings() else {
            return None;
        };
        let dot = sibling.dot;
        let is_new = !self.mints.iter().any(|mint| mint.dot.actor == dot.actor);
        let others = state.vector().entries().filter(|other| other.actor != dot.actor);
        let seen = others.map(|other| (other.actor, other.hlc));
        is_new.then(|| (dot, VersionVector::from_entries(seen)))
    }

    /// A replica holds `state`.
    pub(crate) fn held(&mut self, state: &State) -> Result<(), String> {
        let State::Siblings(siblings) = state else {
            return Ok(());
        };
        if self.checked.as_ref() == Some(siblings) {
            return Ok(());
        }
        for sibling in siblings.siblings() {
            let Some(number) = self.numbers.get(&sibling.dot) else {
                return Err(format!("causality: {} was made by no commit step of a replica", sibling.dot));
            };
            self.mints[*number].is_real = true;
        }
        self.check(siblings.vector(), siblings.siblings().iter().map(|sibling| sibling.dot))?;
        self.checked = Some(siblings.clone());
        Ok(())
    }

    /// Whether `dots` are the siblings, tombstones among them, of a state with `vector`.
    pub(crate) fn check(
        &self,
        vector: &VersionVector,
        dots: impl Iterator<Item = Tag>,
    ) -> Result<(), String> {
        let mut found: Vec<_> = dots.collect();
        found.sort_unstable();
        let mut expected: Vec<_> = self.siblings(vector).map(|mint| mint.dot).collect();
        expected.sort_unstable();
        if found == expected {
            return Ok(());
        }
        let list = |these: &[Tag], those: &[Tag]| {
            let only = these.iter().filter(|dot| !those.contains(dot)).map(Tag::to_string);
            only.collect::<Vec<_>>().join(" ")
        };
        Err(format!(
            "causality: a state that has seen {} lacks [{}] and has too many in [{}]",
            shown_vector(vector),
            list(&expected, &found),
            list(&found, &expected)
        ))
    }

    /// The values of a state with `vector`.
    pub(crate) fn values(&self, vector: &VersionVector) -> Vec<u64> {
        self.siblings(vector).filter_map(|mint| mint.value).collect()
    }

    /// The writes with a value that a state with `vector` shows.
    pub(crate) fn visible(&self, vector: &VersionVector) -> impl Iterator<Item = Tag> {
        self.siblings(vector).filter(|mint| mint.value.is_some()).map(|mint| mint.dot)
    }

    /// A client is told of a write: answers what it superseded.
    pub(crate) fn acknowledged(&mut self, dot: Tag) -> Option<&VersionVector> {
        let mint = &mut self.mints[*self.numbers.get(&dot)?];
        mint.is_real = true;
        Some(&mint.seen)
    }

    /// Every write that has happened.
    pub(crate) fn writes(&self) -> impl Iterator<Item = Tag> {
        self.mints.iter().filter(|mint| mint.is_real).map(|mint| mint.dot)
    }

    fn siblings(&self, vector: &VersionVector) -> impl Iterator<Item = &Mint> {
        let (mut covered, mut superseded) = (Set::default(), Set::default());
        for (number, mint) in self.mints.iter().enumerate() {
            if mint.is_real && vector.covers(mint.dot) {
                covered.insert(number);
                superseded.join(&mint.superseded);
            }
        }
        let left = move |number: &usize| covered.contains(*number) && !superseded.contains(*number);
        (0..self.mints.len()).filter(left).map(|number| &self.mints[number])
    }
}

/// A set of small numbers.
#[derive(Clone, Debug, Default)]
struct Set(Vec<u64>);

impl Set {
    fn insert(&mut self, number: usize) {
        self.0.resize(self.0.len().max(number / 64 + 1), 0);
        self.0[number / 64] |= 1 << (number % 64);
    }

    fn join(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}
