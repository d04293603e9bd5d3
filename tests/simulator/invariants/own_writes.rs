//! At ONE a session reads its own writes for as long as its coordinator lives (the table of promises).
//!
//! The promise is that of a coordinator that is a replica of the key and can use its disk: its own replica is
//! then among those that answered.

use std::collections::BTreeMap;

use quorate::{node::ClientId, ring::Tag, wire::Receipt};

/// The greatest tag that each connection was told of, by key. A connection ends with its coordinator.
#[derive(Debug, Default)]
pub(crate) struct OwnWrites {
    told: BTreeMap<(ClientId, usize), Tag>,
}

impl OwnWrites {
    /// A write was acknowledged.
    pub(crate) fn wrote(&mut self, connection: ClientId, key: usize, receipt: &Receipt) {
        if let Some(tag) = receipt.tag.filter(|_| answers_itself(receipt)) {
            let known = self.told.entry((connection, key)).or_insert(tag);
            *known = tag.max(*known);
        }
    }

    /// A read was answered.
    pub(crate) fn read(&self, connection: ClientId, key: usize, receipt: &Receipt) -> Result<(), String> {
        let tag = receipt.tag;
        match self.told.get(&(connection, key)) {
            Some(own) if answers_itself(receipt) && tag < Some(*own) => {
                let tag = tag.map_or("nothing".to_owned(), |tag| tag.to_string());
                Err(format!("own writes: a session at ONE wrote {own} and reads {tag}"))
            }
            _ => Ok(()),
        }
    }
}

fn answers_itself(receipt: &Receipt) -> bool {
    receipt.answered.contains(&receipt.coordinator)
}
