//! A look at fjall's journals before fjall opens them (rule S4).
//!
//! fjall 3 cuts a journal without a word where an entry is damaged, although batches that were acknowledged
//! may follow; it believes 32-bit lengths and the numbers of batches, which no checksum covers; builds with
//! debug assertions panic. So every journal is read strictly first, in pieces of bounded size, and only a
//! torn end, which a crash leaves of a batch that nobody was told of, is cut off.
//!
//! A journal is a run of batches, integers little-endian:
//!
//! ```text
//! start   1, number of items (4 bytes), fjall's number of the batch (8 bytes)
//! item    2, put or remove (1 byte), compression (1 byte), keyspace (8 bytes), length of the key
//!         (2 bytes), of the value (4 bytes), of the value as it stands here (4 bytes), key, value
//! clear   4, keyspace (8 bytes); counts as an item
//! end     3, xxh3-64 over the bytes of the items (8 bytes), "FJL" and 3
//! ```
//!
//! and behind it zeros up to the size it was made with, or the end of the file.

#![expect(clippy::disallowed_methods, reason = "the engine's driver reads the engine's files")]

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use crate::meta;

/// What the journals of a database hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Journals {
    /// The number of the last batch that is whole, of those that carry one.
    pub(super) last_sequence: Option<u64>,
    /// The end of the newest journal, if a batch was torn there: what must be cut off.
    pub(super) torn: Option<Torn>,
}

/// The end of a journal that holds no whole batch any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Torn {
    pub(super) path: PathBuf,
    /// Where the last whole batch ends, in bytes from the start.
    pub(super) at: u64,
}

/// Why journals do not tell what was written.
#[derive(Debug)]
pub(super) enum JournalError {
    /// The files cannot be read, for a reason that need not be in them.
    Io(io::Error),
    /// Batches that were synced are damaged or missing.
    Damaged(String),
}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the journals in `directory`, oldest first. Changes nothing.
pub(super) fn inspect(directory: &Path) -> Result<Journals, JournalError> {
    let mut journals = Journals::default();
    let mut last_batch = None;
    let files = journal_files(directory)?;
    for (at, (_, path)) in files.iter().enumerate() {
        let mut reader = Reader::open(path)?;
        let is_newest = at + 1 == files.len();
        loop {
            let start = reader.at;
            match reader.batch() {
                Ok(Some(batch)) => {
                    follow(&mut journals, &mut last_batch, batch).map_err(|why| damaged(path, start, &why))?
                }
                Ok(None) => break,
                Err(Flaw::Io(error)) => return Err(error.into()),
                Err(Flaw::Broken(why)) if !is_newest => return Err(damaged(path, start, why)),
                Err(Flaw::Broken(why)) => {
                    if let Some(later) = reader.batch_after(start)? {
                        let why = format!("{why}, but a whole batch follows at byte {later}");
                        return Err(damaged(path, start, &why));
                    }
                    journals.torn = Some(Torn { path: path.clone(), at: start });
                    break;
                }
            }
        }
    }
    Ok(journals)
}

impl Torn {
    /// Cuts it off for good.
    pub(super) fn cut(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(self.at)?;
        file.sync_all()
    }
}

/// Batches follow each other: one that is missing between two others was lost.
fn follow(journals: &mut Journals, last_batch: &mut Option<u64>, batch: Batch) -> Result<(), String> {
    if last_batch.is_some_and(|last| batch.number <= last) || batch.number > NUMBER_MAX {
        return Err(format!("its number {} cannot be right", batch.number));
    }
    *last_batch = Some(batch.number);
    let Some(sequence) = batch.sequence else {
        return Ok(());
    };
    match journals.last_sequence.replace(sequence) {
        Some(last) if last + 1 != sequence => Err(format!("batch {sequence} follows batch {last}")),
        _ => Ok(()),
    }
}

