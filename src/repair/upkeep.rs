//! What digests need for themselves: to be rebuilt where they are not known, written down when quiet, and verified.

use quorate_ring::{Duration, Instant};
use quorate_storage::{DigestAnswer, DigestWork, Row, Walked};

use super::{RepairTicket, digest_answer, digests};
use crate::{
    node::{Alarm, DiskResult, Effect, Observation, Turn},
    wire::Scrubbing,
};

/// Work for the digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Cells that are not known are read.
    Rebuild,
    /// All cells are verified, over days.
    Scrub,
    /// What is quiet is written down.
    Settle,
}

/// How much of the records the round of the scrub that is under way sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// It is to begin.
    Due,
    /// All of them, from the first on.
    Whole,
    /// Not all: it began elsewhere, or a piece of it failed.
    Part,
}

/// When each chore is to be done next; never, while it is under way.
#[derive(Debug)]
pub(super) struct Upkeep {
    rebuild: Instant,
    scrub: Instant,
    settle: Instant,
    is_rebuilding: bool,
    /// What the operator was told is left to rebuild.
    cells_left: u64,
    /// How far the scrub is.
    scrubbing: Scrubbing,
    round: Round,
}

impl Default for Upkeep {
    fn default() -> Self {
        let (rebuild, scrub, settle) = (Instant::ZERO, Instant::ZERO, Instant::ZERO);
        Self {
            rebuild,
            scrub,
            settle,
            is_rebuilding: false,
            cells_left: 0,
            scrubbing: Scrubbing::default(),
            round: Round::Due,
        }
    }
}

impl Upkeep {
    /// There is something to rebuild.
    pub(super) fn rebuild(&mut self, now: Instant) {
        if !self.is_rebuilding {
            self.rebuild = self.rebuild.min(now);
        }
    }

    /// All records are verified, from the first one on, as fast as digests are rebuilt.
    pub(super) fn scrub_now(&mut self, now: Instant) {
        self.scrubbing.asked = true;
        self.round = Round::Due;
        // A piece under way is followed by the first.
        if self.scrub < Instant::NEVER {
            self.scrub = now;
        }
    }

    /// How far the scrub is.
    pub(super) fn scrubbing(&self) -> Scrubbing {
        self.scrubbing.clone()
    }

    /// Cells whose digest is not known.
    pub(super) fn cells_left(&self) -> u64 {
        self.cells_left
    }

    pub(super) fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.mono;
        if self.rebuild <= now
            && let Err(at) = turn.budget.take_for_records(now, REBUILD_RECORDS)
        {
            self.rebuild = at;
        }
        if self.rebuild <= now {
            self.rebuild = Instant::NEVER;
            self.is_rebuilding = true;
            let work = DigestWork::Rebuild { records_max: REBUILD_RECORDS };
            digests(turn, RepairTicket::Upkeep(Chore::Rebuild), work);
        }
        if self.scrub <= now
            && let Err(at) = turn.budget.take_for_records(now, SCRUB_RECORDS)
        {
            self.scrub = at;
        }
        if self.scrub <= now {
            self.scrub = Instant::NEVER;
            let from = match (self.round, self.scrubbing.asked) {
                (Round::Due, true) => Some(0),
                // Processes that live shorter than a round begin at different places.
                (Round::Due, false) => Some(turn.lives.own().actor.0 as u32),
                _ => None,
            };
            self.round = match from {
                Some(0) => Round::Whole,
                Some(_) => Round::Part,
                None => self.round,
            };
            let work = DigestWork::Scrub { from, records_max: SCRUB_RECORDS };
            digests(turn, RepairTicket::Upkeep(Chore::Scrub), work);
        }
        if self.settle <= now {
            self.settle = Instant::NEVER;
            digests(turn, RepairTicket::Upkeep(Chore::Settle), DigestWork::Settle { all: false });
        }
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        let next = self.rebuild.min(self.scrub).min(self.settle);
        (next < Instant::NEVER).then_some(next)
    }

    pub(super) fn disk_done(&mut self, turn: &mut Turn<'_>, chore: Chore, result: DiskResult) {
        let now = turn.now.mono;
        let walked = match digest_answer(result) {
            Some(DigestAnswer::Walked(walked)) => Some(walked),
            _ => None,
        };
        match chore {
            Chore::Settle => self.settle = now + SETTLE_EVERY,
            Chore::Scrub => {
                let is_done = walked.is_some();
                match walked {
                    Some(walked) => {
                        self.scrubbed(turn, &walked);
                        self.report(turn, walked);
                    }
                    // What it would have found nobody knows.
                    None if self.scrubbing.asked => self.round = Round::Due,
                    None => self.round = Round::Part,
                }
                let is_hurried = self.scrubbing.asked && is_done;
                self.scrub = now + if is_hurried { REBUILD_EVERY } else { SCRUB_EVERY };
            }
            Chore::Rebuild => {
                self.is_rebuilding = false;
                // A disk that has no room takes nothing down: it is read again later.
                let left = walked.as_ref().map_or(1, |walked| walked.dirty);
                if left > 0 {
                    self.rebuild = self.rebuild.min(now + REBUILD_EVERY);
                }
                if let Some(walked) = walked {
                    self.report(turn, walked);
                }
            }
        }
    }

    fn scrubbed(&mut self, turn: &mut Turn<'_>, walked: &Walked) {
        turn.effects.push(Effect::Observe(Observation::Scrubbed { bytes: walked.bytes as u64 }));
        let Scrubbing { cell, rounds, asked, records, bytes, damaged, .. } = &mut self.scrubbing;
        *records += walked.records as u64;
        *bytes += walked.bytes as u64;
        *damaged += walked.damaged.len() as u64;
        *cell = walked.next.unwrap_or(0);
        if walked.next.is_none() && self.round == Round::Whole {
            *rounds += 1;
            *asked = false;
        }
        // A round that is due was asked for while this piece was under way.
        if walked.next.is_none() && self.round != Round::Due {
            self.round = Round::Whole;
        }
    }

    fn report(&mut self, turn: &mut Turn<'_>, walked: Walked) {
        let Walked { damaged, wrong, dirty, .. } = walked;
        for row in damaged {
            let Row { table, key, .. } = row.clone();
            let (node, reason) = (turn.config.node, "found while records are verified".to_owned());
            turn.effects.push(Effect::Alarm(Alarm::DamagedRecord { table, key, node, reason }));
            turn.damaged.push(row);
        }
        for cell in wrong {
            turn.effects.push(Effect::Alarm(Alarm::WrongDigest { cell }));
        }
        if dirty > 0 {
            self.rebuild(turn.now.mono + REBUILD_EVERY);
        }
        if dirty != self.cells_left {
            self.cells_left = dirty;
            turn.effects.push(Effect::Observe(Observation::DigestsLeft { cells: dirty }));
        }
    }
}

/// Records read at a time while the commit step waits: about half a millisecond.
const REBUILD_RECORDS: usize = 256;
/// With that, some 12,000 records a second.
const REBUILD_EVERY: Duration = Duration::from_millis(20);
/// A million records are verified in an hour, a billion in six weeks.
const SCRUB_RECORDS: usize = 256;
const SCRUB_EVERY: Duration = Duration::from_secs(1);
/// What was not changed for so long is written down.
const SETTLE_EVERY: Duration = Duration::from_secs(10);
