//! What was measured.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

use super::workload::Operation;

/// What became of the operations of a run.
#[derive(Debug)]
pub(super) struct Tally {
    operations: BTreeMap<Operation, Histogram<u64>>,
    /// By kind, and by what the error says, how many.
    pub(super) errors: BTreeMap<(&'static str, String), u64>,
    /// What reads brought that they must not.
    pub(super) wrong: Vec<String>,
    /// How many reads were judged.
    pub(super) verified: u64,
    /// How long after it was due the latest operation began.
    pub(super) begun_late: Duration,
    slots: Vec<Slot>,
    slot: Duration,
}

/// What ended within a stretch of the time.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) latencies: Histogram<u64>,
    pub(super) errors: u64,
}

/// Latencies of some operations, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Latencies {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

impl Tally {
    /// Of a run of this length, told in `slots` parts.
    pub(super) fn new(length: Duration, slots: usize) -> Self {
        let empty = Slot { latencies: histogram(), errors: 0 };
        Self {
            operations: BTreeMap::new(),
            errors: BTreeMap::new(),
            wrong: Vec::new(),
            verified: 0,
            begun_late: Duration::ZERO,
            slots: vec![empty; slots],
            slot: length / slots as u32,
        }
    }

    /// An operation begins so long after it was due.
    pub(super) fn begins(&mut self, late: Duration) {
        self.begun_late = self.begun_late.max(late);
    }

    /// An operation ended well, so long after the run had begun.
    pub(super) fn done(&mut self, operation: Operation, at: Duration, took: Duration) {
        let micros = (took.as_micros() as u64).clamp(1, MICROS_MAX);
        self.operations.entry(operation).or_insert_with(histogram).saturating_record(micros);
        if let Some(slot) = self.slot_at(at) {
            slot.latencies.saturating_record(micros);
        }
    }

    /// An operation failed.
    pub(super) fn failed(&mut self, at: Duration, kind: &'static str, why: String) {
        *self.errors.entry((kind, why)).or_default() += 1;
        if let Some(slot) = self.slot_at(at) {
            slot.errors += 1;
        }
    }

    /// How many operations failed, by kind.
    pub(super) fn errors_by_kind(&self) -> BTreeMap<&'static str, u64> {
        self.errors.iter().fold(BTreeMap::new(), |mut kinds, ((kind, _), count)| {
            *kinds.entry(*kind).or_default() += count;
            kinds
        })
    }

    /// Stretches of the time, and how long each is.
    pub(super) fn slots(&self) -> (&[Slot], Duration) {
        (&self.slots, self.slot)
    }

    /// How many operations ended well.
    pub(super) fn count(&self) -> u64 {
        self.operations.values().map(Histogram::len).sum()
    }

    /// The kinds of operations that ended well, with how many and their latencies.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (Operation, &Histogram<u64>)> {
        self.operations.iter().map(|(operation, histogram)| (*operation, histogram))
    }

    /// All of them together.
    pub(super) fn all(&self) -> Histogram<u64> {
        let mut all = histogram();
        for one in self.operations.values() {
            // Histograms of one shape always take each other.
            let _ = all.add(one);
        }
        all
    }

    fn slot_at(&mut self, at: Duration) -> Option<&mut Slot> {
        let slot = at.as_nanos().checked_div(self.slot.as_nanos())?;
        self.slots.get_mut(slot as usize)
    }
}

impl Latencies {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| (histogram.value_at_quantile(quantile) as f64 / 10.0).round() / 100.0;
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: (histogram.max() as f64 / 10.0).round() / 100.0,
        }
    }
}

/// The latencies of closed-loop clients, and those of the requests that they would have sent while they waited: a client that
/// waits for one slow answer would else count it once, however many requests it kept from being made (coordinated
/// omission; the correction is Gil Tene's, with the median as the interval that clients ask at).
pub(super) fn corrected(histogram: &Histogram<u64>) -> Histogram<u64> {
    histogram.clone_correct(histogram.value_at_quantile(0.5).max(1))
}

/// Microseconds, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MICROS_MAX, 3).expect("bounds that a histogram can have")
}

/// No request takes longer than its deadline.
const MICROS_MAX: u64 = 120_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn what_ends_is_counted_by_kind_and_time() {
        let mut tally = Tally::new(Duration::from_secs(10), 10);
        for n in 1..=100 {
            tally.done(Operation::Read, Duration::from_millis(1_500), MILLISECOND * n);
        }
        tally.done(Operation::Write, Duration::from_secs(12), MILLISECOND);
        for why in ["retry after 1 ms", "retry after 2 ms"] {
            tally.failed(Duration::from_secs(3), "overloaded", why.to_owned());
        }
        assert_eq!(tally.errors_by_kind(), BTreeMap::from([("overloaded", 2)]));
        assert_eq!(tally.count(), 101);
        let (slots, length) = tally.slots();
        assert_eq!((slots[1].latencies.len(), slots[3].errors, length), (100, 2, Duration::from_secs(1)));
        assert_eq!(
            slots.iter().map(|slot| slot.latencies.len()).sum::<u64>(),
            100,
            "what comes late is of no slot"
        );
        let reads = tally.kinds().find(|(operation, _)| *operation == Operation::Read).unwrap().1;
        let Latencies { p50, p99, max, .. } = Latencies::of(reads);
        assert!((p50 - 50.0).abs() < 0.1 && (p99 - 99.0).abs() < 0.1 && (max - 100.0).abs() < 0.1);
    }

    #[test]
    fn one_long_wait_counts_for_all_that_it_kept_from_being_made() {
        let mut tally = Tally::new(Duration::from_secs(10), 10);
        for _ in 0..1_000 {
            tally.done(Operation::Write, Duration::ZERO, MILLISECOND);
        }
        tally.done(Operation::Write, Duration::ZERO, MILLISECOND * 1_000);
        let all = tally.all();
        assert!(Latencies::of(&all).p99 < 1.1);
        assert!(Latencies::of(&corrected(&all)).p99 > 900.0, "half of the time was spent waiting");
    }
}
