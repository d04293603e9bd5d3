//! What a mock's tables hold, and the clock that it goes by.

use std::{collections::BTreeSet, ops::Bound, time::Duration};

use bytes::Bytes;
use quorate_ring::{
    Actor, Consistency, ConsistencyError, Hlc, NodeId, Table, TableId, TableKind, Tag, Token, WallMicros,
    token_of,
};
use quorate_storage::{
    Committer, Content, HlcClock, Horizon, MemoryEngine, Recovered, Register, Row, Seen, State,
    VersionVector, Write, WriteError, read,
};

use super::{Failure, MEMBERS, cas, catalog::Catalog, sealed};
use crate::{
    client::update::NO_TTL,
    wire::{
        self, Delete, Get, Got, KEY_BYTES_MAX, Put, Receipt, Scan, Scanned, ScannedRow, VALUE_BYTES_MAX,
        VersionedValue, Written,
    },
};

/// One copy of everything, written by the step that a node's commit thread runs.
#[derive(Debug)]
pub(super) struct Data {
    engine: MemoryEngine,
    committer: Committer,
    clock: HlcClock,
    wall: WallMicros,
    /// Everything that was ever written.
    rows: BTreeSet<Row>,
}

/// A key to be read or written, and what its level asks for.
pub(super) struct Place<'c> {
    pub(super) row: Row,
    pub(super) table: &'c Table,
    consistency: Consistency,
    pub(super) required: usize,
}

impl Default for Data {
    fn default() -> Self {
        let mut clock = HlcClock::resume(Hlc::ZERO);
        clock.reserved(Hlc(u64::MAX));
        let committer = Committer::new(&Recovered::default());
        Self { engine: MemoryEngine::new(), committer, clock, wall: START, rows: BTreeSet::new() }
    }
}

impl Data {
    pub(super) fn advance(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.wall = WallMicros(self.wall.0.saturating_add(micros).min(END.0));
    }

    pub(super) fn get(&self, catalog: &Catalog, node: NodeId, get: Get) -> Result<Got, Failure> {
        let Get { table, key, consistency, monotone: _ } = get;
        let place = place(catalog, table, key, consistency, Consistency::required_reads)?;
        let state = self.state(&place.row)?;
        let receipt = place.receipt(catalog, node, state.as_ref().map(State::tag));
        Ok(Got { values: self.values(state.as_ref()), context: place.context(state.as_ref()), receipt })
    }

    pub(super) fn put(&mut self, catalog: &Catalog, node: NodeId, put: Put) -> Result<Written, Failure> {
        let Put { table, key, value, consistency, context, ttl_ms, sloppy } = put;
        check_size(&value)?;
        if let Some(ttl) = ttl_ms.filter(|ttl| !(1..=TTL_MS_MAX).contains(ttl)) {
            return Err(Failure::BadRequest(format!("a TTL of {ttl} ms: 1 ms to 100 years are possible")));
        }
        let place = place(catalog, table, key, consistency, Consistency::required_writes)?;
        place.check_write(context.is_some(), sloppy, ttl_ms.is_some())?;
        let content = |tag: Tag| match ttl_ms {
            None => Content::Value(value),
            Some(ttl) => Content::Expiring { value, expires: Hlc(tag.hlc.0 + (ttl << Hlc::LOGICAL_BITS)) },
        };
        self.write(catalog, node, &place, context, content)
    }

    pub(super) fn delete(
        &mut self,
        catalog: &Catalog,
        node: NodeId,
        delete: Delete,
    ) -> Result<Written, Failure> {
        let Delete { table, key, consistency, context, sloppy } = delete;
        let place = place(catalog, table, key, consistency, Consistency::required_writes)?;
        place.check_write(context.is_some(), sloppy, false)?;
        self.write(catalog, node, &place, context, |_| Content::Tombstone)
    }

