//! At ONE a session reads its own writes for as long as its coordinator lives (the table of promises).
//!
//! The promise is that of a coordinator that is a replica of the key and can use its disk: its own replica is
//! then among those that answered.

use std::collections::BTreeMap;

use quorate::{
    node::ClientId,
    ring::{NodeId, Tag},
    storage::Version,
    wire::Receipt,
};

use super::acknowledged::{covers, shown};

/// The writes that each connection was told of, by key, with the coordinator.
#[derive(Debug, Default)]
pub(crate) struct OwnWrites {
    told: BTreeMap<(ClientId, usize), Vec<(Tag, NodeId)>>,
}

impl OwnWrites {
    /// A write was acknowledged.
    pub(crate) fn wrote(&mut self, connection: ClientId, key: usize, receipt: &Receipt) {
        if let Some(tag) = receipt.tag.filter(|_| answers_itself(receipt)) {
            self.told.entry((connection, key)).or_default().push((tag, receipt.coordinator));
        }
    }

    /// A coordinator has lost its disk, and its life with it.
    pub(crate) fn disk_lost(&mut self, node: NodeId) {
        self.told.values_mut().for_each(|told| told.retain(|(_, coordinator)| *coordinator != node));
    }

    /// A read was answered.
    pub(crate) fn read(
        &self,
        connection: ClientId,
        key: usize,
        receipt: &Receipt,
        version: Option<&Version>,
    ) -> Result<(), String> {
        let told = self.told.get(&(connection, key)).filter(|_| answers_itself(receipt));
        let lacks = |(tag, _): &&(Tag, NodeId)| !version.is_some_and(|version| covers(version, *tag));
        match told.into_iter().flatten().find(lacks) {
            Some((own, _)) => {
                let version = shown(version);
                Err(format!("own writes: a session at ONE wrote {own} and reads {version}"))
            }
            None => Ok(()),
        }
    }
}

fn answers_itself(receipt: &Receipt) -> bool {
    receipt.forwarded_by.is_none() && receipt.answered.contains(&receipt.coordinator)
}
