//! The disk: the commit thread and the read thread.
//!
//! The loop collects requests during a pass and hands them over in one message; a thread takes every message
//! that waits, does all of it, and hands the results back in one message. There is no cap and no delay: the
//! batch is what came while the last one was being written.

#![expect(clippy::disallowed_methods, reason = "commits are timed here")]

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Instant as OsInstant,
};

use metrics::{counter, histogram};
use quorate_storage::{Changed, Committer, DigestWork, Engine, EngineError, Write, WriteError, WriteResult};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{info, warn};

mod reading;

use self::reading::{Reader, look};
use super::{
    RunError,
    backup::Backups,
    mark::{Mark, SYNC_EVERY},
};
use crate::{
    node::{DiskOperation, DiskRequest, DiskResult, Input, Ticket},
    transport::OsClock,
};

/// Where the loop's requests go.
#[derive(Debug)]
pub(super) struct Disk {
    commit: Worker,
    read: Worker,
    commits: Vec<DiskRequest>,
    reads: Vec<DiskRequest>,
    mark: Arc<Mutex<Mark>>,
}

/// Where the disk's results come from.
#[derive(Debug)]
pub(super) struct DiskResults(UnboundedReceiver<Results>);

type Results = Vec<(Ticket, DiskResult)>;

#[derive(Debug)]
struct Worker {
    requests: mpsc::Sender<Vec<DiskRequest>>,
    thread: JoinHandle<()>,
}

impl Disk {
    /// Starts both threads on `engine`.
    pub(super) fn start(
        engine: Arc<dyn Engine>,
        committer: Committer,
        mark: Mark,
        clock: OsClock,
        backups: Backups,
    ) -> io::Result<(Self, DiskResults)> {
        let (results, receiver) = unbounded_channel();
        let mark = Arc::new(Mutex::new(mark));
        let read = Reader { engine: engine.clone(), mark: mark.clone(), backups, patient_is_next: false };
        let commit = Commit { engine, committer, mark: mark.clone(), is_full: false, has_failed: false };
        let commit = Worker::start("quorate-commit", clock, results.clone(), commit)?;
        let read = Worker::start("quorate-read", clock, results, read)?;
        Ok((Self { commit, read, commits: Vec::new(), reads: Vec::new(), mark }, DiskResults(receiver)))
    }

    /// Hands requests over, writes in their order.
    pub(super) fn submit(&mut self, requests: &mut Vec<DiskRequest>) -> Result<(), RunError> {
        for request in requests.drain(..) {
            match request.operation {
                DiskOperation::Write(_) => self.commits.push(request),
                _ => self.reads.push(request),
            }
        }
        self.commit.hand_over(&mut self.commits)?;
        self.read.hand_over(&mut self.reads)
    }

    /// The data directory is not to be used again: the next start puts it aside (rule V3).
    pub(super) fn distrust(&self, why: &str) {
        distrust(&self.mark, why);
    }

    /// Lets both threads finish what they were given, and closes the engine.
    pub(super) fn stop(self) -> Result<(), RunError> {
        self.commit.stop()?;
        self.read.stop()
    }
}

impl DiskResults {
    /// Waits for results and appends them; false if none will come any more.
    pub(super) async fn arrived(&mut self, inputs: &mut VecDeque<Input>) -> bool {
        let Some(results) = self.0.recv().await else {
            return false;
        };
        append(results, inputs);
        true
    }

    /// Appends all results that wait.
    pub(super) fn take(&mut self, inputs: &mut VecDeque<Input>) {
        while let Ok(results) = self.0.try_recv() {
            append(results, inputs);
        }
    }
}

fn append(results: Results, inputs: &mut VecDeque<Input>) {
    inputs.extend(results.into_iter().map(|(ticket, result)| Input::DiskDone { ticket, result }));
}

