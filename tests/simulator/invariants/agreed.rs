//! What is said of two replicas that were compared (rule A3): whatever either of them held at the time for which they are
//! said to have agreed, the other one holds by now. Who waits for convergence relies on it.

use std::collections::BTreeMap;

use quorate::{
    ring::{NodeId, Ring, TableId},
    storage::Version,
};

use super::{Key, acknowledged::has_seen, acknowledged::shown};

/// What the replicas of a key have held.
#[derive(Debug)]
pub(crate) struct Held(Vec<Past>);

/// What one replica has held, from which time on, and when its disk was lost last.
#[derive(Clone, Debug, Default)]
struct Past {
    versions: Vec<(u64, Option<Version>)>,
    lost_at: Option<u64>,
}

/// Two nodes are said to have agreed on a table, as replicas of the set of this number, at `at` in true time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreement {
    pub(crate) nodes: (usize, usize),
    pub(crate) table: TableId,
    pub(crate) set: u32,
    pub(crate) at: u64,
}

impl Held {
    pub(crate) fn new(replicas: usize) -> Self {
        Self(vec![Past::default(); replicas])
    }

    /// A replica holds this from now on.
    pub(crate) fn holds(&mut self, place: usize, now: u64, version: Option<Version>) {
        let versions = &mut self.0[place].versions;
        if versions.last().is_none_or(|(_, last)| *last != version) {
            versions.push((now, version));
        }
    }

    /// A replica's disk is another.
    pub(crate) fn lost(&mut self, place: usize, now: u64) {
        self.0[place].lost_at = Some(now);
    }

    fn was_lost_since(&self, place: usize, at: u64) -> bool {
        self.0[place].lost_at.is_some_and(|lost_at| lost_at >= at)
    }

    /// What it held before `at`.
    fn before(&self, place: usize, at: u64) -> Option<&Version> {
        self.0[place].versions.iter().rev().find(|(since, _)| *since < at)?.1.as_ref()
    }

    fn now(&self, place: usize) -> Option<&Version> {
        self.0[place].versions.last()?.1.as_ref()
    }
}

/// The replica sets of a ring, and those that each two nodes share, in the same order.
#[derive(Debug)]
pub(crate) struct ReplicaSets {
    sets: Vec<Vec<usize>>,
    shared: BTreeMap<(usize, usize), Vec<usize>>,
}

impl ReplicaSets {
    pub(crate) fn of(ring: &Ring, replication: u8) -> Self {
        let places = |set: Vec<NodeId>| set.into_iter().map(|node| node.0 as usize - 1).collect();
        let sets: Vec<Vec<usize>> = ring.replica_sets(replication).into_keys().map(places).collect();
        let mut shared = BTreeMap::<_, Vec<_>>::new();
        for (place, set) in sets.iter().enumerate() {
            for (a, b) in set.iter().flat_map(|a| set.iter().map(move |b| (*a, *b))) {
                shared.entry((a, b)).or_default().push(place);
            }
        }
        Self { sets, shared }
    }
}

impl Agreement {
    /// The nodes that hold its keys, in the order of their places.
    pub(crate) fn replicas<'s>(&self, sets: &'s ReplicaSets) -> Option<&'s [usize]> {
        let place = *sets.shared.get(&self.nodes)?.get(self.set as usize)?;
        sets.sets.get(place).map(Vec::as_slice)
    }

    /// Whether it is true of `key`, one of those that its set of nodes holds, if it speaks of its table.
    pub(crate) fn check(&self, key: &Key) -> Result<(), String> {
        if key.row.table != self.table {
            return Ok(());
        }
        let (a, b) = self.nodes;
        for (one, other) in [(a, b), (b, a)] {
            let (Some(here), Some(there)) = (key.place(one), key.place(other)) else {
                continue;
            };
            let (then, now) = (key.held.before(here, self.at), key.held.now(there));
            // A disk that is lost once it was compared is made whole by other means (rule R7).
            if !has_seen(now, then) && !key.held.was_lost_since(there, self.at) {
                return Err(format!(
                    "agreed: n{} and n{} are said to have agreed at {} ns, when n{} held {}; n{} holds {} (key {:?})",
                    a + 1,
                    b + 1,
                    self.at,
                    one + 1,
                    shown(then),
                    other + 1,
                    shown(now),
                    key.row.key,
                ));
            }
        }
        Ok(())
    }
}
