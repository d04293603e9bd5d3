//! At ONE a session reads its own writes for as long as its coordinator lives (the table of promises).
//!
//! Off unless asked for: a hedged read, or one after the replica that took the write was lost, is answered by
//! another replica today.

use std::collections::BTreeMap;

use quorate::{node::ClientId, ring::Tag};

/// The greatest tag that each connection was told of, by key. A connection ends with its coordinator.
#[derive(Debug)]
pub(crate) struct OwnWrites {
    on: bool,
    told: BTreeMap<(ClientId, usize), Tag>,
}

impl OwnWrites {
    pub(crate) fn new(on: bool) -> Self {
        Self { on, told: BTreeMap::new() }
    }

    /// A write was acknowledged.
    pub(crate) fn wrote(&mut self, connection: ClientId, key: usize, tag: Option<Tag>) {
        if let Some(tag) = tag {
            let known = self.told.entry((connection, key)).or_insert(tag);
            *known = tag.max(*known);
        }
    }

    /// A read was answered.
    pub(crate) fn read(&self, connection: ClientId, key: usize, tag: Option<Tag>) -> Result<(), String> {
        match self.told.get(&(connection, key)) {
            Some(own) if self.on && tag < Some(*own) => {
                let tag = tag.map_or("nothing".to_owned(), |tag| tag.to_string());
                Err(format!("own writes: a session at ONE wrote {own} and reads {tag}"))
            }
            _ => Ok(()),
        }
    }
}
