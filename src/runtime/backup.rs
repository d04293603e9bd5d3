//! Backups: a thread that writes down what the node holds at one moment, beside everything else and no faster than told.

#![expect(
    clippy::disallowed_methods,
    reason = "backups are files, written by a thread of their own at a pace"
)]

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant as OsInstant, SystemTime, UNIX_EPOCH},
};

use metrics::{counter, gauge};
use quorate_ring::Token;
use quorate_storage::{BackupManifest, BackupWriter, Engine, Row, Space, decode};
use tracing::{info, warn};

use super::mark::sync_directory;
use crate::{
    node::{BackupOrder, BackupWork},
    wire::{BackupStage, BackupStatus},
};

/// The backups of a node: one is written at a time.
pub(super) struct Backups {
    data_dir: PathBuf,
    engine: Arc<dyn Engine>,
    /// While the file system has little more free bytes than that, none is written: the node needs them for its writes.
    disk_free_min: u64,
    last: Option<(Arc<Job>, JoinHandle<()>)>,
}

/// What a backup's thread shows and is told.
struct Job {
    began: OsInstant,
    status: Mutex<BackupStatus>,
    stop: AtomicBool,
}

impl Backups {
    /// Backups of what `engine` holds, in `data_dir`.
    pub(super) fn new(data_dir: &Path, engine: Arc<dyn Engine>, disk_free_min: u64) -> Self {
        Self { data_dir: data_dir.to_owned(), engine, disk_free_min, last: None }
    }

    /// Begins one, or says how far the last one is.
    pub(super) fn carry_out(&mut self, work: BackupWork) -> Result<Option<BackupStatus>, String> {
        match work {
            BackupWork::Begin(order) => self.begin(*order).map(Some),
            BackupWork::Describe => Ok(self.status()),
        }
    }

    /// Gives up the one that is under way, and waits until nothing reads the engine any more.
    pub(super) fn stop(&mut self) {
        if let Some((job, thread)) = self.last.take() {
            job.stop.store(true, Ordering::Relaxed);
            thread.thread().unpark();
            let _ = thread.join();
        }
    }

    fn status(&self) -> Option<BackupStatus> {
        let (job, thread) = self.last.as_ref()?;
        // Asked before: a thread that ends now says how.
        let has_ended = thread.is_finished();
        let mut status = job.status().clone();
        if status.stage == BackupStage::Running {
            status.took_ms = job.took_ms();
            if has_ended {
                status.stage = BackupStage::Failed("its thread has crashed".to_owned());
            }
        }
        Some(status)
    }

    fn begin(&mut self, order: BackupOrder) -> Result<BackupStatus, String> {
        if let Some(running) = self.status().filter(|status| status.stage == BackupStage::Running) {
            return match running.name == order.name.as_str() {
                true => Ok(running),
                false => Err(format!("the backup '{}' is under way: one is written at a time", running.name)),
            };
        }
        let directory = self.make(order.name.as_str())?;
        let recovering = order.manifest.tables.iter().filter(|table| !table.whole);
        let status = BackupStatus {
            name: order.name.to_string(),
            directory: fs::canonicalize(&directory)
                .unwrap_or_else(|_| directory.clone())
                .display()
                .to_string(),
            stage: BackupStage::Running,
            records: 0,
            bytes: 0,
            percent: 0,
            took_ms: 0,
            damaged: 0,
            recovering: recovering.map(|table| table.table.name.clone()).collect(),
        };
        let (began, stop) = (OsInstant::now(), AtomicBool::new(false));
        let job = Arc::new(Job { began, status: Mutex::new(status.clone()), stop });
        let rate = order.bytes_per_s.unwrap_or(BYTES_PER_S).max(BYTES_PER_S_MIN);
        let pace = Pace { bytes_per_s: rate, rested: began, since: 0 };
        let (engine, disk_free_min, job) = (self.engine.clone(), self.disk_free_min, job.clone());
        let writing =
            Writing { engine, disk_free_min, job: job.clone(), manifest: order.manifest, directory, pace };
        let thread = thread::Builder::new().name("quorate-backup".to_owned());
        let thread = thread.spawn(move || writing.run()).map_err(|error| error.to_string())?;
        self.last = Some((job, thread));
        Ok(status)
    }

    /// The directory of a new backup.
    fn make(&self, name: &str) -> Result<PathBuf, String> {
        let all = self.data_dir.join(BACKUPS);
        fs::create_dir_all(&all).map_err(|error| format!("{}: {error}", all.display()))?;
        let directory = all.join(name);
        match fs::create_dir(&directory) {
            Ok(()) => Ok(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let shown = directory.display();
                Err(match directory.join(MANIFEST).exists() {
                    true => format!("there is a backup '{name}' already, in {shown}"),
                    false => format!(
                        "a backup '{name}' was never finished: remove {shown}, or choose another name"
                    ),
                })
            }
            Err(error) => Err(format!("{}: {error}", directory.display())),
        }
    }
}

