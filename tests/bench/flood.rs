//! Writes at any rate, with nothing between them and the wire: what asks for more than nodes can do must itself cost as
//! little as it can, for it has the nodes' own cores.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench reads the clock and prints")]

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use quorate::{
    ring::{self, Consistency, TableId},
    transport::{Connector, FrameReceiver, FrameSender},
    wire::{ClientMessage, Frame, Header, ListTables, Outcome, Put, RequestId},
};
use tokio::{sync::watch, task::LocalSet};

use super::{
    clients::key,
    nodes::{Nodes, cpu_micros_of},
};

/// Connections to all nodes, by turns.
pub(crate) struct Flood<'a> {
    nodes: &'a Nodes,
    table: TableId,
    keys: u64,
    lines: Vec<Rc<Line>>,
    /// Keeps the sockets.
    _connector: Connector,
}

struct Line {
    sender: FrameSender,
    receiver: RefCell<Option<FrameReceiver>>,
}

/// When requests are made.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// As soon as one is answered, so that there are always so many.
    InFlight(u64),
    /// So many each second, whatever becomes of those before.
    PerSecond(f64),
}

/// What became of the requests.
#[derive(Default)]
pub(crate) struct Tally {
    /// How long each took that was done within [`TIME`], in microseconds from the moment when it was due.
    served: Vec<u32>,
    /// The others, by what became of them.
    failed: BTreeMap<&'static str, u64>,
    /// The longest time by which a request was asked for too late, which is this process' own fault.
    asked_late: Duration,
    asked: u64,
    /// Answers to be had, and when each was due.
    open: BTreeMap<u64, Instant>,
    /// CPU of all nodes and of this process while requests were made, in microseconds.
    nodes_cpu: u64,
    own_cpu: u64,
    seconds: f64,
}

impl<'a> Flood<'a> {
    /// Connects to each node as several clients.
    pub(crate) async fn start(nodes: &'a Nodes, keys: u64) -> Self {
        let connector = Connector::new(&nodes.identity()).expect("a connector");
        let (mut lines, mut table) = (Vec::new(), None);
        for address in nodes.listen().into_iter().cycle().take(CONNECTIONS) {
            let address: SocketAddr = address;
            let mut open = connector.connect(address).await.expect("a connection");
            if table.is_none() {
                open.sender.send(&frame(0, TIME, ListTables {}.into()), ring::Instant::ZERO).expect("room");
                let answer = open.receiver.receive().await.expect("an answer").message;
                let ClientMessage::Tables(tables) = answer else { panic!("{answer:?}") };
                table = tables.tables.first().map(|table| table.id);
            }
            lines.push(Rc::new(Line { sender: open.sender, receiver: RefCell::new(Some(open.receiver)) }));
        }
        Self { nodes, table: table.expect("a table"), keys, lines, _connector: connector }
    }

    /// Writes for so long.
    pub(crate) async fn run(&self, name: &str, pace: Pace, length: Duration) -> Tally {
        let (tally, next, began) = (Rc::<RefCell<Tally>>::default(), Rc::new(Cell::new(0)), Instant::now());
        let cpu = (self.nodes.cpu_micros(), own_cpu_micros());
        let (local, (end, ended)) = (LocalSet::new(), watch::channel(false));
        for line in &self.lines {
            let asks = matches!(pace, Pace::InFlight(_)).then(|| self.asks(&tally, &next));
            local.spawn_local(answers(line.clone(), tally.clone(), ended.clone(), began + length, asks));
        }
        let mut ask = self.asks(&tally, &next);
        let asking = async {
            match pace {
                Pace::InFlight(most) => {
                    (0..most).for_each(|n| ask(&self.lines[n as usize % self.lines.len()], Instant::now()));
                    tokio::time::sleep(length).await;
                }
                Pace::PerSecond(rate) => {
                    while began.elapsed() < length {
                        while (next.get() as f64) < began.elapsed().min(length).as_secs_f64() * rate {
                            let due = began + Duration::from_secs_f64(next.get() as f64 / rate);
                            ask(&self.lines[next.get() as usize % self.lines.len()], due);
                        }
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            }
            let mut tally = tally.borrow_mut();
            tally.seconds = began.elapsed().as_secs_f64();
            tally.nodes_cpu = self.nodes.cpu_micros() - cpu.0;
            tally.own_cpu = own_cpu_micros() - cpu.1;
        };
        local.run_until(asking).await;
        // What is answered later than this is too late anyway.
        local.run_until(tokio::time::sleep(TIME)).await;
        end.send_replace(true);
        local.await;
        let mut tally = tally.take();
        tally.served.sort_unstable();
        tally.print(name);
        tally
    }

    /// What makes the next request, on a line and due at a time.
    fn asks(&self, tally: &Rc<RefCell<Tally>>, next: &Rc<Cell<u64>>) -> impl FnMut(&Line, Instant) + 'static {
        let (tally, next, table, keys) = (Rc::clone(tally), Rc::clone(next), self.table, self.keys);
        move |line, due| {
            let number = next.replace(next.get() + 1);
            let mut tally = tally.borrow_mut();
            let late = due.elapsed();
            tally.asked += 1;
            tally.asked_late = tally.asked_late.max(late);
            let put = Put {
                table,
                key: key(number, keys).into(),
                value: vec![b'v'; 100].into(),
                consistency: Consistency::Quorum,
                context: None,
                ttl_ms: None,
                sloppy: false,
            };
            let frame = frame(number, TIME.saturating_sub(late), put.into());
            if line.sender.send(&frame, ring::Instant::ZERO).is_ok() {
                tally.open.insert(number, due);
            } else {
                tally.count("not sent");
            }
        }
    }
}

impl Tally {
    /// Done in time, each second.
    pub(crate) fn rate(&self) -> f64 {
        self.served.len() as f64 / self.seconds
    }

