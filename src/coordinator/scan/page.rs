//! One page: what was gathered for it, which of its rows are read next, and what its client gets.

use std::collections::BTreeMap;

use quorate_ring::{Epoch, Instant, NodeId};
use quorate_storage::Row;

use super::{
    gather::{Gathering, Heard, Reach},
    span,
};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    coordinator::{
        OperationId, Step,
        admission::Admitted,
        count,
        operation::Conclusion,
        read::{FirstWord, replies::Said},
        receipt::blank,
        timeout,
    },
    node::{ClientId, Effect, Turn},
    replica,
    wire::{
        self, ClientMessage, Failure, FetchPage, Frame, Got, Header, Receipt, RequestError, Scanned,
        ScannedRow,
    },
};

/// One page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) admitted: Admitted,
    pub(super) client: ClientId,
    pub(super) header: Header,
    pub(super) request: wire::Scan,
    pub(super) rows_max: usize,
    pub(super) required: usize,
    /// The epoch at which a range had changed hands last when it began (rule M3).
    pub(super) moved_at: Epoch,
    pub(super) gathering: Gathering,
    /// When further replicas are asked.
    pub(super) hedge_at: Option<Instant>,
    /// How far reading has come, once everything is gathered.
    pub(super) reading: Option<Reading>,
}

/// The second step.
#[derive(Debug)]
pub(super) struct Reading {
    /// The place where the page ends, if it is not full before.
    end: Row,
    /// Of each ask, how many of its rows have been taken.
    taken: Vec<usize>,
    /// The stretch of the last row taken.
    stretch: usize,
    /// What was taken, in order, and what came of each.
    pub(super) rows: Vec<(Row, Option<Result<Got, RequestError>>)>,
    /// Reads under way, and which row each is of.
    pub(super) open: BTreeMap<OperationId, usize>,
    bytes: usize,
    /// No row is left before the end.
    is_through: bool,
}

impl Page {
    /// When it wants to be called.
    pub(super) fn timer_at(&self) -> Instant {
        self.hedge_at.map_or(self.header.deadline, |at| at.min(self.header.deadline))
    }

    /// Asks as many replicas as are needed, and `more` where some are late.
    pub(super) fn ask(&mut self, turn: &mut Turn<'_>, id: OperationId, more: usize) {
        if self.reading.is_some() {
            return;
        }
        let asks = self.gathering.ask(turn, self.rows_max, more);
        if more == 0 || !asks.is_empty() {
            self.hedge_at = Some(turn.now.mono + turn.config.hedge_delay);
        }
        for (round, node, fetch) in asks {
            self.send(turn, Step { operation: id, round }, node, fetch);
        }
    }

    fn send(&self, turn: &mut Turn<'_>, step: Step, node: NodeId, fetch: FetchPage) {
        let header = Header { id: step.request_id(), epoch: turn.epoch, deadline: self.header.deadline };
        if node == turn.config.node {
            return replica::read_own_page(turn, header, fetch);
        }
        turn.effects.push(Effect::ToPeer { peer: node, frame: Frame { header, message: fetch.into() } });
    }

    /// Whether everything is gathered that will be.
    pub(super) fn gathered(&mut self, turn: &Turn<'_>) -> Result<bool, Failure> {
        if self.reading.is_some() {
            return Ok(true);
        }
        let reach = self.gathering.reach(turn.config.node);
        #[cfg(feature = "mutants")]
        let reach = match turn.config.mutant {
            Some(Mutant::ScanIgnoresCuts) if matches!(reach, Reach::To(_)) => Reach::To(span::end()),
            _ => reach,
        };
        let Reach::To(end) = reach else {
            return Ok(false);
        };
        if self.gathering.is_where_it_began(&end) {
            let (answered, failed, reason) = self.gathering.first();
            let (required, answered, failed) = (count(self.required), count(answered), count(failed));
            return Err(Failure::ReplicasFailed { required, answered, failed, reason });
        }
        // Who answered may not be who holds it now.
        if turn.catalog.moved_at() != self.moved_at {
            return Err(Failure::Behind);
        }
        self.hedge_at = None;
        self.reading = Some(Reading {
            end,
            taken: vec![0; self.gathering.asks().len()],
            stretch: 0,
            rows: Vec::new(),
            open: BTreeMap::new(),
            bytes: 0,
            is_through: false,
        });
        Ok(true)
    }

