//! The group-commit step: many writes become one batch and one sync.
//!
//! The production commit thread and the simulator run the same step. It is where a store meets what is held:
//! the merge happens here, against the newest state of the key, and nowhere else.

mod damage;
mod recent;
mod write;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use quorate_ring::{Hlc, NodeId, TableKind, Tag};

use crate::{
    Batch, Content, DigestAnswer, Digests, Engine, EngineError, HintChange, MergeError, Merged, MetaWrite,
    Recovered, Row, Siblings, Space, State, Version, VersionVector, admit, copy, hints, merge,
    merkle::{self, Pending},
    meta, record,
};

use recent::{Recent, Remembered};
pub use write::{Horizon, Seen, StoreTerms, Write, WriteError, WriteResult, Written};

/// Turns writes into batches, one at a time: [`stage`](Self::stage), then commit the batch, then
/// [`committed`](Self::committed) or [`failed`](Self::failed). No result may leave the node earlier
/// (rule S1). [`run`](Self::run) does it all.
#[derive(Debug)]
pub struct Committer {
    /// The bound of the clock that is durable.
    hlc_bound: Hlc,
    /// The number of the last batch that is durable.
    sequence: u64,
    /// What the durable records add up to (rule A1).
    digests: Digests,
    /// Durable records that need not be read to be merged with.
    recent: Recent,
}

/// Writes on their way to the disk.
#[derive(Debug)]
pub struct Staged {
    /// To be committed. May be empty, if everything is covered already.
    pub batch: Batch,
    /// What becomes of each write if the batch is committed, in order.
    results: Vec<WriteResult>,
    /// The clock's bound once the batch is committed.
    hlc_bound: Hlc,
    /// The number of the last batch once this one is committed.
    sequence: u64,
    /// What becomes of the digests then.
    digests: Pending,
    changes: Vec<Changed>,
    /// What is held then under each key that was written to; `None` of those whose damaged record goes.
    records: Vec<(Bytes, Option<Remembered>)>,
}

/// What is held under a row once a batch is durable. Nothing: the record was damaged, and nobody has another one.
pub type Changed = (Row, Option<State>);

impl Staged {
    /// What becomes of each write if the batch is committed, in order.
    pub fn results(&self) -> &[WriteResult] {
        &self.results
    }

    /// Takes what the batch changes of what this node holds: every record that is another one once it is committed.
    pub fn take_changes(&mut self) -> Vec<Changed> {
        std::mem::take(&mut self.changes)
    }
}

impl Committer {
    /// The committer of a process that found `recovered`. It knows no digests before it is [told](Self::keep).
    pub fn new(recovered: &Recovered) -> Self {
        let digests = Digests::unknown(Arc::default());
        Self { hlc_bound: recovered.hlc_bound, sequence: recovered.sequence, digests, recent: Recent::new(0) }
    }

    /// Remembers up to `bytes_max` bytes of what it writes, so that stores of the same keys need not read the disk.
    /// Without it, nothing is remembered.
    #[must_use]
    pub fn remembering(self, bytes_max: u64) -> Self {
        Self { recent: Recent::new(bytes_max), ..self }
    }

    /// Keeps `digests` up to date from now on (rule A1). They are of the same records, and nothing was stored since
    /// they were loaded.
    pub fn keep(&mut self, digests: Digests) {
        self.digests = digests;
    }

    /// Merges `writes`, in order, into what `engine` holds. Stores of one key become one record.
    ///
    /// Every tag stored that a working clock can have named ([`Horizon`]) is below the clock's durable bound when the
    /// batch is committed; if need be the batch raises the bound. So a restarted clock is above every tag its node holds, and a write that
    /// takes its tag from the node's own knowledge alone (rule Q4, ONE) supersedes what the node
    /// acknowledged before.
    ///
    /// Batches are numbered, and carry their number: what is missing after a crash shows (rule S4).
    pub fn stage(&mut self, engine: &dyn Engine, writes: &[Write]) -> Staged {
        let mut stage = Stage {
            engine,
            digests: &mut self.digests,
            recent: &mut self.recent,
            slots: BTreeMap::new(),
            hints: BTreeMap::new(),
            batch: Batch::new(),
            hlc_bound: self.hlc_bound,
        };
        let results = writes.iter().map(|write| stage.add(write)).collect();
        stage.finish(results, (self.hlc_bound, self.sequence))
    }

    /// The batch of `staged` is durable: what became of each write, in order.
    pub fn committed(&mut self, staged: Staged) -> Vec<WriteResult> {
        self.hlc_bound = self.hlc_bound.max(staged.hlc_bound);
        self.sequence = staged.sequence;
        self.digests.committed(staged.digests);
        for (key, record) in staged.records {
            match record {
                Some(record) => self.recent.put(key, record),
                None => self.recent.forget(&key),
            }
        }
        staged.results
    }

