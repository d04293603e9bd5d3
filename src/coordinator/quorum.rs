//! Quorum arithmetic: who answered, is it enough, can it still be.

/// Counts the answers of one round over a key's replicas, which it knows by their place in the
/// preference list. One replica never counts twice (rule Q2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracker {
    replicas: u8,
    required: u8,
    succeeded: Places,
    failed: Places,
}

/// How a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Too early to tell.
    Pending,
    /// Enough replicas succeeded.
    Reached,
    /// So many failed that enough cannot succeed any more.
    Impossible,
}

impl Tracker {
    /// A round over `replicas` replicas that needs `required` of them, both at most 16.
    pub fn new(replicas: usize, required: usize) -> Self {
        assert!(replicas <= Places::MAX && required <= replicas, "{required} of {replicas} replicas");
        Self {
            replicas: replicas as u8,
            required: required as u8,
            succeeded: Places::default(),
            failed: Places::default(),
        }
    }

    /// The replica at `place` succeeded. What it failed before is forgotten.
    pub fn succeed(&mut self, place: usize) {
        assert!(place < usize::from(self.replicas));
        self.succeeded.insert(place);
        self.failed.remove(place);
    }

    /// The replica at `place` failed. A success stays a success: it was durable.
    pub fn fail(&mut self, place: usize) {
        assert!(place < usize::from(self.replicas));
        if !self.succeeded.contains(place) {
            self.failed.insert(place);
        }
    }

    /// The replica at `place` has lost what it held: it fails, whatever it did before (rule R7).
    pub fn disown(&mut self, place: usize) {
        assert!(place < usize::from(self.replicas));
        self.succeeded.remove(place);
        self.failed.insert(place);
    }

    /// How the round stands.
    pub fn verdict(&self) -> Verdict {
        if self.succeeded.len() >= usize::from(self.required) {
            Verdict::Reached
        } else if self.shortfall() > self.outstanding() {
            Verdict::Impossible
        } else {
            Verdict::Pending
        }
    }

    /// Successes still missing.
    pub fn shortfall(&self) -> usize {
        usize::from(self.required).saturating_sub(self.succeeded.len())
    }

    /// Replicas of which nothing was heard.
    pub fn outstanding(&self) -> usize {
        usize::from(self.replicas) - self.succeeded.len() - self.failed.len()
    }

    /// Successes needed.
    pub fn required(&self) -> usize {
        usize::from(self.required)
    }

    /// Who succeeded.
    pub fn succeeded(&self) -> Places {
        self.succeeded
    }

    /// Who failed.
    pub fn failed(&self) -> Places {
        self.failed
    }

    /// The places of all replicas.
    pub fn places(&self) -> impl Iterator<Item = usize> + use<> {
        0..usize::from(self.replicas)
    }

    /// Whether nothing was heard of the replica at `place`.
    pub fn is_outstanding(&self, place: usize) -> bool {
        !self.succeeded.contains(place) && !self.failed.contains(place)
    }

    /// Panics if the counts contradict each other.
    pub fn validate(&self) {
        assert!(self.required <= self.replicas);
        assert!(self.succeeded.iter().all(|p| p < usize::from(self.replicas) && !self.failed.contains(p)));
        assert!(self.failed.iter().all(|p| p < usize::from(self.replicas)));
    }
}

/// A set of places in a preference list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places(u16);

impl Places {
    /// The most places there can be.
    pub const MAX: usize = 16;

    /// Adds a place.
    pub fn insert(&mut self, place: usize) {
        self.0 |= 1 << place;
    }

    /// Takes a place out.
    pub fn remove(&mut self, place: usize) {
        self.0 &= !(1 << place);
    }

    /// Whether the place is in.
    pub fn contains(self, place: usize) -> bool {
        self.0 & (1 << place) != 0
    }

    /// How many places are in.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether none is in.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The places in order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::MAX).filter(move |p| self.contains(*p))
    }
}

impl FromIterator<usize> for Places {
    fn from_iter<I: IntoIterator<Item = usize>>(places: I) -> Self {
        let mut set = Self::default();
        places.into_iter().for_each(|p| set.insert(p));
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The slow obvious twin: two sets and the definition of a quorum.
        #[test]
        fn agrees_with_sets(
            replicas in 1usize..=15, share in 0usize..=15,
            events in proptest::collection::vec((0..5, 0usize..15), 0..40),
        ) {
            let required = share % (replicas + 1);
            let mut tracker = Tracker::new(replicas, required);
            let (mut good, mut bad) = (BTreeSet::new(), BTreeSet::new());
            for (event, place) in events {
                let place = place % replicas;
                match event {
                    0 | 1 => {
                        tracker.succeed(place);
                        good.insert(place);
                        bad.remove(&place);
                    }
                    2 | 3 => {
                        tracker.fail(place);
                        if !good.contains(&place) { bad.insert(place); }
                    }
                    _ => {
                        tracker.disown(place);
                        good.remove(&place);
                        bad.insert(place);
                    }
                }
                tracker.validate();
                let expected = if good.len() >= required {
                    Verdict::Reached
                } else if replicas - bad.len() < required {
                    Verdict::Impossible
                } else {
                    Verdict::Pending
                };
                prop_assert_eq!(tracker.verdict(), expected);
                prop_assert_eq!(tracker.succeeded().iter().collect::<BTreeSet<_>>(), good.clone());
                prop_assert_eq!(tracker.failed().len(), bad.len());
            }
        }
    }

    #[test]
    fn one_replica_never_counts_twice() {
        let mut tracker = Tracker::new(3, 2);
        tracker.succeed(1);
        tracker.succeed(1);
        assert_eq!(tracker.verdict(), Verdict::Pending);
        assert_eq!(tracker.shortfall(), 1);
    }

    #[test]
    fn a_success_outlives_a_later_failure() {
        let mut tracker = Tracker::new(3, 1);
        tracker.succeed(0);
        tracker.fail(0);
        assert_eq!(tracker.verdict(), Verdict::Reached);
    }
}
