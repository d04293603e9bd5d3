//! The engine of production: one fjall database per node, a keyspace per space.
//!
//! A batch goes into fjall's journal and is synced there before fjall inserts it into the memtables, so
//! that no reader sees what a power cut takes back (rule S1; see `FORMAT.md`).

mod background;
mod failure;
mod journal;
mod retired;

use std::{
    fs::File,
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use fjall::{
    AbstractTree, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode, Readable,
};
use lsm_tree::Guard;

use self::{
    background::in_background,
    failure::{of_commit, of_open, of_read},
    journal::JournalError,
    retired::Retired,
};
use super::{Batch, Engine, EngineError, EngineStats, Records, Space, is_empty_range, take_bytes};
use crate::meta;

/// Bounds on what the database uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FjallOptions {
    /// Memory for cached blocks, in bytes. Too little makes reads go to the page cache, about 30 us each.
    pub cache_bytes: u64,
    /// Size at which a memtable is written out as a table, in bytes. A few of them may be waiting.
    pub write_buffer_bytes: u64,
    /// Most bytes of journals, at least [`FjallOptions::JOURNAL_BYTES_MIN`]. A restart replays them at
    /// about 0.25 GB/s.
    pub journal_bytes_max: u64,
    /// Records of at least this many bytes are kept apart from their keys, so that compaction does not
    /// copy them again and again.
    pub kv_separation_threshold: u32,
    /// Most bytes on disk, journals included (each counts with 64 MiB from the start): above it every commit
    /// is refused with [`EngineError::Full`] before anything is written (rule S5), once
    /// [`FjallEngine::enforce_bounds`] was called. `None` sets no bound.
    pub disk_bytes_max: Option<u64>,
    /// Least free bytes on the file system: while a batch would leave less, it is refused with
    /// [`EngineError::Full`] before anything is written (rule S5). It is the room for the journal, for
    /// memtables that are still to be written out and for compaction: too little, and another program that
    /// fills the disk takes the node down. 0 does not look. Quotas are not seen.
    pub disk_free_min: u64,
    /// The number of a batch that is known to have been made durable: an open that finds less is refused with
    /// [`EngineError::Lost`] (rule S4). 0 promises nothing.
    pub sequence_promised: u64,
    /// Threads that write out memtables and compact, at least 1. The first of several never compacts: fjall has it hand
    /// such work back until another one takes it, and while no other is free it does nothing else, a whole processor
    /// long. And threads that all wait for room in fjall's queue of work, which only they empty, wait for ever.
    /// With three both are rare.
    pub workers: usize,
}

impl FjallOptions {
    /// The least fjall accepts for [`FjallOptions::journal_bytes_max`].
    pub const JOURNAL_BYTES_MIN: u64 = 64 * MIB;
    /// The least that is accepted for [`FjallOptions::write_buffer_bytes`].
    pub const WRITE_BUFFER_BYTES_MIN: u64 = MIB;

    fn validate(&self) -> Result<(), EngineError> {
        let check = |ok: bool, what: &str| ok.then_some(()).ok_or_else(|| EngineError::Refused(what.into()));
        check(self.journal_bytes_max >= Self::JOURNAL_BYTES_MIN, "journal_bytes_max is below 64 MiB")?;
        check(self.write_buffer_bytes >= Self::WRITE_BUFFER_BYTES_MIN, "write_buffer_bytes is below 1 MiB")?;
        check(self.workers >= 1, "workers is 0")
    }
}

impl Default for FjallOptions {
    /// About 100 MiB of memory at most, reopened in about half a second.
    fn default() -> Self {
        Self {
            cache_bytes: 48 * MIB,
            write_buffer_bytes: 16 * MIB,
            journal_bytes_max: 128 * MIB,
            kv_separation_threshold: 1024,
            disk_bytes_max: None,
            disk_free_min: 512 * MIB,
            sequence_promised: 0,
            workers: 3,
        }
    }
}

const MIB: u64 = 1024 * 1024;

/// The memtable of a small space, in bytes.
const SMALL_BUFFER_BYTES: u64 = MIB;
/// Hints come in bursts while a node is down.
const HINTS_BUFFER_BYTES: u64 = 8 * MIB;

/// How many committed bytes may pass between two looks at the space used on disk.
const DISK_CHECK_BYTES: u64 = 4 * MIB;

/// Records on disk, in a directory that belongs to one process at a time.
pub struct FjallEngine {
    data: Keyspace,
    meta: Keyspace,
    hints: Keyspace,
    quarantine: Keyspace,
    digests: Keyspace,
    database: Database,
    /// Memtables of the two keyspaces that have large ones.
    retired: Retired<2>,
    path: PathBuf,
    disk_bytes_max: Option<u64>,
    disk_free_min: u64,
    /// Whether the bounds hold yet.
    is_bounded: AtomicBool,
    /// Bytes committed since the last look at the space used on disk.
    unchecked_bytes: AtomicU64,
    /// What that look found.
    full: AtomicBool,
    /// Held as long as the engine lives, and let go last.
    _lock: File,
}