    /// The batch of `staged` was not committed: every write failed with it, those that looked covered too,
    /// because what covers them may be another write of the batch.
    pub fn failed(&mut self, staged: Staged, error: &EngineError) -> Vec<WriteResult> {
        staged.records.iter().for_each(|(key, _)| self.recent.forget(key));
        staged.results.into_iter().map(|_| Err(error.clone().into())).collect()
    }

    /// Stages, commits and reports `writes`. Blocks for one sync, or none if there is nothing to write.
    pub fn run(&mut self, engine: &dyn Engine, writes: &[Write]) -> Vec<WriteResult> {
        let staged = self.stage(engine, writes);
        if staged.batch.is_empty() {
            return self.committed(staged);
        }
        match engine.commit(&staged.batch) {
            Ok(()) => self.committed(staged),
            Err(error) => self.failed(staged, &error),
        }
    }

    /// The clock's bound that is durable: what [`HlcClock::reserved`](crate::HlcClock::reserved) wants to
    /// hear.
    pub fn hlc_bound(&self) -> Hlc {
        self.hlc_bound
    }

    /// The number of the last batch that is durable: what a high-water mark promises (rule S4).
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What the durable records add up to (rule A1).
    pub fn digests(&self) -> &Digests {
        &self.digests
    }
}

/// A batch in the making.
struct Stage<'a> {
    engine: &'a dyn Engine,
    digests: &'a mut Digests,
    recent: &'a mut Recent,
    /// The newest state of every key touched.
    slots: BTreeMap<Bytes, Slot>,
    /// The newest hint under every key touched.
    hints: BTreeMap<Bytes, HintSlot>,
    batch: Batch,
    hlc_bound: Hlc,
}

/// The newest hint under a key.
struct HintSlot {
    state: Option<State>,
    /// Its key and record as they are, or will be, on disk.
    bytes: usize,
    /// Whether it differs from what is durable.
    dirty: bool,
}

/// The newest state of a key.
struct Slot {
    state: Option<State>,
    /// Whether it differs from what is durable.
    dirty: bool,
    /// What the durable state has seen, of siblings.
    durable: VersionVector,
    /// The hash of the durable record, 0 of none; `None` if that is damaged.
    hash: Option<u64>,
}

