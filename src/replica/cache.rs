//! What this replica holds durably of the keys that were read last.
//!
//! A read that is answered from here needs neither the disk nor another thread, and does not queue behind the scans of
//! repair.
//!
//! # Why nobody can tell
//!
//! - What is here is durable (rule S1): it is learned from reads of the disk, and from the commit step about batches whose
//!   sync is over. A batch that fails changes nothing; a process that dies takes its cache along.
//! - Whatever changes a record is a batch, and each batch says which records it has changed before any of its writes is
//!   acknowledged. So when an acknowledgement leaves this node, the cache holds what it is for, or more.
//! - A read of the disk may be reported after a batch that it did not see, and it may show one that is not reported yet. So
//!   what it has found is learned only if nothing was heard of its key since it was asked for, neither from the commit step
//!   nor from another read. The disk never goes back, so the next read that is asked for shows no less than any before.
//! - What a read has shown may be of a later batch than the next one that is reported. So a batch brings what is in here
//!   up to date, of two states the one that covers the other stays, and what was driven out is put in by the next read
//!   alone.
//! - A page of a scan shows states, too, perhaps of a batch that is not reported yet: they bring what is in here up to
//!   date before the page is sent. So must whatever else answers a read or counts for a level.
//! - Repair and recovery give states to other replicas, perhaps of a batch that is not reported yet, and nothing here hears
//!   of it. That is no promise of this replica's: what is given counts once the receiver holds it durably, for the receiver.
//! - A key whose record is damaged is out: this replica refuses it until it is restored (rule S3), and what comes back may
//!   be less than what was held.
//!
//! What would break it: a state put in when it is handed to the disk (*mutant: cached before durable*), a change of records
//! that goes another way than through the commit step.

use std::{collections::BTreeMap, mem::size_of};

use quick_cache::{
    Weighter,
    unsync::{Cache, DefaultLifecycle},
};
use quorate_storage::{Merged, Row, State, merge};
use rustc_hash::FxBuildHasher;

/// Durable states by row, bounded in bytes; those that were not asked for lately go first (S3-FIFO).
///
/// That a key is absent is remembered, too.
pub struct StateCache {
    states: Option<Cache<Row, Option<State>, Bytes, FxBuildHasher>>,
    /// Reads of the disk that are under way.
    reads: BTreeMap<Row, Reads>,
}

/// Reads of one row that are under way.
#[derive(Clone, Copy, Debug)]
struct Reads {
    count: usize,
    /// Whether something was heard of the row since the first of them was asked for.
    is_late: bool,
}

/// Weighs what an entry takes.
#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Row, Option<State>> for Bytes {
    fn weight(&self, row: &Row, state: &Option<State>) -> u64 {
        bytes(row, state.as_ref()) as u64
    }
}

impl StateCache {
    /// One that holds at most so many bytes; 0 for none.
    pub fn new(bytes_max: u64) -> Self {
        let entries = (bytes_max / 256).min(4_096) as usize;
        let states = || Cache::with(entries, bytes_max, Bytes, FxBuildHasher, DefaultLifecycle::default());
        Self { states: (bytes_max > 0).then(states), reads: BTreeMap::new() }
    }

    /// What is held durably of `row`, if that is known: perhaps nothing.
    pub fn get(&self, row: &Row) -> Option<&Option<State>> {
        self.states.as_ref()?.get(row)
    }

    /// The disk is asked for what it holds of `row`: [`StateCache::read`] follows.
    pub fn asks(&mut self, row: &Row) {
        if self.states.is_some() {
            let reads = self.reads.entry(row.clone()).or_insert(Reads { count: 0, is_late: false });
            reads.count += 1;
        }
    }

    /// The disk has answered, with a state or with none, or not (`None`).
    pub fn read(&mut self, row: &Row, state: Option<Option<State>>) {
        let Some(reads) = self.reads.get_mut(row) else {
            return;
        };
        let is_late = std::mem::replace(&mut reads.is_late, true);
        reads.count -= 1;
        if reads.count == 0 {
            self.reads.remove(row);
        }
        if let Some(state) = state.filter(|_| !is_late || self.holds(row)) {
            self.put(row.clone(), state);
        }
    }

    /// The disk holds this under `row`: a batch that is durable has left it, or a page of a scan shows it. Only reads of single
    /// rows put them in.
    pub fn update(&mut self, row: Row, state: State) {
        self.hears_of(&row);
        if self.holds(&row) {
            self.put(row, Some(state));
        }
    }

    /// What is held of `row` is not known.
    pub fn forget(&mut self, row: &Row) {
        self.hears_of(row);
        if let Some(cache) = &mut self.states {
            cache.remove(row);
        }
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        assert!(self.reads.values().all(|reads| reads.count > 0), "a read that nobody waits for");
    }

    fn holds(&self, row: &Row) -> bool {
        self.states.as_ref().is_some_and(|states| states.contains_key(row))
    }

    fn hears_of(&mut self, row: &Row) {
        if let Some(reads) = self.reads.get_mut(row) {
            reads.is_late = true;
        }
    }

    fn put(&mut self, row: Row, state: Option<State>) {
        let Some(cache) = &mut self.states else {
            return;
        };
        if bytes(&row, state.as_ref()) > ENTRY_BYTES_MAX {
            cache.remove(&row);
            return;
        }
        let Some(state) = state else {
            // Nothing is covered by anything.
            if cache.peek(&row).is_none() {
                cache.insert(row, None);
            }
            return;
        };
        match cache.peek(&row).map(|held| merge(held.as_ref(), &state)) {
            None | Some(Ok(Merged::Incoming)) => cache.insert(row, Some(state)),
            Some(Ok(Merged::Held)) => {}
            // A replica's state only grows: something is wrong with one of the two. The disk knows.
            Some(Ok(Merged::Joined(_)) | Err(_)) => drop(cache.remove(&row)),
        }
    }
}

