//! Reading ranges of a table page by page, for whoever recovers it (rule R7).

use std::ops::Bound;

use bytes::Bytes;
use quorate_ring::{TableId, Token, TokenRange};

use crate::{Engine, EngineError, RecordError, Row, Space, State, envelope, merkle, record};

/// Some rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T = State> {
    /// Keys and what they hold, in the order of the scan.
    pub states: Vec<(Bytes, T)>,
    /// Keys whose records are damaged (rule S3).
    pub damaged: Vec<Bytes>,
    /// Where the next page goes on; `None` if nothing is left.
    pub next: Option<Row>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { states: Vec::new(), damaged: Vec::new(), next: None }
    }
}

/// The rows of `table` in `ranges`, which share no token, behind the place `after`: range by range, and of one
/// that wraps the upper interval first. A page takes at most [`PAGE_RECORDS_MAX`] steps, a record, of whichever
/// table, being one and the end of an interval [`INTERVAL_STEPS`]; it has at most `bytes_max` bytes, or one
/// longer record. So it may be empty and have a next one.
///
/// # Errors
///
/// [`EngineError::Io`] if the disk does not answer.
pub fn scan(
    engine: &dyn Engine,
    table: TableId,
    ranges: &[TokenRange],
    after: Option<&Row>,
    bytes_max: usize,
) -> Result<Page, EngineError> {
    let state = |key: &Bytes, record: Bytes| {
        let len = record.len();
        Ok((Some(record::decode(key, record)?), len))
    };
    scan_with(engine, table, ranges, after, bytes_max, state)
}

/// As [`scan`], of each row no more than the hash of what it holds: equal states have equal hashes on every node. It may
/// select what is looked at, never decide agreement (rule Q7). A row that holds nothing but a promise is left out.
///
/// # Errors
///
/// As [`scan`].
pub fn scan_hashes(
    engine: &dyn Engine,
    table: TableId,
    ranges: &[TokenRange],
    after: Option<&Row>,
    bytes_max: usize,
) -> Result<Page<u64>, EngineError> {
    let hash = |key: &Bytes, record: Bytes| {
        envelope::open(key, &record)?;
        // What is read is bounded, too, where values are long.
        let hash = merkle::hash(key, &record);
        Ok(((hash != 0).then_some(hash), size_of::<u64>() + record.len() / 8))
    };
    scan_with(engine, table, ranges, after, bytes_max, hash)
}

/// What is made of a record, if anything, and what it takes of a page.
type Made<T> = Result<(Option<T>, usize), RecordError>;

fn scan_with<T>(
    engine: &dyn Engine,
    table: TableId,
    ranges: &[TokenRange],
    after: Option<&Row>,
    bytes_max: usize,
    make: impl Fn(&Bytes, Bytes) -> Made<T>,
) -> Result<Page<T>, EngineError> {
    let mut page = Page::default();
    let mut room = Room { steps: PAGE_RECORDS_MAX, bytes: bytes_max };
    let mut after = after;
    for interval in ranges.iter().flat_map(|range| range.intervals()) {
        let from = match after {
            Some(row) if !interval.contains(&row.token) => continue,
            Some(row) => Bound::Excluded(row.to_storage_key()),
            None => Bound::Included(first_key(*interval.start())),
        };
        // What follows the place is in this interval or the ones behind it.
        after = None;
        let end = *interval.end();
        let to = match end.0.checked_add(1) {
            Some(next) => Bound::Excluded(first_key(Token(next))),
            None => Bound::Unbounded,
        };
        if room.steps == 0 || !scan_interval(engine, table, (from, to), &mut room, &mut page, &make)? {
            return Ok(page);
        }
        room.steps = room.steps.saturating_sub(INTERVAL_STEPS);
        page.next = Some(Row::new(end, TableId(u32::MAX), Bytes::new()));
    }
    page.next = None;
    Ok(page)
}

/// How much more a page may hold.
struct Room {
    steps: usize,
    bytes: usize,
}

/// Scans one interval; false if the page is full before its end.
fn scan_interval<T>(
    engine: &dyn Engine,
    table: TableId,
    (mut from, to): (Bound<Bytes>, Bound<Bytes>),
    room: &mut Room,
    page: &mut Page<T>,
    make: &impl Fn(&Bytes, Bytes) -> Made<T>,
) -> Result<bool, EngineError> {
    while room.steps > 0 {
        let limit = room.steps.min(CHUNK_RECORDS);
        let records = engine.scan(Space::Data, as_slice(&from), as_slice(&to), limit, room.bytes)?;
        let Some((last, _)) = records.last() else {
            return Ok(true);
        };
        from = Bound::Excluded(last.clone());
        for (key, bytes) in records {
            let Some(row) = Row::from_storage_key(&key) else {
                continue;
            };
            let is_first = page.states.is_empty() && page.damaged.is_empty();
            if row.table == table {
                let made = make(&key, bytes);
                let len = key.len() + made.as_ref().map_or(0, |(_, len)| *len) + RECORD_OVERHEAD;
                if len > room.bytes && !is_first {
                    return Ok(false);
                }
                room.bytes = room.bytes.saturating_sub(len);
                match made {
                    Ok((made, _)) => page.states.extend(made.map(|made| (row.key.clone(), made))),
                    Err(_) => page.damaged.push(row.key.clone()),
                }
            }
            room.steps -= 1;
            page.next = Some(row);
        }
    }
    Ok(false)
}

