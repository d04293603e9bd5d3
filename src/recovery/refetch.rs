//! Getting back single keys whose records are damaged (rule S3).
//!
//! A record that fails its checksum is refused: this replica answers no read of the key and takes no store of it, once it has
//! looked. (The commit step may still know what it wrote there, and mend it: then there is nothing to get back.) It
//! is put in quarantine, with a copy, and the key is pulled from the other replicas. Once N-Q+1 of them have said what
//! they hold durably, the merge of that takes the record's place: it has all that a quorum with this replica in it ever
//! acknowledged, by the same count as for a range of a lost disk.
//!
//! The same trap lies here, too. A write w is under way to A, B and C. C acknowledges it, and its record of the key
//! rots. If C asked A and B at once, w might have reached neither, and be acknowledged a moment later by C's old word
//! and B's. Of a lost disk the coordinator would hear; of a record it does not. So C waits until every request that it
//! may have had a part in has ended: then w is either held by Q-1 others, or was not acknowledged. While it waits it
//! has no part in new ones, because it refuses the key.
//!
//! If all of those N-Q+1 hold nothing, nothing takes the place of the record: this replica has the key no more. Absence never
//! beats a value (rules Q6, A2), so here is why that is none of those cases:
//!
//! - A write that was acknowledged by a quorum is held by one of those asked, unless its acknowledgement came later than
//!   their word. If this replica's word was part of it, it came before: its request has ended. If not, a quorum without
//!   this replica holds it, and every other quorum has one of those in it.
//! - A value that a read at QUORUM has shown was held by a quorum before the read answered: the same holds.
//! - What is left is what a lost disk may lose as well: a write that nobody acknowledged, one at ONE whose only copy was
//!   here, one that only a hint holds yet. The hint is a merge and brings its value back.
//! - The value itself is gone already. That the record stays would not bring it back: it would only keep this replica from
//!   serving the key for ever, and with one more replica down, everybody.
//! - Nobody learns of the absence but as of any replica that was never sent a write: it is no tombstone, it covers nothing, and
//!   repair brings back whatever somebody holds. And a record that is sound by then, or that holds something else, is left alone.
//!
//! While it waits, requests for the key are coordinated here as by a node that is no replica of it: siblings are minted by
//! another one.
//!
//! What comes back may lack a dot of this very process: one whose write reached nobody else yet, but whose hint is kept.
//! So siblings of the key are written under another actor from then on ([`Clock::restored`](crate::node::Clock::restored)).

use std::collections::BTreeMap;

use quorate_ring::{Actor, Duration, Instant, NodeId};
use quorate_storage::{Merged, Row, State, Write, Written, merge};

use super::{RecoveryTicket, Sources, recover::write};
use crate::{
    node::{DiskResult, Effect, Observation, RequestIds, Timers, Turn},
    wire::{Frame, Header, Pull, PullScope, Pulled, RequestId},
};

/// The keys that this node gets back.
///
/// Events: [`found`](Self::found), [`pulled`](Self::pulled), [`restored`](Self::restored),
/// [`fire_timers`](Self::fire_timers).
#[derive(Debug)]
pub(super) struct Refetch {
    /// By their request ids.
    keys: BTreeMap<u64, Damaged>,
    request_ids: RequestIds,
    /// When each key goes on.
    timers: Timers<u64>,
}

/// A key whose record is damaged.
#[derive(Debug)]
struct Damaged {
    row: Row,
    stage: Stage,
    /// When it goes on by itself.
    timer: Instant,
    /// How often it has been tried.
    tries: u32,
}

#[derive(Debug)]
enum Stage {
    /// Requests that this replica had a part in may be under way, or the others cannot tell yet.
    Waiting,
    /// The others are asked.
    Asking { sources: Sources, joined: Option<State> },
    /// What they hold is on its way to the disk.
    Restoring,
}

impl Refetch {
    /// No record is known to be damaged.
    pub(super) fn new(actor: Actor) -> Self {
        Self { keys: BTreeMap::new(), request_ids: RequestIds::of(ROOM, actor), timers: Timers::default() }
    }

    /// A read or store of `row` met a damaged record.
    pub(super) fn found(&mut self, turn: &mut Turn<'_>, row: Row) {
        turn.cache.forget(&row);
        if self.keys.len() >= KEYS_MAX || self.keys.values().any(|damaged| damaged.row == row) {
            return;
        }
        let number = self.request_ids.next().0;
        write(turn, RecoveryTicket::Quarantined(number), Write::Quarantine { row: row.clone() });
        let timer = turn.now.mono + wait(turn);
        self.timers.set(timer, number);
        turn.quarantine.insert(row.clone());
        self.keys.insert(number, Damaged { row, stage: Stage::Waiting, timer, tries: 0 });
    }

    /// The disk has looked at the record again. If it is sound by now, a store that was under way has mended it, with all that
    /// it had held: there is nothing to get back, and damage that comes later has a wait of its own. What is not in quarantine for
    /// another reason is found again.
    pub(super) fn quarantined(&mut self, turn: &mut Turn<'_>, number: u64, result: &DiskResult) {
        if matches!(result, DiskResult::Written(Ok(Written::Sound))) {
            self.end(turn, number);
        }
    }

