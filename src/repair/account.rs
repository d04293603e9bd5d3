//! What this room tells of itself: to operators, to metrics, and to who waits for replicas to become equal.

use quorate_ring::{Duration, NodeId, TableId};

use super::{EVERY, Repair};
use crate::{
    node::Turn,
    wire::{Agreed, Scrubbing},
};

impl Repair {
    /// Compares with every peer that is up as soon as it can be. A comparison under way is followed by another, because
    /// what it has looked at already may have changed since.
    pub fn compare_now(&mut self, turn: &Turn<'_>) {
        for peer in self.due.peers().collect::<Vec<_>>() {
            if self.sessions.contains_key(&peer) {
                self.again.insert(peer);
            } else {
                self.due.bring_forward(peer, turn.now.mono);
            }
        }
    }

    /// Verifies all records, from the first one on, without the usual pauses.
    pub fn scrub_now(&mut self, turn: &Turn<'_>) {
        self.upkeep.scrub_now(turn.now.mono);
    }

    /// When this node and each other one last held the same, the longest ago first (rule A3). None while the cells that it
    /// keeps digests of are not those of the ring.
    pub fn agreements(&mut self, turn: &Turn<'_>) -> Option<Vec<Agreed>> {
        if !self.sets.fit(turn.ring) {
            return None;
        }
        let mut agreements = Vec::new();
        for table in turn.catalog.tables() {
            let sets = self.sets.of(turn.ring, table.replication);
            for peer in turn.peers() {
                for (number, set) in sets.shared(peer) {
                    let last = self.agreements.last(peer, table.id, number);
                    let ago_ms = last.map(|last| turn.now.mono.since(last).as_millis() as u64);
                    agreements.push(Agreed { peer, table: table.id, replicas: set.members(), ago_ms });
                }
            }
        }
        agreements.sort_by_key(|agreed| std::cmp::Reverse(agreed.ago_ms.unwrap_or(u64::MAX)));
        agreements.truncate(AGREEMENTS_MAX);
        Some(agreements)
    }

    /// How long ago this node was last found to hold the same as those of its peers that can be reached, all of them
    /// counted; none before it was, and while it reaches nobody.
    pub fn agreed_ago(&mut self, turn: &Turn<'_>) -> Option<Duration> {
        let reached = turn.peers().filter(|peer| turn.up.contains(*peer)).collect::<Vec<_>>();
        let pairs = reached.iter().flat_map(|peer| turn.catalog.tables().map(move |table| (*peer, table.id)));
        let mut ages = pairs.map(|(peer, table)| self.age(turn, peer, table));
        let oldest = ages.try_fold(Duration::ZERO, |oldest, age| Some(oldest.max(age?)));
        oldest.filter(|_| !reached.is_empty())
    }

    /// How far the scrub is.
    pub fn scrubbing(&self) -> Scrubbing {
        Scrubbing { cells: self.sets.slicing().cells(), ..self.upkeep.scrubbing() }
    }

    /// Cells whose digest is not known.
    pub fn cells_unknown(&self) -> u64 {
        self.upkeep.cells_left()
    }

    /// How many records peers were given.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Forgets agreements on tables that are gone.
    pub(super) fn forget_dropped(&mut self, turn: &Turn<'_>) {
        if self.forget_at <= turn.now.mono {
            self.forget_at = turn.now.mono + EVERY;
            self.agreements.retain(|table| turn.catalog.table(table).is_some());
        }
    }

    fn age(&mut self, turn: &Turn<'_>, peer: NodeId, table: TableId) -> Option<Duration> {
        let definition = turn.catalog.table(table).filter(|_| self.sets.fit(turn.ring))?;
        let sets = self.sets.of(turn.ring, definition.replication);
        let numbers = sets.shared(peer).map(|(number, _)| (table, number));
        self.agreements.age(peer, numbers, turn.now.mono)
    }
}

/// Agreements in one answer: some 300 KiB.
const AGREEMENTS_MAX: usize = 10_000;
