//! A name has one definition at most, and a table is served by all founders or by none.

use std::collections::{BTreeMap, BTreeSet};

use quorate::{
    ring::{Table, TableId},
    storage::{MetaWrite, TableStage, recover},
};

use crate::world::Process;

/// Tables that some founder serves durably.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    served: BTreeMap<String, Table>,
    acknowledged: BTreeSet<TableId>,
    /// What broke.
    pub(crate) failure: Option<String>,
}

impl Tables {
    /// A change to a node's own state became durable.
    pub(crate) fn durable(&mut self, node: usize, write: &MetaWrite) {
        if let MetaWrite::PutTable(record) = write
            && matches!(record.stage, TableStage::Committed { .. })
        {
            let served = self.served.entry(record.table.name.clone()).or_insert_with(|| record.table.clone());
            if *served != record.table {
                let why = format!("tables: n{} serves {:?}, another {served:?}", node + 1, record.table);
                self.failure.get_or_insert(why);
            }
        }
    }

    /// A client was told that the table is there.
    pub(crate) fn acknowledged(&mut self, table: &Table) -> Result<(), String> {
        self.acknowledged.insert(table.id);
        match self.served.get(&table.name) {
            Some(served) if served == table => Ok(()),
            other => Err(format!("tables: {table:?} was acknowledged, but {other:?} is served")),
        }
    }

    /// Whether every table is served by all, or given up by all, and none is in doubt.
    pub(crate) fn check(&self, processes: &[Process]) -> Result<(), String> {
        let mut served = BTreeMap::<TableId, usize>::new();
        for (node, process) in processes.iter().enumerate() {
            let recovered = recover(&process.disk.engine).map_err(|error| error.to_string())?;
            for record in recovered.tables {
                match record.stage {
                    TableStage::Committed { .. } => *served.entry(record.table.id).or_default() += 1,
                    TableStage::Refused { .. } => {}
                    TableStage::Recovering { .. } => {
                        return Err(format!("tables: n{} still recovers {record:?}", node + 1));
                    }
                    TableStage::Prepared { .. } => {
                        return Err(format!("tables: n{} is still in doubt about {record:?}", node + 1));
                    }
                }
            }
        }
        let partly = served.iter().find(|(_, nodes)| **nodes != processes.len());
        if let Some((id, nodes)) = partly {
            return Err(format!("tables: {id} is served by {nodes} of {} founders", processes.len()));
        }
        match self.acknowledged.iter().find(|id| !served.contains_key(id)) {
            Some(id) => Err(format!("tables: {id} was acknowledged and is served nowhere")),
            None => Ok(()),
        }
    }
}
