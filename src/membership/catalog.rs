//! The tables that this node knows, as durable on its disk.

use std::collections::BTreeMap;

use quorate_ring::{Instant, Table, TableId, Tag};
use quorate_storage::{MetaWrite, TableRecord, TableStage, Write};

use crate::node::{DiskOperation, DiskRequest, Effect, Effects, Ticket};

/// Table definitions by id, with how far their creation has come on this node.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    records: BTreeMap<TableId, TableRecord>,
}

impl Catalog {
    /// The tables that the data directory holds.
    pub fn new(records: Vec<TableRecord>) -> Self {
        Self { records: records.into_iter().map(|record| (record.table.id, record)).collect() }
    }

    /// The table, to serve a request for it. A table that is only held ready here is served all the
    /// same, and recorded so: a request for it proves that some founder serves it, which happens only after
    /// all founders held it ready.
    pub fn serve(&mut self, id: TableId, effects: &mut Effects) -> Option<Table> {
        let record = self.records.get_mut(&id)?;
        match record.stage {
            TableStage::Committed { .. } => {}
            TableStage::Refused { .. } => return None,
            TableStage::Prepared { attempt, .. } => {
                record.stage = TableStage::Committed { attempt };
                write_table(record.clone(), effects);
            }
        }
        Some(record.table.clone())
    }

    /// The tables that are served, by name.
    pub fn tables(&self) -> Vec<Table> {
        let served = self.records.values().filter(|r| matches!(r.stage, TableStage::Committed { .. }));
        let mut tables: Vec<_> = served.map(|record| record.table.clone()).collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables
    }

    /// The table that an attempt made or would make.
    pub fn record_of(&self, attempt: Tag) -> Option<&TableRecord> {
        self.records.values().find(|record| attempt_of(record) == attempt)
    }

    /// A table, served or held ready, that has this name or this id.
    pub fn rival_of(&self, table: &Table) -> Option<&TableRecord> {
        let takes_place = |r: &&TableRecord| !matches!(r.stage, TableStage::Refused { .. });
        self.records
            .values()
            .filter(takes_place)
            .find(|r| r.table.name == table.name || r.table.id == table.id)
    }

    /// Attempts that this node holds ready without knowing their end.
    pub fn in_doubt(&self) -> impl Iterator<Item = Tag> + '_ {
        self.records.values().filter_map(|record| match record.stage {
            TableStage::Prepared { attempt, .. } => Some(attempt),
            _ => None,
        })
    }

    /// A definition reached the disk.
    pub fn put(&mut self, record: TableRecord) {
        let id = record.table.id;
        // A request may have proved a table served while an older record was on its way to the disk.
        let is_behind = self.records.get(&id).is_some_and(|held| {
            matches!(held.stage, TableStage::Committed { .. })
                && matches!(record.stage, TableStage::Prepared { .. })
                && attempt_of(held) == attempt_of(&record)
        });
        if !is_behind {
            self.records.insert(id, record);
        }
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        let tables = self.tables();
        assert!(
            tables.windows(2).all(|pair| pair[0].name < pair[1].name),
            "two tables are served under one name"
        );
        assert!(self.records.iter().all(|(id, record)| *id == record.table.id));
    }
}

/// The attempt that made a record.
pub(super) fn attempt_of(record: &TableRecord) -> Tag {
    match record.stage {
        TableStage::Prepared { attempt, .. }
        | TableStage::Committed { attempt }
        | TableStage::Refused { attempt } => attempt,
    }
}

/// Makes a record durable; [`Ticket::Table`] brings it back.
pub(super) fn write_table(record: TableRecord, effects: &mut Effects) {
    let operation = DiskOperation::Write(Write::Meta(MetaWrite::PutTable(record.clone())));
    let ticket = Ticket::Table(Box::new(record));
    effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
}
