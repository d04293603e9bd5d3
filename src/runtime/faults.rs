//! Faults that a test puts into a running node from outside: a clock that is wrong, a disk that is full, a sync
//! that fails. They exist only in a process started with `QUORATE_TEST_FAULTS=FILE`, which says so at every start.
//!
//! The file is read every few milliseconds, one fault a line: `clock_offset_us 250000`; `disk_full`; `sync_fails`,
//! and what was to be synced is lost; `sync_fails_on_disk`, and it is on the disk all the same. A file that is missing
//! or empty means none. Write it whole, under another name, and rename it.

#![expect(clippy::disallowed_methods, reason = "a file is watched by a thread")]

use std::{
    fs, io,
    ops::Bound,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use quorate_storage::{Batch, Engine, EngineError, EngineStats, Records, Space};
use tracing::warn;

use crate::transport::OsClock;

/// Which faults are on at the moment.
#[derive(Debug, Default)]
pub(super) struct Faults {
    clock_offset_us: AtomicI64,
    disk_full: AtomicBool,
    sync_fails: AtomicBool,
    /// The same after the disk has taken the batch: nobody but the disk knows.
    sync_fails_on_disk: AtomicBool,
}

impl Faults {
    /// Those of the file that the environment names; `None`, as always outside tests, if it names none.
    pub(super) fn from_environment() -> io::Result<Option<&'static Self>> {
        let Some(file) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let file = PathBuf::from(file);
        warn!(file = %file.display(), "{VARIABLE} IS SET: this node shows faults on purpose; never set it outside tests");
        // One for each start of a node that is being tested: nothing that could pile up.
        let faults: &'static Self = Box::leak(Box::default());
        faults.read(&file)?;
        thread::Builder::new().name("quorate-faults".to_owned()).spawn(move || {
            loop {
                thread::sleep(READ_EVERY);
                if let Err(error) = faults.read(&file) {
                    warn!(%error, "{VARIABLE} cannot be read");
                }
            }
        })?;
        Ok(Some(faults))
    }

    /// The machine's clocks, the wall clock as far off as the file says.
    pub(super) fn clock(&'static self) -> OsClock {
        OsClock::start().shifted_by(&self.clock_offset_us)
    }

    /// The disk that the file speaks of.
    pub(super) fn engine(&'static self, inner: Arc<dyn Engine>) -> Arc<dyn Engine> {
        Arc::new(FaultyEngine { inner, faults: self })
    }

    fn read(&self, file: &std::path::Path) -> io::Result<()> {
        match fs::read_to_string(file) {
            Ok(text) => self.set(&text).map_err(io::Error::other),
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.set("").map_err(io::Error::other),
            Err(e) => Err(e),
        }
    }

    fn set(&self, text: &str) -> Result<(), String> {
        let (mut offset, mut full, mut fails, mut fails_on_disk) = (0, false, false, false);
        for line in text.lines().filter(|line| !line.is_empty()) {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("clock_offset_us", number) => {
                    offset = number.parse().map_err(|_| format!("'{line}' has no number"))?;
                }
                ("disk_full", "") => full = true,
                ("sync_fails", "") => fails = true,
                ("sync_fails_on_disk", "") => fails_on_disk = true,
                _ => return Err(format!("'{line}' is no fault")),
            }
        }
        self.clock_offset_us.store(offset, Relaxed);
        self.disk_full.store(full, Relaxed);
        self.sync_fails.store(fails, Relaxed);
        self.sync_fails_on_disk.store(fails_on_disk, Relaxed);
        Ok(())
    }
}

/// An engine whose commits fail when a test wants them to.
struct FaultyEngine {
    inner: Arc<dyn Engine>,
    faults: &'static Faults,
}

impl Engine for FaultyEngine {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.inner.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        self.inner.scan(space, from, to, limit, bytes_max)
    }

    fn records(&self, space: Space) -> Result<Records, EngineError> {
        self.inner.records(space)
    }

    fn commit(&self, batch: &Batch) -> Result<(), EngineError> {
        if self.faults.disk_full.load(Relaxed) {
            return Err(EngineError::Full);
        }
        let failed = || Err(EngineError::Io(format!("{VARIABLE} lets the sync fail")));
        if self.faults.sync_fails.load(Relaxed) {
            return failed();
        }
        self.inner.commit(batch)?;
        if self.faults.sync_fails_on_disk.load(Relaxed) { failed() } else { Ok(()) }
    }

    fn stats(&self) -> EngineStats {
        self.inner.stats()
    }
}

const VARIABLE: &str = "QUORATE_TEST_FAULTS";
const READ_EVERY: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use quorate_storage::MemoryEngine;

    use super::*;

    fn faults(text: &str) -> &'static Faults {
        let faults: &'static Faults = Box::leak(Box::default());
        faults.set(text).unwrap();
        faults
    }

    #[test]
    fn the_wall_clock_is_off_and_the_monotonic_one_is_not() {
        let (right, wrong) = (OsClock::start(), faults("clock_offset_us -60000000\n").clock());
        let (right, wrong) = (right.now(), wrong.now());
        let behind = right.wall.0 - wrong.wall.0;
        assert!((50_000_000..=60_000_000).contains(&behind), "{behind} us");
        assert!(wrong.mono.0 < 10_000_000_000);
    }

    #[test]
    fn a_failed_sync_loses_its_batch_or_keeps_it() {
        for (text, is_kept) in [("sync_fails", false), ("sync_fails_on_disk", true)] {
            let engine = faults(text).engine(Arc::new(MemoryEngine::default()));
            let mut batch = Batch::default();
            batch.put(Space::Meta, Bytes::from_static(b"key"), Bytes::from_static(b"value"));
            assert!(matches!(engine.commit(&batch), Err(EngineError::Io(_))));
            assert_eq!(engine.get(Space::Meta, b"key").unwrap().is_some(), is_kept, "{text}");
        }
    }

    #[test]
    fn commits_fail_while_the_file_says_so() {
        let faults = faults("disk_full\n");
        let engine = faults.engine(Arc::new(MemoryEngine::default()));
        assert_eq!(engine.commit(&Batch::default()), Err(EngineError::Full));
        faults.set("sync_fails\n").unwrap();
        assert!(matches!(engine.commit(&Batch::default()), Err(EngineError::Io(_))));
        faults.set("").unwrap();
        assert_eq!(engine.commit(&Batch::default()), Ok(()));
        assert!(faults.set("rain").is_err() && faults.set("clock_offset_us x").is_err());
    }
}
