//! A client: one request at a time, each with its invocation and its completion in the history.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use quorate::client::{
    ComparedAndSet, Consistency, Expected, Outcome, Read, ReadError, Receipt, TableHandle, UpdateError,
    WriteError, Written,
};
use quorate_jepsen::history::{EventKind, Process, Value};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Request, Workload, set_text, set_union};
use crate::cluster::Cluster;
use crate::record::{Happening, Recorder, Seen};

/// What all clients share.
pub(crate) struct Crew {
    pub(crate) workload: Workload,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) recorder: Arc<Recorder>,
    /// How long they work.
    pub(crate) time: Duration,
    /// The mean time from one operation of a client to its next.
    pub(crate) pace: Duration,
    /// How many clients there are.
    pub(crate) clients: usize,
    /// How many clients share a key.
    pub(crate) concurrency: usize,
    /// Operations on a key before its clients go on to the next.
    pub(crate) key_operations: u64,
    /// Operations begun, for each group of clients.
    pub(crate) begun: Vec<AtomicU64>,
    pub(crate) seed: u64,
}

/// One client's part.
pub(crate) struct Shift {
    pub(crate) client: usize,
    pub(crate) table: TableHandle,
    /// The only node that it sees.
    pub(crate) pin: Option<usize>,
}

/// How an operation ended.
enum Answer {
    Ok(Value, Seen),
    Fail(String),
    Unknown(String),
}

