//! The leaves of a node, and what is known of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Bound, Range},
    sync::Arc,
};

use bytes::Bytes;
use quorate_ring::{TableId, Token};

use super::{
    CELLS_PER_PAGE, CellSet, Slicing, hash, page,
    walk::{self, Walk},
};
use crate::{Batch, Engine, EngineError, Row, Space, envelope};

/// What a range of cells adds up to; `None` while one of them is dirty.
pub type CellDigest = Option<u64>;

/// Cells of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestQuery {
    /// The table.
    pub table: TableId,
    /// The cells.
    pub cells: Vec<Range<u32>>,
}

/// What the commit step can do for the comparison of replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigestWork {
    /// Tell what the leaves of each of these add up to, as of what is durable.
    Compare(Vec<DigestQuery>),
    /// Walk dirty cells, over at most so many records.
    Rebuild {
        /// Records.
        records_max: usize,
    },
    /// Read records that are not dirty, verify each and their cells' leaves (rule S3), from where the last piece ended.
    Scrub {
        /// The cell to begin with, modulo how many there are; none to go on.
        from: Option<u32>,
        /// Records.
        records_max: usize,
    },
    /// Write down the leaves that have been quiet since the last time, or all of them.
    Settle {
        /// Whether the process is about to end.
        all: bool,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DigestAnswer {
    /// Of [`DigestWork::Compare`], in the order of the queries.
    Compared(Vec<CellDigest>),
    /// Of [`DigestWork::Rebuild`] and [`DigestWork::Scrub`].
    Walked(Walked),
    /// Of [`DigestWork::Settle`].
    Settled,
}

/// What a piece of a walk has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Records that were read.
    pub records: usize,
    /// Their bytes, keys included.
    pub bytes: usize,
    /// Damaged records (rule S3).
    pub damaged: Vec<Row>,
    /// Cells whose leaf was not what their records add up to. That must not happen; they are dirty now.
    pub wrong: Vec<u32>,
    /// The cells that are dirty.
    pub dirty: u64,
    /// The cell that a scrub has come to; none once it has seen all.
    pub next: Option<u32>,
}

/// A record that takes the place of another, or of none.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) table: TableId,
    pub(crate) cell: u32,
    pub(crate) key: Bytes,
    /// The hash of what was there and of what is there; `None` if what was there is not known.
    pub(crate) xor: Option<u64>,
}

/// What becomes of the leaves once a batch is durable.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    changes: Vec<Change>,
    /// Pages whose record the batch removes.
    reopened: Vec<u32>,
    /// Pages of which the batch has a record.
    settled: Vec<u32>,
    /// Whether it removes what others left.
    purges: bool,
}

/// The leaves of a node: see the module's words on why they are right.
///
/// [`load`](Self::load) gives what an earlier process left; everything else happens in the commit step.
#[derive(Clone, Debug)]
pub struct Digests {
    slicing: Arc<Slicing>,
    /// By table and cell, in blocks; those of dirty cells are zero.
    leaves: BTreeMap<TableId, BTreeMap<u32, [u64; BLOCK]>>,
    dirty: CellSet,
    /// Pages that have a durable record, which is exact.
    recorded: BTreeSet<u32>,
    /// Pages whose record must go although nothing in them has changed.
    wrong: BTreeSet<u32>,
    /// Pages that were changed since quiet ones were last written down.
    touched: BTreeSet<u32>,
    /// Whether the batch in the making writes pages down, and whether it takes those that were just changed.
    settles: Option<bool>,
    /// Records that nobody keeps up to date.
    foreign: Vec<Bytes>,
    rebuild: Walk,
    scrub: Option<Walk>,
}

impl Digests {
    /// Nothing is known of any record.
    pub fn unknown(slicing: Arc<Slicing>) -> Self {
        let mut dirty = CellSet::default();
        dirty.insert(0..slicing.cells());
        Self {
            slicing,
            leaves: BTreeMap::new(),
            dirty,
            recorded: BTreeSet::new(),
            wrong: BTreeSet::new(),
            touched: BTreeSet::new(),
            settles: None,
            foreign: Vec::new(),
            rebuild: Walk::default(),
            scrub: None,
        }
    }