impl Stage<'_> {
    fn add(&mut self, write: &Write) -> WriteResult {
        match write {
            Write::Store { row, state, terms } => self.store(row, state, *terms),
            Write::Hint { target, row, state } => self.hint(*target, row, state),
            Write::Unhint { target, row, given } => self.unhint(*target, row, given.as_ref()),
            Write::Mint { row, dot, seen, content, horizon } => self.mint(row, *dot, seen, content, *horizon),
            Write::Quarantine { row } => self.quarantine(row),
            Write::Restore { row, state, clocks } => self.restore(row, state.as_ref(), *clocks),
            Write::Meta(MetaWrite::HlcBound(bound)) => {
                self.hlc_bound = self.hlc_bound.max(*bound);
                Ok(Written::Meta)
            }
            Write::Digest(work) => {
                let answer = self.digests.work(self.engine, work)?;
                if let DigestAnswer::Walked(walked) = &answer {
                    walked.damaged.iter().for_each(|row| self.is_damaged(&row.to_storage_key()));
                }
                Ok(Written::Digest(answer))
            }
            Write::Meta(write) => {
                meta::put(&mut self.batch, write);
                Ok(Written::Meta)
            }
        }
    }

    fn store(&mut self, row: &Row, state: &State, terms: StoreTerms) -> WriteResult {
        let tag = check_state(row, state)?;
        let slot = self.slot(row)?;
        let limit = terms.horizon.limit(slot.state.as_ref().map(|held| held.tag().hlc));
        if tag.hlc > limit {
            return Err(WriteError::TagAhead { tag, limit });
        }
        let merge = if terms.copied { copy } else { admit };
        #[cfg(feature = "mutants")]
        let merge = if terms.blindly { admit_blindly } else { merge };
        let (held, covered) = match merge(slot.state.as_ref(), state)? {
            Merged::Incoming => (state.clone(), false),
            Merged::Joined(joined) => (joined, false),
            Merged::Held => (slot.state.take().unwrap_or_else(|| state.clone()), true),
        };
        let more = (terms.report && held != *state).then(|| held.clone());
        let (incoming, tag) = (tag.hlc, held.tag());
        slot.dirty |= !covered;
        slot.state = Some(held);
        if covered {
            return Ok(Written::Covered { held: tag, more });
        }
        self.hlc_bound = self.hlc_bound.max(terms.horizon.seen(incoming));
        Ok(Written::Stored { held: tag, more })
    }

    fn mint(&mut self, row: &Row, dot: Tag, seen: &Seen, content: &Content, horizon: Horizon) -> WriteResult {
        check_size(row.key.len(), Row::KEY_BYTES_MAX)?;
        check_size(content.value().map_or(0, Bytes::len), State::VALUE_BYTES_MAX)?;
        if dot.hlc == Hlc(u64::MAX) {
            return Err(WriteError::TagOutOfRange(dot));
        }
        let slot = self.slot(row)?;
        let held = match &slot.state {
            None => None,
            Some(State::Siblings(held)) => Some(held),
            Some(held) => {
                let kinds = (held.kind(), TableKind::Siblings);
                return Err(MergeError::KindMismatch { held: kinds.0, incoming: kinds.1 }.into());
            }
        };
        let seen = match seen {
            Seen::Context(context) => context,
            Seen::Durable => &slot.durable,
        };
        let above = held.and_then(|held| held.vector().greatest()).max(seen.greatest());
        if let Some(above) = above.filter(|above| above.hlc >= dot.hlc) {
            return Err(WriteError::DotTooLow { dot, seen: above });
        }
        let limit = horizon.limit(held.and_then(|held| held.vector().greatest()).map(|tag| tag.hlc));
        if dot.hlc > limit {
            return Err(WriteError::TagAhead { tag: dot, limit });
        }
        let minted = match held {
            Some(held) => held.written(dot, seen, content.clone()),
            None => Siblings::first(dot, seen, content.clone()),
        };
        check_growth(held, &minted)?;
        let minted = State::Siblings(minted);
        slot.state = Some(minted.clone());
        slot.dirty = true;
        self.hlc_bound = self.hlc_bound.max(horizon.seen(dot.hlc));
        Ok(Written::Minted(minted))
    }

    fn hint(&mut self, target: NodeId, row: &Row, state: &State) -> WriteResult {
        check_size(row.key.len(), Row::KEY_BYTES_MAX)?;
        let key = hints::key(target, row);
        let slot = self.hint_slot(&key)?;
        let merged = match merge(slot.state.as_ref(), state) {
            Ok(Merged::Held) => return Ok(Written::Hints(HintChange::default())),
            Ok(Merged::Joined(joined)) => joined,
            Err(error @ MergeError::EqualTagDifferentBytes(_)) => return Err(error.into()),
            // What else cannot be merged came from different lives of a table: the later word is kept.
            Ok(Merged::Incoming) | Err(_) => state.clone(),
        };
        let bytes = key.len() + record::encode(&key, &merged).len();
        let change =
            HintChange { hints: i64::from(slot.bytes == 0), bytes: bytes as i64 - slot.bytes as i64 };
        *slot = HintSlot { state: Some(merged), bytes, dirty: true };
        Ok(Written::Hints(change))
    }

    fn unhint(&mut self, target: NodeId, row: &Row, given: Option<&Version>) -> WriteResult {
        let slot = self.hint_slot(&hints::key(target, row))?;
        // A damaged one is worth nothing, whatever was given. A sound one that has taken its place is of somebody's write.
        let is_other = slot.state.as_ref().is_some_and(|state| Some(&state.version()) != given);
        if slot.bytes == 0 || is_other {
            return Ok(Written::Hints(HintChange::default()));
        }
        let change = HintChange { hints: -1, bytes: -(slot.bytes as i64) };
        *slot = HintSlot { state: None, bytes: 0, dirty: true };
        Ok(Written::Hints(change))
    }

    /// The newest hint under `key`. A damaged one is as good as none, but takes its room.
    fn hint_slot(&mut self, key: &Bytes) -> Result<&mut HintSlot, WriteError> {
        use std::collections::btree_map::Entry;
        match self.hints.entry(key.clone()) {
            Entry::Occupied(slot) => Ok(slot.into_mut()),
            Entry::Vacant(vacant) => {
                let record = self.engine.get(Space::Hints, key)?;
                let bytes = record.as_ref().map_or(0, |record| key.len() + record.len());
                let state = record.and_then(|record| record::decode(key, record).ok());
                Ok(vacant.insert(HintSlot { state, bytes, dirty: false }))
            }
        }
    }

    /// The newest state of `row`: that of this batch, or what is durable.
    fn slot(&mut self, row: &Row) -> Result<&mut Slot, WriteError> {
        use std::collections::btree_map::Entry;
        match self.slots.entry(row.to_storage_key()) {
            Entry::Occupied(slot) => Ok(slot.into_mut()),
            Entry::Vacant(vacant) => {
                let (state, hash) = match self.recent.get(vacant.key()) {
                    Some(record) => (Some(record.state.clone()), record.hash),
                    None => durable(self.engine, vacant.key())?,
                };
                let durable = match &state {
                    Some(State::Siblings(held)) => held.vector().clone(),
                    _ => VersionVector::new(),
                };
                Ok(vacant.insert(Slot { state, dirty: false, durable, hash: Some(hash) }))
            }
        }
    }

    fn finish(mut self, results: Vec<WriteResult>, (hlc_bound, mut sequence): (Hlc, u64)) -> Staged {
        let mut changes = Vec::with_capacity(self.slots.len());
        let mut changed = Vec::with_capacity(self.slots.len());
        let mut records = Vec::with_capacity(self.slots.len());
        for (key, slot) in self.slots {
            match slot.state {
                _ if !slot.dirty => {}
                Some(state) => {
                    let record = record::encode(&key, &state);
                    let hash = merkle::hash(&key, &record);
                    changes.extend(self.digests.change(&key, slot.hash, hash));
                    changed.extend(Row::sharing(&key).map(|row| (row, Some(state.clone()))));
                    records.push((key.clone(), Some(Remembered { state, hash, bytes: record.len() })));
                    self.batch.put(Space::Data, key, record);
                }
                // A damaged record goes: what it had been counted as nobody knows.
                None => {
                    changes.extend(self.digests.change(&key, None, 0));
                    changed.extend(Row::sharing(&key).map(|row| (row, None)));
                    records.push((key.clone(), None));
                    self.batch.remove(Space::Data, key);
                }
            }
        }
        for (key, slot) in self.hints.into_iter().filter(|(_, slot)| slot.dirty) {
            match slot.state {
                Some(state) => {
                    let record = record::encode(&key, &state);
                    self.batch.put(Space::Hints, key, record);
                }
                None => self.batch.remove(Space::Hints, key),
            }
        }
        if self.hlc_bound > hlc_bound {
            meta::put(&mut self.batch, &MetaWrite::HlcBound(self.hlc_bound));
        }
        let digests = self.digests.stage(changes, &mut self.batch);
        if !self.batch.is_empty() {
            sequence += 1;
            meta::put_sequence(&mut self.batch, sequence);
        }
        Staged {
            batch: self.batch,
            results,
            hlc_bound: self.hlc_bound,
            sequence,
            digests,
            changes: changed,
            records,
        }
    }
}