/// Works until the time is over.
pub(crate) async fn work(crew: Arc<Crew>, shift: Shift) {
    let mut rng =
        StdRng::seed_from_u64(crew.seed ^ (shift.client as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut process = shift.client as u64;
    let mut next = crew.pace.mul_f64(rng.random_range(0.0..1.0));
    let mut life = crew.life(shift.pin);
    // Of the key that was worked on last: what was found there.
    let mut known: (String, Option<i64>) = (String::new(), None);
    while crew.recorder.elapsed() < crew.time {
        sleep(next.saturating_sub(crew.recorder.elapsed())).await;
        next = next.max(crew.recorder.elapsed().saturating_sub(crew.pace))
            + crew.pace.mul_f64(rng.random_range(0.5..1.5));
        let (key, fresh) = crew.next_key(shift.client);
        if known.0 != key {
            known = (key.clone(), None);
        }
        let request = crew.workload.draw(&mut rng, fresh, known.1);
        if crew.life(shift.pin) != life {
            // What was promised was promised by the coordinator that is gone.
            process += crew.clients as u64;
            life = crew.life(shift.pin);
        }
        crew.invoke(process, &key, request);
        let mut answer = perform(&crew, &shift.table, &key, request).await;
        if crew.life(shift.pin) != life {
            answer = answer.of_a_dead_coordinator(request, crew.workload.level(&key));
        }
        known.1 = answer.holds(request).unwrap_or(known.1);
        let is_unknown = matches!(answer, Answer::Unknown(_));
        crew.complete(process, &key, request, answer);
        if is_unknown {
            process += crew.clients as u64;
        }
    }
}

impl Crew {
    /// The key that is worked on, and a value that nobody has used for it.
    fn next_key(&self, client: usize) -> (String, i64) {
        let group = client / self.concurrency;
        let begun = self.begun[group].fetch_add(1, Relaxed);
        let key = self.workload.key(group, begun / self.key_operations);
        (key, (begun % self.key_operations) as i64 + 1)
    }

    /// Which life of its coordinator a bound client is in.
    fn life(&self, pin: Option<usize>) -> Option<u64> {
        pin.filter(|_| self.workload.is_bound()).map(|node| self.cluster.lives(node))
    }

    fn invoke(&self, process: u64, key: &str, request: Request) {
        self.recorder.record(Happening {
            kind: EventKind::Invoke,
            process: Process::Client(process),
            f: request.f(),
            key: Some(key),
            value: request.argument(),
            seen: Seen::default(),
            error: None,
        });
    }

    fn complete(&self, process: u64, key: &str, request: Request, answer: Answer) {
        let (kind, value, seen, error) = match answer {
            Answer::Ok(value, seen) => (EventKind::Ok, value, seen, None),
            Answer::Fail(error) => (EventKind::Fail, request.argument(), Seen::default(), Some(error)),
            Answer::Unknown(error) => (EventKind::Info, request.argument(), Seen::default(), Some(error)),
        };
        let process = Process::Client(process);
        self.recorder.record(Happening { kind, process, f: request.f(), key: Some(key), value, seen, error });
    }
}

impl Answer {
    /// What the key holds by it, if it tells that.
    fn holds(&self, request: Request) -> Option<Option<i64>> {
        let number = |value: &Value| if let Value::Integer(number) = value { Some(*number) } else { None };
        match (self, request) {
            (Answer::Ok(_, _), Request::Cas(_, new)) => Some(Some(new)),
            (Answer::Ok(value, _), Request::Read | Request::Write(_)) => Some(number(value)),
            // What the key held in place of what was expected is not told in the history: so the next one reads.
            (Answer::Fail(_), Request::Cas(..)) => Some(None),
            _ => None,
        }
    }

    /// A read at ONE through a coordinator that died meanwhile tells nothing of its session.
    fn of_a_dead_coordinator(self, request: Request, level: Consistency) -> Self {
        match self {
            Answer::Ok(..) if request == Request::Read && level == Consistency::One => {
                Answer::Fail("the coordinator was restarted".to_owned())
            }
            other => other,
        }
    }
}

async fn perform(crew: &Crew, table: &TableHandle, key: &str, request: Request) -> Answer {
    let (key, level) = (Bytes::from(key.to_owned()), crew.workload.level(key));
    match request {
        Request::Read => {
            let read = table.get(key).consistency(level).timeout(TIMEOUT).await;
            read_answer(crew.workload, read)
        }
        Request::Write(value) => {
            let put = table.put(key, value.to_string()).consistency(level).timeout(TIMEOUT).await;
            write_answer(request, put)
        }
        Request::Cas(old, new) => {
            let swap = table.compare_and_set(key, old.to_string(), new.to_string());
            swap_answer(request, swap.consistency(level).timeout(TIMEOUT).await)
        }
        Request::Increment => increment(table, key, level).await,
        Request::Delete => write_answer(request, table.delete(key).consistency(level).timeout(TIMEOUT).await),
        Request::Add(value) => {
            let merge = move |values: &[Bytes]| set_text(set_union(values).into_iter().chain([value]));
            update_answer(request, table.update(key, merge).consistency(level).timeout(TIMEOUT).await)
        }
    }
}

/// Adds one to what is there, if nobody else does so meanwhile.
async fn increment(table: &TableHandle, key: Bytes, level: Consistency) -> Answer {
    let found = match table.get(key.clone()).consistency(level).timeout(TIMEOUT).await {
        Ok(read) => read.value().map(|value| value.cloned()),
        Err(error) => return Answer::Fail(error.to_string()),
    };
    let Ok(found) = found else {
        return Answer::Fail("several values".to_owned());
    };
    let number = found.as_deref().and_then(|value| std::str::from_utf8(value).ok()?.parse::<i64>().ok());
    let expected = found.map_or(Expected::Absent, Expected::Value);
    let next = (number.unwrap_or(0) + 1).to_string();
    let swap = table.compare_and_set(key, expected, next).consistency(level).timeout(TIMEOUT).await;
    swap_answer(Request::Increment, swap)
}

fn swap_answer(request: Request, swap: Result<ComparedAndSet, WriteError>) -> Answer {
    match swap {
        Ok(done) if done.is_applied() => Answer::Ok(request.argument(), seen(done.receipt())),
        Ok(_) => Answer::Fail("the key held something else".to_owned()),
        Err(error) => failed(error.outcome(), error.to_string()),
    }
}

/// What a read tells: a number or nil of a register, all elements of a set.
pub(super) fn value_of(workload: Workload, read: &Read) -> Result<Value, String> {
    if workload == Workload::SiblingsSet {
        return Ok(Value::Vector(set_union(read.values()).into_iter().map(Value::Integer).collect()));
    }
    match read.value().map_err(|error| error.to_string())? {
        None if workload == Workload::Counter => Ok(Value::Integer(0)),
        None => Ok(Value::Nil),
        Some(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            // What nobody can have written is told as it is, for the checker to refuse.
            Ok(text.parse().map_or_else(|_| Value::Text(text.into_owned()), Value::Integer))
        }
    }
}

fn read_answer(workload: Workload, read: Result<Read, ReadError>) -> Answer {
    match read {
        Ok(read) => match value_of(workload, &read) {
            Ok(value) => Answer::Ok(value, seen(read.receipt())),
            // A register with several values was read, and nobody wrote that.
            Err(error) => Answer::Ok(Value::Text(error), seen(read.receipt())),
        },
        Err(error) => Answer::Fail(error.to_string()),
    }
}

fn write_answer(request: Request, written: Result<Written, WriteError>) -> Answer {
    match written {
        Ok(written) => Answer::Ok(request.argument(), seen(written.receipt())),
        Err(error) => failed(error.outcome(), error.to_string()),
    }
}

fn update_answer(request: Request, written: Result<Written, UpdateError>) -> Answer {
    match written {
        Ok(written) => Answer::Ok(request.argument(), seen(written.receipt())),
        Err(error) => failed(error.outcome(), error.to_string()),
    }
}

/// An error never says applied of a write that it reports as failed; if it did, nobody should build on it.
fn failed(outcome: Outcome, error: String) -> Answer {
    match outcome {
        Outcome::NotApplied => Answer::Fail(error),
        Outcome::Applied | Outcome::Unknown => Answer::Unknown(error),
    }
}

fn seen(receipt: &Receipt) -> Seen {
    Seen {
        tag: receipt.tag,
        coordinator: Some(receipt.coordinator.0.into()),
        at_replica: receipt.replicas.contains(&receipt.coordinator),
    }
}

#[expect(clippy::disallowed_methods, reason = "clients keep a pace in real time")]
async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// How long an operation may take.
const TIMEOUT: Duration = Duration::from_secs(2);
