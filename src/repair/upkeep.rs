//! What digests need for themselves: to be rebuilt where they are not known, written down when quiet, and verified.

use quorate_ring::{Duration, Instant};
use quorate_storage::{DigestAnswer, DigestWork, Row, Walked};

use super::{RepairTicket, digest_answer, digests};
use crate::node::{Alarm, DiskResult, Effect, Observation, Turn};

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

/// When each chore is to be done next; never, while it is under way.
#[derive(Debug)]
pub(super) struct Upkeep {
    rebuild: Instant,
    scrub: Instant,
    settle: Instant,
    is_rebuilding: bool,
    /// Whether the operator was told that there is something to rebuild.
    cells_left: u64,
}

impl Default for Upkeep {
    fn default() -> Self {
        let (rebuild, scrub, settle) = (Instant::ZERO, Instant::ZERO, Instant::ZERO);
        Self { rebuild, scrub, settle, is_rebuilding: false, cells_left: 0 }
    }
}

impl Upkeep {
    /// There is something to rebuild.
    pub(super) fn rebuild(&mut self, now: Instant) {
        if !self.is_rebuilding {
            self.rebuild = self.rebuild.min(now);
        }
    }

    pub(super) fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.mono;
        if self.rebuild <= now {
            self.rebuild = Instant::NEVER;
            self.is_rebuilding = true;
            let work = DigestWork::Rebuild { records_max: REBUILD_RECORDS };
            digests(turn, RepairTicket::Upkeep(Chore::Rebuild), work);
        }
        if self.scrub <= now {
            self.scrub = Instant::NEVER;
            // Processes that live shorter than a round begin at different places.
            let from = turn.lives.own().actor.0 as u32;
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
                self.scrub = now + SCRUB_EVERY;
                if let Some(walked) = walked {
                    turn.effects.push(Effect::Observe(Observation::Scrubbed { bytes: walked.bytes as u64 }));
                    self.report(turn, walked);
                }
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
