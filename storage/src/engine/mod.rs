//! What a store of records must do, whatever keeps it.

mod batch;
mod error;
mod fjall;
mod memory;
mod stats;

use std::ops::Bound;

use bytes::Bytes;

pub use batch::Batch;
pub use error::EngineError;
pub use fjall::{FjallEngine, FjallOptions};
pub use memory::{Kept, MemoryEngine, MemoryImage, PendingId};
pub use stats::EngineStats;

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

/// Keeps records. [`get`](Self::get), [`scan`](Self::scan), [`records`](Self::records) and [`stats`](Self::stats) may be
/// called from any thread at any time; [`commit`](Self::commit) from one thread at a time. All may block on the disk.
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

    /// Every record of `space` in ascending order of their keys, as of one moment between two batches, for as long as it
    /// is read. Meanwhile the memory and the files that hold them stay: what is written later adds nothing to that.
    ///
    /// # Errors
    ///
    /// [`EngineError::Io`] if the disk does not answer.
    fn records(&self, space: Space) -> Result<Records, EngineError>;

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

/// Records with their keys, one by one.
pub type Records = Box<dyn Iterator<Item = Result<(Bytes, Bytes), EngineError>> + Send>;

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
