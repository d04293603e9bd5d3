//! A node's disk: the memory engine, and one commit at a time, as in production.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use quorate::{
    node::{DiskOperation, DiskRequest, DiskResult, Scan, Ticket},
    ring::{Instant, Tag},
    storage::{
        Changed, Committer, Content, DigestWork, Digests, Engine, EngineStats, Identity, Kept, MemoryEngine,
        PendingId, ReadError, Recovered, Row, Seen, Slicing, Staged, State, VersionVector, Write,
        WriteResult, read, read_hints, read_hints_of, recover, scan, scan_hashes,
    },
};

use super::mistakes;
use crate::{
    mutants::Mutant,
    options::{DiskOptions, Options},
    random::Random,
    rings,
};

/// What a disk has to do next.
#[derive(Debug)]
pub(crate) enum DiskEvent {
    /// Read a row, or its tag.
    Read(DiskRequest),
    /// Begin to commit what waits.
    Stage,
    /// The sync of the commit under way is over.
    Synced,
    /// Hand the oldest report to the node.
    Report,
    /// Hand a result to the node.
    Done(Ticket, DiskResult),
}

/// One node's disk.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) engine: MemoryEngine,
    committer: Committer,
    slicing: Arc<Slicing>,
    waiting: Vec<(Ticket, Write)>,
    /// Whether a [`DiskEvent::Stage`] or [`DiskEvent::Synced`] is planned.
    busy: bool,
    syncing: Option<Syncing>,
    /// What came of commits, on its way to the node: what a commit has changed is seen by reads meanwhile, and by the
    /// commits that follow.
    reports: VecDeque<Vec<(Ticket, DiskResult)>>,
    options: DiskOptions,
    /// What the committer may remember of what it wrote.
    remembered_bytes: u64,
    /// What this process made durable last, by row: what it may still know where the disk has forgotten.
    written: BTreeMap<Row, State>,
    /// How often it was asked how full it is.
    measured: u64,
    pub(crate) slowness: u64,
    /// The sync under way, or the next one, fails.
    pub(crate) next_sync_fails: bool,
    mutant: Option<Mutant>,
    random: Random,
    reporting: Random,
}

/// A commit under way.
#[derive(Debug)]
struct Syncing {
    id: PendingId,
    staged: Option<Staged>,
    changes: Vec<Changed>,
    tickets: Vec<Ticket>,
    writes: Vec<Write>,
    /// What is done in place of `writes`, by mistake.
    mistaken: Option<Vec<Write>>,
}

/// A write of siblings that the commit step makes.
#[derive(Debug)]
pub(crate) struct Minted {
    pub(crate) row: Row,
    pub(crate) dot: Tag,
    /// What it supersedes.
    pub(crate) seen: VersionVector,
    pub(crate) content: Content,
}

/// What a step of the disk brought about.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// To be handed to the node now.
    pub(crate) done: Vec<(Ticket, DiskResult)>,
    /// What has just become durable.
    pub(crate) durable: Vec<Write>,
    /// Writes of siblings that were made on the way to the disk.
    pub(crate) minted: Vec<Minted>,
    /// When to go on, and with what.
    pub(crate) next: Vec<(u64, DiskEvent)>,
}

impl Disk {
    pub(crate) fn new(options: &Options, number: u32) -> Self {
        Self {
            engine: MemoryEngine::new(),
            committer: Committer::new(&Recovered::default()),
            slicing: rings::slicing_of(options.nodes),
            waiting: Vec::new(),
            busy: false,
            syncing: None,
            reports: VecDeque::new(),
            options: options.disk.clone(),
            remembered_bytes: options.state_cache_bytes,
            written: BTreeMap::new(),
            measured: 0,
            slowness: 1,
            next_sync_fails: false,
            mutant: options.mutant,
            random: Random::numbered(options.seed, "disk", u64::from(number)),
            reporting: Random::numbered(options.seed, "reporting", u64::from(number)),
        }
    }

