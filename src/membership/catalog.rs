//! The tables that this node serves: those of the cluster map in use here, less what it has still to recover.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_ring::{Epoch, Layout, NodeId, Ring, Table, TableId, TokenRange};
use quorate_storage::{MetaWrite, RecoveryRecord};

use super::map::ClusterMap;

/// A view of the cluster map, and how far each table of it is recovered (rule R7).
///
/// Which tables are to be recovered follows from the map's record alone, so that nothing else has to become durable
/// with it: a life of this node that a decided map named first when `t7` was the next table to be created was there
/// when t7 and all later ones were; of older tables an earlier life may have held rows. What has been recovered
/// since is on record, table by table.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    map: Option<Arc<ClusterMap>>,
    tables: BTreeMap<TableId, Arc<Table>>,
    /// What is left of tables whose recovery has come some way, durably so.
    recorded: BTreeMap<TableId, Vec<TokenRange>>,
    /// What is left of those that are not recovered.
    left: BTreeMap<TableId, Vec<TokenRange>>,
}

/// What follows from another map.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CatalogNews {
    /// To be made durable.
    pub writes: Vec<MetaWrite>,
    /// Tables of which this node lost keys that no other node had.
    pub lost: Vec<Arc<Table>>,
}

impl Catalog {
    /// No map is in use yet; recovery had come so far.
    pub fn new(recoveries: Vec<RecoveryRecord>) -> Self {
        let recorded = recoveries.into_iter().map(|record| (record.table, record.left)).collect();
        Self { recorded, ..Self::default() }
    }

    /// Goes by `map` from now on. Tables with ids below `named_at` are to be recovered by `node`.
    pub fn install(
        &mut self,
        map: &Arc<ClusterMap>,
        ring: &Ring,
        node: NodeId,
        named_at: Option<TableId>,
    ) -> CatalogNews {
        let mut news = CatalogNews::default();
        let old = std::mem::take(&mut self.tables);
        for table in map.tables() {
            let same = old.get(&table.id).filter(|old| ***old == *table);
            self.tables.insert(table.id, same.cloned().unwrap_or_else(|| Arc::new(table.clone())));
        }
        self.map = Some(map.clone());
        self.left.retain(|id, _| self.tables.contains_key(id));
        let gone: Vec<_> = self.recorded.keys().filter(|id| !self.tables.contains_key(id)).copied().collect();
        for id in gone {
            self.recorded.remove(&id);
            news.writes.push(MetaWrite::ForgetRecovery(id));
        }
        let Some(named_at) = named_at else {
            return news;
        };
        for table in self.tables.range(..named_at).map(|(_, table)| table) {
            match self.recorded.get(&table.id) {
                Some(left) if left.is_empty() => {}
                Some(left) => {
                    self.left.insert(table.id, left.clone());
                }
                None if self.left.contains_key(&table.id) => {}
                None => {
                    let (shared, alone) = held(ring, node, table);
                    if alone {
                        news.lost.push(table.clone());
                    }
                    if shared.is_empty() {
                        news.writes
                            .push(MetaWrite::Recovery(RecoveryRecord { table: table.id, left: shared }));
                    } else {
                        self.left.insert(table.id, shared);
                    }
                }
            }
        }
        news
    }

    /// The epoch of the map in use; that of the founding map if there is none.
    pub fn epoch(&self) -> Epoch {
        self.map.as_ref().map_or(Layout::FOUNDING_EPOCH, |map| map.epoch())
    }

    /// The epoch at which a range changed hands last (rule M3).
    pub fn moved_at(&self) -> Epoch {
        self.map.as_ref().map_or(Layout::FOUNDING_EPOCH, |map| map.moved_at())
    }

    /// The table of this id.
    pub fn table(&self, id: TableId) -> Option<&Arc<Table>> {
        self.tables.get(&id)
    }

    /// Every table, by id.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// Whether a table had this id and has it no more.
    pub fn is_retired(&self, id: TableId) -> bool {
        self.map.as_ref().is_some_and(|map| map.is_retired(id))
    }

    /// The tables that this node recovers, and what is left of each (rule R7).
    pub fn recovering(&self) -> impl Iterator<Item = (&Arc<Table>, &[TokenRange])> {
        self.left.iter().filter_map(|(id, left)| Some((self.tables.get(id)?, &left[..])))
    }

    /// What is left to be recovered, as others are told.
    pub fn left(&self) -> Vec<(TableId, Vec<TokenRange>)> {
        self.left.iter().map(|(id, left)| (*id, left.clone())).collect()
    }

    /// A record of how far a table is recovered is durable.
    pub fn recovered(&mut self, record: RecoveryRecord) {
        let RecoveryRecord { table, left } = record;
        if !self.tables.contains_key(&table) {
            return;
        }
        if left.is_empty() {
            self.left.remove(&table);
        } else {
            self.left.insert(table, left.clone());
        }
        self.recorded.insert(table, left);
    }

    /// Every table counts as recovered, by mistake.
    #[cfg(feature = "mutants")]
    pub fn forget_recovery(&mut self) {
        self.left.clear();
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        let names: BTreeSet<_> = self.tables.values().map(|table| &table.name).collect();
        assert_eq!(names.len(), self.tables.len(), "two tables are served under one name");
        assert!(self.left.values().all(|left| !left.is_empty()), "nothing is left to recover");
        assert!(self.left.keys().all(|id| self.tables.contains_key(id)), "a table is recovered that is gone");
    }
}

/// The ranges of a table that `node` holds together with others, and whether it holds any alone.
fn held(ring: &Ring, node: NodeId, table: &Table) -> (Vec<TokenRange>, bool) {
    let sets = ring.replica_sets_of(node, table.replication).into_iter();
    let (shared, alone): (Vec<_>, Vec<_>) = sets.partition(|(nodes, _)| nodes.len() > 1);
    (shared.into_iter().flat_map(|(_, ranges)| ranges).collect(), !alone.is_empty())
}
