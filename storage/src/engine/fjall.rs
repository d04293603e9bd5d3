//! The engine of production: one fjall database per node, a keyspace per space.
//!
//! A batch goes into fjall's journal and is synced there before fjall inserts it into the memtables, so
//! that no reader sees what a power cut takes back (rule S1; see `FORMAT.md`).

use std::{
    io,
    ops::Bound,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode, Readable};

use super::{Batch, Engine, EngineError, EngineStats, Space, is_empty_range};

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
    /// Most bytes on disk, journals included (each counts with 64 MiB from the start): above it every commit is refused with
    /// [`EngineError::Full`] before anything is written (rule S5). `None` leaves it to the disk, where
    /// running out is an error that takes the node down.
    pub disk_bytes_max: Option<u64>,
    /// Threads that write out memtables and compact, at least 1.
    pub workers: usize,
}

impl FjallOptions {
    /// The least fjall accepts for [`FjallOptions::journal_bytes_max`].
    pub const JOURNAL_BYTES_MIN: u64 = 64 * MIB;

    fn validate(&self) -> Result<(), EngineError> {
        let check = |ok: bool, what: &str| ok.then_some(()).ok_or_else(|| EngineError::Refused(what.into()));
        check(self.journal_bytes_max >= Self::JOURNAL_BYTES_MIN, "journal_bytes_max is below 64 MiB")?;
        check(self.write_buffer_bytes >= MIB, "write_buffer_bytes is below 1 MiB")?;
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
            workers: 2,
        }
    }
}

const MIB: u64 = 1024 * 1024;

/// The memtable of the small `meta` space, in bytes.
const META_BUFFER_BYTES: u64 = MIB;
/// Hints come in bursts while a node is down.
const HINTS_BUFFER_BYTES: u64 = 8 * 1024 * 1024;

/// How many committed bytes may pass between two looks at the space used on disk.
const DISK_CHECK_BYTES: u64 = 4 * MIB;

/// Records on disk, in a directory that belongs to one process at a time.
pub struct FjallEngine {
    database: Database,
    data: Keyspace,
    meta: Keyspace,
    hints: Keyspace,
    disk_bytes_max: Option<u64>,
    /// Bytes committed since the last look at the space used on disk.
    unchecked_bytes: AtomicU64,
    /// What that look found.
    full: AtomicBool,
}

impl FjallEngine {
    /// Opens the database in the directory `path`, creating both if they are not there. Replays the
    /// journals, and waits up to 0.3 s for another process that holds the directory.
    ///
    /// # Errors
    ///
    /// [`EngineError::Locked`] if another process holds the directory, [`EngineError::Refused`] if the
    /// files or the options are not acceptable, [`EngineError::Io`] if the disk fails.
    pub fn open(path: impl AsRef<Path>, options: &FjallOptions) -> Result<Self, EngineError> {
        options.validate()?;
        let refused = |error| refusal(path.as_ref(), error);
        let database = Database::builder(&path)
            .cache_size(options.cache_bytes)
            .max_journaling_size(options.journal_bytes_max)
            .worker_threads(options.workers)
            .open()
            .map_err(refused)?;
        let separation = KvSeparationOptions::default().separation_threshold(options.kv_separation_threshold);
        let data = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(options.write_buffer_bytes)
                .with_kv_separation(Some(separation))
        };
        let meta = || KeyspaceCreateOptions::default().max_memtable_size(META_BUFFER_BYTES);
        let hints = || KeyspaceCreateOptions::default().max_memtable_size(HINTS_BUFFER_BYTES);
        let engine = Self {
            data: database.keyspace(Space::Data.name(), data).map_err(refused)?,
            meta: database.keyspace(Space::Meta.name(), meta).map_err(refused)?,
            hints: database.keyspace(Space::Hints.name(), hints).map_err(refused)?,
            database,
            disk_bytes_max: options.disk_bytes_max,
            unchecked_bytes: AtomicU64::new(DISK_CHECK_BYTES),
            full: AtomicBool::new(false),
        };
        Ok(engine)
    }

    fn keyspace(&self, space: Space) -> &Keyspace {
        match space {
            Space::Data => &self.data,
            Space::Meta => &self.meta,
            Space::Hints => &self.hints,
        }
    }

    /// Refuses a batch of `bytes` while the directory is above its bound (rule S5).
    fn check_room(&self, bytes: u64) -> Result<(), EngineError> {
        let Some(bound) = self.disk_bytes_max else {
            return Ok(());
        };
        let unchecked = self.unchecked_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if unchecked >= DISK_CHECK_BYTES || self.full.load(Ordering::Relaxed) {
            let used = self.database.disk_space().map_err(failure)?;
            self.full.store(used + bytes > bound, Ordering::Relaxed);
            self.unchecked_bytes.store(0, Ordering::Relaxed);
        }
        if self.full.load(Ordering::Relaxed) { Err(EngineError::Full) } else { Ok(()) }
    }
}

impl Engine for FjallEngine {
    /// A copy, so that a small value held by a caller does not keep a whole block in memory.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let value = self.keyspace(space).get(key).map_err(failure)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        if is_empty_range(from, to) {
            return Ok(Vec::new());
        }
        let snapshot = self.database.snapshot();
        snapshot
            .range::<&[u8], _>(self.keyspace(space), (from, to))
            .take(limit)
            .map(|entry| {
                let (key, value) = entry.into_inner().map_err(failure)?;
                Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
            })
            .collect()
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
        writes.commit().map_err(failure)
    }

    fn stats(&self) -> EngineStats {
        EngineStats {
            cache_bytes: self.database.cache_size(),
            write_buffer_bytes: self.database.write_buffer_size(),
            disk_bytes: self.database.disk_space().unwrap_or(0),
            journal_bytes: self.database.journal_disk_space().unwrap_or(0),
        }
    }
}

/// A failure of an open database. Even a disk that ran full is fatal here: fjall takes no further writes
/// after a failed one, and part of the batch may stand in its journal.
fn failure(error: fjall::Error) -> EngineError {
    EngineError::Io(describe(&error))
}

/// A failure to open one.
fn refusal(path: &Path, error: fjall::Error) -> EngineError {
    let path = path.display();
    match &error {
        fjall::Error::Locked => EngineError::Locked(path.to_string()),
        fjall::Error::Io(io)
            if io.kind() != io::ErrorKind::UnexpectedEof && io.kind() != io::ErrorKind::InvalidData =>
        {
            EngineError::Io(format!("{path}: {io}"))
        }
        error => EngineError::Refused(format!("{path}: {}", describe(error))),
    }
}

fn describe(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(io) => io.to_string(),
        fjall::Error::Poisoned => "an earlier write failed, so no further one is taken".into(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
