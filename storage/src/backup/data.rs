//! The data file: records one after the other.

use std::{
    fmt,
    io::{self, Read, Write},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::{BackupError, FORMAT};
use crate::{Row, State, record};

/// What a data file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupData {
    /// Records.
    pub records: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// xxh3-64 of all of them.
    #[serde(with = "super::manifest::hex")]
    pub digest: u64,
}

impl fmt::Display for BackupData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records in {} bytes ({:016x})", self.records, self.bytes, self.digest)
    }
}

/// Writes a data file.
pub struct BackupWriter<W> {
    out: W,
    records: u64,
    bytes: u64,
    digest: Xxh3,
}

impl<W: Write> BackupWriter<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out, records: 0, bytes: 0, digest: Xxh3::new() };
        writer.put(&HEAD)?;
        Ok(writer)
    }

    /// Adds the record found under the storage key `key`, which follows that of the record before.
    ///
    /// # Errors
    /// Those of `out`, and a key or a record that is too long to be one.
    pub fn write(&mut self, key: &[u8], record: &[u8]) -> io::Result<()> {
        let too_long = |_| io::Error::other("a record is too long");
        let key_len = u16::try_from(key.len()).map_err(too_long)?.to_be_bytes();
        let record_len = u32::try_from(record.len()).map_err(too_long)?.to_be_bytes();
        self.put(&key_len)?;
        self.put(&record_len)?;
        self.put(key)?;
        self.put(record)?;
        self.records += 1;
        Ok(())
    }

    /// How much was written.
    pub fn data(&self) -> BackupData {
        BackupData { records: self.records, bytes: self.bytes, digest: self.digest.digest() }
    }

    /// Records so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it goes.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

impl<W> fmt::Debug for BackupWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupWriter").field("records", &self.records).finish_non_exhaustive()
    }
}

/// Reads a data file, and verifies every record.
pub struct BackupReader<R> {
    input: R,
    records: u64,
    bytes: u64,
    digest: Xxh3,
    last: Bytes,
}

impl<R: Read> BackupReader<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// [`BackupError::NoData`], [`BackupError::UnknownVersion`] or [`BackupError::Io`].
    pub fn new(input: R) -> Result<Self, BackupError> {
        let mut reader = Self { input, records: 0, bytes: 0, digest: Xxh3::new(), last: Bytes::new() };
        let head = reader.take(HEAD.len() as u64)?;
        match head.split_last() {
            Some((version, magic)) if *magic == HEAD[..magic.len()] && head.len() == HEAD.len() => {
                match *version {
                    FORMAT => Ok(reader),
                    version => Err(BackupError::UnknownVersion(version.into())),
                }
            }
            _ => Err(BackupError::NoData),
        }
    }

    /// The next row and what it holds; `None` at the end of the file.
    ///
    /// # Errors
    /// What is wrong with the record. Nothing can be read behind it.
    #[expect(clippy::should_implement_trait, reason = "an error ends it: it is no iterator")]
    pub fn next(&mut self) -> Result<Option<(Row, State)>, BackupError> {
        let at = self.bytes;
        let lengths = self.take(6)?;
        if lengths.is_empty() {
            return Ok(None);
        }
        let Some((&[k0, k1, r0, r1, r2, r3], [])) = lengths.split_first_chunk() else {
            return Err(BackupError::Truncated { at });
        };
        let (key_len, record_len) = (u16::from_be_bytes([k0, k1]), u32::from_be_bytes([r0, r1, r2, r3]));
        let key = Bytes::from(self.take(key_len.into())?);
        let bytes = Bytes::from(self.take(record_len.into())?);
        if key.len() < key_len.into() || bytes.len() < record_len as usize {
            return Err(BackupError::Truncated { at });
        }
        let state = record::decode(&key, bytes).map_err(|error| BackupError::Record { at, error })?;
        let row = Row::from_storage_key(&key).filter(|_| key > self.last);
        let row = row.ok_or(BackupError::OutOfOrder { at })?;
        self.last = key;
        self.records += 1;
        Ok(Some((row, state)))
    }

    /// What was read so far.
    pub fn data(&self) -> BackupData {
        BackupData { records: self.records, bytes: self.bytes, digest: self.digest.digest() }
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So many bytes, or as many as are left. Nothing is allocated on the word of a length.
    fn take(&mut self, len: u64) -> Result<Vec<u8>, BackupError> {
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(len).read_to_end(&mut bytes);
        read.map_err(|error| BackupError::Io(error.to_string()))?;
        self.digest.update(&bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes)
    }
}

impl<R> fmt::Debug for BackupReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupReader").field("records", &self.records).finish_non_exhaustive()
    }
}

const HEAD: [u8; 8] = *b"quorate\x01";
const _: () = assert!(HEAD[7] == FORMAT);
