//! What the commit step itself has written lately.
//!
//! A store merges with what is held, and reading that back from tables is a third of what a commit costs. But the step is
//! the only one that changes records, so what it has made durable is what the next read of the key would find.
//!
//! # Why nobody can tell
//!
//! - A record is remembered when its batch is durable, not when it is staged (rule S1). A batch that failed changed
//!   nothing; its keys are forgotten, so that the disk is asked.
//! - A new process remembers nothing.
//! - A record that is damaged on disk is replaced by the next store as if it were sound: the merge is with what was
//!   written, and it is written whole. One that changes nothing is acknowledged as if the damage came a moment later. Once
//!   anybody has seen the damage and asked for the quarantine (rule S3) the key is forgotten: stores that were asked for
//!   after it meet the damaged record, and wait for its restoration. If a store had mended it by then, there is nothing to
//!   restore, and damage that comes later is found anew.
//! - A walk over the records counts none that is damaged, so its key is forgotten as well: a store that took the hash of
//!   the sound one out of the leaf would take out what is not in it (rule A1).
//!
//! What would break it: a record remembered when it is staged, whose batch finds no room: a copy of it that comes from
//! another replica would look covered, and be acknowledged, without being anywhere on this disk. A key remembered beyond
//! its quarantine: a store acknowledged from memory while what the others hold is on its way to replace the record.

use std::mem::size_of;

use bytes::Bytes;
use quick_cache::{
    Weighter,
    unsync::{Cache, DefaultLifecycle},
};
use rustc_hash::FxBuildHasher;

use crate::State;

/// The records written last by storage key, bounded in bytes; those that were not asked for lately go first (S3-FIFO).
pub(super) struct Recent {
    records: Option<Cache<Bytes, Remembered, Weight, FxBuildHasher>>,
}

/// A durable record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) state: State,
    /// What it adds to its leaf: [`crate::merkle::hash`].
    pub(super) hash: u64,
    /// As long it is on disk.
    pub(super) bytes: usize,
}

/// Weighs what an entry takes, values included, although who reads may hold them too.
#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Bytes, Remembered> for Weight {
    fn weight(&self, key: &Bytes, record: &Remembered) -> u64 {
        (size_of::<(Bytes, Remembered)>() + OVERHEAD_BYTES + key.len() + record.bytes) as u64
    }
}

impl Recent {
    /// One that holds at most so many bytes; 0 for none.
    pub(super) fn new(bytes_max: u64) -> Self {
        let entries = (bytes_max / 256).min(4_096) as usize;
        let records = || Cache::with(entries, bytes_max, Weight, FxBuildHasher, DefaultLifecycle::default());
        Self { records: (bytes_max > 0).then(records) }
    }

    /// What is durable under `key`, if that is known.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Remembered> {
        self.records.as_ref()?.get(key)
    }

    /// This is durable under `key`.
    pub(super) fn put(&mut self, key: Bytes, record: Remembered) {
        let Some(records) = &mut self.records else {
            return;
        };
        if record.bytes > RECORD_BYTES_MAX {
            records.remove(&key);
        } else {
            records.insert(key, record);
        }
    }

    /// What is durable under `key` is not known.
    pub(super) fn forget(&mut self, key: &[u8]) {
        if let Some(records) = &mut self.records {
            records.remove(key);
        }
    }
}

impl std::fmt::Debug for Recent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held = self.records.as_ref().map(|records| (records.len(), records.weight()));
        f.debug_tuple("Recent").field(&held).finish()
    }
}

/// A longer record costs the disk about as much as a batch of short ones, and would drive many of them out.
const RECORD_BYTES_MAX: usize = 64 * 1024;
/// A slot of the table, links, and what allocators round up.
const OVERHEAD_BYTES: usize = 64;