    pub(super) fn scan(&self, catalog: &Catalog, node: NodeId, scan: Scan) -> Result<Scanned, Failure> {
        let Scan { table, after, rows_max, consistency, monotone: _ } = scan;
        let table = catalog.table(table)?;
        let required = consistency.required_reads(table.replication);
        let required = required.map_err(|why| Failure::BadRequest(why.to_string()))?;
        let from = match after {
            None => Bound::Included(Row::new(Token::MIN, TableId(0), Bytes::new())),
            Some(cursor) => Bound::Excluded(cursor_row(table, cursor)?),
        };
        let mut left = self.rows.range((from, Bound::Unbounded)).filter(|row| row.table == table.id);
        let looked_at: Vec<_> = left.by_ref().take(rows_max.clamp(1, PAGE_ROWS_MAX) as usize).collect();
        let next =
            left.next().and(looked_at.last()).map(|row| wire::encode_cursor(row.table, row.token, &row.key));
        let mut rows = Vec::new();
        for row in looked_at {
            let state = self.state(row)?;
            let values = self.values(state.as_ref());
            if !values.is_empty() {
                let context = context(table.kind, row, state.as_ref());
                rows.push(ScannedRow { key: row.key.clone(), values, context });
            }
        }
        Ok(Scanned { rows, next, receipt: receipt(catalog, node, table, consistency, required, None) })
    }

    fn write(
        &mut self,
        catalog: &Catalog,
        node: NodeId,
        place: &Place<'_>,
        context: Option<Bytes>,
        content: impl FnOnce(Tag) -> Content,
    ) -> Result<Written, Failure> {
        let seen = match context {
            None => Seen::Durable,
            Some(context) => Seen::Context(sealed::open_context(&place.row, &context)?),
        };
        let dot = self.tick()?;
        self.store(place, dot, seen, content(dot))?;
        let context = match self.state(&place.row)? {
            Some(State::Siblings(state)) if state.siblings().len() == 1 => {
                sealed::context(&place.row, state.vector())
            }
            _ => Bytes::new(),
        };
        Ok(Written { context, receipt: place.receipt(catalog, node, Some(dot)) })
    }

    /// The name of the next write.
    pub(super) fn tick(&mut self) -> Result<Tag, Failure> {
        let hlc = self.clock.tick(self.wall).map_err(|why| Failure::BadRequest(why.to_string()))?;
        Ok(Tag { hlc, actor: ACTOR })
    }

    /// Writes `content` as the table's kind has it.
    pub(super) fn store(
        &mut self,
        place: &Place<'_>,
        dot: Tag,
        seen: Seen,
        content: Content,
    ) -> Result<(), Failure> {
        let row = place.row.clone();
        let write = match place.table.kind {
            TableKind::Siblings => Write::Mint { row, dot, seen, content, horizon: Horizon::default() },
            TableKind::Register => Write::store(row, State::Register(Register { tag: dot, content })),
            TableKind::Cas => Write::store(row, cas::chosen(dot, content)),
        };
        if let Some(Err(error)) = self.committer.run(&self.engine, &[write]).pop() {
            return Err(match error {
                WriteError::TooManySiblings { siblings, context } => Failure::TooManySiblings {
                    siblings: u32::try_from(siblings).unwrap_or(u32::MAX),
                    context: sealed::context(&place.row, &context),
                },
                error => Failure::BadRequest(error.to_string()),
            });
        }
        self.rows.insert(place.row.clone());
        Ok(())
    }

    pub(super) fn state(&self, row: &Row) -> Result<Option<State>, Failure> {
        read(&self.engine, row).map_err(|why| Failure::BadRequest(why.to_string()))
    }

    /// The values that are there now, the oldest write first.
    pub(super) fn values(&self, state: Option<&State>) -> Vec<VersionedValue> {
        let now = self.clock.present(self.wall);
        let there = |(tag, content): (Tag, &Content)| {
            let expires = content.expires();
            let value = content.value().filter(|_| expires.is_none_or(|expires| now < expires))?;
            Some(VersionedValue { value: value.clone(), tag, expires })
        };
        state.into_iter().flat_map(State::contents).filter_map(there).collect()
    }
}

