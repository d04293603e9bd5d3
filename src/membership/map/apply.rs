//! From one map to the next.

use std::{collections::BTreeMap, sync::Arc};

use quorate_ring::{Consistency, Epoch, Incarnation, NodeId, RingError, Table, TableId, TableKind};

use super::{Change, ChangeId, ClusterMap, History, MAP_BYTES_MAX, NewTable, Refused, TableOptions};

impl ClusterMap {
    /// The map of the next epoch, with one change. A pure function of the three, so that whoever lost a slot to
    /// another change tries its own on the result.
    ///
    /// # Errors
    /// Why the change does not fit this map. [`Refused::Repeated`] says that it has happened already.
    pub fn apply(&self, id: ChangeId, change: &Change) -> Result<Self, Refused> {
        if let Some(epoch) = self.epoch_of(id) {
            return Err(Refused::Repeated { epoch });
        }
        self.apply_anew(id, change)
    }

    /// [`apply`](Self::apply) without a look at whether the change has happened.
    pub(super) fn apply_anew(&self, id: ChangeId, change: &Change) -> Result<Self, Refused> {
        let (known, oldest) = (self.epoch, self.history.oldest(self.epoch));
        if id.since > known {
            return Err(Refused::Ahead { since: id.since, known });
        }
        if id.since < oldest {
            return Err(Refused::Forgotten { since: id.since, oldest });
        }
        let mut next = self.clone();
        next.parent = Some(self.name());
        next.epoch = Epoch(known.0.checked_add(1).ok_or(Refused::Exhausted)?);
        next.history.push(id);
        next.make(change, self.is_founded())?;
        next.seal().map_err(|bytes| Refused::TooLarge { bytes, bytes_max: MAP_BYTES_MAX })?;
        Ok(next)
    }

    fn make(&mut self, change: &Change, is_founded: bool) -> Result<(), Refused> {
        match change {
            Change::Found { .. } if is_founded => return Err(Refused::Founded),
            Change::Found { lives } => return self.found(lives),
            _ if !is_founded => return Err(Refused::NotFounded),
            Change::CreateTable(table) => self.create_table(table)?,
            Change::AlterTable { name, read_consistency, write_consistency } => {
                self.alter_table(name, *read_consistency, *write_consistency)?;
            }
            Change::DropTable { name } => {
                self.take_table(name)?;
            }
            Change::TruncateTable { name } => {
                let table = self.take_table(name)?;
                self.put_new_table(table)?;
            }
            Change::Join { node, incarnation } => {
                let id = self.ring.layout().next_id;
                if id.0 >= Self::NODE_IDS_MAX {
                    return Err(RingError::Exhausted.into());
                }
                self.ring = Arc::new(self.ring.with_member(node.clone())?);
                self.moved_at = self.epoch;
                self.lives.insert(id, *incarnation);
            }
            Change::Renew { node, lost, incarnation } => self.renew(*node, *lost, *incarnation)?,
            Change::Remove { node } => self.remove(*node)?,
            Change::Settings(settings) => {
                settings.validate()?;
                self.settings = settings.clone();
            }
        }
        Ok(())
    }

    fn found(&mut self, lives: &BTreeMap<NodeId, Incarnation>) -> Result<(), Refused> {
        if !self.members().eq(lives.keys().copied()) {
            return Err(Refused::NotTheFounders);
        }
        self.lives = lives.clone();
        Ok(())
    }

    fn create_table(&mut self, new: &NewTable) -> Result<(), Refused> {
        let NewTable { name, kind, replication, options } = new;
        if !Table::is_valid_name(name) {
            return Err(Refused::BadTableName(name.clone()));
        }
        if self.tables.contains_key(name) {
            return Err(Refused::TableExists(name.clone()));
        }
        if self.tables.len() == Self::TABLES_MAX {
            return Err(Refused::TooManyTables(Self::TABLES_MAX));
        }
        let most = self.ring.members().len().min(usize::from(Table::REPLICATION_MAX)) as u8;
        if !(1..=most).contains(replication) {
            return Err(Refused::BadReplication { replication: *replication, most });
        }
        let mut table = Table::new(self.next_table, name, *kind, *replication);
        set_options(&mut table, *options)?;
        self.put_new_table(table)
    }

    fn alter_table(
        &mut self,
        name: &str,
        reads: Option<Consistency>,
        writes: Option<Consistency>,
    ) -> Result<(), Refused> {
        let tables = Arc::make_mut(&mut self.tables);
        let table = tables.get_mut(name).ok_or_else(|| Refused::NoSuchTable(name.to_owned()))?;
        let options = TableOptions {
            read_consistency: reads.unwrap_or(table.read_consistency),
            write_consistency: writes.unwrap_or(table.write_consistency),
        };
        set_options(table, options)
    }

