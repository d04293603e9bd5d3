//! The engine of the simulator: ordered maps in memory, with a disk's ways to fail.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::{Batch, Engine, EngineError, EngineStats, Records, Space, is_empty_range, take_bytes};

/// Names a batch that was begun and is not durable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PendingId(u64);

/// What a crash leaves of a batch that was not synced. The journal is written in order and read back up to
/// the first damage, so whatever follows a batch that is not whole is lost with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// None of it reached the disk.
    Lost,
    /// All of it happened to reach the disk, although nobody was told.
    Whole,
    /// Part of it reached the disk. A batch is atomic, so recovery cuts the journal there.
    Torn,
}

/// What a [`MemoryEngine`] held at some moment: a backup, to be restored later (rule V3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryImage {
    spaces: BTreeMap<Space, BTreeMap<Bytes, Bytes>>,
}

/// Records in memory. Deterministic: what it answers follows from the calls made to it.
///
/// [`begin`](Self::begin) and [`finish`](Self::finish) are the two ends of a commit that takes time;
/// [`Engine::commit`] does both. [`crash`](Self::crash) loses what was begun and not finished. The other
/// methods are the faults of a disk.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    durable: MemoryImage,
    pending: VecDeque<(PendingId, Batch)>,
    next_id: u64,
    fail_next_sync: bool,
    full: bool,
    /// Why every call fails.
    broken: Option<EngineError>,
}

impl MemoryEngine {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts to commit `batch`: it is on its way to the disk, not durable and not visible.
    ///
    /// # Errors
    ///
    /// [`EngineError::Full`] as long as the disk is full, or what broke the engine.
    pub fn begin(&self, batch: &Batch) -> Result<PendingId, EngineError> {
        let mut inner = self.lock();
        inner.check()?;
        if inner.full {
            return Err(EngineError::Full);
        }
        let id = PendingId(inner.next_id);
        inner.next_id += 1;
        inner.pending.push_back((id, batch.clone()));
        Ok(id)
    }

    /// Ends the commit of the batch `id`, which is durable and visible from now on. Batches begun before
    /// it become so first: the journal is one file.
    ///
    /// # Errors
    ///
    /// [`EngineError::Io`] if the sync fails or the batch is not pending any more. After a failed sync
    /// nothing is visible, every later call fails, and a [`crash`](Self::crash) decides what was kept.
    pub fn finish(&self, id: PendingId) -> Result<(), EngineError> {
        let mut inner = self.lock();
        inner.check()?;
        if std::mem::take(&mut inner.fail_next_sync) {
            return Err(inner.break_down("the sync failed"));
        }
        if !inner.pending.iter().any(|(pending, _)| *pending == id) {
            return Err(EngineError::Io("the batch was lost in a crash".into()));
        }
        while inner.pending.front().is_some_and(|(pending, _)| *pending <= id) {
            if let Some((_, batch)) = inner.pending.pop_front() {
                inner.durable.apply(&batch);
            }
        }
        Ok(())
    }

    /// The process dies: asks `keep`, oldest first, what the disk kept of each batch that was not
    /// finished. Afterwards the engine is as a restarted process finds it; a failed sync is forgotten.
    pub fn crash(&self, mut keep: impl FnMut(PendingId) -> Kept) {
        let mut inner = self.lock();
        for (id, batch) in std::mem::take(&mut inner.pending) {
            if keep(id) != Kept::Whole {
                break;
            }
            inner.durable.apply(&batch);
        }
        inner.fail_next_sync = false;
        if matches!(inner.broken, Some(EngineError::Io(_))) {
            inner.broken = None;
        }
    }

    /// The next sync fails (rule S2).
    pub fn fail_next_commit(&self) {
        self.lock().fail_next_sync = true;
    }

    /// The disk is full, or has room again (rule S5).
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// The files do not open any more: every call is refused until [`wipe`](Self::wipe) or
    /// [`restore`](Self::restore) (rule S4).
    pub fn refuse(&self, reason: &str) {
        self.lock().broken = Some(EngineError::Lost(reason.into()));
    }

    /// Flips one bit of the record under `key`, counted from its start and modulo its length. Says
    /// whether there was a bit to flip (rule S3).
    pub fn flip_bit(&self, space: Space, key: &[u8], bit: usize) -> bool {
        let mut inner = self.lock();
        let Some(record) = inner.durable.spaces.get_mut(&space).and_then(|records| records.get_mut(key))
        else {
            return false;
        };
        if record.is_empty() {
            return false;
        }
        let mut bytes = record.to_vec();
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        *record = bytes.into();
        true
    }

    /// The disk is replaced by an empty one. What was pending is gone.
    pub fn wipe(&self) {
        self.restore(MemoryImage::default());
    }

    /// A copy of everything durable.
    pub fn image(&self) -> MemoryImage {
        self.lock().durable.clone()
    }

    /// The disk is replaced by one that holds `image`: a restored backup, if it is older. What was pending
    /// is gone.
    pub fn restore(&self, image: MemoryImage) {
        let mut inner = self.lock();
        inner.durable = image;
        inner.pending.clear();
        inner.fail_next_sync = false;
        inner.broken = None;
    }

    /// No method leaves the state half changed, so one that panicked did no harm.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for MemoryEngine {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let inner = self.lock();
        inner.check()?;
        Ok(inner.durable.spaces.get(&space).and_then(|records| records.get(key)).cloned())
    }

    fn scan(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let inner = self.lock();
        inner.check()?;
        if is_empty_range(from, to) {
            return Ok(Vec::new());
        }
        let Some(records) = inner.durable.spaces.get(&space) else {
            return Ok(Vec::new());
        };
        let range = records.range::<[u8], _>((from, to));
        take_bytes(range.take(limit).map(|(key, value)| Ok((key.clone(), value.clone()))), bytes_max)
    }

    fn records(&self, space: Space) -> Result<Records, EngineError> {
        let inner = self.lock();
        inner.check()?;
        let records = inner.durable.spaces.get(&space).cloned().unwrap_or_default();
        Ok(Box::new(records.into_iter().map(Ok)))
    }

    fn commit(&self, batch: &Batch) -> Result<(), EngineError> {
        let id = self.begin(batch)?;
        self.finish(id)
    }

    /// Counts what is durable as disk; walks it all.
    fn stats(&self) -> EngineStats {
        let inner = self.lock();
        let records = inner.durable.spaces.values().flatten();
        let disk_bytes = records.map(|(key, value)| (key.len() + value.len()) as u64).sum();
        EngineStats { disk_bytes, free_bytes: u64::MAX, ..EngineStats::default() }
    }
}

impl Inner {
    fn check(&self) -> Result<(), EngineError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    fn break_down(&mut self, why: &str) -> EngineError {
        let error = EngineError::Io(why.into());
        self.broken = Some(error.clone());
        error
    }
}

impl MemoryImage {
    fn apply(&mut self, batch: &Batch) {
        for (space, key, value) in batch.iter() {
            let records = self.spaces.entry(space).or_default();
            match value {
                Some(value) => records.insert(key.clone(), value.clone()),
                None => records.remove(key),
            };
        }
    }
}

#[cfg(test)]
mod tests;