    /// The nodes' CPU for each of these, in microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.nodes_cpu as f64 / self.served.len().max(1) as f64
    }

    /// The latency in milliseconds, since it was due, that this share of what was served in time did not exceed.
    pub(crate) fn millis(&self, share: f64) -> f64 {
        let place = (self.served.len().saturating_sub(1)) as f64 * share;
        self.served.get(place as usize).map_or(0.0, |micros| f64::from(*micros) / 1e3)
    }

    fn count(&mut self, what: &'static str) {
        *self.failed.entry(what).or_default() += 1;
    }

    fn answered(&mut self, number: u64, answer: &ClientMessage) {
        let Some(due) = self.open.remove(&number) else { return };
        let took = due.elapsed();
        match answer {
            ClientMessage::Written(_) if took <= TIME => self.served.push(took.as_micros() as u32),
            ClientMessage::Written(_) => self.count("too late"),
            ClientMessage::RequestError(error) if error.outcome == Outcome::NotApplied => {
                self.count(match error.failure {
                    quorate::wire::Failure::Overloaded { .. } => "overloaded",
                    _ => "not applied",
                });
            }
            _ => self.count("unknown"),
        }
    }

    fn print(&self, name: &str) {
        println!(
            "{name}: {:.0}/s asked, {:.0} ms late at most; {:.0}/s served, p50 {:.0} ms, p99 {:.0} ms; no answer {}, \
             {:?}; nodes' CPU {:.0} us each, {:.2} s a second, the asker's {:.2}",
            self.asked as f64 / self.seconds,
            self.asked_late.as_secs_f64() * 1e3,
            self.rate(),
            self.millis(0.5),
            self.millis(0.99),
            self.open.len(),
            self.failed,
            self.cpu_us(),
            self.nodes_cpu as f64 / 1e6 / self.seconds,
            self.own_cpu as f64 / 1e6 / self.seconds,
        );
    }
}

/// Takes a line's answers, and asks anew for each if that is wanted, until
/// that time.
async fn answers(
    line: Rc<Line>,
    tally: Rc<RefCell<Tally>>,
    mut ended: watch::Receiver<bool>,
    until: Instant,
    mut asks: Option<impl FnMut(&Line, Instant)>,
) {
    let mut receiver = line.receiver.borrow_mut().take().expect("one run at a time");
    loop {
        let answer = tokio::select! {
            biased;
            answer = receiver.receive() => answer.expect("the node lives"),
            _ = ended.wait_for(|ended| *ended) => break,
        };
        tally.borrow_mut().answered(answer.header.id.0, &answer.message);
        let now = Instant::now();
        if let Some(ask) = asks.as_mut().filter(|_| now < until) {
            ask(&line, now);
        }
    }
    *line.receiver.borrow_mut() = Some(receiver);
}

fn frame(number: u64, time: Duration, message: ClientMessage) -> Frame<ClientMessage> {
    let header =
        Header { id: RequestId(number), epoch: ring::Epoch(0), deadline: ring::Instant::ZERO + time };
    Frame { header, message }
}

/// This process' own CPU, in microseconds.
fn own_cpu_micros() -> u64 {
    cpu_micros_of(std::process::id())
}

const CONNECTIONS: usize = 12;
/// What takes longer is not served.
const TIME: Duration = Duration::from_secs(1);
