//! The high-water mark: how many batches a data directory has promised to hold, kept outside its database
//! (rule S4), and whether its files can be trusted (rule S2).
//!
//! The file has two slots of [`SLOT_BYTES`], written in turn, so that a write that is torn leaves the other:
//!
//! ```text
//! 0        format version: 1
//! 1        1 if the files are not to be trusted, else 0
//! 2..6     crc32 over all other bytes of the slot's record
//! 6..14    how often the mark has been written: the greater of two slots counts
//! 14..22   number of the last batch that was made durable
//! 22..30   the directory's incarnation
//! 30..38   the cluster
//! 38..42   the node
//! ```
//!
//! with integers big-endian. A write goes to the page cache: it outlives the process at once, and a power cut
//! once it is synced, which happens about once a second and at every clean stop.

#![expect(clippy::disallowed_methods, reason = "the mark is a file, synced by the clock")]

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use quorate_ring::{ClusterId, Incarnation, NodeId};
use tracing::warn;

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    pub(super) cluster: ClusterId,
    pub(super) node: NodeId,
    pub(super) incarnation: Incarnation,
    /// The number of the last batch that was made durable; 0 before the first.
    pub(super) sequence: u64,
    /// A write or a sync has failed since: what the files show need not be on the disk.
    pub(super) distrusted: bool,
}

/// The mark of a directory that is open.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    path: PathBuf,
    promise: Promise,
    writes: u64,
    synced_at: Instant,
    is_synced: bool,
    /// Whether writing it has failed: it is said once.
    is_behind: bool,
}

/// What is found where a mark should be.
#[derive(Debug)]
pub(super) enum Found {
    Mark(Mark),
    Nothing,
    /// A file that holds no mark.
    Damaged,
}

impl Mark {
    /// Makes the mark of a new life of `directory`, in place of any other, durably.
    pub(super) fn create(directory: &Path, promise: Promise) -> io::Result<Self> {
        let (path, draft) = (directory.join(FILE_NAME), directory.join(DRAFT_NAME));
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&draft)?;
        let mut mark = Self {
            file,
            path,
            promise,
            writes: 0,
            synced_at: Instant::now(),
            is_synced: false,
            is_behind: false,
        };
        mark.write()?;
        mark.write()?;
        mark.file.sync_all()?;
        fs::rename(&draft, &mark.path)?;
        sync_directory(directory)?;
        mark.is_synced = true;
        Ok(mark)
    }

    /// Looks for the mark of `directory`.
    pub(super) fn find(directory: &Path) -> io::Result<Found> {
        let path = directory.join(FILE_NAME);
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        let mut newest = None;
        for slot in 0..SLOTS {
            let mut record = [0; RECORD_BYTES];
            if file.read_exact_at(&mut record, slot * SLOT_BYTES).is_ok() {
                newest = newest.max(parse(&record).map(|(writes, _)| (writes, slot)));
            }
        }
        let Some((writes, slot)) = newest else {
            return Ok(Found::Damaged);
        };
        let mut record = [0; RECORD_BYTES];
        file.read_exact_at(&mut record, slot * SLOT_BYTES)?;
        let Some((_, promise)) = parse(&record) else {
            return Ok(Found::Damaged);
        };
        let synced_at = Instant::now();
        Ok(Found::Mark(Self { file, path, promise, writes, synced_at, is_synced: true, is_behind: false }))
    }

    pub(super) fn promise(&self) -> Promise {
        self.promise
    }

    /// The batch `sequence` is durable. A mark that cannot be written notices less after the next crash, but
    /// is no reason to lose what is durable.
    pub(super) fn advance(&mut self, sequence: u64) {
        debug_assert!(self.promise.sequence <= sequence);
        self.promise.sequence = sequence;
        match self.write() {
            Ok(()) => self.is_behind = false,
            Err(error) if !self.is_behind => {
                self.is_behind = true;
                warn!(path = %self.path.display(), %error, "the high-water mark cannot be written");
            }
            Err(_) => {}
        }
        if self.synced_at.elapsed() >= SYNC_EVERY {
            self.sync();
        }
    }

    /// The files are not to be trusted any more (rule S2). Said in two ways, as durably as a disk that fails
    /// lets it: in the mark, which needs no new room, and in a file for people to read.
    pub(super) fn distrust(&mut self, why: &str) {
        self.promise.distrusted = true;
        let marked = self.write().and_then(|()| self.file.sync_all());
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let told = tell(directory, why);
        if let (Err(error), Err(_)) = (marked, told) {
            warn!(%error, "the disk does not even take a note of its failure");
        }
    }

    /// Makes the mark durable as it stands.
    pub(super) fn sync(&mut self) {
        if self.is_synced {
            return;
        }
        self.synced_at = Instant::now();
        match self.file.sync_data() {
            Ok(()) => self.is_synced = true,
            Err(error) => warn!(path = %self.path.display(), %error, "the high-water mark cannot be synced"),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        self.writes += 1;
        self.is_synced = false;
        let record = render(self.writes, &self.promise);
        self.file.write_all_at(&record, self.writes % SLOTS * SLOT_BYTES)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.sync();
    }
}

/// Why the files of `directory` are not to be trusted, if someone left word of it.
pub(super) fn told(directory: &Path) -> Option<String> {
    fs::read_to_string(directory.join(NOTE_NAME)).ok()
}