impl Place<'_> {
    fn context(&self, state: Option<&State>) -> Bytes {
        context(self.table.kind, &self.row, state)
    }

    pub(super) fn receipt(&self, catalog: &Catalog, node: NodeId, tag: Option<Tag>) -> Receipt {
        receipt(catalog, node, self.table, self.consistency, self.required, tag)
    }

    /// Refuses what tables of this kind do not take.
    fn check_write(&self, has_context: bool, sloppy: bool, has_ttl: bool) -> Result<(), Failure> {
        let bad = |why: &str| Err(Failure::BadRequest(why.to_owned()));
        match self.table.kind {
            TableKind::Siblings => Ok(()),
            _ if self.consistency == Consistency::Any => {
                bad("ANY is for siblings tables only (rule Q2): use ONE")
            }
            _ if sloppy => bad("SLOPPY is for siblings tables only (rule Q2)"),
            TableKind::Cas if has_context => bad("only siblings tables take a context: use IF"),
            _ if has_context => bad("only siblings tables take a context: here the latest write wins"),
            TableKind::Register => Ok(()),
            TableKind::Cas if has_ttl => bad(NO_TTL),
            TableKind::Cas => cas::check_level(self),
        }
    }
}

pub(super) fn check_size(value: &Bytes) -> Result<(), Failure> {
    let (bytes, bytes_max) = (value.len() as u64, VALUE_BYTES_MAX as u64);
    if bytes > bytes_max { Err(Failure::ValueTooLarge { bytes, bytes_max }) } else { Ok(()) }
}

pub(super) fn place(
    catalog: &Catalog,
    table: TableId,
    key: Bytes,
    consistency: Consistency,
    required: impl FnOnce(Consistency, u8) -> Result<usize, ConsistencyError>,
) -> Result<Place<'_>, Failure> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Failure::KeySize { bytes: key.len() as u64, bytes_max: KEY_BYTES_MAX as u64 });
    }
    let table = catalog.table(table)?;
    let required = required(consistency, table.replication);
    let required = required.map_err(|why| Failure::BadRequest(why.to_string()))?;
    Ok(Place { row: Row::new(token_of(&key), table.id, key), table, consistency, required })
}

/// The place that a cursor of `table` names.
fn cursor_row(table: &Table, cursor: Bytes) -> Result<Row, Failure> {
    let (token, key) = wire::decode_cursor(table.id, cursor)?;
    Ok(Row { token, table: table.id, key })
}

/// What a write that replaces all of `state` must carry; empty in tables without siblings.
fn context(kind: TableKind, row: &Row, state: Option<&State>) -> Bytes {
    match state {
        _ if kind != TableKind::Siblings => Bytes::new(),
        Some(State::Siblings(state)) => sealed::context(row, state.vector()),
        _ => sealed::context(row, &VersionVector::new()),
    }
}

/// The first replicas have answered, as many as the level asks for.
fn receipt(
    catalog: &Catalog,
    coordinator: NodeId,
    table: &Table,
    consistency: Consistency,
    required: usize,
    tag: Option<Tag>,
) -> Receipt {
    let replicas = MEMBERS[..usize::from(table.replication)].to_vec();
    Receipt {
        coordinator,
        epoch: catalog.epoch(),
        consistency,
        answered: replicas[..required].to_vec(),
        replicas,
        tag,
        repaired: false,
        monotone: false,
        rounds: 1,
        reports: Vec::new(),
        hinted: Vec::new(),
        forwarded_by: None,
        operation: None,
        request_id: None,
    }
}

/// The beginning of the year 2026: tests are to see the same every time.
const START: WallMicros = WallMicros(1_767_225_600_000_000);
/// Four hundred years later: far below where clock readings end.
const END: WallMicros = WallMicros(START.0 + 400 * 365 * 24 * 3_600 * 1_000_000);
const TTL_MS_MAX: u64 = 100 * 365 * 24 * 3_600 * 1_000;
const PAGE_ROWS_MAX: u32 = 1_000;
const ACTOR: Actor = Actor(1);
