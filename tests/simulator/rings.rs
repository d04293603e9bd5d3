//! Founding rings, made once per size: placing tokens takes longer than many a run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use quorate::{
    membership::{
        map::{ClusterMap, MapRecord},
        synod::Ballot,
    },
    ring::{Founder, Ring, Table, TableId},
    storage::Slicing,
};

use crate::world::CLUSTER_NAME;

/// The ring of a cluster of `nodes` founders.
pub(crate) fn of(nodes: u32) -> Arc<Ring> {
    static RINGS: Mutex<BTreeMap<u32, Arc<Ring>>> = Mutex::new(BTreeMap::new());
    let mut rings = RINGS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(rings.entry(nodes).or_insert_with(|| Arc::new(found(nodes))))
}

/// The cells of that ring.
pub(crate) fn slicing_of(nodes: u32) -> Arc<Slicing> {
    static SLICINGS: Mutex<BTreeMap<u32, Arc<Slicing>>> = Mutex::new(BTreeMap::new());
    let mut slicings = SLICINGS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(slicings.entry(nodes).or_insert_with(|| Arc::new(Slicing::of(&of(nodes)))))
}

/// The map of a founded cluster with the tables that `found` makes for so many replicas, and the record that every
/// disk has of it. `has_cas` tells one such set of tables from the other.
pub(crate) fn founded(
    (nodes, replication, has_cas): (u32, u8, bool),
    found: impl FnOnce() -> Arc<ClusterMap>,
) -> (Arc<ClusterMap>, Bytes) {
    static MAPS: Mutex<Founded> = Mutex::new(BTreeMap::new());
    let mut maps = MAPS.lock().unwrap_or_else(PoisonError::into_inner);
    let founded = maps.entry((nodes, replication, has_cas)).or_insert_with(|| {
        let map = found();
        let (promised, accepted, named_at) = (Ballot::ZERO, None, Some(TableId(1)));
        let record = MapRecord { map: Arc::clone(&map), promised, accepted, named_at };
        (map, record.encode())
    });
    founded.clone()
}

type Founded = BTreeMap<(u32, u8, bool), (Arc<ClusterMap>, Bytes)>;

fn found(nodes: u32) -> Ring {
    let founders: Vec<_> =
        (1..=nodes).map(|n| Founder::new(format!("n{n:03}"), format!("n{n:03}:7000"))).collect();
    let ring = Ring::found(CLUSTER_NAME, &founders).expect("names and addresses differ and are well formed");
    (1..=Table::REPLICATION_MAX.min(5)).for_each(|n| ring.prepare(n));
    ring
}
