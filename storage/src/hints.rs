//! Hints: states that other nodes are still to be given (rule H1).
//!
//! A hint lies in [`Space::Hints`] under its target and the row, and is a whole state. A second hint for the same
//! target and row merges into the first, so the hints of a target are at most as many as the keys that it missed,
//! however often they were written.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use bytes::{BufMut, Bytes, BytesMut};
use quorate_ring::NodeId;

use crate::{Engine, EngineError, Row, Space, State, record};

/// How much is waiting for a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HintBacklog {
    /// Hints.
    pub hints: u64,
    /// Bytes of their keys and records.
    pub bytes: u64,
}

/// How a write changed what is waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HintChange {
    /// Hints more, or fewer.
    pub hints: i64,
    /// Bytes more, or fewer.
    pub bytes: i64,
}

impl HintBacklog {
    /// Takes a change in.
    pub fn apply(&mut self, change: HintChange) {
        self.hints = self.hints.saturating_add_signed(change.hints);
        self.bytes = self.bytes.saturating_add_signed(change.bytes);
    }
}

/// Some hints for one target, in the order of their rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HintPage {
    /// What the target is to be given.
    pub hints: Vec<(Row, State)>,
    /// Rows whose hint is damaged: worth nothing any more.
    pub damaged: Vec<Row>,
    /// The row to go on after; `None` at the end.
    pub next: Option<Row>,
}

/// The key of a hint: the target (4 bytes, big-endian), then as the row's own storage key.
pub(crate) fn key(target: NodeId, row: &Row) -> Bytes {
    let row = row.to_storage_key();
    let mut key = BytesMut::with_capacity(TARGET_BYTES + row.len());
    key.put_u32(target.0);
    key.put_slice(&row);
    key.freeze()
}

fn parse_key(key: &[u8]) -> Option<(NodeId, Row)> {
    let (target, row) = key.split_first_chunk::<TARGET_BYTES>()?;
    Some((NodeId(u32::from_be_bytes(*target)), Row::from_storage_key(row)?))
}

/// Hints for `target` after the row `after`: as many as fit into `bytes_max` bytes, but at least one if there
/// are any.
///
/// # Errors
/// Those of the engine. A damaged hint is none: it is reported in its place.
pub fn read_hints(
    engine: &dyn Engine,
    target: NodeId,
    after: Option<&Row>,
    bytes_max: usize,
) -> Result<HintPage, EngineError> {
    let first = target.0.to_be_bytes();
    let mut from = match after {
        Some(row) => Bound::Excluded(key(target, row)),
        None => Bound::Included(Bytes::copy_from_slice(&first)),
    };
    let end = target.0.checked_add(1).map(u32::to_be_bytes);
    let to = || end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
    let (mut page, mut bytes) = (HintPage::default(), 0);
    loop {
        let bound = from.as_ref().map(|key| &key[..]);
        let room = bytes_max.saturating_sub(bytes);
        let records = engine.scan(Space::Hints, bound, to(), SCAN_RECORDS, room)?;
        if records.is_empty() {
            return Ok(page);
        }
        for (key, record) in records {
            if bytes >= bytes_max {
                page.next = page.hints.last().map(|(row, _)| row).max(page.damaged.last()).cloned();
                return Ok(page);
            }
            bytes += key.len() + record.len();
            if let Some((_, row)) = parse_key(&key) {
                match record::decode(&key, record) {
                    Ok(state) => page.hints.push((row, state)),
                    Err(_) => page.damaged.push(row),
                }
            }
            from = Bound::Excluded(key);
        }
    }
}

/// The hints for `target` of those of `rows` that follow the row `after`: as many as fit into `bytes_max` bytes, but at least
/// one if there are any. Each is looked for by itself: the cost is that of the rows, not that of what has been removed between
/// them.
///
/// # Errors
/// Those of the engine. A damaged hint is none: it is reported in its place.
pub fn read_hints_of(
    engine: &dyn Engine,
    target: NodeId,
    rows: &BTreeSet<Row>,
    after: Option<&Row>,
    bytes_max: usize,
) -> Result<HintPage, EngineError> {
    let (mut page, mut bytes, mut last) = (HintPage::default(), 0, after);
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    for row in rows.range((from, Bound::Unbounded)) {
        if bytes >= bytes_max {
            page.next = last.cloned();
            return Ok(page);
        }
        last = Some(row);
        let key = key(target, row);
        if let Some(record) = engine.get(Space::Hints, &key)? {
            bytes += key.len() + record.len();
            match record::decode(&key, record) {
                Ok(state) => page.hints.push((row.clone(), state)),
                Err(_) => page.damaged.push(row.clone()),
            }
        }
    }
    Ok(page)
}