/// Takes the word back: another life begins.
pub(super) fn untell(directory: &Path) -> io::Result<()> {
    match fs::remove_file(directory.join(NOTE_NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn tell(directory: &Path, why: &str) -> io::Result<()> {
    let mut file = File::options().create(true).truncate(true).write(true).open(directory.join(NOTE_NAME))?;
    io::Write::write_all(&mut file, why.as_bytes())?;
    file.sync_all()?;
    sync_directory(directory)
}

/// Makes names made, changed or removed in `directory` durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::options().read(true).open(directory)?.sync_all()
}

fn render(writes: u64, promise: &Promise) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[0] = VERSION;
    record[1] = u8::from(promise.distrusted);
    record[6..14].copy_from_slice(&writes.to_be_bytes());
    record[14..22].copy_from_slice(&promise.sequence.to_be_bytes());
    record[22..30].copy_from_slice(&promise.incarnation.0.to_be_bytes());
    record[30..38].copy_from_slice(&promise.cluster.0.to_be_bytes());
    record[38..42].copy_from_slice(&promise.node.0.to_be_bytes());
    let checksum = checksum(&record);
    record[2..6].copy_from_slice(&checksum.to_be_bytes());
    record
}

fn parse(record: &[u8; RECORD_BYTES]) -> Option<(u64, Promise)> {
    let word = |at: usize| record[at..].first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
    let short = |at: usize| record[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    if record[0] != VERSION || record[1] > 1 || short(2)? != checksum(record) {
        return None;
    }
    let promise = Promise {
        cluster: ClusterId(word(30)?),
        node: NodeId(short(38)?),
        incarnation: Incarnation(word(22)?),
        sequence: word(14)?,
        distrusted: record[1] == 1,
    };
    Some((word(6)?, promise))
}

fn checksum(record: &[u8; RECORD_BYTES]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record[..2]);
    hasher.update(&record[6..]);
    hasher.finalize()
}

const VERSION: u8 = 1;
const RECORD_BYTES: usize = 42;
const SLOTS: u64 = 2;
/// A sector, which disks write as one.
const SLOT_BYTES: u64 = 512;
/// How far the mark may lag behind a power cut.
pub(super) const SYNC_EVERY: Duration = Duration::from_secs(1);
const FILE_NAME: &str = "mark";
const DRAFT_NAME: &str = "mark.new";
const NOTE_NAME: &str = "distrusted";

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(sequence: u64) -> Promise {
        let (cluster, node) = (ClusterId(7), NodeId(3));
        Promise { cluster, node, incarnation: Incarnation(99), sequence, distrusted: false }
    }

    fn found(directory: &Path) -> Promise {
        match Mark::find(directory).unwrap() {
            Found::Mark(mark) => mark.promise(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_newest_promise_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(Mark::find(directory.path()), Ok(Found::Nothing)));
        let mut mark = Mark::create(directory.path(), promise(0)).unwrap();
        assert_eq!(found(directory.path()), promise(0));
        for sequence in 1..5 {
            mark.advance(sequence);
            assert_eq!(
                found(directory.path()),
                promise(sequence),
                "without a sync: the process may be killed"
            );
        }
        drop(mark);
        let Ok(Found::Mark(mut again)) = Mark::find(directory.path()) else { panic!("no mark") };
        again.advance(9);
        assert_eq!(found(directory.path()), promise(9));
        Mark::create(directory.path(), promise(0)).unwrap();
        assert_eq!(found(directory.path()), promise(0), "a new life starts over");
    }

    /// Whatever a torn write makes of one slot, the other still tells of the batch before.
    #[test]
    fn a_torn_write_leaves_the_promise_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut mark = Mark::create(directory.path(), promise(0)).unwrap();
        mark.advance(1);
        mark.advance(2);
        let slot = mark.writes % SLOTS * SLOT_BYTES;
        let record = render(mark.writes, &promise(2));
        for bit in 0..RECORD_BYTES * 8 {
            let mut torn = record;
            torn[bit / 8] ^= 1 << (bit % 8);
            mark.file.write_all_at(&torn, slot).unwrap();
            assert_eq!(found(directory.path()), promise(1), "bit {bit}");
        }
        mark.file.write_all_at(&[0; RECORD_BYTES], (mark.writes + 1) % SLOTS * SLOT_BYTES).unwrap();
        assert!(matches!(Mark::find(directory.path()), Ok(Found::Damaged)));
        mark.file.set_len(3).unwrap();
        assert!(matches!(Mark::find(directory.path()), Ok(Found::Damaged)));
    }

    #[test]
    fn distrust_is_noted_twice() {
        let directory = tempfile::tempdir().unwrap();
        let mut mark = Mark::create(directory.path(), promise(0)).unwrap();
        mark.advance(5);
        mark.distrust("the sync failed");
        assert_eq!(found(directory.path()), Promise { distrusted: true, ..promise(5) });
        assert_eq!(told(directory.path()).as_deref(), Some("the sync failed"));
        untell(directory.path()).unwrap();
        untell(directory.path()).unwrap();
        assert_eq!(told(directory.path()), None);
    }

    /// These bytes are on disks: a change here is a new format version.
    #[test]
    fn golden_record_of_version_1() {
        let record = render(0x0102_0304_0506_0708, &Promise { distrusted: true, ..promise(0x1112) });
        let hex: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
        let golden = "0101c6e13b4a0102030405060708000000000000111200000000000000630000000000000007\
                      00000003";
        assert_eq!(hex, golden);
    }
}