    /// What a process that starts now finds, its start counted; `None` if there is no room to count it.
    pub(crate) fn begin(&mut self, fresh: impl FnOnce() -> Identity) -> Result<Option<Recovered>, String> {
        let mut recovered = recover(&self.engine).map_err(|error| error.to_string())?;
        self.committer = Committer::new(&recovered).remembering(self.remembered_bytes);
        self.written.clear();
        let digests = Digests::load(&self.engine, Arc::clone(&self.slicing));
        self.committer.keep(digests.map_err(|error| error.to_string())?);
        let writes: Vec<_> = recovered.begin(fresh).into_iter().map(Write::Meta).collect();
        let results = self.committer.run(&self.engine, &writes);
        Ok(results.iter().all(Result::is_ok).then_some(recovered))
    }

    /// Makes `writes` durable at once, before anything happens.
    pub(crate) fn provision(&mut self, writes: &[Write]) {
        self.committer.run(&self.engine, writes);
    }

    /// The node asks for something; answers when to go on, and with what.
    pub(crate) fn request(&mut self, request: DiskRequest) -> Option<(u64, DiskEvent)> {
        match request.operation {
            DiskOperation::Write(write) => {
                self.waiting.push((request.ticket, write));
                let idle = !std::mem::replace(&mut self.busy, true);
                idle.then(|| (self.random.below(STAGE_DELAY_MAX), DiskEvent::Stage))
            }
            // It draws nothing, so that gossip shifts nothing else.
            DiskOperation::Measure => Some((1, DiskEvent::Read(request))),
            _ => {
                let latency = self.random.range(1, self.options.read_max) * self.slowness;
                Some((latency, DiskEvent::Read(request)))
            }
        }
    }

    /// Carries out a read. Half of the results reach the node at once, half after others had their turn.
    pub(crate) fn read(&mut self, request: DiskRequest, now: Instant) -> Progress {
        let result = if request.deadline <= now {
            DiskResult::Expired
        } else {
            match &request.operation {
                DiskOperation::Read(row) => DiskResult::Read(self.state(row)),
                DiskOperation::ReadHints { target, rows, after, bytes_max } => {
                    DiskResult::Hints(match rows {
                        Some(rows) => read_hints_of(&self.engine, *target, rows, after.as_ref(), *bytes_max),
                        None => read_hints(&self.engine, *target, after.as_ref(), *bytes_max),
                    })
                }
                DiskOperation::Scan(Scan { table, ranges, after, bytes_max }) => {
                    DiskResult::Scanned(scan(&self.engine, *table, ranges, after.as_ref(), *bytes_max))
                }
                DiskOperation::Measure => DiskResult::Measured(self.measure()),
                DiskOperation::Hashes(Scan { table, ranges, after, bytes_max }) => {
                    DiskResult::Hashed(scan_hashes(&self.engine, *table, ranges, after.as_ref(), *bytes_max))
                }
                // No client of this world asks for a backup.
                DiskOperation::Write(_) | DiskOperation::Backup(_) => DiskResult::Expired,
            }
        };
        let result = match self.mutant {
            Some(Mutant::BadChecksumGiven) => mistakes::given(&self.engine, &request, result),
            _ => result,
        };
        let mut progress = Progress::default();
        if matches!(request.operation, DiskOperation::Measure) || self.random.chance(500) {
            progress.done.push((request.ticket, result));
        } else {
            let delay = self.random.range(1, self.options.read_max);
            progress.next.push((delay, DiskEvent::Done(request.ticket, result)));
        }
        progress
    }

    fn measure(&mut self) -> EngineStats {
        self.measured += 1;
        let stats = self.engine.stats();
        match self.options.is_shared {
            // Nodes tell two digits of it: each of these is news.
            true => EngineStats { free_bytes: (99 - self.measured % 90) * GIGABYTE, ..stats },
            false => stats,
        }
    }

