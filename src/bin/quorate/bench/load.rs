//! Clients at work: each asks as soon as it has its answer, or all of them together at a given rate.

#![expect(clippy::disallowed_methods, reason = "a load has its times")]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use quorate::{
    client::{Context, Cursor, Outcome, Read, ReadError, TableHandle, WriteError, Written},
    ring::Consistency,
};
use rand::{RngExt, rngs::StdRng};
use tokio::{sync::mpsc, task::LocalSet};

use super::{
    keys::Chooser,
    ledger::{self, Ledger},
    tally::Tally,
    workload::{Operation, Workload},
};
use crate::Failure;

/// What clients share: cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) table: TableHandle,
    pub(super) consistency: Consistency,
    pub(super) workload: Workload,
    pub(super) chooser: Chooser,
    pub(super) ledger: Rc<RefCell<Ledger>>,
    /// Contexts that the next write of a key may carry; none if writes carry none.
    pub(super) contexts: Option<Rc<RefCell<Vec<Option<Context>>>>>,
    /// Places of the table to begin scans at.
    pub(super) cursors: Rc<RefCell<Vec<Cursor>>>,
    pub(super) random: Rc<RefCell<StdRng>>,
    /// How often a second all of them ask together; as soon as each has its answer if there is none.
    pub(super) rate: Option<f64>,
    pub(super) clients: u32,
}

impl Load {
    /// Writes every key once, as fast as it goes.
    pub(super) async fn fill(&self, progress: impl Fn(u64)) -> Result<(), Failure> {
        let keys = self.ledger.borrow().keys();
        let (next, failed) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(None)));
        let local = LocalSet::new();
        for _ in 0..FILLERS.min(keys) {
            let (load, next, failed) = (self.clone(), Rc::clone(&next), Rc::clone(&failed));
            local.spawn_local(async move {
                while next.get() < keys && failed.borrow().is_none() {
                    let key = next.replace(next.get() + 1);
                    if let Err(error) = load.fill_one(key).await {
                        *failed.borrow_mut() = Some(error);
                    }
                }
            });
        }
        let watching = async {
            loop {
                tokio::time::sleep(Duration::from_secs(5)).await;
                progress(next.get());
            }
        };
        tokio::select! {
            () = local => {}
            () = watching => {}
        }
        match failed.take() {
            Some(error) => Err(Failure::request(format_args!("the table could not be filled: {error}"))),
            None => Ok(()),
        }
    }

    /// A full queue is no reason to give up.
    async fn fill_one(&self, key: u64) -> Result<(), WriteError> {
        let mut tries = 0;
        loop {
            match self.write(key).await {
                Err(_) if tries < FILL_TRIES => tries += 1,
                ended => return ended,
            }
            tokio::time::sleep(Duration::from_millis(50) * tries).await;
        }
    }

    /// Remembers where each page of the table begins.
    pub(super) async fn find_pages(&self) -> Result<(), Failure> {
        let mut scan = self.table.scan().consistency(self.consistency).page_rows(SCAN_ROWS_MAX);
        while let Some(page) = scan.next_page().await.map_err(Failure::request)? {
            self.cursors.borrow_mut().extend(page.cursor);
        }
        Ok(())
    }

    /// Runs for `length`, and waits for what is under way then; `ended` is called at its end.
    pub(super) async fn run(&self, length: Duration, slots: usize, ended: impl FnOnce()) -> Tally {
        let run = Run {
            load: self.clone(),
            tally: Rc::new(RefCell::new(Tally::new(length, slots))),
            began: Instant::now(),
            length,
        };
        let local = LocalSet::new();
        local.run_until(run.ask(&local)).await;
        ended();
        local.await;
        run.tally.replace(Tally::new(length, slots))
    }

    /// Writes in the context of the write before, if writes carry one.
    async fn write(&self, key: u64) -> Result<(), WriteError> {
        let Some(contexts) = &self.contexts else {
            return self.write_in(key, None).await.map(drop);
        };
        let context = contexts.borrow_mut().get_mut(key as usize).and_then(Option::take);
        let written = self.write_in(key, context).await?;
        if let Some(place) = contexts.borrow_mut().get_mut(key as usize) {
            *place = written.context();
        }
        Ok(())
    }

    async fn write_in(&self, key: u64, context: Option<Context>) -> Result<Written, WriteError> {
        let begun = self.ledger.borrow_mut().write(key);
        let put = self.table.put(ledger::name(key), begun.value.clone()).consistency(self.consistency);
        let written = match context {
            Some(context) => put.context(context).await,
            None => put.await,
        };
        let outcome = written.as_ref().map_or_else(WriteError::outcome, |_| Outcome::Applied);
        self.ledger.borrow_mut().written(&begun, outcome);
        written
    }
}

/// A load for some time.
#[derive(Clone, Debug)]
struct Run {
    load: Load,
    tally: Rc<RefCell<Tally>>,
    began: Instant,
    length: Duration,
}

impl Run {
    async fn ask(&self, local: &LocalSet) {
        match self.load.rate {
            None => {
                for _ in 0..self.load.clients {
                    let run = self.clone();
                    local.spawn_local(async move {
                        while run.began.elapsed() < run.length {
                            run.one(Instant::now()).await;
                        }
                    });
                }
                tokio::time::sleep(self.length).await;
            }
            Some(rate) => {
                let mut due = beats(rate, self.began, self.length);
                while let Some((first, last)) = due.recv().await {
                    for number in first..last {
                        let (run, due) =
                            (self.clone(), self.began + Duration::from_secs_f64(number as f64 / rate));
                        local.spawn_local(async move { run.one(due).await });
                    }
                }
            }
        }
    }

