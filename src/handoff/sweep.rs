//! Looking through what is kept for nodes that do not come back: how old it is, and what has been kept long enough.

use std::{collections::BTreeMap, ops::Bound};

use quorate_ring::{Duration, Instant, NodeId};
use quorate_storage::{HintBacklog, HintPage, Row, State, StoreTerms};

use super::{Forgetting, HintTicket, PAGE_BYTES};
use crate::{
    node::{DiskOperation, DiskRequest, Effect, Observation, Ticket, Turn},
    replica::store_operation,
};

type Backlogs = BTreeMap<NodeId, HintBacklog>;

/// One round after the other over all hints, a page at a time.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// When the next round begins; `None` while one is under way.
    next: Option<Instant>,
    is_under_way: bool,
    tell_at: Instant,
    /// When the oldest hint seen in this round was written, by target.
    seen: BTreeMap<NodeId, u64>,
    /// As of the last round.
    oldest: BTreeMap<NodeId, u64>,
    /// Those that the operator has heard of.
    told: Vec<NodeId>,
}

impl Sweep {
    pub(super) fn fire_timers(&mut self, turn: &mut Turn<'_>, backlogs: &Backlogs) {
        let now = turn.now.mono;
        if self.tell_at <= now {
            self.tell_at = now + TELL_EVERY;
            self.tell(turn, backlogs);
        }
        if !self.is_under_way && *self.next.get_or_insert(now + every(turn)) <= now {
            self.next = None;
            self.is_under_way = true;
            self.go_on(turn, backlogs, Bound::Unbounded);
        }
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.next.into_iter().chain([self.tell_at]).min()
    }

    /// How old the oldest of what is kept for a target is, as of the last round.
    pub(super) fn oldest_age(&self, turn: &Turn<'_>, target: NodeId) -> Option<Duration> {
        let micros = turn.now.wall.0.saturating_sub(*self.oldest.get(&target)?);
        Some(Duration::from_millis(micros / 1_000))
    }

    /// A page for `target` is here, or could not be read.
    pub(super) fn page_read(
        &mut self,
        turn: &mut Turn<'_>,
        target: NodeId,
        page: Option<HintPage>,
        (backlogs, forgetting): (&Backlogs, &mut Forgetting),
    ) {
        let HintPage { hints, damaged, next } = page.unwrap_or_default();
        for row in damaged {
            forgetting.begin(turn, target, row, None);
        }
        let age_max = turn.config.hint_age_max.as_micros() as u64;
        for (row, state) in hints {
            let written = state.tag().hlc.wall().0;
            if turn.catalog.is_retired(row.table) {
                turn.effects.push(Effect::Observe(Observation::HintDropped));
                forgetting.begin(turn, target, row, Some(state.version()));
                continue;
            }
            if written < turn.now.wall.0.saturating_sub(age_max) && is_own(turn, &row) {
                take_over(turn, target, row, state);
                continue;
            }
            self.seen.entry(target).and_modify(|oldest| *oldest = written.min(*oldest)).or_insert(written);
        }
        match next {
            Some(after) => read(turn, target, Some(after)),
            None => self.go_on(turn, backlogs, Bound::Excluded(target)),
        }
    }

    /// Goes on with the next target, or ends the round.
    fn go_on(&mut self, turn: &mut Turn<'_>, backlogs: &Backlogs, from: Bound<NodeId>) {
        let mut targets = backlogs.range((from, Bound::Unbounded)).filter(|(_, backlog)| backlog.hints > 0);
        if let Some((target, _)) = targets.next() {
            return read(turn, *target, None);
        }
        self.oldest = std::mem::take(&mut self.seen);
        self.is_under_way = false;
        self.next = Some(turn.now.mono + every(turn));
    }

    /// Tells what is kept.
    fn tell(&mut self, turn: &mut Turn<'_>, backlogs: &Backlogs) {
        let kept =
            backlogs.iter().filter(|(target, backlog)| backlog.hints > 0 || self.told.contains(target));
        let mut told = Vec::new();
        for (target, backlog) in kept {
            let oldest = self.oldest_age(turn, *target).filter(|_| backlog.hints > 0).unwrap_or_default();
            let kept = Observation::HintsKept { target: *target, backlog: *backlog, oldest };
            turn.effects.push(Effect::Observe(kept));
            told.extend((backlog.hints > 0).then_some(*target));
        }
        self.told = told;
    }
}

/// Whether this node is a replica of the row, and has what it acknowledged of it.
fn is_own(turn: &Turn<'_>, row: &Row) -> bool {
    let own = turn.config.node;
    let Some(table) = turn.catalog.table(row.table) else {
        return false;
    };
    turn.ring.replicas(row.token, table.replication).contains(&own)
        && turn.up.serves(own, table.id, row.token)
}

/// Merges a hint into this node's own records: from there anti-entropy gives it to its target.
fn take_over(turn: &mut Turn<'_>, target: NodeId, row: Row, state: State) {
    turn.clock.observe_stored(turn.now, state.tag().hlc);
    let terms =
        StoreTerms { horizon: turn.clock.horizon_for_peers(turn.now, false), ..StoreTerms::default() };
    let ticket = Ticket::Hint(HintTicket::Own(Box::new((target, row.clone(), state.version()))));
    let operation = store_operation(row, state, terms);
    turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
}

fn read(turn: &mut Turn<'_>, target: NodeId, after: Option<Row>) {
    let operation = DiskOperation::ReadHints { target, rows: None, after, bytes_max: PAGE_BYTES };
    let ticket = Ticket::Hint(HintTicket::Sweep(target));
    turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
}

/// How long after a round the next one begins.
fn every(turn: &Turn<'_>) -> Duration {
    (turn.config.hint_age_max / 36).clamp(Duration::from_secs(1), SWEEP_EVERY_MAX)
}

const SWEEP_EVERY_MAX: Duration = Duration::from_secs(300);
/// How often the operator hears what is kept.
const TELL_EVERY: Duration = Duration::from_secs(1);
