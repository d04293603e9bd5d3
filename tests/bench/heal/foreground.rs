//! Clients that go on, whatever happens to the nodes.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use quorate::client::TableHandle;
use tokio::{sync::mpsc, task::LocalSet, time};

use super::{
    clients::key,
    machine::{Looks, Ticks},
};

/// One request.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    /// When it was due, in seconds since the beginning.
    pub(crate) at: f64,
    /// From then to the answer, in milliseconds.
    pub(crate) ms: f64,
    pub(crate) is_write: bool,
    pub(crate) is_ok: bool,
}

/// Reads and writes at QUORUM, so many a second of each, open-loop: those that wait do not hold up the next.
#[derive(Clone)]
pub(crate) struct Foreground {
    pub(crate) began: Instant,
    requests: Rc<RefCell<Vec<Request>>>,
    machine: Rc<RefCell<Looks>>,
    is_over: Rc<Cell<bool>>,
}

impl Foreground {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            requests: Rc::default(),
            machine: Rc::default(),
            is_over: Rc::default(),
        }
    }

    /// Asks until [`Foreground::end`].
    pub(crate) async fn run(&self, table: &TableHandle, keys: u64, writes: u64, reads: u64) {
        let operation = |n: u64, due: Instant| {
            let (this, table) = (self.clone(), table.clone());
            async move {
                // Reads lie evenly between the writes.
                let is_write = n * reads % (writes + reads) >= reads;
                let key = key(n, keys);
                let is_ok = match is_write {
                    true => table.put(key, vec![b'w'; 100]).await.is_ok(),
                    false => table.get(key).await.is_ok(),
                };
                let at = due.duration_since(this.began).as_secs_f64();
                let ms = due.elapsed().as_secs_f64() * 1e3;
                this.requests.borrow_mut().push(Request { at, ms, is_write, is_ok });
            }
        };
        tokio::join!(
            open_loop((writes + reads) as f64, || !self.is_over.get(), operation),
            self.watch_machine()
        );
    }

    async fn watch_machine(&self) {
        while !self.is_over.get() {
            self.machine.borrow_mut().push(self.seconds(), Ticks::now());
            time::sleep(LOOK).await;
        }
        self.machine.borrow_mut().push(self.seconds(), Ticks::now());
    }

    pub(crate) fn end(&self) {
        self.is_over.set(true);
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// All that was asked.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    /// What the processors did meanwhile.
    pub(crate) fn machine(&self) -> Looks {
        self.machine.borrow().clone()
    }
}

/// The latency in milliseconds that `share` of those of `requests` that are due from `from` to `to` kept to. A request
/// that failed counts with the time that it took.
pub(crate) fn quantile(requests: &[Request], is_write: bool, (from, to): (f64, f64), share: f64) -> f64 {
    let wanted = |r: &&Request| r.is_write == is_write && (from..to).contains(&r.at);
    let mut all: Vec<_> = requests.iter().filter(wanted).map(|request| request.ms).collect();
    all.sort_by(f64::total_cmp);
    all.get((all.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

/// The median over the seconds of a time of what [`quantile`] says of each, and of how many it is: one second in which the
/// nodes did something else says nothing of the others, and one in which the host ran something else nothing of the nodes.
pub(crate) fn usual(
    requests: &[Request],
    machine: &Looks,
    is_write: bool,
    (from, to): (f64, f64),
    share: f64,
) -> (f64, usize) {
    let seconds = (0..(to - from) as usize).map(|n| (from + n as f64, from + n as f64 + 1.0));
    let own = seconds.filter(|second| machine.stolen_percent(*second) < STOLEN_MAX_PERCENT);
    let mut all: Vec<_> =
        own.map(|second| quantile(requests, is_write, second, share)).filter(|ms| ms.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    (all.get(all.len() / 2).copied().unwrap_or(f64::NAN), all.len())
}

/// Begins an operation `rate` times a second for as long as `goes_on` says, whatever becomes of those before; ends with
/// the last of them. Each is told its number, from 1, and when it was due.
async fn open_loop<F: Future<Output = ()> + 'static>(
    rate: f64,
    goes_on: impl Fn() -> bool,
    operation: impl Fn(u64, Instant) -> F,
) {
    let (local, began) = (LocalSet::new(), Instant::now());
    // Timers of the runtime are a millisecond late; a thread that sleeps is not. It ends with the receiver.
    let (beat, mut beats) = mpsc::unbounded_channel();
    thread::spawn(move || {
        while beat.send(()).is_ok() {
            thread::sleep(BEAT);
        }
    });
    let asking = async {
        let mut asked = 0_u64;
        while goes_on() {
            while (asked as f64) < began.elapsed().as_secs_f64() * rate {
                asked += 1;
                let due = began + Duration::from_secs_f64(asked as f64 / rate);
                tokio::task::spawn_local(operation(asked, due));
            }
            beats.recv().await;
        }
    };
    local.run_until(asking).await;
    local.await;
}

/// How often the machine is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Of the processors in a second that counts.
const STOLEN_MAX_PERCENT: f64 = 1.0;
/// Requests that are due within it begin together.
const BEAT: Duration = Duration::from_micros(200);