    /// Begins to commit everything that waits.
    pub(crate) fn stage(&mut self) -> Progress {
        let (tickets, writes): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().unzip();
        let mut progress = Progress::default();
        if writes.is_empty() {
            self.busy = false;
            return progress;
        }
        let mistaken = self.mistaken(&writes);
        let mut staged = self.committer.stage(&self.engine, mistaken.as_ref().unwrap_or(&writes));
        let changes = staged.take_changes();
        let made = writes.iter().zip(staged.results()).filter(|(_, result)| result.is_ok());
        progress.minted = made.filter_map(|(write, _)| self.minted(write)).collect();
        if staged.batch.is_empty() {
            let results = mistakes::results(&writes, mistaken.as_ref(), self.committer.committed(staged));
            self.report(&mut progress, zip(tickets, results));
            progress.next.push((0, DiskEvent::Stage));
            return progress;
        }
        match self.engine.begin(&staged.batch) {
            Err(error) => {
                // There was no room: nothing was written, and nobody will hear of what was made.
                progress.minted.clear();
                let results = self.committer.failed(staged, &error);
                self.report(&mut progress, zip(tickets, results));
                progress.next.push((0, DiskEvent::Stage));
            }
            Ok(id) => {
                let latency = self.random.range(self.options.sync_min, self.options.sync_max) * self.slowness;
                progress.next.push((latency, DiskEvent::Synced));
                let mut syncing = Syncing { id, staged: Some(staged), changes, tickets, writes, mistaken };
                if self.mutant == Some(Mutant::AckBeforeSync)
                    && let Some(staged) = syncing.staged.take()
                {
                    let results = self.committer.committed(staged);
                    let results = mistakes::results(&syncing.writes, syncing.mistaken.as_ref(), results);
                    let changes = std::mem::take(&mut syncing.changes);
                    let tickets = std::mem::take(&mut syncing.tickets);
                    self.report(&mut progress, done(changes, tickets, results));
                }
                self.syncing = Some(syncing);
            }
        }
        progress
    }

    /// The sync of the commit under way is over.
    pub(crate) fn synced(&mut self) -> Progress {
        let Some(Syncing { id, staged, changes, tickets, writes, mistaken }) = self.syncing.take() else {
            return Progress::default();
        };
        let mut progress = Progress::default();
        if std::mem::take(&mut self.next_sync_fails) {
            self.engine.fail_next_commit();
        }
        match self.engine.finish(id) {
            Ok(()) => {
                if let Some(staged) = staged {
                    let forgets = self.mutant == Some(Mutant::DigestForgotten) && self.random.chance(100);
                    let before = forgets.then(|| self.committer.digests().clone());
                    let results = self.committer.committed(staged);
                    before.into_iter().for_each(|digests| self.committer.keep(digests));
                    let results = mistakes::results(&writes, mistaken.as_ref(), results);
                    for (row, state) in &changes {
                        match state {
                            Some(state) => drop(self.written.insert(row.clone(), state.clone())),
                            None => drop(self.written.remove(row)),
                        }
                    }
                    self.report(&mut progress, done(changes, tickets, results));
                }
                progress.durable = writes;
                self.committer.digests().check(&self.engine).expect("the memory engine answers");
            }
            Err(error) => {
                if let Some(staged) = staged {
                    let results = self.committer.failed(staged, &error);
                    self.report(&mut progress, zip(tickets, results));
                }
            }
        }
        progress.next.push((0, DiskEvent::Stage));
        progress
    }

    /// The node hears of a commit: at once, or later, after those before it.
    fn report(&mut self, progress: &mut Progress, results: Vec<(Ticket, DiskResult)>) {
        if self.options.report_max == 0 {
            progress.done = results;
            return;
        }
        self.reports.push_back(results);
        progress.next.push((self.reporting.below(self.options.report_max), DiskEvent::Report));
    }

    /// The oldest report reaches the node.
    pub(crate) fn reported(&mut self) -> Progress {
        let done = self.reports.pop_front().expect("one report for each event");
        Progress { done, ..Progress::default() }
    }

    /// The process ends as it should, if nothing is under way: what the records add up to is written down.
    pub(crate) fn stop(&mut self) {
        if !self.busy {
            self.committer.run(&self.engine, &[Write::Digest(DigestWork::Settle { all: true })]);
        }
    }