fn first_key(token: Token) -> Bytes {
    Bytes::copy_from_slice(&token.to_ordered_bytes())
}

fn as_slice(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    bound.as_ref().map(|bytes| &bytes[..])
}

/// The most steps of a page.
pub const PAGE_RECORDS_MAX: usize = 4_096;
/// What the end of an interval counts.
pub const INTERVAL_STEPS: usize = 16;
/// Records taken from the engine at a time.
const CHUNK_RECORDS: usize = 256;
/// What a record costs on the wire beside its key and its bytes.
const RECORD_OVERHEAD: usize = 32;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use quorate_ring::{Actor, Hlc, Tag};

    use super::*;
    use crate::{Committer, Content, MemoryEngine, Recovered, Register, Write};

    fn state(len: usize) -> State {
        let tag = Tag { hlc: Hlc(len as u64 + 1), actor: Actor(1) };
        State::Register(Register { tag, content: Content::Value(vec![7; len].into()) })
    }

    fn rows() -> impl Strategy<Value = BTreeMap<Row, usize>> {
        let token = prop_oneof![-4_i64..4, Just(i64::MIN), Just(i64::MAX)];
        let row = (token, 0_u32..3, 0_u8..3)
            .prop_map(|(token, table, key)| Row::new(Token(token), TableId(table), vec![key]));
        proptest::collection::btree_map(row, prop_oneof![4 => 0_usize..50, 1 => 200_usize..400], 0..30)
    }

    proptest! {
        /// The slow obvious twin: every row of the range, by looking at all of them.
        #[test]
        fn pages_give_every_row_of_the_range_once(
            rows in rows(), start in -5_i64..5, end in -5_i64..5, cut in proptest::option::of(-5_i64..5),
            bytes_max in 1_usize..600, damage in 0_usize..40,
        ) {
            let engine = MemoryEngine::new();
            let writes: Vec<_> =
                rows.iter().map(|(row, len)| Write::store(row.clone(), state(*len))).collect();
            Committer::new(&Recovered::default()).run(&engine, &writes);
            let damaged = rows.keys().nth(damage);
            if let Some(row) = damaged {
                engine.flip_bit(Space::Data, &row.to_storage_key(), 77);
            }
            let range = TokenRange::new(Token(start), Token(end));
            let cut = cut.and_then(|cut| range.split(Token(cut)));
            let ranges = cut.map_or(vec![range], |(before, behind)| vec![before, behind]);
            let (mut hashed, mut after) = (Vec::new(), None);
            loop {
                let page = scan_hashes(&engine, TableId(1), &ranges, after.as_ref(), bytes_max).unwrap();
                hashed.extend(page.states.into_iter().map(|(key, _)| key));
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            let (mut found, mut bad, mut after) = (Vec::new(), Vec::new(), None);
            loop {
                let page = scan(&engine, TableId(1), &ranges, after.as_ref(), bytes_max).unwrap();
                let bytes: usize = page.states.iter().map(|(_, state)| state.bytes_len()).sum();
                prop_assert!(bytes <= bytes_max || page.states.len() == 1, "{bytes} bytes in a page");
                found.extend(page.states);
                bad.extend(page.damaged);
                prop_assert!(page.next.is_none() || page.next != after, "no progress");
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            let mut wanted: Vec<_> =
                rows.iter().filter(|(row, _)| row.table == TableId(1) && range.contains(row.token)).collect();
            wanted.sort_by_key(|(row, _)| (row.token <= range.start, *row));
            let is_bad = |row: &Row| Some(row) == damaged;
            let good: Vec<_> = wanted
                .iter()
                .filter(|(row, _)| !is_bad(row))
                .map(|(row, len)| (row.key.clone(), state(**len)))
                .collect();
            prop_assert_eq!(&found, &good);
            prop_assert_eq!(hashed, good.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
            let wanted_bad: Vec<_> =
                wanted.iter().filter(|(row, _)| is_bad(row)).map(|(row, _)| row.key.clone()).collect();
            prop_assert_eq!(bad, wanted_bad);
        }
    }
}