    /// Carries out an operation that was due at that time.
    async fn one(&self, due: Instant) {
        self.tally.borrow_mut().begins(due.elapsed());
        let operation = self.load.workload.draw(&mut *self.load.random.borrow_mut());
        let done = match operation {
            Operation::Read => self.read(self.choose()).await.map(drop),
            Operation::Write => self.load.write(self.choose()).await.map_err(Ended::from),
            Operation::Insert => {
                let key = self.load.ledger.borrow_mut().insert();
                self.load.write(key).await.map_err(Ended::from)
            }
            Operation::Scan => self.scan().await,
            Operation::Replace => self.replace().await,
        };
        let (took, at) = (due.elapsed(), self.began.elapsed());
        let mut tally = self.tally.borrow_mut();
        match done {
            Ok(()) => tally.done(operation, at, took),
            Err(Ended::Failed(kind, why)) => tally.failed(at, kind, why),
            Err(Ended::Wrong(why)) => tally.wrong.push(why),
        }
    }

    async fn read(&self, key: u64) -> Result<Read, Ended> {
        let reading = self.load.ledger.borrow().read(key);
        let read = self.load.table.get(ledger::name(key)).consistency(self.load.consistency).await?;
        self.tally.borrow_mut().verified += 1;
        self.load.ledger.borrow().judge(reading, read.values()).map_err(Ended::Wrong)?;
        Ok(read)
    }

    async fn replace(&self) -> Result<(), Ended> {
        let key = self.choose();
        let context = self.read(key).await?.context();
        let context = Some(context).filter(|context| !context.is_empty());
        self.load.write_in(key, context).await.map(drop).map_err(Ended::from)
    }

    /// Up to 100 rows from a random page on; only what each row is by itself can be judged.
    async fn scan(&self) -> Result<(), Ended> {
        let rows = self.load.random.borrow_mut().random_range(1..=SCAN_ROWS_MAX);
        let mut scan = self.load.table.scan().consistency(self.load.consistency).page_rows(rows);
        {
            let cursors = self.load.cursors.borrow();
            // The first page begins nowhere.
            let at = self.load.random.borrow_mut().random_range(0..=cursors.len());
            if let Some(cursor) = at.checked_sub(1).and_then(|at| cursors.get(at)) {
                scan = scan.after(cursor.clone());
            }
        }
        let Some(page) = scan.next_page().await? else { return Ok(()) };
        for row in page.rows {
            let Some(key) = ledger::number(row.key()).filter(|key| *key < self.load.ledger.borrow().keys())
            else {
                continue;
            };
            self.tally.borrow_mut().verified += 1;
            self.load
                .ledger
                .borrow()
                .judge(ledger::Reading::of_anything(key), row.values())
                .map_err(Ended::Wrong)?;
        }
        Ok(())
    }

    fn choose(&self) -> u64 {
        let keys = self.load.ledger.borrow().keys();
        self.load.chooser.choose(keys, &mut *self.load.random.borrow_mut())
    }
}

/// How an operation ended if not well.
enum Ended {
    /// It says so itself: its kind, and the words.
    Failed(&'static str, String),
    /// It brought what it must not.
    Wrong(String),
}

impl From<ReadError> for Ended {
    fn from(error: ReadError) -> Self {
        Self::Failed(error.kind(), words_of(&error.to_string()))
    }
}

impl From<WriteError> for Ended {
    fn from(error: WriteError) -> Self {
        Self::Failed(error.kind(), words_of(&error.to_string()))
    }
}

/// What an error says, without what differs from one to the next.
fn words_of(error: &str) -> String {
    let mut words = String::new();
    for c in error.chars() {
        match c {
            '0'..='9' if words.ends_with('#') => {}
            '0'..='9' => words.push('#'),
            c => words.push(c),
        }
    }
    words
}

/// Tells, while `length` lasts, which operations are due: from one number to before another. Timers of the runtime are
/// a millisecond late; a thread that sleeps is not.
fn beats(rate: f64, began: Instant, length: Duration) -> mpsc::UnboundedReceiver<(u64, u64)> {
    let (beat, beats) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let mut told = 0;
        loop {
            let elapsed = began.elapsed();
            let due = (elapsed.min(length).as_secs_f64() * rate) as u64;
            if due > told && beat.send((told, due)).is_err() {
                return;
            }
            told = due;
            if elapsed >= length {
                return;
            }
            let next = began + Duration::from_secs_f64((told + 1) as f64 / rate);
            thread::sleep(next.saturating_duration_since(Instant::now()).max(BEAT_MIN));
        }
    });
    beats
}

/// Clients that fill the table.
const FILLERS: u64 = 256;
const FILL_TRIES: u32 = 20;
/// Rows of a scan.
const SCAN_ROWS_MAX: u32 = 100;
/// Operations that are due within it begin together.
const BEAT_MIN: Duration = Duration::from_micros(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_one_kind_count_together() {
        assert_eq!(words_of("node n12 asks for 40 ms"), "node n# asks for # ms");
    }

    #[tokio::test]
    async fn every_operation_is_due_once_and_none_before_its_time() {
        let (began, length, rate) = (Instant::now(), Duration::from_millis(100), 7_000.0);
        let (mut beats, mut next) = (beats(rate, began, length), 0);
        while let Some((first, last)) = beats.recv().await {
            assert_eq!(first, next);
            assert!(began.elapsed().as_secs_f64() * rate >= (last - 1) as f64);
            next = last;
        }
        assert_eq!(next, 700);
    }
}
