//! What a store of records must do, whatever keeps it.

mod batch;
mod fjall;
mod memory;

use std::ops::Bound;

use bytes::Bytes;

pub use batch::Batch;
pub use fjall::{FjallEngine, FjallOptions};
pub use memory::{Kept, MemoryEngine, MemoryImage, PendingId};

/// The spaces of keys an engine keeps apart. One batch may write to all of them.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Records of keys, in the order of their tokens.
    Data,
    /// What the node knows about itself.
    Meta,
    /// States that other nodes are still to be given, by target.
    Hints,
    /// Copies of damaged records that are to be restored from peers (rule S3).
    Quarantine,
    /// What the records of [`Space::Data`] add up to (rule A1), as far as that is known: it follows from them.
    Digests,
}

impl Space {
    /// Every space.
    pub const ALL: [Self; 5] = [Self::Data, Self::Meta, Self::Hints, Self::Quarantine, Self::Digests];

    /// The name of the space on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Meta => "meta",
            Self::Hints => "hints",
            Self::Quarantine => "quarantine",
            Self::Digests => "digests",
        }
    }
}

/// Keeps records. [`get`](Self::get), [`scan`](Self::scan) and [`stats`](Self::stats) may be called from
/// any thread at any time; [`commit`](Self::commit) from one thread at a time. All may block on the disk.
pub trait Engine: Send + Sync {
    /// The record under `key`. Never one that a power cut could take back (rule S1).
    ///
    /// # Errors
    ///
    /// [`EngineError::Io`] if the disk does not answer.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// Up to `limit` records between `from` and `to` in ascending order of their keys, as of one moment
    /// between two batches, and none behind the one with which keys and records have `bytes_max` bytes. A range
    /// that ends before it starts holds nothing.
    ///
    /// # Errors
    ///
    /// [`EngineError::Io`] if the disk does not answer.
    fn scan(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError>;

    /// Makes `batch` durable as a whole, then visible (rule S1): after a crash all of it is there or
    /// nothing, and once this returned `Ok`, all of it.
    ///
    /// # Errors
    ///
    /// See [`EngineError`]; only [`EngineError::Full`] promises that nothing was written.
    fn commit(&self, batch: &Batch) -> Result<(), EngineError>;

    /// What the engine uses at the moment.
    fn stats(&self) -> EngineStats;
}

/// Why an engine did not do what it was asked.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The disk failed. After a failed commit what its files show need not be what the disk holds: nothing
    /// may be acknowledged, the node goes down, and its state counts as lost (rule S2).
    #[error("the disk failed: {0}")]
    Io(String),
    /// No room: nothing of the batch was written, reads go on (rule S5).
    #[error("the disk is full")]
    Full,
    /// The engine takes no further writes until it is opened again: it failed in the background, or the disk
    /// ran full within a batch. Everything acknowledged is durable; the batch may be.
    #[error("the storage engine has stopped: {0}")]
    Stopped(String),
    /// What was read is not what was written; nobody knows how much else is (rule S3).
    #[error("the files are damaged: {0}")]
    Damaged(String),
    /// At an open: files are damaged, or writes that were promised are missing. The directory counts as lost
    /// (rule S4). Nothing was changed.
    #[error("what the data directory held is lost: {0}")]
    Lost(String),
    /// The files would not open, for a reason that is not in them: a setting out of range, or a newer format.
    /// Nothing is lost.
    #[error("the data directory would not open: {0}")]
    Refused(String),
    /// Another process holds the data directory. Nothing is lost.
    #[error("the data directory is in use by another process: {0}")]
    Locked(String),
}

impl EngineError {
    /// Whether the node must go down (rule S2): everything but a full disk.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Full)
    }
}

/// What an engine uses. Figures are those of the moment, cheap to take, and may lag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Resident bytes of the block cache.
    pub cache_bytes: u64,
    /// Resident bytes of writes that are durable in the journal, not yet in a table.
    pub write_buffer_bytes: u64,
    /// Bytes on disk, journals included.
    pub disk_bytes: u64,
    /// Bytes of journals that a restart has to replay.
    pub journal_bytes: u64,
    /// Bytes free on the file system; `u64::MAX` if it does not tell.
    pub free_bytes: u64,
    /// Write buffers that wait to be written out.
    pub flushes_waiting: u64,
    /// Compactions under way.
    pub compactions_running: u64,
    /// Compactions done since the engine was opened.
    pub compactions: u64,
}

/// Takes records up to the one with which `bytes_max` is reached.
fn take_bytes<E>(
    records: impl Iterator<Item = Result<(bytes::Bytes, bytes::Bytes), E>>,
    bytes_max: usize,
) -> Result<Vec<(bytes::Bytes, bytes::Bytes)>, E> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for record in records {
        let (key, value) = record?;
        bytes += key.len() + value.len();
        taken.push((key, value));
        if bytes >= bytes_max {
            break;
        }
    }
    Ok(taken)
}

/// Whether no key can lie between the bounds; ordered maps panic on some of those.
fn is_empty_range(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    use Bound::{Excluded, Included, Unbounded};
    match (from, to) {
        (Unbounded, _) | (_, Unbounded) => false,
        (Included(from), Included(to)) => from > to,
        (Included(from) | Excluded(from), Included(to) | Excluded(to)) => from >= to,
    }
}

#[cfg(test)]
mod tests;
