//! The disk: opening a data directory, the commit thread and the read thread.
//!
//! The loop collects requests during a pass and hands them over in one message; a thread takes every message
//! that waits, does all of it, and hands the results back in one message. There is no cap and no delay: the
//! batch is what came while the last one was being written.

#![expect(clippy::disallowed_methods, reason = "data directories are made here")]

use std::{
    collections::VecDeque,
    fs, io,
    path::Path,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Instant as OsInstant,
};

use metrics::{counter, histogram};
use quorate_ring::{ClusterId, Incarnation, NodeId};
use quorate_storage::{
    Committer, Engine, EngineError, FjallEngine, FjallOptions, Identity, MetaError, MetaWrite, Recovered,
    Write, read, read_hints, read_version, recover,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{info, warn};

use super::{ProcessSettings, RunError, StartError};
use crate::{
    node::{DiskOperation, DiskRequest, DiskResult, Input, Ticket},
    transport::OsClock,
};

/// Whose directory it must be.
pub(super) struct Owner<'a> {
    pub(super) cluster: ClusterId,
    pub(super) cluster_name: &'a str,
    pub(super) node: NodeId,
    pub(super) name: &'a str,
}

/// An open data directory.
pub(super) struct Opened {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) committer: Committer,
    pub(super) recovered: Recovered,
    pub(super) incarnation: Incarnation,
}

/// Opens `path`, makes it if it is missing, and refuses it if it is another's.
pub(super) fn open(path: &Path, owner: &Owner<'_>, settings: &ProcessSettings) -> Result<Opened, StartError> {
    let fail = |reason: String| StartError::DataDirectory { path: path.to_owned(), reason };
    fs::create_dir_all(path).map_err(|e| fail(format!("cannot be created: {e}")))?;
    let usual = FjallOptions::default();
    let options = FjallOptions {
        cache_bytes: settings.cache_bytes,
        write_buffer_bytes: settings.write_buffer_bytes,
        journal_bytes_max: usual.journal_bytes_max.max(settings.write_buffer_bytes.saturating_mul(8)),
        ..usual
    };
    let engine = FjallEngine::open(path.join("db"), &options).map_err(|e| fail(explain(&e)))?;
    let recovered = recover(&engine).map_err(|e| match e {
        MetaError::Engine(e) => fail(explain(&e)),
        other => fail(format!("{other}: {LOST}")),
    })?;
    let mut committer = Committer::new(&recovered);
    let incarnation = match &recovered.identity {
        Some(identity) => {
            check_owner(identity, owner).map_err(fail)?;
            identity.incarnation
        }
        None => {
            let incarnation = Incarnation(rand::random());
            claim(&mut committer, &engine, owner, incarnation).map_err(fail)?;
            info!(path = %path.display(), %incarnation, "fresh data directory");
            incarnation
        }
    };
    Ok(Opened { engine: Arc::new(engine), committer, recovered, incarnation })
}

fn check_owner(identity: &Identity, owner: &Owner<'_>) -> Result<(), String> {
    let advice = "nothing was changed: correct the configuration, or give this node a `data_dir` of its own";
    if identity.cluster != owner.cluster {
        return Err(format!(
            "it belongs to cluster '{}' ({}), not to '{}' ({}), whose id its name and the founders' names, racks \
             and weights make; {advice}",
            identity.cluster_name, identity.cluster, owner.cluster_name, owner.cluster
        ));
    }
    if identity.node != owner.node || identity.name != owner.name {
        return Err(format!("it belongs to node '{}', not to '{}'; {advice}", identity.name, owner.name));
    }
    Ok(())
}

/// Writes into a fresh directory whose it is.
fn claim(
    committer: &mut Committer,
    engine: &dyn Engine,
    owner: &Owner<'_>,
    incarnation: Incarnation,
) -> Result<(), String> {
    let identity = Identity {
        cluster: owner.cluster,
        cluster_name: owner.cluster_name.to_owned(),
        node: owner.node,
        name: owner.name.to_owned(),
        incarnation,
    };
    let results = committer.run(engine, &[Write::Meta(MetaWrite::Identity(identity))]);
    results.into_iter().try_for_each(|result| result.map(drop)).map_err(|e| e.to_string())
}

fn explain(error: &EngineError) -> String {
    match error {
        EngineError::Locked(_) => {
            "another process uses it: is this node running already? Stop it, or choose another `data_dir`"
                .to_owned()
        }
        EngineError::Refused(_) => format!("{error}: {LOST}"),
        _ => format!("{error}; check the disk"),
    }
}

