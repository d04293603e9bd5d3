//! Going through the records of cells piece by piece while batches are committed in between.

use std::{collections::BTreeMap, ops::Bound};

use bytes::Bytes;
use quorate_ring::{TableId, Token};

use super::{Change, Slicing, hash};
use crate::{Engine, EngineError, Row, Space, envelope};

/// A walk over the records of cells, in the order of storage keys. What it has summed up of its cell is exact at any
/// moment for the records up to its place: the commit step tells it of every change ([`Walk::change`]).
#[derive(Clone, Debug, Default)]
pub(super) struct Walk {
    /// The cell that it is in; all before it are done.
    cell: u32,
    /// The last record seen in it.
    after: Option<Bytes>,
    /// What the records seen of each table add up to.
    sums: BTreeMap<TableId, u64>,
    /// Whether one of them was damaged, and so left out (rule S3).
    damaged: bool,
}

/// A cell in which there are records.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) cell: u32,
    pub(super) sums: BTreeMap<TableId, u64>,
    pub(super) damaged: bool,
}

/// What one piece of a walk has found.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Cells that are done and hold records.
    pub(super) walked: Vec<Walked>,
    pub(super) records: usize,
    pub(super) bytes: usize,
    pub(super) damaged: Vec<Row>,
}

impl Walk {
    /// A walk that begins with `cell`.
    pub(super) fn new(cell: u32) -> Self {
        Self { cell, ..Self::default() }
    }

    /// The cell that it is in.
    pub(super) fn cell(&self) -> u32 {
        self.cell
    }

    /// Goes on, at most to the end of the cell before `end`, and over at most `records_max` records.
    pub(super) fn step(
        &mut self,
        engine: &dyn Engine,
        slicing: &Slicing,
        end: u32,
        records_max: usize,
    ) -> Result<Step, EngineError> {
        let mut step = Step::default();
        if self.cell >= end {
            return Ok(step);
        }
        let first = slicing.tokens(self.cell).start().to_ordered_bytes();
        let from = self.after.clone();
        let from = from.as_ref().map_or(Bound::Included(&first[..]), |after| Bound::Excluded(&after[..]));
        let last = slicing.tokens(end - 1).end().0.checked_add(1).map(|next| Token(next).to_ordered_bytes());
        let to = last.as_ref().map_or(Bound::Unbounded, |last| Bound::Excluded(&last[..]));
        let records = engine.scan(Space::Data, from, to, records_max.max(1), BYTES_MAX)?;
        let is_over = records.is_empty();
        for (key, record) in records {
            step.records += 1;
            step.bytes += key.len() + record.len();
            let Some(row) = Row::from_storage_key(&key) else {
                continue;
            };
            self.enter(slicing.cell(row.token), &mut step);
            match envelope::open(&key, &record) {
                Ok(_) => *self.sums.entry(row.table).or_default() ^= hash(&key, &record),
                Err(_) => {
                    self.damaged = true;
                    step.damaged.push(row);
                }
            }
            self.after = Some(key);
        }
        if is_over {
            self.enter(end, &mut step);
        }
        Ok(step)
    }

    /// A change is durable: it counts if its record has been seen.
    pub(super) fn change(&mut self, change: &Change) {
        if change.cell != self.cell {
            return;
        }
        match change.xor {
            Some(xor) if self.after.as_ref().is_some_and(|after| change.key <= *after) => {
                *self.sums.entry(change.table).or_default() ^= xor;
            }
            Some(_) => {}
            // Whether what was there had been counted nobody knows.
            None => *self = Self::new(self.cell),
        }
    }

    /// Goes to `cell`: those before are done.
    fn enter(&mut self, cell: u32, step: &mut Step) {
        if cell == self.cell {
            return;
        }
        let Self { cell, sums, damaged, .. } = std::mem::replace(self, Self::new(cell));
        if !sums.is_empty() || damaged {
            step.walked.push(Walked { cell, sums, damaged });
        }
    }
}

/// After how many bytes a step ends: long values are few records.
const BYTES_MAX: usize = 1 << 20;
