//! The concurrent writes of one key, and all that is known of.

use bytes::Bytes;
use quorate_ring::Tag;
use serde::{Deserialize, Serialize};

use crate::{Content, VersionVector};

/// A dotted version vector set (Almeida et al., "Scalable and Accurate Causality Tracking for Eventually
/// Consistent Stores", 2014) with clock readings for dots: the concurrent writes that are left, and
/// everything that is known of, theirs included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(VersionVector, Vec<Sibling>)", into = "(VersionVector, Vec<Sibling>)")]
pub struct Siblings {
    vector: VersionVector,
    siblings: Vec<Sibling>,
}

/// A vector and siblings that are no state: siblings out of order, or not covered by the vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("siblings are out of order, or their version vector does not cover them")]
pub struct MalformedSiblings;

impl TryFrom<(VersionVector, Vec<Sibling>)> for Siblings {
    type Error = MalformedSiblings;

    fn try_from((vector, siblings): (VersionVector, Vec<Sibling>)) -> Result<Self, MalformedSiblings> {
        let in_order = siblings.windows(2).all(|pair| pair[0].dot < pair[1].dot);
        let covered = siblings.iter().all(|sibling| vector.covers(sibling.dot));
        if in_order && covered && !vector.is_empty() {
            Ok(Self { vector, siblings })
        } else {
            Err(MalformedSiblings)
        }
    }
}

impl From<Siblings> for (VersionVector, Vec<Sibling>) {
    fn from(state: Siblings) -> Self {
        (state.vector, state.siblings)
    }
}

/// One of the concurrent writes of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sibling {
    /// The write that made it.
    pub dot: Tag,
    /// What that write left behind.
    pub content: Content,
}

impl Siblings {
    /// Above this many concurrent writes of a key an operator should hear of it (rule V6).
    pub const SIBLINGS_WARN: usize = 16;

    /// The most concurrent writes of a key that new writes may make (rule V6). Merges of replicas may
    /// exceed it: they lose nothing.
    pub const SIBLINGS_MAX: usize = 64;

    /// The state after a key's first write here, by someone who had seen `context` of the key elsewhere.
    pub fn first(dot: Tag, context: &VersionVector, content: Content) -> Self {
        let mut vector = context.clone();
        vector.advance(dot);
        Self { vector, siblings: vec![Sibling { dot, content }] }
    }

    /// The state of a vector and siblings that belong together.
    pub(crate) fn of_parts(vector: VersionVector, siblings: Vec<Sibling>) -> Self {
        debug_assert!(siblings.windows(2).all(|pair| pair[0].dot < pair[1].dot));
        debug_assert!(siblings.iter().all(|sibling| vector.covers(sibling.dot)));
        Self { vector, siblings }
    }

    /// Every write that this state has seen, superseded or not. Covers the dot of each sibling.
    pub fn vector(&self) -> &VersionVector {
        &self.vector
    }

    /// The writes that nothing has superseded, in the order of their dots.
    pub fn siblings(&self) -> &[Sibling] {
        &self.siblings
    }

    /// The state after a write under `dot` by someone who had seen `context` of the key: what the context
    /// covers is gone, what it does not cover stays beside the new write.
    ///
    /// # Panics
    ///
    /// If the dot does not exceed every entry of both vectors (rule V5): it would hide under one of them.
    pub fn written(&self, dot: Tag, context: &VersionVector, content: Content) -> Self {
        let mut vector = self.vector.clone();
        vector.join(context);
        assert!(
            vector.greatest().is_none_or(|seen| seen.hlc < dot.hlc),
            "rule V5: a dot exceeds all it joins"
        );
        vector.advance(dot);
        let kept = self.siblings.iter().filter(|sibling| !context.covers(sibling.dot)).cloned();
        Self { vector, siblings: kept.chain([Sibling { dot, content }]).collect() }
    }

    /// Bytes of values it carries.
    pub fn bytes_len(&self) -> usize {
        self.siblings.iter().filter_map(|sibling| sibling.content.value()).map(Bytes::len).sum()
    }
}

#[cfg(test)]
mod tests;
