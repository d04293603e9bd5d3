//! A read has heard of as many replicas as its level names (rule Q1): it says which, none of them twice (rule Q2), and what
//! they had acknowledged before is in its answer. So what W replicas have acknowledged is seen at R of N wherever
//! W + R > N, also where R is below a quorum.

use std::collections::BTreeSet;

use quorate::{ring::Tag, storage::Version, wire::Receipt};

use super::acknowledged::{covers, shown};

/// The writes of a key that were acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Heard(Vec<Counted>);

/// One of them: when its client was told, and the places of the replicas that counted.
#[derive(Debug)]
struct Counted {
    at: u64,
    tag: Tag,
    places: BTreeSet<usize>,
}

impl Heard {
    /// A client is told that the replicas at `places` hold a write.
    pub(crate) fn wrote(&mut self, at: u64, tag: Tag, places: BTreeSet<usize>) {
        self.0.push(Counted { at, tag, places });
    }

    /// The replica at `place` may have lost what it had acknowledged.
    pub(crate) fn lost(&mut self, place: usize) {
        for write in &mut self.0 {
            write.places.remove(&place);
        }
    }

    /// Whether a read of `replicas` replicas that began at `invoked` kept its level. `place` tells the place of a node.
    pub(crate) fn check(
        &self,
        (invoked, version): (u64, Option<&Version>),
        receipt: &Receipt,
        replicas: usize,
        place: impl Fn(usize) -> Option<usize>,
    ) -> Result<(), String> {
        let required = receipt.consistency.required_reads(replicas as u8);
        let required = required.map_err(|error| error.to_string())?;
        let quorum = replicas / 2 + 1;
        let named: BTreeSet<_> = receipt.answered.iter().map(|id| place(id.0 as usize - 1)).collect();
        let said = || format!("heard: {required} of {replicas} replicas, said to be those at {named:?}");
        // A strict read names those that hold its answer in the end: a quorum, also where more were to be heard.
        let is_whole = named.len() == receipt.answered.len() && !named.contains(&None);
        if !is_whole || named.len() < required.min(quorum) {
            return Err(said());
        }
        let is_missed = |write: &&Counted| {
            write.at < invoked && !version.is_some_and(|version| covers(version, write.tag))
        };
        let missed: Vec<_> = self.0.iter().filter(is_missed).collect();
        let may_count = |place: &usize| required >= quorum || named.contains(&Some(*place));
        let is_heard = |place: &usize| !missed.iter().any(|write| write.places.contains(place));
        if (0..replicas).filter(may_count).filter(is_heard).count() >= required {
            return Ok(());
        }
        Err(format!("{}; the answer is {} and lacks {missed:?}", said(), shown(version)))
    }
}
