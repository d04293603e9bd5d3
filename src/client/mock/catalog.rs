//! A mock's tables.

use std::collections::BTreeMap;

use quorate_ring::{Consistency, Epoch, Table, TableId, TableKind};

use super::{Failure, MEMBERS};
use crate::wire::{
    AlterTable, ChangeName, ClientMessage, CreateTable, DropTable, TableChanged, TableCreated, Tables,
    TruncateTable,
};

#[derive(Debug)]
pub(super) struct Catalog {
    tables: BTreeMap<String, Table>,
    next_id: u32,
    epoch: Epoch,
    /// What was answered to changes that happened: asked for again, they do not happen again.
    done: BTreeMap<u64, ClientMessage>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { tables: BTreeMap::new(), next_id: 1, epoch: Epoch(1), done: BTreeMap::new() }
    }
}

impl Catalog {
    /// Rises with every change.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn table(&self, id: TableId) -> Result<&Table, Failure> {
        let unknown = || Failure::UnknownTable { name: id.to_string() };
        self.tables.values().find(|table| table.id == id).ok_or_else(unknown)
    }

    pub(super) fn list(&self) -> Tables {
        Tables { tables: self.tables.values().cloned().collect() }
    }

    pub(super) fn create(&mut self, create: CreateTable) -> Result<ClientMessage, Failure> {
        let CreateTable { change, name, kind, replication, read_consistency, write_consistency } = create;
        self.change(change, |catalog| {
            let bad = |why: String| Err(Failure::BadRequest(why));
            if !Table::is_valid_name(&name) {
                return bad(format!(
                    "'{name}' is no name for a table: 1 to 64 of a-z, 0-9 and _, and not a digit first"
                ));
            }
            if catalog.tables.contains_key(&name) {
                return Err(Failure::TableExists { name });
            }
            let most = MEMBERS.len() as u8;
            let replication = replication.unwrap_or(most);
            if !(1..=most).contains(&replication) {
                return bad(format!("replication = {replication}: 1 to {most} are possible here"));
            }
            let mut table = Table::new(catalog.new_id(), &name, kind, replication);
            set_levels(&mut table, Some(read_consistency), Some(write_consistency))?;
            catalog.tables.insert(name, table.clone());
            Ok(TableCreated { table }.into())
        })
    }

    pub(super) fn alter(&mut self, alter: AlterTable) -> Result<ClientMessage, Failure> {
        let AlterTable { change, name, read_consistency, write_consistency } = alter;
        self.change(change, |catalog| {
            let table = catalog.named(&name)?;
            set_levels(table, read_consistency, write_consistency)?;
            Ok(TableChanged { table: Some(table.clone()) }.into())
        })
    }

    pub(super) fn drop(&mut self, drop: DropTable) -> Result<ClientMessage, Failure> {
        self.change(drop.change, |catalog| {
            catalog.named(&drop.name)?;
            catalog.tables.remove(&drop.name);
            Ok(TableChanged { table: None }.into())
        })
    }

    /// What was in the table stays where it is, under an id that no table has any more.
    pub(super) fn truncate(&mut self, truncate: TruncateTable) -> Result<ClientMessage, Failure> {
        self.change(truncate.change, |catalog| {
            let id = catalog.new_id();
            let table = catalog.named(&truncate.name)?;
            table.id = id;
            Ok(TableChanged { table: Some(table.clone()) }.into())
        })
    }

    fn change(
        &mut self,
        change: ChangeName,
        how: impl FnOnce(&mut Self) -> Result<ClientMessage, Failure>,
    ) -> Result<ClientMessage, Failure> {
        if let Some(answer) = self.done.get(&change.number) {
            return Ok(answer.clone());
        }
        let answer = how(self)?;
        self.epoch = Epoch(self.epoch.0 + 1);
        self.done.insert(change.number, answer.clone());
        Ok(answer)
    }

    fn named(&mut self, name: &str) -> Result<&mut Table, Failure> {
        self.tables.get_mut(name).ok_or_else(|| Failure::UnknownTable { name: name.to_owned() })
    }

    fn new_id(&mut self) -> TableId {
        self.next_id += 1;
        TableId(self.next_id - 1)
    }
}

/// Whether a write at `level` waits for a quorum, as one of a `cas` table has to.
fn has_quorum(level: Consistency, replication: u8) -> bool {
    level.required_writes(replication).is_ok_and(|required| required > usize::from(replication) / 2)
}

/// Gives a table the levels that are named.
fn set_levels(
    table: &mut Table,
    read: Option<Consistency>,
    write: Option<Consistency>,
) -> Result<(), Failure> {
    let (read, write) = (read.unwrap_or(table.read_consistency), write.unwrap_or(table.write_consistency));
    let replication = table.replication;
    let fits = [
        (read, read.required_reads(replication).is_ok()),
        (write, write.required_writes(replication).is_ok()),
        (write, write != Consistency::Any || table.kind == TableKind::Siblings),
        (write, table.kind != TableKind::Cas || has_quorum(write, replication)),
    ];
    if let Some((level, _)) = fits.into_iter().find(|(_, fits)| !fits) {
        let why = format!("level {level} does not fit a table of {replication} replicas");
        return Err(Failure::BadRequest(why));
    }
    (table.read_consistency, table.write_consistency) = (read, write);
    Ok(())
}