    /// What the records of `row`'s table add up to in its cell, if that is known.
    pub(crate) fn digest(&self, row: &Row) -> Option<u64> {
        let cell = self.slicing.cell(row.token);
        self.committer.digests().digest(row.table, cell..cell + 1)
    }

    /// The process dies; the disk keeps what it happens to keep of a batch that was not synced.
    pub(crate) fn crash(&mut self) {
        let (random, kept) = (&mut self.random, self.options.kept_at_crash);
        self.engine.crash(|_| match random.chance(kept) {
            true => Kept::Whole,
            false if random.chance(500) => Kept::Torn,
            false => Kept::Lost,
        });
        self.waiting.clear();
        self.syncing = None;
        self.reports.clear();
        self.busy = false;
    }

    /// Flips a bit of the record of `row`, if there is one. A record that is damaged already stays so: one that mended
    /// itself would be in no digest that was worked out meanwhile.
    pub(crate) fn flip_bit(&mut self, row: &Row) -> bool {
        let key = row.to_storage_key();
        loop {
            let bit = self.random.next() as usize;
            if !self.engine.flip_bit(quorate::storage::Space::Data, &key, bit) {
                return false;
            }
            if self.durable(row).is_err() {
                return true;
            }
        }
    }

    /// What is durable under `row`.
    pub(crate) fn durable(&self, row: &Row) -> Result<Option<State>, ReadError> {
        read(&self.engine, row)
    }

    /// What is done in place of `writes`, by mistake.
    fn mistaken(&self, writes: &[Write]) -> Option<Vec<Write>> {
        let mutant = self.mutant.filter(|mutant| mistakes::are_of(*mutant))?;
        let done = |write: &Write| {
            let held = mistakes::row(write).and_then(|row| self.durable(row).ok().flatten());
            mistakes::mistaken(mutant, write, held.as_ref()).unwrap_or_else(|| write.clone())
        };
        Some(writes.iter().map(done).collect())
    }

    /// What a write of siblings is about to supersede.
    fn minted(&self, write: &Write) -> Option<Minted> {
        let Write::Mint { row, dot, seen, content, .. } = write else {
            return None;
        };
        // It was made, so a damaged record was remembered.
        let held = self.durable(row).unwrap_or_else(|_| self.written.get(row).cloned());
        let seen = match (seen, held) {
            (Seen::Context(context), _) => context.clone(),
            (Seen::Durable, Some(State::Siblings(held))) => held.vector().clone(),
            (Seen::Durable, _) => VersionVector::new(),
        };
        Some(Minted { row: row.clone(), dot: *dot, seen, content: content.clone() })
    }

    fn state(&self, row: &Row) -> Result<Option<State>, ReadError> {
        self.unsynced(row).map_or_else(|| read(&self.engine, row), |state| Ok(Some(state)))
    }

    /// What a mutant shows before its time.
    fn unsynced(&self, row: &Row) -> Option<State> {
        if self.mutant != Some(Mutant::ExposeUnsynced) {
            return None;
        }
        let stores = self.syncing.iter().flat_map(|syncing| &syncing.writes);
        let states = stores.filter_map(|write| match write {
            Write::Store { row: stored, state, .. } if stored == row => Some(state.clone()),
            _ => None,
        });
        states.chain(read(&self.engine, row).ok().flatten()).max_by_key(State::tag)
    }
}

/// What the node hears of a batch that is durable: first what is held now.
fn done(changes: Vec<Changed>, tickets: Vec<Ticket>, results: Vec<WriteResult>) -> Vec<(Ticket, DiskResult)> {
    let changed = (!changes.is_empty()).then_some((Ticket::Changed, DiskResult::Changed(changes)));
    changed.into_iter().chain(zip(tickets, results)).collect()
}

fn zip(tickets: Vec<Ticket>, results: Vec<WriteResult>) -> Vec<(Ticket, DiskResult)> {
    tickets.into_iter().zip(results.into_iter().map(DiskResult::Written)).collect()
}

/// The commit thread wakes up within this time, and finds what else has come.
const STAGE_DELAY_MAX: u64 = 20_000;
/// In bytes.
const GIGABYTE: u64 = 1_000_000_000;