impl FjallEngine {
    /// Opens the database in the directory `path`, creating both if they are not there. Looks through the
    /// journals, cuts off a torn end that nobody was told of, and replays them (see `FORMAT.md`).
    ///
    /// # Errors
    ///
    /// [`EngineError::Locked`] if another process holds the directory, [`EngineError::Lost`] if files are
    /// damaged or less than promised is there, [`EngineError::Refused`] if options or format are not
    /// acceptable, [`EngineError::Io`] if the disk fails.
    pub fn open(path: impl AsRef<Path>, options: &FjallOptions) -> Result<Self, EngineError> {
        options.validate()?;
        let path = path.as_ref();
        let lock = lock(path)?;
        check_journals(path, options.sequence_promised)?;
        // Damage elsewhere may meet an assertion of fjall's.
        let opened = catch_unwind(AssertUnwindSafe(|| Self::open_database(path, options, lock)));
        let engine = opened.unwrap_or_else(|_| Err(lost(path, "its files make fjall panic")))?;
        let sequence = engine.meta.get(meta::KEY_SEQUENCE).map_err(|e| of_open(path, &e))?;
        let sequence = sequence.and_then(|record| meta::parse_sequence(meta::KEY_SEQUENCE, &record));
        check_promise(path, sequence.unwrap_or(0), options.sequence_promised)?;
        Ok(engine)
    }

    fn open_database(path: &Path, options: &FjallOptions, lock: File) -> Result<Self, EngineError> {
        let refused = |error| of_open(path, &error);
        let builder = Database::builder(path)
            .cache_size(options.cache_bytes)
            .max_journaling_size(options.journal_bytes_max)
            .worker_threads(options.workers);
        let failed = |error: io::Error| EngineError::Io(error.to_string());
        // Both start threads.
        let start = || Ok((builder.open().map_err(refused)?, Retired::start().map_err(failed)?));
        let (database, retired) = in_background(start).map_err(failed)??;
        let needed = Space::ALL.iter().filter(|space| **space != Space::Digests);
        let mut missing = needed.filter(|space| !database.keyspace_exists(space.name()));
        if let Some(space) = missing.next().filter(|_| options.sequence_promised > 0) {
            return Err(lost(path, &format!("the keyspace `{}` is gone", space.name())));
        }
        let separation = KvSeparationOptions::default().separation_threshold(options.kv_separation_threshold);
        let data = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(options.write_buffer_bytes)
                .with_kv_separation(Some(separation))
        };
        let small = || KeyspaceCreateOptions::default().max_memtable_size(SMALL_BUFFER_BYTES);
        let hints = || KeyspaceCreateOptions::default().max_memtable_size(HINTS_BUFFER_BYTES);
        Ok(Self {
            data: database.keyspace(Space::Data.name(), data).map_err(refused)?,
            meta: database.keyspace(Space::Meta.name(), small).map_err(refused)?,
            hints: database.keyspace(Space::Hints.name(), hints).map_err(refused)?,
            quarantine: database.keyspace(Space::Quarantine.name(), small).map_err(refused)?,
            digests: database.keyspace(Space::Digests.name(), small).map_err(refused)?,
            database,
            retired,
            path: path.to_owned(),
            disk_bytes_max: options.disk_bytes_max,
            disk_free_min: options.disk_free_min,
            is_bounded: AtomicBool::new(false),
            unchecked_bytes: AtomicU64::new(DISK_CHECK_BYTES),
            full: AtomicBool::new(false),
            _lock: lock,
        })
    }

    fn keyspace(&self, space: Space) -> &Keyspace {
        match space {
            Space::Data => &self.data,
            Space::Meta => &self.meta,
            Space::Hints => &self.hints,
            Space::Quarantine => &self.quarantine,
            Space::Digests => &self.digests,
        }
    }

    /// Bounds on the disk hold from now on. Until then, while a start makes its few notes, nothing is refused: a node
    /// that starts on a full disk serves reads.
    pub fn enforce_bounds(&self) {
        self.is_bounded.store(true, Ordering::Relaxed);
    }

    /// Refuses a batch of `bytes` while it would leave too little room (rule S5).
    fn check_room(&self, bytes: u64) -> Result<(), EngineError> {
        if !self.is_bounded.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.disk_free_min > 0 && free_bytes(&self.path) < self.disk_free_min.saturating_add(bytes) {
            return Err(EngineError::Full);
        }
        let Some(bound) = self.disk_bytes_max else {
            return Ok(());
        };
        let unchecked = self.unchecked_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if unchecked >= DISK_CHECK_BYTES || self.full.load(Ordering::Relaxed) {
            let used = self.database.disk_space().map_err(|e| of_read(&e))?;
            self.full.store(used + bytes > bound, Ordering::Relaxed);
            self.unchecked_bytes.store(0, Ordering::Relaxed);
        }
        if self.full.load(Ordering::Relaxed) { Err(EngineError::Full) } else { Ok(()) }
    }
}

