//! Founding rings, made once per size: placing tokens takes longer than many a run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use quorate::ring::{Founder, Ring, Table};

use crate::world::CLUSTER_NAME;

/// The ring of a cluster of `nodes` founders.
pub(crate) fn of(nodes: u32) -> Arc<Ring> {
    static RINGS: Mutex<BTreeMap<u32, Arc<Ring>>> = Mutex::new(BTreeMap::new());
    let mut rings = RINGS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(rings.entry(nodes).or_insert_with(|| Arc::new(found(nodes))))
}

fn found(nodes: u32) -> Ring {
    let founders: Vec<_> =
        (1..=nodes).map(|n| Founder::new(format!("n{n:03}"), format!("n{n:03}:7000"))).collect();
    let ring = Ring::found(CLUSTER_NAME, &founders).expect("names and addresses differ and are well formed");
    (1..=Table::REPLICATION_MAX.min(5)).for_each(|n| ring.prepare(n));
    ring
}
