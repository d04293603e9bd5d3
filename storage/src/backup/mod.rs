//! A backup of one node: the form of its files, and how several are read as one. Whoever calls holds the files.
//!
//! A directory holds two. `data` has, with all numbers big-endian,
//!
//! ```text
//! 0..8     "quorate", format version (1 byte)
//! then for each record, by ascending storage key:
//! 0..2     length of the storage key
//! 2..6     length of the record
//! ..       the storage key
//! ..       the record as it stands on the node's disk, whose checksum covers its key
//! ```
//!
//! `manifest` is written last, once `data` is on the disk: a directory without one is no backup. It is JSON and a last
//! line, `crc32 ` and eight hex digits over all that stands before that line. See [`BackupManifest`].
//!
//! Records are whole states, deletes and values that have expired among them: only so can the backups of several nodes
//! be [merged](MergedBackups) into what their replicas would have agreed on.

mod data;
mod manifest;
mod merged;
mod name;

pub use data::{BackupData, BackupReader, BackupWriter};
pub use manifest::{BackupManifest, BackupTable};
pub use merged::MergedBackups;
pub use name::{BackupName, BadBackupName};

use crate::RecordError;

/// The format version that is written.
const FORMAT: u8 = 1;

/// Why a backup cannot be used.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// Its files cannot be read or written.
    #[error("{0}")]
    Io(String),
    /// It has no manifest, which is written last.
    #[error("it has no manifest: it was never finished, or is no backup")]
    Unfinished,
    /// Another version of this program wrote it.
    #[error("its format version {0} is unknown: a newer release has written it")]
    UnknownVersion(u32),
    /// The manifest is not what was written.
    #[error("its manifest is damaged: {0}")]
    Manifest(String),
    /// The data file does not begin as one.
    #[error("its data file is none")]
    NoData,
    /// The data file ends within a record.
    #[error("its data file is cut off within the record at byte {at}")]
    Truncated {
        /// Where the record begins.
        at: u64,
    },
    /// A record is not what was written.
    #[error("the record at byte {at} of its data file is damaged: {error}")]
    Record {
        /// Where the record begins.
        at: u64,
        /// What is wrong with it.
        error: RecordError,
    },
    /// A record stands before one that it should follow, or twice.
    #[error("the record at byte {at} of its data file is out of order")]
    OutOfOrder {
        /// Where the record begins.
        at: u64,
    },
    /// All records are sound, but they are not those that the manifest speaks of.
    #[error("its manifest is of another data file: {expected} were written, {found} are there")]
    Differs {
        /// What the manifest says.
        expected: BackupData,
        /// What is there.
        found: BackupData,
    },
}

#[cfg(test)]
mod tests;