impl std::fmt::Debug for StateCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held = self.states.as_ref().map(|cache| (cache.len(), cache.weight()));
        f.debug_struct("StateCache").field("held", &held).field("reads", &self.reads).finish()
    }
}

/// What an entry takes, about: with what the cache and the allocator need.
fn bytes(row: &Row, state: Option<&State>) -> usize {
    size_of::<(Row, Option<State>)>() + ENTRY_OVERHEAD + row.key.len() + state.map_or(0, State::bytes_len)
}

/// A longer state costs the disk about as much as a batch of short ones, and would drive many of them out.
const ENTRY_BYTES_MAX: usize = 64 * 1024;
/// A slot of the table, links, and what allocators round up.
const ENTRY_OVERHEAD: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quorate_ring::{Actor, Hlc, TableId, Tag, Token};
    use quorate_storage::{Content, Register};

    use super::*;

    fn row(n: u8) -> Row {
        Row::new(Token(i64::from(n)), TableId(1), vec![n])
    }

    fn state(version: u64) -> State {
        let tag = Tag { hlc: Hlc(version), actor: Actor(1) };
        State::Register(Register { tag, content: Content::Value(version.to_string().into()) })
    }

    /// What happens to one row, and to others that drive it out.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Ask,
        /// The disk carries out one of the reads that were asked for.
        Look(usize),
        /// It reports one of those.
        Report(usize),
        /// A batch is durable.
        Commit,
        /// The oldest one that was not reported is.
        Changed,
        Others,
        Get,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Ask),
            any::<usize>().prop_map(Step::Look),
            any::<usize>().prop_map(Step::Report),
            Just(Step::Commit),
            Just(Step::Changed),
            Just(Step::Others),
            Just(Step::Get),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        /// What is recalled is never less than what was shown before, and never more than what is durable.
        #[test]
        fn nothing_is_taken_back(steps in proptest::collection::vec(step(), 1..60)) {
            let mut cache = StateCache::new(600);
            let (mut durable, mut shown, mut other) = (0, 0, 1);
            let mut reads: Vec<Option<u64>> = Vec::new();
            let mut unreported = std::collections::VecDeque::new();
            let version = |held: Option<&State>| held.map_or(0, |held| held.tag().hlc.0);
            for step in steps {
                match step {
                    Step::Ask if cache.get(&row(0)).is_none() => {
                        cache.asks(&row(0));
                        reads.push(None);
                    }
                    Step::Look(n) if !reads.is_empty() => {
                        let at = n % reads.len();
                        reads[at] = reads[at].or(Some(durable));
                    }
                    Step::Report(n) if reads.iter().any(Option::is_some) => {
                        let done: Vec<_> = (0..reads.len()).filter(|at| reads[*at].is_some()).collect();
                        let found = reads.remove(done[n % done.len()]).unwrap();
                        cache.read(&row(0), Some((found > 0).then(|| state(found))));
                        shown = shown.max(found);
                    }
                    Step::Commit => {
                        durable += 1;
                        unreported.push_back(durable);
                    }
                    Step::Changed => {
                        if let Some(version) = unreported.pop_front() {
                            cache.update(row(0), state(version));
                            shown = shown.max(version);
                        }
                    }
                    Step::Others => {
                        other = other % 9 + 1;
                        cache.asks(&row(other));
                        cache.read(&row(other), Some(Some(state(1))));
                    }
                    Step::Get => {
                        if let Some(held) = cache.get(&row(0)) {
                            let recalled = version(held.as_ref());
                            prop_assert!((shown..=durable).contains(&recalled), "{recalled} after {shown}");
                        }
                    }
                    Step::Ask | Step::Look(_) | Step::Report(_) => {}
                }
                cache.validate();
            }
        }
    }

    fn read(cache: &mut StateCache, n: u8, version: u64) {
        cache.asks(&row(n));
        cache.read(&row(n), Some(Some(state(version))));
    }

    #[test]
    fn it_remembers_within_its_bounds() {
        let mut cache = StateCache::new(32 * 1024);
        (0..=u8::MAX).for_each(|n| read(&mut cache, n, 1));
        let known: Vec<_> = (0..=u8::MAX).filter(|n| cache.get(&row(*n)).is_some()).collect();
        assert!((100..256).contains(&known.len()), "{}", known.len());
        let content = Content::Value(vec![0; ENTRY_BYTES_MAX].into());
        let long = Register { tag: Tag { hlc: Hlc(9_000), actor: Actor(1) }, content };
        cache.update(row(known[0]), State::Register(long));
        assert_eq!(cache.get(&row(known[0])), None, "long states are the disk's, and the one before is gone");
        let mut none = StateCache::new(0);
        read(&mut none, 1, 1);
        none.update(row(1), state(2));
        assert_eq!(none.get(&row(1)), None);
    }

    #[test]
    fn batches_bring_up_to_date_and_late_reads_do_not() {
        let mut cache = StateCache::new(64 * 1024);
        cache.asks(&row(1));
        cache.update(row(1), state(2));
        cache.read(&row(1), Some(Some(state(1))));
        assert_eq!(cache.get(&row(1)), None, "the read may have come before the batch");
        read(&mut cache, 1, 2);
        cache.update(row(1), state(3));
        cache.update(row(1), state(2));
        assert_eq!(cache.get(&row(1)), Some(&Some(state(3))));
        cache.forget(&row(1));
        assert_eq!(cache.get(&row(1)), None);
    }
}
