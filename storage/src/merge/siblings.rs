//! `siblings`: what nothing known has superseded.

use std::cmp::Ordering;

use quorate_ring::Tag;

use super::{MergeError, Merged};
use crate::{Siblings, State};

pub(super) fn merge(held: &Siblings, incoming: &Siblings) -> Result<Merged, MergeError> {
    let joined = held.join(incoming).map_err(MergeError::EqualTagDifferentBytes)?;
    Ok(if joined == *held {
        Merged::Held
    } else if joined == *incoming {
        Merged::Incoming
    } else {
        Merged::Joined(State::Siblings(joined))
    })
}

impl Siblings {
    /// The state that has seen what either has: a sibling stays if both hold it, or if the other has not
    /// seen it.
    ///
    /// # Errors
    ///
    /// The dot under which the two hold different contents (rule V4).
    pub fn join(&self, other: &Self) -> Result<Self, Tag> {
        let mut siblings = Vec::with_capacity(self.siblings().len().max(other.siblings().len()));
        let (mut ours, mut theirs) = (self.siblings().iter().peekable(), other.siblings().iter().peekable());
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (Some(our), Some(their)) => our.dot.cmp(&their.dot),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            let (our, their) = match order {
                Ordering::Less => (ours.next(), None),
                Ordering::Greater => (None, theirs.next()),
                Ordering::Equal => (ours.next(), theirs.next()),
            };
            siblings.extend(match (our, their) {
                (Some(our), Some(their)) if our.content == their.content => Some(our),
                (Some(our), Some(_)) => return Err(our.dot),
                (Some(our), None) => Some(our).filter(|our| !other.vector().covers(our.dot)),
                (None, their) => their.filter(|their| !self.vector().covers(their.dot)),
            });
        }
        let mut vector = self.vector().clone();
        vector.join(other.vector());
        Ok(Self::of_parts(vector, siblings.into_iter().cloned().collect()))
    }
}

#[cfg(test)]
mod tests;
