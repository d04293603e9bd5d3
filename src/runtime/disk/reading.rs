//! The read thread: clients' reads first, pages and what peers are given in turns with them.

use std::sync::{Arc, Mutex};

use quorate_storage::{Engine, EngineError, ReadError, read, read_hints, read_hints_of, scan, scan_hashes};

use super::{Mark, Results, Work, distrust};
use crate::{
    node::{DiskOperation, DiskRequest, DiskResult, Scan, Ticket},
    runtime::{backup::Backups, metrics::measured},
};

/// The read thread's work.
pub(super) struct Reader {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) mark: Arc<Mutex<Mark>>,
    pub(super) backups: Backups,
    /// Whether it is the turn of what no client waits for, or waits for long.
    pub(super) patient_is_next: bool,
}

impl Work for Reader {
    /// Either everything that clients wait for, or a little of the rest, in turns: a client's read waits for one page of a
    /// scan at most, or for [`GIVEN_AT_ONCE`] reads of what peers are given, and these go on however many clients read.
    fn carry_out(&mut self, requests: &mut Vec<DiskRequest>, done: &mut Results) {
        let is_patient = |request: &DiskRequest| is_long(request) || is_given(request);
        let patient = requests.iter().position(is_patient);
        let is_urgent_there = requests.iter().any(|request| !is_patient(request));
        self.patient_is_next = patient.is_some() && (self.patient_is_next || !is_urgent_there);
        let chosen: Vec<_> = match patient.filter(|_| self.patient_is_next) {
            Some(at) if is_long(&requests[at]) => vec![requests.remove(at)],
            Some(_) => requests.extract_if(.., |request| is_given(request)).take(GIVEN_AT_ONCE).collect(),
            None => requests.extract_if(.., |request| !is_patient(request)).collect(),
        };
        self.patient_is_next = !self.patient_is_next && patient.is_some();
        for request in chosen {
            let result = match request.operation {
                DiskOperation::Backup(work) => {
                    DiskResult::Backup(self.backups.carry_out(work).map(|status| status.map(Box::new)))
                }
                operation => look(&*self.engine, &self.mark, operation),
            };
            done.push((request.ticket, result));
        }
    }

    fn end(&mut self) {
        self.backups.stop();
    }
}

/// Whether it reads many records.
fn is_long(request: &DiskRequest) -> bool {
    use DiskOperation::{Hashes, ReadHints, Scan};
    matches!(request.operation, Scan(_) | Hashes(_) | ReadHints { .. })
}

/// Whether it reads a record that anti-entropy gives to a peer: many of them come together.
fn is_given(request: &DiskRequest) -> bool {
    matches!((&request.ticket, &request.operation), (Ticket::Repair(_), DiskOperation::Read(_)))
}

/// Looks at the disk.
pub(super) fn look(engine: &dyn Engine, mark: &Mutex<Mark>, operation: DiskOperation) -> DiskResult {
    let result = match operation {
        DiskOperation::Read(row) => DiskResult::Read(read(engine, &row)),
        DiskOperation::ReadHints { target, rows, after, bytes_max } => DiskResult::Hints(match rows {
            Some(rows) => read_hints_of(engine, target, &rows, after.as_ref(), bytes_max),
            None => read_hints(engine, target, after.as_ref(), bytes_max),
        }),
        DiskOperation::Scan(Scan { table, ranges, after, bytes_max }) => {
            DiskResult::Scanned(scan(engine, table, &ranges, after.as_ref(), bytes_max))
        }
        DiskOperation::Measure => {
            let stats = engine.stats();
            measured(&stats);
            DiskResult::Measured(stats)
        }
        DiskOperation::Hashes(Scan { table, ranges, after, bytes_max }) => {
            DiskResult::Hashed(scan_hashes(engine, table, &ranges, after.as_ref(), bytes_max))
        }
        // Neither is ever sorted here; one that were would be refused, not lost in silence.
        DiskOperation::Write(_) | DiskOperation::Backup(_) => DiskResult::Expired,
    };
    match &result {
        DiskResult::Read(Err(ReadError::Engine(EngineError::Damaged(why))))
        | DiskResult::Hints(Err(EngineError::Damaged(why)))
        | DiskResult::Scanned(Err(EngineError::Damaged(why)))
        | DiskResult::Hashed(Err(EngineError::Damaged(why))) => distrust(mark, why),
        _ => {}
    }
    result
}