impl Worker {
    fn start(
        name: &str,
        clock: OsClock,
        results: UnboundedSender<Results>,
        mut work: impl Work,
    ) -> io::Result<Self> {
        let (requests, receiver) = mpsc::channel::<Vec<DiskRequest>>();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut waiting = Vec::new();
            loop {
                if waiting.is_empty() {
                    match next(&receiver, &mut work) {
                        Some(requests) => waiting = requests,
                        None => break,
                    }
                }
                receiver.try_iter().for_each(|more| waiting.extend(more));
                let mut done = Vec::with_capacity(waiting.len());
                drop_expired(&mut waiting, clock, &mut done);
                work.carry_out(&mut waiting, &mut done);
                if results.send(done).is_err() {
                    // Nobody waits for results any more; what was asked for is still carried out.
                    continue;
                }
            }
            work.end();
        })?;
        Ok(Self { requests, thread })
    }

    fn hand_over(&self, requests: &mut Vec<DiskRequest>) -> Result<(), RunError> {
        if requests.is_empty() {
            return Ok(());
        }
        let room = Vec::with_capacity(requests.len());
        self.requests.send(std::mem::replace(requests, room)).map_err(|_| RunError::Crashed("disk"))
    }

    fn stop(self) -> Result<(), RunError> {
        drop(self.requests);
        self.thread.join().map_err(|_| RunError::Crashed("disk"))
    }
}

/// Work past its deadline is worth nothing (rule Q11).
fn drop_expired(requests: &mut Vec<DiskRequest>, clock: OsClock, done: &mut Results) {
    let now = clock.mono();
    if requests.iter().all(|request| request.deadline > now) {
        return;
    }
    for request in std::mem::take(requests) {
        if request.deadline > now {
            requests.push(request);
        } else {
            done.push((request.ticket, DiskResult::Expired));
        }
    }
}

/// What a worker does.
trait Work: Send + 'static {
    /// Carries out some of the requests, one at least, and leaves the others.
    fn carry_out(&mut self, requests: &mut Vec<DiskRequest>, done: &mut Results);

    /// Nothing has been asked for since [`SYNC_EVERY`].
    fn idle(&mut self) {}

    /// Nothing will be asked for any more.
    fn end(&mut self) {}
}