    /// The next row that anybody named, with what was said of it; none while enough are under way, and once the page is
    /// full or at its end.
    pub(super) fn next_row(&mut self) -> Option<(Row, Vec<FirstWord>)> {
        let reading = self.reading.as_mut()?;
        let is_full = reading.rows.len() >= self.rows_max || reading.bytes >= PAGE_BYTES_MAX;
        if reading.is_through || is_full || reading.open.len() >= READS_MAX {
            return None;
        }
        let named = |(page, taken): (&Heard, usize)| page.rows.get(taken).map(|(row, _)| row.clone());
        let asks = self.gathering.asks().iter().zip(&reading.taken);
        let next = asks.filter_map(|(ask, taken)| named((ask.page()?, *taken))).min();
        let Some(row) = next.filter(|row| *row <= reading.end) else {
            reading.is_through = true;
            return None;
        };
        let mut words = Vec::new();
        for (number, ask, page) in self.gathering.speakers(&row, &mut reading.stretch) {
            let said = match page.rows.get(reading.taken[number]) {
                Some((named, said)) if *named == row => said.clone(),
                _ => Some(Said::State(None)),
            };
            words.push(FirstWord { node: ask.node, asked_at: ask.at, said, clock: page.clock });
        }
        for (ask, taken) in self.gathering.asks().iter().zip(&mut reading.taken) {
            let is_named = |page: &Heard| page.rows.get(*taken).is_some_and(|(named, _)| *named == row);
            if ask.page().is_some_and(is_named) {
                *taken += 1;
            }
        }
        Some((row, words))
    }

    /// The page as its client gets it: up to its end, or to the first key that could not be read.
    pub(super) fn conclude(&mut self, turn: &Turn<'_>, id: OperationId) -> Conclusion {
        let mut receipt = self.receipt(turn, id);
        let Some(Reading { end, rows, is_through, .. }) = self.reading.take() else {
            return Err(RequestError::not_applied(timeout(self.required, 0)));
        };
        let (mut scanned, mut bytes, mut place) = (Vec::new(), 0, is_through.then_some(end));
        let mut last = None;
        for (row, got) in rows {
            let got = match got {
                Some(Ok(got)) if last.is_none() || bytes + got_bytes(&got) <= PAGE_BYTES_MAX => got,
                Some(Err(error)) if last.is_none() => return Err(error),
                _ => {
                    place = None;
                    break;
                }
            };
            bytes += got_bytes(&got);
            receipt.repaired |= got.receipt.repaired;
            receipt.monotone |= got.receipt.monotone;
            receipt.rounds = receipt.rounds.max(got.receipt.rounds);
            if !got.values.is_empty() {
                scanned.push(ScannedRow { key: row.key.clone(), values: got.values, context: got.context });
            }
            last = Some(row);
        }
        let place = place.or(last).filter(|place| *place != span::end());
        let next = place.map(|place| wire::encode_cursor(place.table, place.token, &place.key));
        Ok(Scanned { rows: scanned, next, receipt }.into())
    }

    fn receipt(&self, turn: &Turn<'_>, id: OperationId) -> Receipt {
        let mut replicas: Vec<_> = self.gathering.asks().iter().map(|ask| ask.node).collect();
        replicas.sort_unstable();
        replicas.dedup();
        let has_answered =
            |node: &NodeId| self.gathering.asks().iter().any(|ask| ask.node == *node && ask.page().is_some());
        Receipt {
            answered: replicas.iter().copied().filter(has_answered).collect(),
            rounds: 1,
            reports: self.gathering.reports(),
            operation: Some(id),
            ..blank(turn, self.request.consistency, replicas)
        }
    }

    /// The error in which it ends, with how far it has come; that of a key that could not be read says more of it.
    pub(super) fn explain(&self, turn: &Turn<'_>, id: OperationId, error: RequestError) -> RequestError {
        if error.receipt.is_some() {
            return error;
        }
        let reports = self.gathering.reports_of_failure(turn.now.mono);
        error.with_receipt(Receipt { reports, ..self.receipt(turn, id) })
    }
}

impl Reading {
    pub(super) fn settle(&mut self, at: usize, conclusion: Conclusion) {
        let result = match conclusion {
            Ok(ClientMessage::Got(got)) => Ok(got),
            Ok(_) => Err(RequestError::not_applied(Failure::BadRequest("a key was not read".to_owned()))),
            Err(error) => Err(error),
        };
        self.bytes += result.as_ref().map_or(0, got_bytes);
        self.rows[at].1 = Some(result);
    }
}

/// What a row counts of a page.
fn got_bytes(got: &Got) -> usize {
    let values: usize = got.values.iter().map(|version| version.value.len() + ROW_OVERHEAD).sum();
    values + got.context.len() + ROW_OVERHEAD
}

/// Keys of a page, at most.
pub(super) const ROWS_MAX: usize = 1_000;
/// Bytes of a page, unless one key has more.
const PAGE_BYTES_MAX: usize = 512 * 1024;
/// What a value costs beside its bytes.
const ROW_OVERHEAD: usize = 64;
/// Keys of a page that are read beyond what was said of them, at a time.
const READS_MAX: usize = 32;