    fn end(&mut self, turn: &mut Turn<'_>, number: u64) -> bool {
        let Some(damaged) = self.keys.remove(&number) else {
            return false;
        };
        self.timers.cancel(damaged.timer, number);
        turn.quarantine.remove(&damaged.row);
        true
    }

    /// Whether the id is that of a pull of this room.
    pub(super) fn is_own(id: RequestId) -> bool {
        RequestIds::are_of(ROOM, id)
    }

    /// Another replica says what it holds.
    pub(super) fn pulled(&mut self, turn: &mut Turn<'_>, from: NodeId, id: RequestId, pulled: Pulled) {
        let number = id.0;
        let Some(damaged) = self.keys.get_mut(&number) else {
            return;
        };
        let Stage::Asking { sources, joined } = &mut damaged.stage else {
            return;
        };
        let Ok(page) = pulled.result else {
            return;
        };
        if !page.damaged.is_empty() || !sources.candidates().any(|source| source == from) {
            return;
        }
        for (_, state) in page.states.into_iter().filter(|(key, _)| *key == damaged.row.key) {
            match merge(joined.as_ref(), &state) {
                Ok(Merged::Incoming) => *joined = Some(state),
                Ok(Merged::Joined(state)) => *joined = Some(state),
                Ok(Merged::Held) => {}
                // Two contents under one version (rule V4): whoever reads the key hears of it.
                Err(_) => return,
            }
        }
        sources.merged(from);
        if sources.is_complete() {
            let state = joined.take();
            if let Some(state) = &state {
                turn.clock.observe_stored(turn.now, state.tag().hlc);
            }
            let clocks = turn.clock.horizon(turn.now);
            let restore = Write::Restore { row: damaged.row.clone(), state, clocks };
            damaged.stage = Stage::Restoring;
            if !turn.clock.restored(&damaged.row) {
                let why = "many records are damaged, and have been replaced by what other replicas hold";
                return turn.effects.push(Effect::Halt(why.to_owned()));
            }
            write(turn, RecoveryTicket::Restored(number), restore);
        }
    }

    /// The disk is done with a restored record. If it had no room the timer tries again.
    pub(super) fn restored(&mut self, turn: &mut Turn<'_>, number: u64, result: &DiskResult) {
        if matches!(result, DiskResult::Written(Ok(_))) && self.end(turn, number) {
            turn.effects.push(Effect::Observe(Observation::Refetched));
        }
    }

    /// Asks whoever can be asked.
    pub(super) fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        while let Some(number) = self.timers.pop_due(turn.now.mono) {
            let Some(damaged) = self.keys.get_mut(&number) else {
                continue;
            };
            let table = turn.catalog.table(damaged.row.table);
            let replication = table.map_or(0, |table| table.replication);
            let own = turn.config.node;
            let replicas = turn.ring.replicas(damaged.row.token, replication);
            let others: Vec<_> = replicas.iter().copied().filter(|node| *node != own).collect();
            // A table that is gone, a range that is another's by now, or N = 1: there is nothing to get, or nobody to ask.
            if others.is_empty() || others.len() == replicas.len() {
                turn.quarantine.remove(&damaged.row);
                self.keys.remove(&number);
                continue;
            }
            damaged.tries += 1;
            let pause = TRY_AGAIN_AFTER * (1 << damaged.tries.min(PAUSE_DOUBLINGS));
            damaged.timer = turn.now.mono + pause;
            damaged.stage = Stage::Asking { sources: Sources::new(others.clone()), joined: None };
            self.timers.set(damaged.timer, number);
            let scope = PullScope::Key(damaged.row.key.clone());
            let pull = Pull { table: damaged.row.table, scope };
            let (id, epoch) = (RequestId(number), turn.ring.epoch());
            let header = Header { id, epoch, deadline: damaged.timer };
            for peer in others.into_iter().filter(|node| turn.up.contains(*node)) {
                let frame = Frame { header, message: pull.clone().into() };
                turn.effects.push(Effect::ToPeer { peer, frame });
            }
        }
    }

    /// When [`Refetch::fire_timers`] is due.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Panics if the state contradicts itself.
    pub(super) fn validate(&self) {
        self.timers.validate();
        assert!(self.keys.len() <= KEYS_MAX);
        assert_eq!(self.timers.count(), self.keys.len(), "every key has a timer");
        for (number, damaged) in &self.keys {
            assert!(self.timers.holds(damaged.timer, *number), "every key has its timer");
        }
    }
}

/// How long requests may be under way that this replica had a part in, be it in an earlier process. The bound is the same on
/// every node: those that have another one are refused as peers. Their coordinators' clocks may run a little slower than
/// this one.
fn wait(turn: &Turn<'_>) -> Duration {
    #[cfg(feature = "mutants")]
    if turn.config.mutant == Some(crate::node::Mutant::RefetchedAtOnce) {
        return Duration::ZERO;
    }
    turn.config.request_timeout_max / 4 * 5
}

/// The number of this room; the ids of recoveries of ranges are of 0.
const ROOM: u64 = 2;
/// Damaged keys under way at a time. A disk with more of them is met again by later reads.
const KEYS_MAX: usize = 1_024;
/// Sources have half of the first pause to answer, and longer each time.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The longest pause is 64 s.
const PAUSE_DOUBLINGS: u32 = 6;