/// The journals by their numbers, and so by age.
fn journal_files(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(number) = number.filter(|_| is_journal) {
            files.push((number, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn damaged(path: &Path, at: u64, why: &str) -> JournalError {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    JournalError::Damaged(format!("journal {name} is damaged at byte {at}: {why}"))
}

/// A batch that is whole.
#[derive(Debug)]
struct Batch {
    /// fjall's number of it.
    number: u64,
    /// Ours, if it carries one.
    sequence: Option<u64>,
}

/// Why no batch could be read.
enum Flaw {
    Io(io::Error),
    /// What stands there is no whole batch.
    Broken(&'static str),
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof => Self::Broken("the file ends within a batch"),
            _ => Self::Io(error),
        }
    }
}

struct Reader {
    file: BufReader<File>,
    /// Bytes taken so far.
    at: u64,
    /// Bytes of the file.
    len: u64,
    /// Over the items of the batch.
    hasher: Xxh3,
}

impl Reader {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file: BufReader::with_capacity(PIECE_BYTES, file), at: 0, len, hasher: Xxh3::new() })
    }

    /// The next batch; `None` behind the last one.
    fn batch(&mut self) -> Result<Option<Batch>, Flaw> {
        if self.at == self.len {
            return Ok(None);
        }
        let [tag] = self.take()?;
        if tag == 0 {
            return self.expect_zeros().map(|()| None);
        }
        if tag != TAG_START {
            return Err(Flaw::Broken("no batch starts there"));
        }
        let items = u32::from_le_bytes(self.take()?);
        let number = u64::from_le_bytes(self.take()?);
        self.hasher.reset();
        let mut sequence = None;
        for _ in 0..items {
            sequence = self.item()?.or(sequence);
        }
        let expected = self.hasher.digest();
        let [tag] = self.take()?;
        let checksum = u64::from_le_bytes(self.take()?);
        if tag != TAG_END || self.take()? != *TRAILER {
            return Err(Flaw::Broken("the batch has no end"));
        }
        if checksum != expected {
            return Err(Flaw::Broken("the batch fails its checksum"));
        }
        Ok(Some(Batch { number, sequence }))
    }

    /// One item; our number of the batch, if that is what it puts.
    fn item(&mut self) -> Result<Option<u64>, Flaw> {
        match self.take_hashed()? {
            [TAG_CLEAR] => {
                let _keyspace: [u8; 8] = self.take_hashed()?;
                return Ok(None);
            }
            [TAG_ITEM] => {}
            _ => return Err(Flaw::Broken("an item of the batch is none")),
        }
        let [what, compression] = self.take_hashed()?;
        let _keyspace: [u8; 8] = self.take_hashed()?;
        let key_len = u16::from_le_bytes(self.take_hashed()?);
        let value_len = u32::from_le_bytes(self.take_hashed()?);
        let stored_len = u32::from_le_bytes(self.take_hashed()?);
        let is_plain = compression == 0;
        if what > REMOVE_WEAK || compression > LZ4 || (is_plain && value_len != stored_len) {
            return Err(Flaw::Broken("an item of the batch makes no sense"));
        }
        if u64::from(key_len) + u64::from(stored_len) > self.len - self.at {
            return Err(Flaw::Broken("the file ends within a batch"));
        }
        if is_plain && key_len as usize == meta::KEY_SEQUENCE.len() && stored_len <= SEQUENCE_RECORD_BYTES_MAX
        {
            let mut bytes = vec![0; key_len as usize + stored_len as usize];
            self.file.read_exact(&mut bytes)?;
            self.at += bytes.len() as u64;
            self.hasher.update(&bytes);
            let (key, record) = bytes.split_at(key_len as usize);
            return Ok(meta::parse_sequence(key, record));
        }
        self.skip_hashed(u64::from(key_len) + u64::from(stored_len))?;
        Ok(None)
    }

    fn take<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], Flaw> {
        let mut bytes = [0; BYTES];
        self.file.read_exact(&mut bytes)?;
        self.at += BYTES as u64;
        Ok(bytes)
    }

    fn take_hashed<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], Flaw> {
        let bytes = self.take()?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    fn skip_hashed(&mut self, bytes: u64) -> Result<(), Flaw> {
        let mut left = bytes;
        while left > 0 {
            let piece = self.piece(left)?.len();
            self.hasher.update(&self.file.buffer()[..piece]);
            self.consume(piece);
            left -= piece as u64;
        }
        Ok(())
    }

    /// Nothing but zeros may follow the last batch.
    fn expect_zeros(&mut self) -> Result<(), Flaw> {
        while self.at < self.len {
            let piece = self.piece(self.len - self.at)?;
            if piece.iter().any(|byte| *byte != 0) {
                return Err(Flaw::Broken("zeros stand where a batch should start"));
            }
            let piece = piece.len();
            self.consume(piece);
        }
        Ok(())
    }

    /// Some bytes that come next, at least one and at most `bytes_max`; not taken yet.
    fn piece(&mut self, bytes_max: u64) -> Result<&[u8], Flaw> {
        use io::BufRead;
        let piece = self.file.fill_buf()?;
        if piece.is_empty() {
            return Err(Flaw::Broken("the file ends within a batch"));
        }
        let len = piece.len().min(usize::try_from(bytes_max).unwrap_or(usize::MAX));
        Ok(&piece[..len])
    }

    fn consume(&mut self, bytes: usize) {
        io::BufRead::consume(&mut self.file, bytes);
        self.at += bytes as u64;
    }

    /// Whether a whole batch stands anywhere behind `broken_at`, and where. A batch is written only when the
    /// one before it has been synced, so what is broken then was synced. Batches stand end to end: one is
    /// looked for behind everything that looks like the end of another.
    fn batch_after(&mut self, broken_at: u64) -> io::Result<Option<u64>> {
        let mut from = broken_at + 1;
        while let Some(end) = self.find_trailer(from)? {
            self.seek(end)?;
            match self.batch() {
                Ok(Some(_)) => return Ok(Some(end)),
                Err(Flaw::Io(error)) => return Err(error),
                Ok(None) | Err(Flaw::Broken(_)) => from = end,
            }
        }
        Ok(None)
    }

    /// Where the first trailer at `from` or later ends.
    fn find_trailer(&mut self, from: u64) -> io::Result<Option<u64>> {
        self.seek(from)?;
        let mut matched = 0;
        while self.at < self.len {
            let piece = match self.piece(self.len - self.at) {
                Ok(piece) => piece,
                Err(Flaw::Io(error)) => return Err(error),
                Err(Flaw::Broken(_)) => return Ok(None),
            };
            for (n, byte) in piece.iter().enumerate() {
                matched = match matched {
                    _ if *byte == TRAILER[matched] => matched + 1,
                    _ => usize::from(*byte == TRAILER[0]),
                };
                if matched == TRAILER.len() {
                    return Ok(Some(self.at + n as u64 + 1));
                }
            }
            let piece = piece.len();
            self.consume(piece);
        }
        Ok(None)
    }

    fn seek(&mut self, at: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.at = at;
        Ok(())
    }
}

const TAG_START: u8 = 1;
const TAG_ITEM: u8 = 2;
const TAG_END: u8 = 3;
const TAG_CLEAR: u8 = 4;
const TRAILER: &[u8; 4] = b"FJL\x03";
/// The greatest word for what an item does: put, remove, remove weakly.
const REMOVE_WEAK: u8 = 2;
const LZ4: u8 = 1;
/// Numbers above it cannot have been counted up to.
const NUMBER_MAX: u64 = 1 << 62;
/// More than a record of a sequence number takes.
const SEQUENCE_RECORD_BYTES_MAX: u32 = 64;
const PIECE_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests;