impl Job {
    /// No method leaves a status half changed, so a thread that panicked did no harm.
    fn status(&self) -> MutexGuard<'_, BackupStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn took_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A backup that is being written.
struct Writing {
    engine: Arc<dyn Engine>,
    disk_free_min: u64,
    job: Arc<Job>,
    manifest: BackupManifest,
    directory: PathBuf,
    pace: Pace,
}

type DataFile = BackupWriter<BufWriter<File>>;

impl Writing {
    fn run(mut self) {
        let written = self.write();
        let took_ms = self.job.took_ms();
        let (directory, name) = (self.directory.display(), self.job.status().name.clone());
        let stage = match written {
            Ok(()) => {
                let (data, damaged) = (self.manifest.data, self.manifest.damaged);
                counter!("quorate_backups_total", "outcome" => "done").increment(1);
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                gauge!("quorate_backup_finished_timestamp_seconds").set(now.as_secs_f64());
                info!(name, %directory, records = data.records, bytes = data.bytes, damaged, took_ms, "backup done");
                BackupStage::Done
            }
            Err(why) => {
                counter!("quorate_backups_total", "outcome" => "failed").increment(1);
                let kept = fs::remove_dir_all(&self.directory).err().map(|error| error.to_string());
                warn!(name, %directory, why, kept, took_ms, "backup failed");
                BackupStage::Failed(why)
            }
        };
        let mut status = self.job.status();
        status.took_ms = took_ms;
        status.stage = stage;
    }

    fn write(&mut self) -> Result<(), String> {
        let path = self.directory.join(DATA);
        let file = File::options().write(true).create_new(true).open(path).map_err(failed)?;
        let mut data =
            BackupWriter::new(BufWriter::with_capacity(CHUNK_BYTES as usize, file)).map_err(failed)?;
        self.check_room()?;
        let mut synced = 0;
        for record in self.engine.records(Space::Data).map_err(|error| error.to_string())? {
            let (key, record) = record.map_err(|error| error.to_string())?;
            let Some(row) = Row::from_storage_key(&key) else { continue };
            self.pace.since += (key.len() + record.len()) as u64;
            self.add(&mut data, &row, &key, record)?;
            if self.pace.since >= CHUNK_BYTES {
                self.report(&data, percent(row.token));
                if data.bytes() - synced >= SYNC_BYTES {
                    synced = data.bytes();
                    sync(&mut data).map_err(failed)?;
                    self.check_room()?;
                }
                self.pace.rest(&self.job.stop)?;
            }
        }
        sync(&mut data).map_err(failed)?;
        self.report(&data, 100);
        self.manifest.data = data.data();
        self.finish().map_err(failed)
    }

    /// Tables that were dropped leave records behind; what is damaged is not worth keeping.
    fn add(
        &mut self,
        data: &mut DataFile,
        row: &Row,
        key: &[u8],
        record: bytes::Bytes,
    ) -> Result<(), String> {
        let tables = &mut self.manifest.tables;
        let Ok(at) = tables.binary_search_by_key(&row.table, |table| table.table.id) else { return Ok(()) };
        if decode(key, record.clone()).is_err() {
            self.manifest.damaged += 1;
            return Ok(());
        }
        tables[at].records += 1;
        data.write(key, &record).map_err(failed)
    }

    fn report(&self, data: &DataFile, percent: u8) {
        let mut status = self.job.status();
        counter!("quorate_backup_bytes_total").increment(data.bytes() - status.bytes);
        status.records = data.records();
        status.bytes = data.bytes();
        status.damaged = self.manifest.damaged;
        status.percent = percent;
    }

    /// The data is on the disk: from the manifest on it is a backup.
    fn finish(&self) -> io::Result<()> {
        sync_directory(&self.directory)?;
        let text = self.manifest.encode().map_err(io::Error::other)?;
        let mut file = File::options().write(true).create_new(true).open(self.directory.join(MANIFEST))?;
        file.write_all(&text)?;
        file.sync_all()?;
        self.directory.ancestors().take(3).try_for_each(sync_directory)
    }

    /// The node's own writes are refused when the disk is full (rule S5): a backup must not bring that about.
    fn check_room(&self) -> Result<(), String> {
        let free = self.engine.stats().free_bytes;
        let needed = self.disk_free_min.saturating_add(self.disk_free_min / 2);
        if free >= needed {
            return Ok(());
        }
        Err(format!("{free} bytes are free: below {needed} they are left to the node's own writes"))
    }
}

/// How fast a backup is written.
struct Pace {
    bytes_per_s: u64,
    rested: OsInstant,
    /// Bytes since then.
    since: u64,
}

impl Pace {
    /// Waits until what was done since the last rest may have been done; the error says that there is to be no more.
    fn rest(&mut self, stop: &AtomicBool) -> Result<(), String> {
        let micros = u128::from(self.since) * 1_000_000 / u128::from(self.bytes_per_s);
        let due = self.rested + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err("the node was stopped".to_owned());
            }
            match due.checked_duration_since(OsInstant::now()) {
                Some(left) if !left.is_zero() => thread::park_timeout(left),
                _ => break,
            }
        }
        (self.rested, self.since) = (OsInstant::now(), 0);
        Ok(())
    }
}

/// A little at a time, so that a sync of the node's own never waits for much of the backup.
fn sync(data: &mut DataFile) -> io::Result<()> {
    data.get_mut().flush()?;
    data.get_mut().get_ref().sync_data()
}

/// How much of the ring lies before a token.
fn percent(token: Token) -> u8 {
    let passed = u64::from_be_bytes(token.to_ordered_bytes());
    ((u128::from(passed) * 100) >> 64) as u8
}

fn failed(error: io::Error) -> String {
    error.to_string()
}

/// Where backups lie in a data directory.
const BACKUPS: &str = "backups";
const DATA: &str = "data";
const MANIFEST: &str = "manifest";

/// A disk does some ten times as much.
const BYTES_PER_S: u64 = 32 << 20;
const BYTES_PER_S_MIN: u64 = 64 << 10;
/// What is written without a rest, if no record is longer.
const CHUNK_BYTES: u64 = 256 << 10;
const SYNC_BYTES: u64 = 8 << 20;

#[cfg(test)]
mod tests;