impl Engine for FjallEngine {
    /// A copy, so that a small value held by a caller does not keep a whole block in memory.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let value = self.keyspace(space).get(key).map_err(|e| of_read(&e))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        if is_empty_range(from, to) {
            return Ok(Vec::new());
        }
        let snapshot = self.database.snapshot();
        let range = snapshot.range::<&[u8], _>(self.keyspace(space), (from, to));
        let records = range.take(limit).map(|entry| {
            let (key, value) = entry.into_inner().map_err(|e| of_read(&e))?;
            Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        });
        take_bytes(records, bytes_max)
    }

    /// Goes by the tree's own iterator, which holds the memtables and files of its moment and nothing later. An open
    /// snapshot would have fjall keep every memtable that is written out meanwhile, and so everything that is written, in
    /// memory (see `FORMAT.md`).
    fn records(&self, space: Space) -> Result<Records, EngineError> {
        let snapshot = self.database.snapshot();
        let records = self.keyspace(space).tree.iter(snapshot.seqno(), None);
        Ok(Box::new(records.map(|entry| {
            let (key, value) = entry.into_inner().map_err(|e| of_read(&e.into()))?;
            Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        })))
    }

    fn commit(&self, batch: &Batch) -> Result<(), EngineError> {
        self.check_room(batch.bytes() as u64)?;
        let mut writes = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), batch.len())
            .durability(Some(PersistMode::SyncData));
        for (space, key, value) in batch.iter() {
            match value {
                Some(value) => writes.insert(self.keyspace(space), &key[..], &value[..]),
                None => writes.remove(self.keyspace(space), &key[..]),
            }
        }
        writes.commit().map_err(|e| of_commit(&e))?;
        let touched = |of| batch.iter().any(|(space, ..)| space == of).then(|| self.keyspace(of));
        self.retired.follow([Space::Data, Space::Hints].map(touched));
        Ok(())
    }

    fn stats(&self) -> EngineStats {
        EngineStats {
            cache_bytes: self.database.cache_size(),
            write_buffer_bytes: self.database.write_buffer_size(),
            disk_bytes: self.database.disk_space().unwrap_or(0),
            journal_bytes: self.database.journal_disk_space().unwrap_or(0),
            free_bytes: free_bytes(&self.path),
            flushes_waiting: self.database.outstanding_flushes() as u64,
            compactions_running: self.database.active_compactions() as u64,
            compactions: self.database.compactions_completed() as u64,
        }
    }
}

/// Makes the directory, and sees to it that nobody else uses it: the journals are looked through before fjall
/// takes its own lock.
#[expect(clippy::disallowed_methods, reason = "the engine's driver holds the engine's files")]
fn lock(path: &Path) -> Result<File, EngineError> {
    let failed = |error: &std::io::Error| EngineError::Io(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(path).map_err(|e| failed(&e))?;
    let lock = File::create(path.join(LOCK_NAME)).map_err(|e| failed(&e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(EngineError::Locked(path.display().to_string())),
        Err(std::fs::TryLockError::Error(e)) => Err(failed(&e)),
    }
}

/// Looks through the journals before fjall does (rule S4).
fn check_journals(path: &Path, promised: u64) -> Result<(), EngineError> {
    let failed = |error: std::io::Error| EngineError::Io(format!("{}: {error}", path.display()));
    let journals = journal::inspect(path).map_err(|error| match error {
        JournalError::Io(error) => failed(error),
        JournalError::Damaged(why) => lost(path, &why),
    })?;
    if let Some(last) = journals.last_sequence {
        check_promise(path, last, promised)?;
    }
    journals.torn.map_or(Ok(()), |torn| torn.cut().map_err(failed))
}

fn check_promise(path: &Path, found: u64, promised: u64) -> Result<(), EngineError> {
    if found >= promised {
        return Ok(());
    }
    Err(lost(path, &format!("{promised} batches were made durable, only {found} are there")))
}

fn lost(path: &Path, why: &str) -> EngineError {
    EngineError::Lost(format!("{}: {why}", path.display()))
}

/// What the file system has left for us; everything if it does not tell.
fn free_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(u64::MAX, |found| found.f_bavail.saturating_mul(found.f_frsize))
}

const LOCK_NAME: &str = "quorate.lock";

#[cfg(test)]
mod tests;
