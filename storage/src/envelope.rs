//! The envelope of everything on disk: a format version, a kind and a checksum around the content.
//!
//! ```text
//! 0        format version
//! 1        kind
//! 2..6     crc32 (big-endian) over: version, kind, length of the storage key (u32, big-endian),
//!          storage key, content
//! 6..      content
//! ```
//!
//! The storage key is under the checksum, so that a record found under a key it was not written for is as
//! damaged as one with a flipped bit.

use bytes::{BufMut, Bytes, BytesMut};

/// The format version that is written.
pub(crate) const VERSION: u8 = 1;

/// Bytes before the content.
pub(crate) const HEADER_BYTES: usize = 6;

/// What is wrong with the bytes of a record (rule S3).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Too short for the fields it must have.
    #[error("the record is cut off after {len} bytes")]
    Truncated {
        /// Bytes that are there.
        len: usize,
    },
    /// The bytes, or the key they were found under, are not those that were written.
    #[error("the record's checksum is {stored:08x}, its bytes give {computed:08x}")]
    BadChecksum {
        /// What the record claims.
        stored: u32,
        /// What its bytes and its key give.
        computed: u32,
    },
    /// The checksum is right, but another version of this program wrote it.
    #[error("the record's format version {0} is unknown")]
    UnknownVersion(u8),
    /// The checksum is right, but this program knows no such kind, or not in this place.
    #[error("the record's kind {0:#04x} is unknown here")]
    UnknownKind(u8),
    /// The checksum is right, but the content is not of its kind.
    #[error("the record's content is malformed: {0}")]
    Malformed(String),
}

/// A record under `key` whose content `fill` appends.
pub(crate) fn seal(key: &[u8], kind: u8, capacity: usize, fill: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + capacity);
    bytes.put_u8(VERSION);
    bytes.put_u8(kind);
    bytes.put_u32(0);
    fill(&mut bytes);
    let crc = checksum(key, VERSION, kind, &bytes[HEADER_BYTES..]);
    bytes[2..HEADER_BYTES].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

/// The kind and the content of a record found under `key`, with its checksum verified: first of all, so that
/// damage is never taken for the work of another version.
pub(crate) fn open<'a>(key: &[u8], bytes: &'a [u8]) -> Result<(u8, &'a [u8]), RecordError> {
    let Some((&[version, kind, c0, c1, c2, c3], content)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(RecordError::Truncated { len: bytes.len() });
    };
    let stored = u32::from_be_bytes([c0, c1, c2, c3]);
    let computed = checksum(key, version, kind, content);
    if stored != computed {
        return Err(RecordError::BadChecksum { stored, computed });
    }
    if version != VERSION {
        return Err(RecordError::UnknownVersion(version));
    }
    Ok((kind, content))
}

fn checksum(key: &[u8], version: u8, kind: u8, content: &[u8]) -> u32 {
    let mut head = [version, kind, 0, 0, 0, 0];
    head[2..].copy_from_slice(&(key.len() as u32).to_be_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head);
    hasher.update(key);
    hasher.update(content);
    hasher.finalize()
}