/// The mistake of [`StoreTerms::blindly`].
#[cfg(feature = "mutants")]
fn admit_blindly(held: Option<&State>, incoming: &State) -> Result<Merged, MergeError> {
    match (held, incoming) {
        (Some(State::Cas(held)), State::Cas(incoming))
            if held.accepted().map(|held| held.ballot) < incoming.accepted().map(|new| new.ballot) =>
        {
            let promised = (held.promised().max(incoming.promised()), incoming.accepted().cloned(), false);
            Ok(Merged::Joined(State::Cas(promised.try_into().expect("ballots in order"))))
        }
        _ => admit(held, incoming),
    }
}

/// What the disk holds under `key`, and its hash, 0 of nothing: known to be what was written only if the record is sound
/// (rule S3).
fn durable(engine: &dyn Engine, key: &Bytes) -> Result<(Option<State>, u64), WriteError> {
    let Some(record) = engine.get(Space::Data, key)? else {
        return Ok((None, 0));
    };
    let state = record::decode(key, record.clone()).map_err(WriteError::Corrupt)?;
    Ok((Some(state), merkle::hash(key, &record)))
}

/// Concurrent writes are bounded in number and in bytes: only growth is refused, so that what merges of
/// replicas have made too many can still be resolved (rule V6).
fn check_growth(held: Option<&Siblings>, minted: &Siblings) -> Result<(), WriteError> {
    let (before, after) = (held.map_or(0, |held| held.siblings().len()), minted.siblings().len());
    let (bytes_before, bytes_after) = (held.map_or(0, Siblings::bytes_len), minted.bytes_len());
    let too_many = after > Siblings::SIBLINGS_MAX && after > before;
    let too_large = bytes_after > State::VALUE_BYTES_MAX && bytes_after > bytes_before;
    match held {
        // Each value is small enough: it is what stands beside it that is too much.
        Some(held) if too_many || too_large && after > 1 => {
            Err(WriteError::TooManySiblings { siblings: before, context: held.vector().clone() })
        }
        _ => check_size(if too_large { bytes_after } else { 0 }, State::VALUE_BYTES_MAX),
    }
}

/// The greatest tag of `state`, if it can be stored under `row` at all.
fn check_state(row: &Row, state: &State) -> Result<Tag, WriteError> {
    check_size(row.key.len(), Row::KEY_BYTES_MAX)?;
    state.values().try_for_each(|value| check_size(value.len(), State::VALUE_BYTES_MAX))?;
    let tag = state.tag();
    if tag.hlc == Hlc(u64::MAX) { Err(WriteError::TagOutOfRange(tag)) } else { Ok(tag) }
}

fn check_size(bytes: usize, bytes_max: usize) -> Result<(), WriteError> {
    if bytes > bytes_max { Err(WriteError::TooLarge { bytes, bytes_max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
