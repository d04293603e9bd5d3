//! What this replica holds durably of the keys that were read or written last.
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
//!   nor from another read (*mutant: late read cached*). The disk never goes back, so the next read that is asked for shows
//!   no less than any before.
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
        if let Some(state) = state.filter(|_| !is_late) {
            self.put(row.clone(), state);
        }
    }

    /// A batch that is durable has left this under `row`.
    pub fn changed(&mut self, row: Row, state: State) {
        self.hears_of(&row);
        self.put(row, Some(state));
    }

    /// What is held of `row` is not known.
    pub fn forget(&mut self, row: &Row) {
        self.hears_of(row);
        if let Some(cache) = &mut self.states {
            cache.remove(row);
        }
    }

    /// The state is put in at once.
    #[cfg(feature = "mutants")]
    pub fn overwrite(&mut self, row: Row, state: Option<State>) {
        if let Some(cache) = &mut self.states {
            cache.insert(row, state);
        }
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        assert!(self.reads.values().all(|reads| reads.count > 0), "a read that nobody waits for");
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