/// What is waiting for each target.
///
/// # Errors
/// Those of the engine.
pub(crate) fn count(engine: &dyn Engine) -> Result<BTreeMap<NodeId, HintBacklog>, EngineError> {
    let mut backlogs = BTreeMap::<NodeId, HintBacklog>::new();
    let mut from = Bound::Unbounded;
    loop {
        let bound = from.as_ref().map(|key: &Bytes| &key[..]);
        let records = engine.scan(Space::Hints, bound, Bound::Unbounded, SCAN_RECORDS, SCAN_BYTES)?;
        for (key, record) in &records {
            if let Some((target, _)) = parse_key(key) {
                let bytes = (key.len() + record.len()) as i64;
                backlogs.entry(target).or_default().apply(HintChange { hints: 1, bytes });
            }
        }
        match records.into_iter().next_back() {
            Some((last, _)) => from = Bound::Excluded(last),
            None => return Ok(backlogs),
        }
    }
}

/// Bytes of a hint's key before those of the row.
const TARGET_BYTES: usize = 4;
/// How many records one scan takes.
const SCAN_RECORDS: usize = 256;
/// After how many bytes one scan ends.
const SCAN_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use quorate_ring::{Actor, Hlc, TableId, Tag, Token};

    use super::*;
    use crate::{
        Committer, Content, MemoryEngine, Recovered, Register, Write, WriteError, WriteResult, Written,
        recover,
    };

    const TARGET: NodeId = NodeId(7);

    fn row(key: u8) -> Row {
        Row::new(Token(i64::from(key) * 1_000 - 50_000), TableId(1), vec![key])
    }

    fn state(hlc: u64) -> State {
        let tag = Tag { hlc: Hlc(hlc), actor: Actor(1) };
        State::Register(Register { tag, content: Content::Value(Bytes::from(hlc.to_string())) })
    }

    fn hint(target: NodeId, key: u8, hlc: u64) -> Write {
        Write::Hint { target, row: row(key), state: state(hlc) }
    }

    fn change(result: &WriteResult) -> HintChange {
        match result {
            Ok(Written::Hints(change)) => *change,
            other => panic!("{other:?}"),
        }
    }

    /// Rule V4.
    #[test]
    fn a_hint_that_contradicts_another_is_refused() {
        let engine = MemoryEngine::new();
        let mut committer = Committer::new(&Recovered::default());
        let tag = Tag { hlc: Hlc(5), actor: Actor(1) };
        let state = State::Register(Register { tag, content: Content::Tombstone });
        let other = Write::Hint { target: TARGET, row: row(1), state };
        let written = committer.run(&engine, &[hint(TARGET, 1, 5), other]);
        assert!(matches!(written[..], [Ok(Written::Hints(_)), Err(WriteError::Merge(_))]), "{written:?}");
        assert_eq!(read_hints(&engine, TARGET, None, 1 << 20).unwrap().hints, [(row(1), self::state(5))]);
    }

    #[test]
    fn hints_of_one_row_merge_and_are_counted_once() {
        let engine = MemoryEngine::new();
        let mut committer = Committer::new(&Recovered::default());
        let results = committer.run(&engine, &[hint(TARGET, 1, 5), hint(TARGET, 1, 15), hint(TARGET, 1, 9)]);
        let mut backlog = HintBacklog::default();
        results.iter().for_each(|result| backlog.apply(change(result)));
        assert_eq!(backlog.hints, 1);
        let page = read_hints(&engine, TARGET, None, 1 << 20).unwrap();
        assert_eq!(page.hints, [(row(1), state(15))]);
        assert_eq!(recover(&engine).unwrap().hints, BTreeMap::from([(TARGET, backlog)]));
    }

    #[test]
    fn what_was_given_is_forgotten_unless_it_has_grown() {
        let engine = MemoryEngine::new();
        let mut committer = Committer::new(&Recovered::default());
        committer.run(&engine, &[hint(TARGET, 1, 5), hint(TARGET, 2, 6)]);
        let given =
            |key, hlc| Write::Unhint { target: TARGET, row: row(key), given: Some(state(hlc).version()) };
        let results = committer.run(&engine, &[hint(TARGET, 2, 8), given(1, 5), given(2, 6), given(3, 1)]);
        assert_eq!(results[1..].iter().map(|r| change(r).hints).collect::<Vec<_>>(), [-1, 0, 0]);
        let page = read_hints(&engine, TARGET, None, 1 << 20).unwrap();
        assert_eq!(page.hints, [(row(2), state(8))]);
        assert_eq!(change(&committer.run(&engine, &[given(2, 8)])[0]).hints, -1);
        assert_eq!(recover(&engine).unwrap().hints, BTreeMap::new());
    }

    #[test]
    fn pages_together_hold_every_hint_of_the_target_and_no_other() {
        let engine = MemoryEngine::new();
        let mut committer = Committer::new(&Recovered::default());
        for key in 0..=255 {
            committer.run(
                &engine,
                &[hint(TARGET, key, 5), hint(NodeId(6), key, 5), hint(NodeId(u32::MAX), key, 5)],
            );
        }
        for (target, bytes_max) in [(TARGET, 1), (TARGET, 500), (TARGET, 1 << 20), (NodeId(u32::MAX), 500)] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = read_hints(&engine, target, after.as_ref(), bytes_max).unwrap();
                found.extend(page.hints.into_iter().map(|(row, _)| row));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, (0..=255).map(row).collect::<Vec<_>>());
        }
    }

    #[test]
    fn single_hints_are_read_in_pages_too() {
        let engine = MemoryEngine::new();
        let mut committer = Committer::new(&Recovered::default());
        for key in 0..100 {
            committer.run(&engine, &[hint(TARGET, key, 5), hint(NodeId(6), key, 5)]);
        }
        assert!(engine.flip_bit(Space::Hints, &super::key(TARGET, &row(10)), 100));
        // Some of which there is no hint.
        let wanted: BTreeSet<_> = (0..=255).step_by(5).map(row).collect();
        for bytes_max in [1, 500, 1 << 20] {
            let (mut found, mut damaged, mut after) = (Vec::new(), Vec::new(), None);
            loop {
                let page = read_hints_of(&engine, TARGET, &wanted, after.as_ref(), bytes_max).unwrap();
                assert!(page.next.is_none() || !page.hints.is_empty() || !page.damaged.is_empty());
                found.extend(page.hints.into_iter().map(|(row, _)| row));
                damaged.extend(page.damaged);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(damaged, [row(10)]);
            assert_eq!(found, (0..100).step_by(5).filter(|key| *key != 10).map(row).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_damaged_hint_is_passed_by() {
        let engine = MemoryEngine::new();
        let mut committer = Committer::new(&Recovered::default());
        committer.run(&engine, &[hint(TARGET, 1, 5), hint(TARGET, 2, 6)]);
        assert!(engine.flip_bit(Space::Hints, &key(TARGET, &row(1)), 100));
        let page = read_hints(&engine, TARGET, None, 1 << 20).unwrap();
        assert_eq!((page.hints, page.damaged), (vec![(row(2), state(6))], vec![row(1)]));
        let results = committer.run(&engine, &[hint(TARGET, 1, 9)]);
        assert_eq!(change(&results[0]).hints, 0, "a new hint takes the place of a damaged one");
        let drop = || Write::Unhint { target: TARGET, row: row(1), given: None };
        let results = committer.run(&engine, &[drop()]);
        assert_eq!(
            change(&results[0]).hints,
            0,
            "it may be the only copy of what was acknowledged since (rule H1)"
        );
        assert_eq!(
            read_hints(&engine, TARGET, None, 1 << 20).unwrap().hints,
            [(row(1), state(9)), (row(2), state(6))]
        );
        assert!(engine.flip_bit(Space::Hints, &key(TARGET, &row(1)), 100));
        assert_eq!(change(&committer.run(&engine, &[drop()])[0]).hints, -1);
        // Damaged after it was given.
        assert!(engine.flip_bit(Space::Hints, &key(TARGET, &row(2)), 100));
        let given = Write::Unhint { target: TARGET, row: row(2), given: Some(state(6).version()) };
        assert_eq!(change(&committer.run(&engine, &[given])[0]).hints, -1);
    }
}