/// The next requests; `None` when no more will come.
fn next(receiver: &mpsc::Receiver<Vec<DiskRequest>>, work: &mut impl Work) -> Option<Vec<DiskRequest>> {
    loop {
        match receiver.recv_timeout(SYNC_EVERY) {
            Ok(requests) => return Some(requests),
            Err(RecvTimeoutError::Timeout) => work.idle(),
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// The commit thread's work.
struct Commit {
    engine: Arc<dyn Engine>,
    committer: Committer,
    mark: Arc<Mutex<Mark>>,
    /// Whether the last batch found no room: it is said once.
    is_full: bool,
    /// Whether a commit failed in a way after which nothing more may be written (rule S2).
    has_failed: bool,
}

impl Work for Commit {
    /// One batch, one sync (rule S1).
    fn carry_out(&mut self, requests: &mut Vec<DiskRequest>, done: &mut Results) {
        let mut tickets = Vec::with_capacity(requests.len());
        let mut writes = Vec::with_capacity(requests.len());
        for request in requests.drain(..) {
            match request.operation {
                DiskOperation::Write(write) => {
                    tickets.push(request.ticket);
                    writes.push(write);
                }
                other => done.push((request.ticket, look(&*self.engine, &self.mark, other))),
            }
        }
        if writes.is_empty() {
            return;
        }
        histogram!("quorate_commit_batch_writes").record(writes.len() as f64);
        let (results, changes) = self.commit(&writes);
        if !changes.is_empty() {
            done.push((Ticket::Changed, DiskResult::Changed(changes)));
        }
        done.extend(tickets.into_iter().zip(results.into_iter().map(DiskResult::Written)));
    }

    fn idle(&mut self) {
        lock(&self.mark).sync();
    }

    /// The next process need not read everything again to know what it adds up to (rule A1).
    fn end(&mut self) {
        if !self.has_failed {
            self.commit(&[Write::Digest(DigestWork::Settle { all: true })]);
        }
    }
}

impl Commit {
    /// What became of each write, and what is held from now on.
    fn commit(&mut self, writes: &[Write]) -> (Vec<WriteResult>, Vec<Changed>) {
        let mut staged = self.committer.stage(&*self.engine, writes);
        let mut changes = staged.take_changes();
        let results = if staged.batch.is_empty() {
            self.committer.committed(staged)
        } else {
            let begin = OsInstant::now();
            match self.engine.commit(&staged.batch) {
                Ok(()) => {
                    histogram!("quorate_commit_seconds").record(begin.elapsed().as_secs_f64());
                    let results = self.committer.committed(staged);
                    // Before anybody hears of the batch, so that a mark left by a killed process is exact.
                    lock(&self.mark).advance(self.committer.sequence());
                    self.has_room(true);
                    results
                }
                Err(error) => {
                    changes.clear();
                    self.report(&error, writes.len());
                    self.committer.failed(staged, &error)
                }
            }
        };
        for result in &results {
            if let Err(WriteError::Engine(EngineError::Damaged(why))) = result {
                distrust(&self.mark, why);
            }
        }
        (results, changes)
    }

    /// Only a failed write or sync makes the files untrustworthy; the node halts for any other failure, too,
    /// when it hears of it (rule S2).
    fn report(&mut self, error: &EngineError, writes: usize) {
        counter!("quorate_commit_errors_total").increment(1);
        self.has_failed |= error.is_fatal();
        match error {
            EngineError::Full => return self.has_room(false),
            EngineError::Io(why) => distrust(&self.mark, why),
            _ => {}
        }
        warn!(%error, writes, "commit failed");
    }

    /// Says so when the disk runs full, and when it has room again (rule S5).
    fn has_room(&mut self, has_room: bool) {
        if self.is_full == has_room {
            self.is_full = !has_room;
            match has_room {
                true => info!("the disk has room again: writes are taken"),
                false => warn!("the disk is full: writes are refused, reads go on"),
            }
        }
    }
}

/// The files show what nobody wrote, or may not hold what they show: the next start takes them for lost.
fn distrust(mark: &Mutex<Mark>, why: &str) {
    lock(mark).distrust(why);
}

/// No method leaves a mark half changed, so one that panicked did no harm.
fn lock(mark: &Mutex<Mark>) -> std::sync::MutexGuard<'_, Mark> {
    mark.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use quorate_ring::{Hlc, Instant};

    use super::*;

    #[test]
    fn what_is_too_late_is_dropped_and_told() {
        let clock = OsClock::start();
        let now = clock.mono();
        let request = |number: u64, deadline| DiskRequest {
            ticket: Ticket::ClockBound(Hlc(number)),
            deadline,
            operation: DiskOperation::Measure,
        };
        let number = |ticket: &Ticket| match ticket {
            Ticket::ClockBound(Hlc(number)) => *number,
            _ => panic!("another ticket"),
        };
        let mut waiting = vec![
            request(1, Instant::NEVER),
            request(2, now),
            request(3, Instant::NEVER),
            request(4, Instant::ZERO),
        ];
        let mut done = Vec::new();
        drop_expired(&mut waiting, clock, &mut done);
        let left: Vec<_> = waiting.iter().map(|request| number(&request.ticket)).collect();
        let dropped: Vec<_> = done.iter().map(|(ticket, _)| number(ticket)).collect();
        assert_eq!((left, dropped), (vec![1, 3], vec![2, 4]), "rule Q11, in their order");
        assert!(done.iter().all(|(_, result)| matches!(result, DiskResult::Expired)));
        drop_expired(&mut waiting, clock, &mut done);
        assert_eq!((waiting.len(), done.len()), (2, 2));
    }
}