    /// What an earlier process left of the records in `engine`, by the cells of `slicing`.
    ///
    /// # Errors
    ///
    /// Those of the engine. A damaged record is none: its cells are dirty.
    pub fn load(engine: &dyn Engine, slicing: Arc<Slicing>) -> Result<Self, EngineError> {
        let mut digests = Self::unknown(slicing);
        let mut from = Bound::Unbounded;
        loop {
            let bound = from.as_ref().map(|key: &Bytes| &key[..]);
            let records = engine.scan(Space::Digests, bound, Bound::Unbounded, SCAN_RECORDS, SCAN_BYTES)?;
            for (key, record) in &records {
                digests.take(key, record);
            }
            match records.into_iter().next_back() {
                Some((last, _)) => from = Bound::Excluded(last),
                None => return Ok(digests),
            }
        }
    }

    /// The cells.
    pub fn slicing(&self) -> &Arc<Slicing> {
        &self.slicing
    }

    /// The cells whose leaf is not known.
    pub fn dirty(&self) -> &CellSet {
        &self.dirty
    }

    /// What `cells` of `table` add up to.
    pub fn digest(&self, table: TableId, cells: Range<u32>) -> CellDigest {
        if self.dirty.meets(cells.clone()) {
            return None;
        }
        let Some(blocks) = self.leaves.get(&table).filter(|_| !cells.is_empty()) else {
            return Some(0);
        };
        let last = (cells.end - 1) / BLOCK as u32;
        let digest = blocks.range(cells.start / BLOCK as u32..=last).fold(0, |sum, (block, leaves)| {
            let first = block * BLOCK as u32;
            let inside = (first..).zip(leaves).filter(|(cell, _)| cells.contains(cell));
            inside.fold(sum, |sum, (_, leaf)| sum ^ leaf)
        });
        Some(digest)
    }

    /// The change that `record` under the storage key `key` makes, where a record with the hash `old` was; none if nobody
    /// needs to know.
    pub(crate) fn change(&self, key: &Bytes, old: Option<u64>, new: u64) -> Option<Change> {
        let (table, cell) = self.place(key)?;
        let walks = self.scrub.iter().chain([&self.rebuild]);
        // A page with a dirty cell has no record, or one that goes with this batch.
        if self.dirty.contains(cell) && walks.into_iter().all(|walk| walk.cell() != cell) {
            return None;
        }
        Some(Change { table, cell, key: key.clone(), xor: old.map(|old| old ^ new) })
    }

    /// Does a piece of work, between two batches; what it leads to goes into the batch in the making.
    pub(crate) fn work(
        &mut self,
        engine: &dyn Engine,
        work: &DigestWork,
    ) -> Result<DigestAnswer, EngineError> {
        Ok(match work {
            DigestWork::Compare(queries) => {
                let all = |query: &DigestQuery| {
                    let mut digests = query.cells.iter().map(|cells| self.digest(query.table, cells.clone()));
                    digests.try_fold(0, |sum, digest| Some(sum ^ digest?))
                };
                DigestAnswer::Compared(queries.iter().map(all).collect())
            }
            DigestWork::Rebuild { records_max } => DigestAnswer::Walked(self.rebuild(engine, *records_max)?),
            DigestWork::Scrub { from, records_max } => {
                DigestAnswer::Walked(self.scrub(engine, *from, *records_max)?)
            }
            DigestWork::Settle { all } => {
                self.settles = Some(*all || self.settles == Some(true));
                DigestAnswer::Settled
            }
        })
    }

    /// Adds to `batch`, which is complete but for this, what it does to the records of pages.
    pub(crate) fn stage(&mut self, changes: Vec<Change>, batch: &mut Batch) -> Pending {
        let changed: BTreeSet<_> = changes.iter().map(|change| change.cell / CELLS_PER_PAGE).collect();
        let mut pending = Pending { changes, ..Pending::default() };
        if !self.foreign.is_empty() && (!batch.is_empty() || self.settles.is_some()) {
            pending.purges = true;
            self.foreign.iter().for_each(|key| batch.remove(Space::Digests, key.clone()));
        }
        let reopened = changed.union(&self.wrong).filter(|page| self.recorded.contains(page));
        pending.reopened = reopened.copied().collect();
        for page in &pending.reopened {
            batch.remove(Space::Digests, self.key(*page));
        }
        if let Some(all) = self.settles.take() {
            let quiet = |page: &u32| !changed.contains(page) && (all || !self.touched.contains(page));
            let most = if all { usize::MAX } else { SETTLED_MAX };
            pending.settled = self.settleable().into_iter().filter(quiet).take(most).collect();
            for page in &pending.settled {
                let key = self.key(*page);
                let record = page::encode(&key, &self.leaves_in(cells_of(*page)).collect::<Vec<_>>());
                batch.put(Space::Digests, key, record);
            }
            self.touched.clear();
        }
        pending
    }

