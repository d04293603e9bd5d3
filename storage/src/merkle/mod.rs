//! Live digests (rule A1): what a node needs to compare itself with another replica without reading anything.
//!
//! The circle is cut into *cells* ([`Slicing`]): fixed slices, cut again where a range of the ring ends, so that a
//! replica set is a list of whole cells and two nodes with one ring have the same cells. Per table and cell a *leaf* is the
//! XOR of [`hash`] over the records in it: of the storage key, the kind and the content, which has every tag and
//! every byte of value. The commit step keeps the leaves ([`Digests`]): where it puts a record in the place of another
//! it knows both, and takes the old hash out and the new one in. Any tree over the leaves is XOR again, so none is kept.
//!
//! # Why a leaf is what is on the disk
//!
//! At any moment, for each cell that is not *dirty*: leaf = XOR over the records that are durable. By induction:
//!
//! - A change is worked out against the durable record (or the batch's own overlay of it), whose checksum was
//!   verified first (rule S3), or which the step itself has written and no walk has found damaged since, and applied when its batch is durable, before the next one is staged. A batch that fails
//!   changes nothing. Changes made after the crash of the process do not exist.
//! - Where the old record was damaged its hash is not known: the cell becomes dirty.
//! - A dirty cell is walked again ([`Walk`]), in the order of storage keys, a bounded piece at a time, between two
//!   batches. Its sum counts what lies behind the walk; a change counts if its key does. Both see the disk between the
//!   same two batches, so at the end of the cell the sum is the leaf.
//!
//! What would break it: a change that is applied when staged and whose batch then fails; a walk that reads a snapshot while
//! batches go on; a damaged record that is hashed.
//!
//! # Why nothing is scanned at a start
//!
//! Leaves are written down by *page* of [`CELLS_PER_PAGE`] cells once they have been quiet for a while, and all of them at
//! a clean stop. The batch that first changes a page again removes its record: so a record that is there is exact,
//! whatever crash came between, because batches are atomic. Cells of pages without a record are dirty at the
//! next start: after a kill those that were written to shortly before, and those that hold nothing, which cost nothing.
//! Records carry the fingerprint of their slicing; those of another one are removed with the first batch, before they could
//! grow stale.

mod cells;
mod digests;
mod page;
mod slicing;
mod walk;

pub use cells::CellSet;
pub use digests::{CellDigest, DigestAnswer, DigestQuery, DigestWork, Digests, Walked};
pub use page::CELLS_PER_PAGE;
pub use slicing::Slicing;

use digests::Change;
pub(crate) use digests::Pending;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::{envelope::HEADER_BYTES, record};

/// What a sound record adds to its leaf: 64 bits over the storage key, the kind and the content, so that equal
/// states have equal hashes on every node; 0 of a record that holds nothing but a promise. The checksum is the caller's to verify.
pub(crate) fn hash(key: &[u8], record: &[u8]) -> u64 {
    let kind = record.get(1).copied().unwrap_or(0);
    let content = record::compared(kind, record.get(HEADER_BYTES..).unwrap_or(&[]));
    if content.is_empty() {
        return 0;
    }
    xxh3_64_with_seed(content, xxh3_64(key).wrapping_add(u64::from(kind)))
}

#[cfg(test)]
mod tests;
