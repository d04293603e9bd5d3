//! One cluster map per epoch, each a child of the one before; every change of a table that was acknowledged in it, none
//! that was called impossible; nobody serves by less than all others knew when its process started; in the end all nodes go by the same map and have recovered what it holds.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use quorate::{
    membership::map::{ChangeId, ClusterMap, MapError, MapName, MapRecord},
    ring::{Epoch, Incarnation, TableId, Token},
    storage::{MemoryEngine, MetaWrite, recover},
    wire::Outcome,
};

use crate::world::Process;

/// What a disk says of the cluster map and of what is left to be recovered.
#[derive(Debug)]
pub(crate) struct OnDisk {
    pub(crate) record: Option<Arc<MapRecord>>,
    pub(crate) incarnation: Option<Incarnation>,
    left: BTreeMap<TableId, Vec<quorate::ring::TokenRange>>,
}

/// What became of the askings for one change.
#[derive(Debug, Default)]
struct Asked {
    is_applied: bool,
    may_be_applied: bool,
}

/// Maps that somebody holds durably for decided, and what clients were told.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    decided: BTreeMap<Epoch, MapName>,
    /// Which epoch each change made.
    made: BTreeMap<ChangeId, Epoch>,
    newest: Option<Arc<ClusterMap>>,
    asked: BTreeMap<ChangeId, Asked>,
    /// What broke.
    pub(crate) failure: Option<String>,
}

/// Reads what a keeper wrote down. Disks are looked at often, and what is on them seldom changes.
pub(crate) fn record_in(bytes: &Bytes) -> Result<Arc<MapRecord>, MapError> {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<Bytes, Arc<MapRecord>>> = const { RefCell::new(BTreeMap::new()) };
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some(record) = known.get(bytes) {
            return Ok(Arc::clone(record));
        }
        let record = Arc::new(MapRecord::decode(bytes)?);
        if known.len() == KNOWN_MAX {
            known.clear();
        }
        known.insert(bytes.clone(), Arc::clone(&record));
        Ok(record)
    })
}

const KNOWN_MAX: usize = 64;

impl OnDisk {
    pub(crate) fn read(engine: &MemoryEngine) -> Self {
        let recovered = recover(engine).unwrap_or_default();
        Self {
            record: recovered.cluster_map.and_then(|bytes| record_in(&bytes).ok()),
            incarnation: recovered.identity.map(|identity| identity.incarnation),
            left: recovered.recoveries.into_iter().map(|record| (record.table, record.left)).collect(),
        }
    }

    /// The epoch of the map that it holds; 0 for none.
    pub(crate) fn epoch(&self) -> Epoch {
        self.record.as_ref().map_or(Epoch(0), |record| record.map.epoch())
    }

    /// Whether the node does not serve what lies at `token`, because it lost its disk.
    pub(crate) fn has_lost(&self, table: TableId, token: Token) -> bool {
        match self.record.as_ref().and_then(|record| record.named_at) {
            None => true,
            Some(named_at) if table >= named_at => false,
            Some(_) => match self.left.get(&table) {
                Some(left) => left.iter().any(|range| range.contains(token)),
                None => true,
            },
        }
    }

    /// Whether the node has all of the table that it should have.
    pub(crate) fn is_whole(&self, table: TableId) -> bool {
        match self.record.as_ref().and_then(|record| record.named_at) {
            None => false,
            Some(named_at) => table >= named_at || self.left.get(&table).is_some_and(Vec::is_empty),
        }
    }
}

impl Tables {
    /// The map with which the run begins.
    pub(crate) fn begin(&mut self, map: Arc<ClusterMap>) {
        self.decided.insert(map.epoch(), map.name());
        self.newest = Some(map);
    }

    /// A change to a node's own state became durable.
    pub(crate) fn durable(&mut self, node: usize, write: &MetaWrite) {
        if let MetaWrite::ClusterMap(bytes) = write {
            let verdict = match record_in(bytes) {
                Ok(record) => self.decided(&record.map),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = verdict {
                self.failure.get_or_insert(format!("tables: {why}, on n{}", node + 1));
            }
        }
    }

    fn decided(&mut self, map: &Arc<ClusterMap>) -> Result<(), String> {
        let name = map.name();
        match self.decided.get(&name.epoch) {
            Some(known) if *known == name => return Ok(()),
            Some(known) => return Err(format!("two maps at one epoch, {known} and {name}")),
            None => {}
        }
        if let Some(parent) = map.parent()
            && self.decided.get(&parent.epoch).is_some_and(|known| *known != parent)
        {
            return Err(format!("{name} has the parent {parent}, which was not decided"));
        }
        if let Some(id) = map.change()
            && let Some(epoch) = self.made.insert(id, name.epoch)
        {
            return Err(format!("the change {id} was made at {epoch} and at {}", name.epoch));
        }
        self.decided.insert(name.epoch, name);
        if self.newest.as_ref().is_none_or(|newest| newest.epoch() < name.epoch) {
            self.newest = Some(map.clone());
        }
        Ok(())
    }

    /// Whether the newest map says what all nodes are set to.
    pub(crate) fn has_settings(&self) -> bool {
        self.newest.as_ref().is_some_and(|map| !map.settings().is_empty())
    }

    /// A client asks for a change, perhaps once more.
    pub(crate) fn asked(&mut self, id: ChangeId) {
        self.asked.entry(id).or_default();
    }

    /// A client hears what became of it.
    pub(crate) fn ended(&mut self, id: ChangeId, outcome: Outcome) {
        let asked = self.asked.entry(id).or_default();
        asked.is_applied |= outcome == Outcome::Applied;
        asked.may_be_applied |= outcome != Outcome::NotApplied;
    }

    /// Whether every change that was acknowledged has happened, and none that was refused; and whether all nodes go by
    /// the newest map.
    pub(crate) fn check(&self, processes: &[Process]) -> Result<(), String> {
        let newest = self.newest.as_ref().ok_or("tables: there is no map")?;
        for (id, asked) in &self.asked {
            let has_happened = newest.epoch_of(*id).is_some();
            if asked.is_applied && !has_happened {
                return Err(format!("tables: the change {id} was acknowledged and is lost"));
            }
            if !asked.may_be_applied && has_happened {
                return Err(format!("tables: the change {id} was called not applied and has happened"));
            }
        }
        let ids: BTreeSet<_> = newest.tables().map(|table| table.id).collect();
        for (node, process) in processes.iter().enumerate() {
            let disk = OnDisk::read(&process.disk.engine);
            let known = disk.record.as_ref().map(|record| record.map.name());
            if known != Some(newest.name()) {
                return Err(format!("tables: n{} goes by {known:?}, not by {}", node + 1, newest.name()));
            }
            if let Some(id) = ids.iter().find(|id| !disk.is_whole(**id)) {
                return Err(format!("tables: n{} still recovers {id}", node + 1));
            }
        }
        Ok(())
    }
}