    /// The batch is durable.
    pub(crate) fn committed(&mut self, pending: Pending) {
        for change in &pending.changes {
            self.rebuild.change(change);
            self.scrub.iter_mut().for_each(|walk| walk.change(change));
            self.touched.insert(change.cell / CELLS_PER_PAGE);
            match change.xor {
                None => self.mark_dirty(change.cell),
                Some(xor) if !self.dirty.contains(change.cell) => self.flip(change.table, change.cell, xor),
                Some(_) => {}
            }
        }
        for page in pending.reopened {
            self.recorded.remove(&page);
            self.wrong.remove(&page);
        }
        self.recorded.extend(pending.settled);
        if pending.purges {
            self.foreign.clear();
        }
    }

    /// Panics if a leaf is not what the sound records of its cell add up to: the slow obvious twin, for tests. Cells with
    /// damaged records are left out: their leaves may still have what these were.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub fn check(&self, engine: &dyn Engine) -> Result<(), EngineError> {
        let mut leaves = BTreeMap::<_, u64>::new();
        let mut damaged = self.dirty.clone();
        for (key, record) in
            engine.scan(Space::Data, Bound::Unbounded, Bound::Unbounded, usize::MAX, usize::MAX)?
        {
            let Some((table, cell)) = self.place(&key) else {
                continue;
            };
            match envelope::open(&key, &record) {
                Ok(_) => *leaves.entry((table, cell)).or_default() ^= hash(&key, &record),
                Err(_) => damaged.insert(cell..cell + 1),
            }
        }
        let known = self.leaves.iter().flat_map(|(table, blocks)| {
            let cells = blocks.iter().flat_map(|(block, leaves)| (block * BLOCK as u32..).zip(leaves));
            cells.map(|(cell, leaf)| ((*table, cell), *leaf))
        });
        for (at, leaf) in known {
            *leaves.entry(at).or_default() ^= leaf;
        }
        let wrong = leaves.iter().find(|((_, cell), leaf)| **leaf != 0 && !damaged.contains(*cell));
        assert!(wrong.is_none(), "a leaf is not what is on the disk: {wrong:?}");
        Ok(())
    }

    fn take(&mut self, key: &Bytes, record: &[u8]) {
        let is_ours = |(fingerprint, _): &(u64, u32)| *fingerprint == self.slicing.fingerprint();
        let page = page::parse_key(key).filter(is_ours).map(|(_, page)| page);
        let (Some(page), Ok(leaves)) = (page, page::decode(key, record)) else {
            return self.foreign.push(key.clone());
        };
        self.recorded.insert(page);
        self.dirty.remove(cells_of(page));
        leaves.into_iter().for_each(|(table, cell, leaf)| self.flip(table, cell, leaf));
    }

    fn rebuild(&mut self, engine: &dyn Engine, records_max: usize) -> Result<Walked, EngineError> {
        let mut report = Walked::default();
        while let Some(run) = self.run()
            && report.records < records_max
        {
            let left = records_max - report.records;
            let step = self.rebuild.step(engine, &self.slicing, run.end, left)?;
            self.dirty.remove(run.start..self.rebuild.cell());
            for walk::Walked { cell, sums, damaged } in step.walked {
                sums.into_iter().for_each(|(table, sum)| self.flip(table, cell, sum));
                // A scrub that is in this cell may have seen a record before it was damaged.
                for walk in self.scrub.iter_mut().filter(|walk| damaged && walk.cell() == cell) {
                    *walk = Walk::new(cell);
                }
            }
            report.records += step.records;
            report.bytes += step.bytes;
            report.damaged.extend(step.damaged);
        }
        report.dirty = self.dirty.len();
        Ok(report)
    }

    /// The dirty cells to be walked next, where the walk is.
    fn run(&mut self) -> Option<Range<u32>> {
        let at = self.rebuild.cell();
        let run = self.dirty.run_from(at).or_else(|| self.dirty.run_from(0))?;
        if !run.contains(&at) {
            self.rebuild = Walk::new(run.start);
        }
        Some(self.rebuild.cell()..run.end)
    }

    fn scrub(
        &mut self,
        engine: &dyn Engine,
        from: Option<u32>,
        records_max: usize,
    ) -> Result<Walked, EngineError> {
        let end = self.slicing.cells();
        let anew = from.map(|from| Walk::new(from % end));
        let mut walk = anew.or_else(|| self.scrub.take()).unwrap_or_default();
        let begin = walk.cell();
        let step = walk.step(engine, &self.slicing, end, records_max);
        let passed = begin..walk.cell();
        self.scrub = (walk.cell() < end).then_some(walk);
        let step = step?;
        let mut unsure = self.dirty.clone();
        let mut sums = BTreeMap::<_, u64>::new();
        for walk::Walked { cell, sums: found, damaged } in step.walked {
            sums.extend(found.into_iter().map(|(table, sum)| ((cell, table), sum)));
            if damaged {
                unsure.insert(cell..cell + 1);
            }
        }
        for (table, cell, leaf) in self.leaves_in(passed) {
            *sums.entry((cell, table)).or_default() ^= leaf;
        }
        let mut report = Walked { records: step.records, bytes: step.bytes, ..Walked::default() };
        report.damaged = step.damaged;
        let wrong = sums.into_iter().filter(|((cell, _), rest)| *rest != 0 && !unsure.contains(*cell));
        report.wrong = wrong.map(|((cell, _), _)| cell).collect();
        report.wrong.dedup();
        for cell in report.wrong.clone() {
            self.mark_dirty(cell);
        }
        report.dirty = self.dirty.len();
        report.next = self.scrub.as_ref().map(Walk::cell);
        Ok(report)
    }

    /// The table and the cell of a storage key.
    fn place(&self, key: &[u8]) -> Option<(TableId, u32)> {
        let (token, rest) = key.split_first_chunk::<8>()?;
        let table = u32::from_be_bytes(*rest.first_chunk::<4>()?);
        Some((TableId(table), self.slicing.cell(Token::from_ordered_bytes(*token))))
    }

    fn mark_dirty(&mut self, cell: u32) {
        self.dirty.insert(cell..cell + 1);
        let page = cell / CELLS_PER_PAGE;
        if self.recorded.contains(&page) {
            self.wrong.insert(page);
        }
        self.leaves.values_mut().for_each(|blocks| clear(blocks, cell));
        if self.rebuild.cell() == cell {
            self.rebuild = Walk::new(cell);
        }
    }

    fn flip(&mut self, table: TableId, cell: u32, by: u64) {
        xor(self.leaves.entry(table).or_default(), cell, by);
    }

    fn key(&self, page: u32) -> Bytes {
        page::key(self.slicing.fingerprint(), page)
    }

    /// Pages with something in them, whose leaves are all known and not written down.
    fn settleable(&self) -> BTreeSet<u32> {
        let blocks = self.leaves.values().flat_map(BTreeMap::keys);
        let pages: BTreeSet<_> = blocks.map(|block| block * BLOCK as u32 / CELLS_PER_PAGE).collect();
        let is_open = |page: &u32| !self.recorded.contains(page) && !self.dirty.meets(cells_of(*page));
        pages.into_iter().filter(is_open).collect()
    }

    /// The leaves of `cells` that are not zero.
    fn leaves_in(&self, cells: Range<u32>) -> impl Iterator<Item = (TableId, u32, u64)> {
        let blocks = cells.start / BLOCK as u32..cells.end.div_ceil(BLOCK as u32);
        let all = self.leaves.iter().flat_map(move |(table, tree)| {
            tree.range(blocks.clone()).flat_map(|(block, leaves)| {
                (block * BLOCK as u32..).zip(leaves).map(|(cell, leaf)| (*table, cell, *leaf))
            })
        });
        all.filter(move |(_, cell, leaf)| *leaf != 0 && cells.contains(cell))
    }
}

fn cells_of(page: u32) -> Range<u32> {
    page * CELLS_PER_PAGE..(page + 1) * CELLS_PER_PAGE
}

fn xor(blocks: &mut BTreeMap<u32, [u64; BLOCK]>, cell: u32, by: u64) {
    let block = blocks.entry(cell / BLOCK as u32).or_default();
    block[cell as usize % BLOCK] ^= by;
}

fn clear(blocks: &mut BTreeMap<u32, [u64; BLOCK]>, cell: u32) {
    if let Some(block) = blocks.get_mut(&(cell / BLOCK as u32)) {
        block[cell as usize % BLOCK] = 0;
    }
}

/// Leaves kept together.
const BLOCK: usize = 16;
/// Pages written down at a time: 4 KiB each for a table whose every cell holds something.
const SETTLED_MAX: usize = 32;
/// How many records one scan takes.
const SCAN_RECORDS: usize = 256;
/// After how many bytes one scan ends.
const SCAN_BYTES: usize = 1 << 20;