/// Reads that a client's read waits for at most: of small values they take less than a page of a scan does.
const GIVEN_AT_ONCE: usize = 8;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use quorate_ring::{ClusterId, Hlc, Incarnation, Instant, NodeId, TableId, Token};
    use quorate_storage::{MemoryEngine, Row};

    use super::*;
    use crate::{repair::RepairTicket, runtime::mark::Promise};

    fn reader(dir: &Path) -> Reader {
        let (cluster, node, incarnation) = (ClusterId(1), NodeId(1), Incarnation(0));
        let promise = Promise { cluster, node, incarnation, sequence: 0, distrusted: false };
        let mark = Arc::new(Mutex::new(Mark::create(dir, promise).unwrap()));
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        let backups = Backups::new(dir, engine.clone(), 0);
        Reader { engine, mark, backups, patient_is_next: false }
    }

    #[test]
    fn a_read_waits_for_one_page_at_most_and_scans_go_on_beside_reads() {
        let dir = tempfile::tempdir().unwrap();
        let mut reader = reader(dir.path());
        let table = TableId(1);
        let request = |number: u64, operation| DiskRequest {
            ticket: Ticket::ClockBound(Hlc(number)),
            deadline: Instant::NEVER,
            operation,
        };
        let read = |number| request(number, DiskOperation::Read(Row::new(Token(0), table, b"k".to_vec())));
        let scan = |number| {
            let scan = Scan { table, ranges: Vec::new(), after: None, bytes_max: 1 };
            request(number, DiskOperation::Scan(scan))
        };
        let mut waiting = vec![scan(1), read(2), scan(3), read(4)];
        let mut pass = |waiting: &mut Vec<DiskRequest>| {
            let mut done = Vec::new();
            reader.carry_out(waiting, &mut done);
            let number = |(ticket, _): (Ticket, DiskResult)| match ticket {
                Ticket::ClockBound(Hlc(number)) => number,
                _ => panic!("another ticket"),
            };
            done.into_iter().map(number).collect::<Vec<_>>()
        };
        assert_eq!(pass(&mut waiting), [2, 4]);
        waiting.push(read(5));
        assert_eq!(pass(&mut waiting), [1]);
        waiting.push(read(6));
        assert_eq!(pass(&mut waiting), [5, 6]);
        assert_eq!(pass(&mut waiting), [3]);
        assert_eq!(pass(&mut waiting), [] as [u64; 0]);
    }

    #[test]
    fn a_read_waits_for_a_few_that_peers_are_given_and_these_go_on_beside_reads() {
        let dir = tempfile::tempdir().unwrap();
        let mut reader = reader(dir.path());
        let row = || Row::new(Token(0), TableId(1), b"k".to_vec());
        let given = |number: u32| DiskRequest {
            ticket: Ticket::Repair(Box::new(RepairTicket::Give(NodeId(number), row()))),
            deadline: Instant::NEVER,
            operation: DiskOperation::Read(row()),
        };
        let read = || DiskRequest {
            ticket: Ticket::ClockBound(Hlc(1)),
            deadline: Instant::NEVER,
            operation: DiskOperation::Read(row()),
        };
        let mut waiting: Vec<_> = (0..2 * GIVEN_AT_ONCE as u32 + 1).map(given).collect();
        waiting.push(read());
        let mut pass = |waiting: &mut Vec<DiskRequest>| {
            let mut done = Vec::new();
            reader.carry_out(waiting, &mut done);
            let is_given = |(ticket, _): &(Ticket, DiskResult)| matches!(ticket, Ticket::Repair(_));
            let given = done.iter().filter(|done| is_given(done)).count();
            (given, done.len() - given)
        };
        assert_eq!(pass(&mut waiting), (0, 1));
        waiting.push(read());
        assert_eq!(pass(&mut waiting), (GIVEN_AT_ONCE, 0));
        waiting.push(read());
        assert_eq!(pass(&mut waiting), (0, 2));
        assert_eq!(pass(&mut waiting), (GIVEN_AT_ONCE, 0));
        assert_eq!(pass(&mut waiting), (1, 0));
    }
}