const LOST: &str = "it counts as lost; move it away, and the node starts with an empty one";

/// Where the loop's requests go.
#[derive(Debug)]
pub(super) struct Disk {
    commit: Worker,
    read: Worker,
    commits: Vec<DiskRequest>,
    reads: Vec<DiskRequest>,
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
        mut committer: Committer,
        clock: OsClock,
    ) -> io::Result<(Self, DiskResults)> {
        let (results, receiver) = unbounded_channel();
        let reading = engine.clone();
        let commit = Worker::start("quorate-commit", clock, results.clone(), move |requests, results| {
            commit_all(&mut committer, &*engine, requests, results);
        })?;
        let read = Worker::start("quorate-read", clock, results, move |requests, results| {
            read_all(&*reading, requests, results);
        })?;
        Ok((Self { commit, read, commits: Vec::new(), reads: Vec::new() }, DiskResults(receiver)))
    }

    /// Hands requests over, writes in their order.
    pub(super) fn submit(&mut self, requests: &mut Vec<DiskRequest>) -> Result<(), RunError> {
        for request in requests.drain(..) {
            match request.operation {
                DiskOperation::Write(_) => self.commits.push(request),
                DiskOperation::Read(_) | DiskOperation::ReadVersion(_) | DiskOperation::ReadHints { .. } => {
                    self.reads.push(request);
                }
            }
        }
        self.commit.hand_over(&mut self.commits)?;
        self.read.hand_over(&mut self.reads)
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
        mut work: impl FnMut(&mut Vec<DiskRequest>, &mut Results) + Send + 'static,
    ) -> io::Result<Self> {
        let (requests, receiver) = mpsc::channel::<Vec<DiskRequest>>();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Ok(mut waiting) = receiver.recv() {
                receiver.try_iter().for_each(|more| waiting.extend(more));
                let mut done = Vec::with_capacity(waiting.len());
                drop_expired(&mut waiting, clock, &mut done);
                work(&mut waiting, &mut done);
                if results.send(done).is_err() {
                    // Nobody waits for results any more; what was asked for is still carried out.
                    continue;
                }
            }
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

/// One batch, one sync (rule S1). A failure that is fatal makes the node halt when it hears of it (rule S2).
fn commit_all(
    committer: &mut Committer,
    engine: &dyn Engine,
    requests: &mut Vec<DiskRequest>,
    done: &mut Results,
) {
    let mut tickets = Vec::with_capacity(requests.len());
    let mut writes = Vec::with_capacity(requests.len());
    for request in requests.drain(..) {
        match request.operation {
            DiskOperation::Write(write) => {
                tickets.push(request.ticket);
                writes.push(write);
            }
            other => done.push((request.ticket, look(engine, other))),
        }
    }
    if writes.is_empty() {
        return;
    }
    histogram!("quorate_commit_batch_writes").record(writes.len() as f64);
    let staged = committer.stage(engine, &writes);
    let results = if staged.batch.is_empty() {
        committer.committed(staged)
    } else {
        let begin = OsInstant::now();
        match engine.commit(&staged.batch) {
            Ok(()) => {
                histogram!("quorate_commit_seconds").record(begin.elapsed().as_secs_f64());
                committer.committed(staged)
            }
            Err(error) => {
                counter!("quorate_commit_errors_total").increment(1);
                warn!(%error, writes = writes.len(), "commit failed");
                committer.failed(staged, &error)
            }
        }
    };
    done.extend(tickets.into_iter().zip(results.into_iter().map(DiskResult::Written)));
}

fn read_all(engine: &dyn Engine, requests: &mut Vec<DiskRequest>, done: &mut Results) {
    for request in requests.drain(..) {
        done.push((request.ticket, look(engine, request.operation)));
    }
}

fn look(engine: &dyn Engine, operation: DiskOperation) -> DiskResult {
    match operation {
        DiskOperation::Read(row) => DiskResult::Read(read(engine, &row)),
        DiskOperation::ReadVersion(row) => DiskResult::ReadVersion(read_version(engine, &row)),
        DiskOperation::ReadHints { target, after, bytes_max } => {
            DiskResult::Hints(read_hints(engine, target, after.as_ref(), bytes_max))
        }
        // Writes are never sorted here; one that were would be refused, not lost in silence.
        DiskOperation::Write(_) => DiskResult::Expired,
    }
}
