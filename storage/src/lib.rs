//! Floor F1 of Quorate: how a node keeps what it was told. Versions and their merge, the on-disk form of a
//! record, the engines that hold records, and the group-commit step that turns many writes into one batch
//! and one sync.
//!
//! Everything but [`FjallEngine`] is pure: no clock, no file, no thread. The threads that call
//! [`Committer`] and [`read()`] live with the driver; the simulator calls the same functions on a
//! [`MemoryEngine`]. The on-disk format and the durability argument are in `FORMAT.md`.

mod backup;
mod cas;
mod clock;
mod commit;
mod engine;
mod envelope;
mod hints;
mod merge;
mod merkle;
mod meta;
mod quarantine;
mod read;
mod record;
mod row;
mod scan;
mod siblings;
mod state;
mod version_vector;

pub use backup::{
    BackupData, BackupError, BackupManifest, BackupName, BackupReader, BackupTable, BackupWriter,
    BadBackupName, MergedBackups,
};
pub use cas::{Accepted, Acceptor, MalformedAcceptor};
pub use clock::{BoundReached, HlcClock};
pub use commit::{
    Changed, Committer, Horizon, Seen, Staged, StoreTerms, Write, WriteError, WriteResult, Written,
};
pub use engine::{
    Batch, Engine, EngineError, EngineStats, FjallEngine, FjallOptions, Kept, MemoryEngine, MemoryImage,
    PendingId, Records, Space,
};
pub use envelope::RecordError;
pub use hints::{HintBacklog, HintChange, HintPage, read_hints, read_hints_of};
pub use merge::{MergeError, Merged, admit, copy, merge};
pub use merkle::{
    CELLS_PER_PAGE, CellDigest, CellSet, DigestAnswer, DigestQuery, DigestWork, Digests, Slicing, Walked,
};
pub use meta::{Identity, Life, MetaError, MetaWrite, PeerRecord, Recovered, RecoveryRecord, recover};
pub use quarantine::{Quarantined, quarantined};
pub use read::{ReadError, read};
pub use record::{decode, encode};
pub use row::Row;
pub use scan::{INTERVAL_STEPS, PAGE_RECORDS_MAX, Page, scan, scan_hashes};
pub use siblings::{MalformedSiblings, Sibling, Siblings};
pub use state::{Content, Register, State, Version};
pub use version_vector::{UnorderedVector, VersionVector};

#[cfg(test)]
mod arbitrary;
