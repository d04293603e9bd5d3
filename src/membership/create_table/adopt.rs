//! Tables that a peer serves and this node may never have heard of.

use quorate_ring::{NodeId, Table, TableId, Tag, TokenRange};
use quorate_storage::TableStage;

use super::CreateTables;
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::node::{Alarm, Effect, Turn};

impl CreateTables {
    /// A peer tells which tables it serves; which of them this node now knows. Those that it does not know yet
    /// are on their way to the disk.
    pub fn told(&mut self, turn: &mut Turn<'_>, from: NodeId, tables: Vec<(Tag, Table)>) -> Vec<TableId> {
        tables.into_iter().filter_map(|(attempt, table)| self.adopt(turn, from, attempt, table)).collect()
    }

    fn adopt(&mut self, turn: &mut Turn<'_>, from: NodeId, attempt: Tag, table: Table) -> Option<TableId> {
        if self.writing.contains_key(&attempt) {
            return None;
        }
        match turn.catalog.record_of(attempt).map(|record| record.stage.clone()) {
            Some(TableStage::Committed { .. } | TableStage::Recovering { .. }) => return Some(table.id),
            Some(TableStage::Prepared { .. }) => {
                self.write(turn, attempt, &table, TableStage::Committed { attempt });
            }
            Some(TableStage::Refused { .. }) => {
                turn.effects.push(Effect::Alarm(Alarm::TableConflict { table: table.name, node: from }));
            }
            // Two attempts for one name cannot both succeed: this one did, so the other one will be refused.
            None if self.rival_of(turn, &table).is_some() => {}
            None => self.take_on(turn, attempt, &table),
        }
        None
    }

    /// This node was there when the table was created, and has forgotten it: it has lost its state (rule R7).
    fn take_on(&mut self, turn: &mut Turn<'_>, attempt: Tag, table: &Table) {
        #[cfg(feature = "mutants")]
        if turn.config.mutant == Some(Mutant::NoRecovery) {
            return self.write(turn, attempt, table, TableStage::Committed { attempt });
        }
        for record in turn.lives.forget_nothing() {
            crate::membership::remember(turn, &record);
        }
        let held = turn.ring.replica_sets(table.replication).into_iter();
        let held = held.filter(|(nodes, _)| nodes.contains(&turn.config.node));
        let (shared, alone): (Vec<_>, Vec<_>) = held.partition(|(nodes, _)| nodes.len() > 1);
        if !alone.is_empty() {
            turn.effects.push(Effect::Alarm(Alarm::DataLost { table: table.name.clone() }));
        }
        let left: Vec<TokenRange> = shared.into_iter().flat_map(|(_, ranges)| ranges).collect();
        let stage = match left.is_empty() {
            true => TableStage::Committed { attempt },
            false => TableStage::Recovering { attempt, left },
        };
        self.write(turn, attempt, table, stage);
    }
}
