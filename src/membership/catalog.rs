//! The tables that this node knows, as durable on its disk.

use std::collections::{BTreeMap, BTreeSet};

use quorate_ring::{Instant, NodeId, Table, TableId, Tag, TokenRange};
use quorate_storage::{MetaWrite, TableRecord, TableStage, Write};

use crate::node::{DiskOperation, DiskRequest, Effect, Effects, Ticket};

/// Table definitions by id, with how far their creation has come on this node.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    records: BTreeMap<TableId, TableRecord>,
    /// While there may be tables that this node has forgotten with its disk: the peers, in doubt themselves, all
    /// of whose tables it knows.
    doubt: Option<BTreeSet<NodeId>>,
}

impl Catalog {
    /// The tables that the data directory holds, and whether those are all that there were: a fresh one may
    /// have held others before it was lost (rule R7).
    pub fn new(records: Vec<TableRecord>, all_known: bool) -> Self {
        let doubt = (!all_known).then(BTreeSet::new);
        Self { records: records.into_iter().map(|record| (record.table.id, record)).collect(), doubt }
    }

    /// Whether nobody can say yet that a table which is not here is nowhere.
    pub fn is_unsure(&self) -> bool {
        self.doubt.is_some()
    }

    /// A peer has told which tables it knows; `sure` if there are no others. Ends this node's doubt once it holds
    /// all those of a peer that is sure, or of enough to be a majority of the `members` with itself, because a
    /// majority never loses its disks at one time. True if that is news.
    pub fn told_all(&mut self, from: NodeId, sure: bool, tables: &[TableId], members: usize) -> bool {
        let knows_them = tables.iter().all(|id| self.records.contains_key(id));
        let Some(doubt) = self.doubt.as_mut().filter(|_| knows_them) else {
            return false;
        };
        doubt.insert(from);
        let ends = sure || (doubt.len() + 1) * 2 > members;
        if ends {
            self.doubt = None;
        }
        ends
    }

    /// The table, to serve a request for it. A table that is only held ready here is served all the
    /// same, and recorded so: a request for it proves that some founder serves it, which happens only after
    /// all founders held it ready.
    pub fn serve(&mut self, id: TableId, effects: &mut Effects) -> Option<Table> {
        let record = self.records.get_mut(&id)?;
        match record.stage {
            TableStage::Committed { .. } | TableStage::Recovering { .. } => {}
            TableStage::Refused { .. } => return None,
            TableStage::Prepared { attempt, .. } => {
                record.stage = TableStage::Committed { attempt };
                write_table(record.clone(), effects);
            }
        }
        Some(record.table.clone())
    }

    /// The tables that are there, by name.
    pub fn tables(&self) -> Vec<Table> {
        let mut tables: Vec<_> = self.there().map(|(_, table)| table.clone()).collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables
    }

    /// The tables that are there, with the attempts that made them, by id.
    pub fn there(&self) -> impl Iterator<Item = (Tag, &Table)> {
        self.records.values().filter(|record| is_there(record)).map(|r| (attempt_of(r), &r.table))
    }

    /// The tables that this node recovers, and what is left of each (rule R7).
    pub fn recovering(&self) -> impl Iterator<Item = (&Table, Tag, &[TokenRange])> {
        self.records.values().filter_map(|record| match &record.stage {
            TableStage::Recovering { attempt, left } => Some((&record.table, *attempt, &left[..])),
            _ => None,
        })
    }

    /// What is left to be recovered, as others are told.
    pub fn left(&self) -> Vec<(TableId, Vec<TokenRange>)> {
        self.recovering().map(|(table, _, left)| (table.id, left.to_vec())).collect()
    }

    /// A table that is there.
    pub fn table(&self, id: TableId) -> Option<&Table> {
        self.records.get(&id).filter(|record| is_there(record)).map(|record| &record.table)
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
            is_there(held)
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
        assert!(self.recovering().all(|(_, _, left)| !left.is_empty()), "nothing is left to recover");
    }
}

/// The attempt that made a record.
pub(super) fn attempt_of(record: &TableRecord) -> Tag {
    match record.stage {
        TableStage::Prepared { attempt, .. }
        | TableStage::Committed { attempt }
        | TableStage::Refused { attempt }
        | TableStage::Recovering { attempt, .. } => attempt,
    }
}

fn is_there(record: &TableRecord) -> bool {
    matches!(record.stage, TableStage::Committed { .. } | TableStage::Recovering { .. })
}

/// Makes a record durable; [`Ticket::Table`] brings it back.
pub(super) fn write_table(record: TableRecord, effects: &mut Effects) {
    let operation = DiskOperation::Write(Write::Meta(MetaWrite::PutTable(record.clone())));
    let ticket = Ticket::Table(Box::new(record));
    effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule R7: of five nodes two may have lost their disks at a time, so three know together what there is.
    #[test]
    fn a_fresh_node_believes_whoever_is_sure_or_a_majority() {
        let told = |words: &[(u32, bool)]| {
            let mut catalog = Catalog::new(Vec::new(), false);
            let ends = words.iter().map(|(from, sure)| catalog.told_all(NodeId(*from), *sure, &[], 5));
            let ended = ends.filter(|ends| *ends).count();
            assert_eq!(ended, usize::from(!catalog.is_unsure()), "it is news once");
            !catalog.is_unsure()
        };
        assert!(!told(&[(2, false), (2, false)]), "one peer twice");
        assert!(told(&[(2, false), (3, false)]));
        assert!(told(&[(2, true)]));
        assert!(told(&[(2, true), (3, true)]));
        let mut catalog = Catalog::new(Vec::new(), false);
        assert!(!catalog.told_all(NodeId(2), true, &[TableId(1)], 5), "a table that it does not know yet");
    }
}
