//! Histories of a real atomic register under concurrent clients: linearizable by construction.

use rand::{Rng, RngExt};

use crate::checker::linearizable::RegisterAction;
use crate::history::{Operation, Outcome};

/// Concurrent clients on one atomic register that starts with value 0.
#[derive(Clone, Copy, Debug)]
pub struct AtomicRegister {
    /// Clients that always have an operation pending.
    pub clients: u64,
    /// Operations in all.
    pub operations: usize,
    /// Writes draw their values from `1..=values`; if 0, each write has a value of its own.
    pub values: u64,
    /// Percent of operations that read.
    pub reads_percent: u32,
    /// Percent of operations that compare and set.
    pub cas_percent: u32,
    /// Percent of operations whose outcome the client never learns; half of them take effect, some late.
    pub unknown_percent: u32,
}

/// A client's operation in flight.
struct Pending {
    process: u64,
    invoked: u64,
    action: RegisterAction<u64>,
    /// Whether the register has carried it out, and if so whether it took effect.
    done: Option<bool>,
}

/// The register, its clock, and what is recorded.
struct Run<'a, R> {
    shape: &'a AtomicRegister,
    rng: &'a mut R,
    now: u64,
    value: u64,
    /// Writes that will take effect after their client gave up.
    late: Vec<RegisterAction<u64>>,
    started: usize,
    history: Vec<Operation<RegisterAction<u64>>>,
}

impl AtomicRegister {
    /// Runs the clients to the end; times are event numbers.
    pub fn run(&self, rng: &mut impl Rng) -> Vec<Operation<RegisterAction<u64>>> {
        let history = Vec::with_capacity(self.operations);
        let mut run = Run { shape: self, rng, now: 0, value: 0, late: Vec::new(), started: 0, history };
        let mut clients: Vec<Pending> = Vec::new();
        for process in 0..self.clients {
            clients.extend(run.invoke(process));
        }
        while !clients.is_empty() {
            let at = run.rng.random_range(0..clients.len());
            match clients[at].done {
                None => run.carry_out(&mut clients[at]),
                Some(_) => {
                    let pending = clients.swap_remove(at);
                    let process = run.complete(pending);
                    clients.extend(run.invoke(process));
                }
            }
        }
        run.history
    }
}

impl<R: Rng> Run<'_, R> {
    fn percent(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn invoke(&mut self, process: u64) -> Option<Pending> {
        if self.started == self.shape.operations {
            return None;
        }
        self.started += 1;
        let fresh = match self.shape.values {
            0 => self.started as u64,
            values => self.rng.random_range(1..=values),
        };
        let action = if self.percent(self.shape.reads_percent) {
            RegisterAction::Read(None)
        } else if self.percent(self.shape.cas_percent) {
            RegisterAction::Cas { old: self.value, new: fresh }
        } else {
            RegisterAction::Write(fresh)
        };
        Some(Pending { process, invoked: self.tick(), action, done: None })
    }

    fn carry_out(&mut self, pending: &mut Pending) {
        if let Some(late) = self.late.pop() {
            self.apply(late);
        }
        let action = self.apply(pending.action.clone());
        pending.done = Some(action.is_some());
        pending.action = action.unwrap_or_else(|| pending.action.clone());
    }

    /// The action with its answer, or `None` if a comparison failed.
    fn apply(&mut self, action: RegisterAction<u64>) -> Option<RegisterAction<u64>> {
        match action {
            RegisterAction::Read(_) => return Some(RegisterAction::Read(Some(self.value))),
            RegisterAction::Cas { old, .. } if old != self.value => return None,
            RegisterAction::Cas { new, .. } | RegisterAction::Write(new) => self.value = new,
        }
        Some(action)
    }

    /// Records the operation; the process that goes on (a new one after an unknown outcome).
    fn complete(&mut self, pending: Pending) -> u64 {
        let completed = self.tick();
        let Pending { mut process, invoked, action, done } = pending;
        let outcome = match done {
            _ if self.percent(self.shape.unknown_percent) => Outcome::Unknown,
            Some(true) => Outcome::Applied,
            _ => Outcome::NotApplied,
        };
        self.history.push(Operation { process, invoked, completed: Some(completed), outcome, action });
        if outcome == Outcome::Unknown {
            process += self.shape.clients;
        }
        if self.percent(self.shape.unknown_percent) {
            self.lose(process);
        }
        process
    }

    /// A write whose client gives up at once; it may take effect later.
    fn lose(&mut self, process: u64) {
        if self.started == self.shape.operations {
            return;
        }
        self.started += 1;
        let value = if self.shape.values == 0 { self.started as u64 } else { self.shape.values };
        let action = RegisterAction::Write(value);
        let invoked = self.tick();
        self.history.push(Operation::unknown(process, invoked, action.clone()));
        if self.percent(50) {
            self.late.push(action);
        }
    }
}

/// Makes one acknowledged read return another read's or write's value. False if there is none to change.
pub fn corrupt_read(history: &mut [Operation<RegisterAction<u64>>], rng: &mut impl Rng) -> bool {
    let is_read = |operation: &Operation<RegisterAction<u64>>| {
        operation.is_applied() && matches!(operation.action, RegisterAction::Read(Some(_)))
    };
    let reads: Vec<usize> = (0..history.len()).filter(|&at| is_read(&history[at])).collect();
    let values: Vec<u64> = history
        .iter()
        .filter_map(|operation| match operation.action {
            RegisterAction::Read(value) => value,
            RegisterAction::Write(value) | RegisterAction::Cas { new: value, .. } => Some(value),
        })
        .collect();
    if reads.is_empty() || values.is_empty() {
        return false;
    }
    let at = reads[rng.random_range(0..reads.len())];
    let value = values[rng.random_range(0..values.len())];
    history[at].action = RegisterAction::Read(Some(value));
    true
}
