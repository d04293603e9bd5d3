//! What dropping and truncating tables does to their keys: once it is acknowledged, nobody who asks at QUORUM or ALL
//! meets what was there; before it is asked for, everybody knows the table.

use std::collections::BTreeMap;

use quorate::{
    membership::map::ChangeId,
    node::ClientId,
    ring::TableId,
    wire::{ClientMessage, Failure, Outcome},
};

use super::Key;
use crate::workload::{Reply, Request};

/// Tables that were to be dropped or truncated.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// By client and time, the tables that a request under way will have ended.
    pub(crate) under_way: BTreeMap<(ClientId, u64), Vec<TableId>>,
    /// The tables that were there when each change was asked for first: asked for again, it ends no later ones.
    at_first: BTreeMap<ChangeId, Vec<TableId>>,
    /// By name, requests whose end is not known, and when the last one ended that is.
    open: BTreeMap<String, (u32, u64)>,
}

impl Changes {
    /// Somebody wants the tables of this name ended: those that are known.
    pub(crate) fn asked(&mut self, id: ChangeId, name: &str, keys: &mut [Key]) -> Vec<TableId> {
        self.open.entry(name.to_owned()).or_default().0 += 1;
        let concerned = keys.iter_mut().filter(|key| key.table_name == name);
        let tables: Vec<_> = concerned
            .map(|key| {
                key.may_be_gone = true;
                key.row.table
            })
            .collect();
        self.at_first.entry(id).or_insert(tables).clone()
    }

    /// What became of it.
    pub(crate) fn ended(
        &mut self,
        name: &str,
        tables: &[TableId],
        reply: &Reply,
        now: u64,
        keys: &mut [Key],
    ) {
        if reply.outcome() == Outcome::Unknown {
            return;
        }
        let (open, last) = self.open.entry(name.to_owned()).or_default();
        *open -= 1;
        *last = now;
        // What is decided need not be in force yet: then the answer is an error that says so.
        let is_in_force = !matches!(reply.answer(), Some(ClientMessage::RequestError(_)) | None);
        if is_in_force {
            for key in keys.iter_mut().filter(|key| tables.contains(&key.row.table)) {
                key.gone_at.get_or_insert(now);
            }
        }
    }

    /// Whether a table of this name that was made by a request of that time may have been ended since.
    pub(crate) fn may_have_ended(&self, name: &str, invoked: u64) -> bool {
        self.open.get(name).is_some_and(|(open, last)| *open > 0 || *last > invoked)
    }

    /// Judges the answer to a request of a key.
    pub(crate) fn judge(&self, key: &Key, request: &Request, reply: &Reply) -> Result<(), String> {
        match reply.answer() {
            Some(ClientMessage::RequestError(error)) => match &error.failure {
                Failure::UnknownTable { name } if !key.may_be_gone => {
                    Err(format!("tables: a node does not know the table {name}, which is there"))
                }
                _ => Ok(()),
            },
            Some(_) if key.options.strict && key.gone_at.is_some_and(|gone| gone < request.invoked) => {
                Err(format!("tables: {} was gone, and is read or written", key.row.table))
            }
            _ => Ok(()),
        }
    }
}