    fn take_table(&mut self, name: &str) -> Result<Table, Refused> {
        Arc::make_mut(&mut self.tables).remove(name).ok_or_else(|| Refused::NoSuchTable(name.to_owned()))
    }

    /// Puts a table in under an id of its own.
    fn put_new_table(&mut self, table: Table) -> Result<(), Refused> {
        let id = self.next_table;
        self.next_table = TableId(id.0.checked_add(1).ok_or(Refused::Exhausted)?);
        Arc::make_mut(&mut self.tables).insert(table.name.clone(), Table { id, ..table });
        Ok(())
    }

    fn renew(&mut self, node: NodeId, lost: Incarnation, incarnation: Incarnation) -> Result<(), Refused> {
        let life = self.lives.get_mut(&node).ok_or(Refused::NotMember(node))?;
        if *life != lost {
            return Err(Refused::OtherLife { node, known: *life, claimed: lost });
        }
        *life = incarnation;
        Ok(())
    }

    fn remove(&mut self, node: NodeId) -> Result<(), Refused> {
        if !self.is_member(node) {
            return Err(Refused::NotMember(node));
        }
        let left = self.ring.members().len() - 1;
        if let Some(table) = self.tables().find(|table| usize::from(table.replication) > left) {
            let (table, replication) = (table.name.clone(), table.replication);
            return Err(Refused::TooFewLeft { table, replication, left });
        }
        self.ring = Arc::new(self.ring.without_member(node)?);
        self.moved_at = self.epoch;
        self.lives.remove(&node);
        self.removed.insert(node);
        Ok(())
    }
}

/// Refuses default levels that no request could reach.
fn set_options(table: &mut Table, options: TableOptions) -> Result<(), Refused> {
    let TableOptions { read_consistency, write_consistency } = options;
    let replication = table.replication;
    let bad = |level| move |_| Refused::BadLevel { level, replication };
    read_consistency.required_reads(replication).map_err(bad(read_consistency))?;
    let required = write_consistency.required_writes(replication).map_err(bad(write_consistency))?;
    // Rounds are decided by quorums (rule C1).
    if table.kind == TableKind::Cas && required <= usize::from(replication) / 2 {
        return Err(Refused::BadLevel { level: write_consistency, replication });
    }
    if write_consistency == Consistency::Any && table.kind != TableKind::Siblings {
        return Err(Refused::BadLevel { level: write_consistency, replication });
    }
    (table.read_consistency, table.write_consistency) = (read_consistency, write_consistency);
    Ok(())
}

/// Checks of a map that came from elsewhere; [`ClusterMap::apply`] keeps what they ask for.
impl ClusterMap {
    /// Refuses a map that contradicts itself.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), String> {
        let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        let founded = self.is_founded();
        check(self.epoch >= quorate_ring::Layout::FOUNDING_EPOCH, "the epoch is that of no map")?;
        check(
            self.parent.map(|parent| parent.epoch.0) == founded.then(|| self.epoch.0 - 1),
            "the parent is not that of the epoch",
        )?;
        let next_id = self.ring.layout().next_id;
        check(self.moved_at <= self.epoch, "ranges have moved at an epoch that is not yet there")?;
        check(next_id.0 <= Self::NODE_IDS_MAX, "too many node ids were given out")?;
        let mut ids: Vec<_> = self.members().chain(self.removed.iter().copied()).collect();
        ids.sort_unstable();
        check(
            (1..next_id.0).eq(ids.into_iter().map(|id| id.0)),
            "a node id is neither a member's nor removed",
        )?;
        if founded {
            check(self.members().eq(self.lives.keys().copied()), "not every member has a life")?;
        } else {
            check(
                self.lives.is_empty() && self.tables.is_empty(),
                "a founding map holds more than founders",
            )?;
        }
        self.validate_tables()?;
        self.settings.validate().map_err(|refused| refused.to_string())?;
        let changes = (self.epoch.0 - 1).min(History::CHANGES_MAX as u64);
        check(self.history.len() as u64 == changes, "the history has another length")
    }

    fn validate_tables(&self) -> Result<(), String> {
        let members = self.ring.members().len();
        let mut ids: Vec<_> = self.tables().map(|table| table.id).collect();
        ids.sort_unstable();
        let is_sound = |(name, table): (&String, &Table)| {
            let options = TableOptions {
                read_consistency: table.read_consistency,
                write_consistency: table.write_consistency,
            };
            *name == table.name
                && Table::is_valid_name(name)
                && (1..=Table::REPLICATION_MAX).contains(&table.replication)
                && usize::from(table.replication) <= members
                && set_options(&mut table.clone(), options).is_ok()
                && (TableId(1)..self.next_table).contains(&table.id)
        };
        if self.tables.len() > Self::TABLES_MAX
            || !ids.is_sorted_by(|a, b| a < b)
            || !self.tables.iter().all(is_sound)
        {
            return Err("a table is doubled, too many or malformed".to_owned());
        }
        Ok(())
    }
}
