//! The side that recovers: which ranges are pulled from whom, and when they count.

use std::collections::BTreeMap;

use quorate_ring::{Actor, Duration, Instant, NodeId, Table, TableId, Token, TokenRange};
use quorate_storage::{MetaWrite, RecoveryRecord, Row, Write, WriteError};

use super::{
    Sources,
    pull::{Pulling, Stage},
    refetch::Refetch,
};
use crate::{
    node::{
        Alarm, DiskOperation, DiskRequest, DiskResult, Effect, Observation, RequestIds, Ticket, Timers, Turn,
    },
    replica,
    wire::{Frame, Header, Pull, PullScope, Pulled, RequestId},
};

/// What this node has to recover, and how far it has come.
///
/// Events: [`look`](Self::look) whenever tables, peers or what peers serve have changed,
/// [`pulled`](Self::pulled), [`peer_down`](Self::peer_down), [`disk_done`](Self::disk_done),
/// [`fire_timers`](Self::fire_timers).
#[derive(Debug)]
pub struct Recovery {
    tables: BTreeMap<TableId, Unfinished>,
    /// By their request ids.
    pulls: BTreeMap<u64, Pulling>,
    request_ids: RequestIds,
    /// When each pull is overdue.
    timers: Timers<u64>,
    /// When whoever could not be pulled from before is tried again.
    retry_at: Option<Instant>,
    /// When the operator is told that nothing comes of it.
    stuck_at: Option<Instant>,
    /// Pulls of each source that failed since the last one that did not.
    failures: BTreeMap<NodeId, u32>,
    /// Single keys whose records are damaged.
    refetch: Refetch,
}

/// A table that is not recovered yet.
#[derive(Debug)]
struct Unfinished {
    /// What is left, by numbers that are not used again.
    parts: BTreeMap<u64, Part>,
    next_part: u64,
    /// Ranges of the table that this node holds.
    total: usize,
    /// Parts without which a record is on its way to the disk.
    saving: Vec<u64>,
}

/// Ranges with the same replicas.
#[derive(Debug)]
struct Part {
    ranges: Vec<TokenRange>,
    sources: Sources,
}

/// What a piece of this room's disk work is for.
#[derive(Clone, Debug)]
pub enum RecoveryTicket {
    /// A state of a page.
    State {
        /// Which pull.
        pull: u64,
        /// Of which key.
        row: Row,
    },
    /// A table's record with fewer ranges left.
    Saved(RecoveryRecord),
    /// A reading that the clock must not fall behind (rule D1).
    Clock,
    /// A copy of a damaged record.
    Quarantined(u64),
    /// What takes the place of a damaged record.
    Restored(u64),
}

impl Recovery {
    /// Nothing is known to be left yet.
    pub fn new(actor: Actor) -> Self {
        Self {
            tables: BTreeMap::new(),
            pulls: BTreeMap::new(),
            request_ids: RequestIds::of(ROOM, actor),
            timers: Timers::default(),
            retry_at: None,
            stuck_at: None,
            failures: BTreeMap::new(),
            refetch: Refetch::new(actor),
        }
    }

    /// Takes up what is left of the tables, and starts what can be started.
    pub fn look(&mut self, turn: &mut Turn<'_>) {
        let recovering = turn.catalog.recovering().map(|(table, left)| (table.clone(), left.to_vec()));
        let recovering: Vec<_> = recovering.collect();
        self.leave_off(|id| recovering.iter().any(|(table, _)| table.id == id));
        for (table, left) in recovering {
            self.take_up(turn, &table, &left);
        }
        let tables: Vec<_> = self.tables.keys().copied().collect();
        tables.into_iter().for_each(|table| self.save(turn, table));
        while self.pulls.len() < PULLS_MAX && self.start_one(turn) {}
        let waits = !self.tables.is_empty();
        self.stuck_at = waits.then(|| self.stuck_at.unwrap_or(turn.now.mono + STUCK_AFTER));
    }

    /// A read or store of `row` met a damaged record (rule S3).
    pub fn damaged(&mut self, turn: &mut Turn<'_>, row: Row) {
        self.refetch.found(turn, row);
    }

    /// A source has answered.
    pub fn pulled(&mut self, turn: &mut Turn<'_>, from: NodeId, header: Header, pulled: Pulled) {
        if Refetch::is_own(header.id) {
            return self.refetch.pulled(turn, from, header.id, pulled);
        }
        let id = header.id.0;
        let asked = |p: &&mut Pulling| p.source == from && matches!(p.stage, Stage::Asked);
        let Some(pulling) = self.pulls.get_mut(&id).filter(asked) else {
            return;
        };
        let Ok(page) = pulled.result else {
            return self.give_up(turn, id);
        };
        self.timers.cancel(pulling.deadline, id);
        // A clock that is ahead of all others must not carry this one along (rule V2).
        let clock = page.clock.min(turn.clock.horizon(turn.now));
        turn.clock.observe(clock);
        #[cfg(feature = "mutants")]
        let page = match turn.config.mutant {
            Some(crate::node::Mutant::CasCopiedWithoutPromise) => without_promises(page),
            _ => page,
        };
        let replication = turn.catalog.table(pulling.table).map_or(0, |table| table.replication);
        let holds = |token| turn.ring.replicas(token, replication).contains(&turn.config.node);
        let (writes, damaged) = pulling.page(page, turn.clock.horizon(turn.now), holds);
        if let Some(table) = self.tables.get_mut(&pulling.table) {
            for token in damaged {
                let parts = pulling.parts.iter().copied();
                table.part_of(parts, token).iter_mut().for_each(|part| part.sources.damaged(from, token));
            }
        }
        write(turn, RecoveryTicket::Clock, Write::Meta(MetaWrite::HlcBound(clock.next())));
        let none = writes.is_empty();
        for store in writes {
            if let Write::Store { row, state, .. } = &store {
                turn.clock.observe_stored(turn.now, state.tag().hlc);
                let ticket = RecoveryTicket::State { pull: id, row: row.clone() };
                write(turn, ticket, store);
            }
        }
        if none {
            self.page_done(turn, id);
        }
    }

    /// A peer is lost: what it was asked for will not come.
    pub fn peer_down(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        let lost: Vec<_> = self.pulls.iter().filter(|(_, p)| p.source == peer).map(|(id, _)| *id).collect();
        lost.into_iter().for_each(|id| self.give_up(turn, id));
        self.look(turn);
    }

    /// The disk is done with something. `Err` if the node must stop; else the record that became durable.
    pub fn disk_done(
        &mut self,
        turn: &mut Turn<'_>,
        ticket: RecoveryTicket,
        result: DiskResult,
    ) -> Result<Option<RecoveryRecord>, String> {
        if let DiskResult::Written(Err(WriteError::Engine(why))) = &result
            && why.is_fatal()
        {
            return Err(why.to_string());
        }
        let has_room = !matches!(result, DiskResult::Written(Err(WriteError::Engine(_))));
        match ticket {
            RecoveryTicket::Clock => {}
            RecoveryTicket::Quarantined(number) => self.refetch.quarantined(turn, number, &result),
            RecoveryTicket::Restored(number) => self.refetch.restored(turn, number, &result),
            RecoveryTicket::State { pull, row } => {
                // A record of this node's own that is damaged already, or contradicts the source's, is refused
                // from now on, and told; the other keys need not wait for it.
                replica::outcome(turn, &row, result)?;
                self.state_done(turn, pull, has_room);
            }
            RecoveryTicket::Saved(record) => {
                if has_room {
                    self.saved(turn, &record);
                    return Ok(Some(record));
                }
                if let Some(table) = self.tables.get_mut(&record.table) {
                    table.saving.clear();
                }
                self.retry_later(turn);
            }
        }
        Ok(None)
    }

    /// Gives up what is overdue, and tries again.
    pub fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        self.refetch.fire_timers(turn);
        while let Some(id) = self.timers.pop_due(turn.now.mono) {
            self.give_up(turn, id);
        }
        if self.retry_at.is_some_and(|at| at <= turn.now.mono) {
            self.retry_at = None;
            self.look(turn);
        }
        if self.stuck_at.is_some_and(|at| at <= turn.now.mono) {
            self.stuck_at = Some(turn.now.mono + STUCK_AFTER);
            for (id, table) in &self.tables {
                let left = table.left().len();
                turn.effects.push(Effect::Alarm(Alarm::RecoveryStuck { table: *id, left }));
            }
        }
    }

    /// When [`Recovery::fire_timers`] is due.
    pub fn next_timer(&self) -> Option<Instant> {
        [self.timers.next(), self.retry_at, self.stuck_at, self.refetch.next_timer()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        self.timers.validate();
        self.refetch.validate();
        assert!(self.pulls.len() <= PULLS_MAX);
        for pull in self.pulls.values() {
            let table = self.tables.get(&pull.table);
            let is_needed = |part: &u64| table.is_some_and(|table| table.parts.contains_key(part));
            assert!(pull.parts.iter().all(is_needed), "nobody needs this pull");
        }
    }

    /// Tables that need no recovery any more, because they are gone.
    fn leave_off(&mut self, is_there: impl Fn(TableId) -> bool) {
        self.tables.retain(|id, _| is_there(*id));
        let Self { pulls, timers, .. } = self;
        pulls.retain(|id, pull| {
            let stays = is_there(pull.table);
            if !stays {
                timers.cancel(pull.deadline, *id);
            }
            stays
        });
    }

    fn take_up(&mut self, turn: &mut Turn<'_>, table: &Table, left: &[TokenRange]) {
        if self.tables.contains_key(&table.id) {
            return;
        }
        let own = turn.config.node;
        let held = turn.ring.replica_sets_of(own, table.replication);
        let total = held.values().map(Vec::len).sum::<usize>().max(left.len());
        let mut sets = BTreeMap::<Vec<NodeId>, Vec<TokenRange>>::new();
        for range in left {
            let others = turn.ring.replicas(range.end, table.replication).iter().filter(|node| **node != own);
            let mut others: Vec<_> = others.copied().collect();
            others.sort_unstable();
            sets.entry(others).or_default().push(*range);
        }
        // Several pulls share the ranges of a small cluster, which all have the same replicas.
        let parts = sets.into_iter().flat_map(|(others, ranges)| {
            let together = ranges.len().div_ceil(PARTS_PER_SET).max(RANGES_PER_PART_MIN);
            let parts = ranges.chunks(together).map(<[_]>::to_vec);
            let sources = Sources::new(others);
            parts.map(move |ranges| Part { ranges, sources: sources.clone() }).collect::<Vec<_>>()
        });
        let parts: BTreeMap<_, _> = (0..).zip(parts).collect();
        let next_part = parts.len() as u64;
        let done = total - left.len();
        self.tables.insert(table.id, Unfinished { parts, next_part, total, saving: Vec::new() });
        turn.effects.push(Effect::Observe(Observation::Recovery { table: table.id, done, total }));
    }

    /// Starts a pull of a part that nobody is pulled for, from a source that is least busy.
    fn start_one(&mut self, turn: &mut Turn<'_>) -> bool {
        let busy = |source: NodeId| self.pulls.values().filter(|p| p.source == source).count();
        let waits = |table: TableId, number: u64, part: &Part| {
            let is_pulled = |p: &Pulling| p.table == table && p.parts.contains(&number);
            !part.sources.is_complete() && !self.pulls.values().any(is_pulled)
        };
        let ready = |source: NodeId, table: TableId, part: &Part| {
            part.sources.candidates().any(|c| c == source)
                && turn.up.serves_all(source, table, &part.ranges)
                && busy(source) < PULLS_PER_SOURCE_MAX
        };
        let next = self.tables.iter().find_map(|(id, table)| {
            table.parts.iter().find_map(|(number, part)| {
                let sources = part.sources.candidates().filter(|source| ready(*source, *id, part));
                let source = sources.min_by_key(|s| (self.failures.get(s), busy(*s)))?;
                waits(*id, *number, part).then_some((*id, part.is_one_token(), source))
            })
        });
        let Some((id, is_one_token, source)) = next else {
            return false;
        };
        let Some(table) = self.tables.get_mut(&id) else {
            return false;
        };
        // A key that is left over waits for its sources to be mended: nothing else is to wait with it.
        let alike = |part: &Part| part.is_one_token() == is_one_token;
        let parts = table.parts.iter().filter(|(n, p)| alike(p) && waits(id, **n, p) && ready(source, id, p));
        let mut parts: Vec<_> = parts.map(|(number, _)| *number).collect();
        // The other pulls are to have something to do as well.
        let most = if is_one_token { 1 } else { parts.len().div_ceil(PULLS_MAX).min(PARTS_PER_PULL) };
        parts.truncate(most);
        for number in &parts {
            table.parts.entry(*number).and_modify(|part| part.sources.begin(source));
        }
        let number = self.request_ids.next().0;
        let deadline = turn.now.mono + PAGE_TIMEOUT;
        let pulling = Pulling { table: id, parts, source, deadline, stage: Stage::Asked };
        self.pulls.insert(number, pulling);
        self.ask(turn, number, None);
        true
    }

    fn ask(&mut self, turn: &mut Turn<'_>, id: u64, after: Option<Row>) {
        let Some(pulling) = self.pulls.get_mut(&id) else {
            return;
        };
        pulling.stage = Stage::Asked;
        pulling.deadline = turn.now.mono + PAGE_TIMEOUT;
        self.timers.set(pulling.deadline, id);
        let table = self.tables.get(&pulling.table);
        let parts = pulling.parts.iter().filter_map(|part| table?.parts.get(part));
        let ranges = parts.flat_map(|part| part.ranges.iter().copied()).collect();
        let header = Header { id: RequestId(id), epoch: turn.epoch, deadline: pulling.deadline };
        let message = Pull { table: pulling.table, scope: PullScope::Ranges { ranges, after } }.into();
        turn.effects.push(Effect::ToPeer { peer: pulling.source, frame: Frame { header, message } });
    }

    fn state_done(&mut self, turn: &mut Turn<'_>, id: u64, durable: bool) {
        let Some(Pulling { stage: Stage::Merging { left, failed, .. }, .. }) = self.pulls.get_mut(&id) else {
            return;
        };
        *left -= 1;
        *failed |= !durable;
        if *left == 0 {
            self.page_done(turn, id);
        }
    }

    /// Every state of the page is durable, or one could not be made so.
    fn page_done(&mut self, turn: &mut Turn<'_>, id: u64) {
        let Some(Pulling { stage: Stage::Merging { failed, next, .. }, .. }) = self.pulls.get_mut(&id) else {
            return;
        };
        if *failed {
            return self.give_up(turn, id);
        }
        if let Some(next) = next.take() {
            // A page is never asked for under the id of an earlier one: a late copy of that is not taken for it.
            let Some(pulling) = self.pulls.remove(&id) else {
                return;
            };
            let number = self.request_ids.next().0;
            self.pulls.insert(number, pulling);
            return self.ask(turn, number, Some(next));
        }
        let Some(Pulling { table, parts, source, .. }) = self.pulls.remove(&id) else {
            return;
        };
        for number in parts {
            let Some(part) = self.tables.get_mut(&table).and_then(|t| t.parts.get_mut(&number)) else {
                continue;
            };
            if part.is_one_token() && part.sources.is_unsure(source) {
                *self.failures.entry(source).or_default() += 1;
                return self.retry_later(turn);
            }
            part.sources.merged(source);
            self.failures.remove(&source);
        }
        self.look(turn);
    }

    /// Records what is left of a table, if that has become less.
    fn save(&mut self, turn: &mut Turn<'_>, id: TableId) {
        let Some(unfinished) = self.tables.get_mut(&id) else {
            return;
        };
        let complete = unfinished.parts.iter().filter(|(_, part)| part.sources.is_complete());
        let complete: Vec<_> = complete.map(|(number, _)| *number).collect();
        if !unfinished.saving.is_empty() || complete.is_empty() {
            return;
        }
        unfinished.saving = complete;
        let record = RecoveryRecord { table: id, left: unfinished.left() };
        write(turn, RecoveryTicket::Saved(record.clone()), Write::Meta(MetaWrite::Recovery(record)));
    }

    /// A record is durable: the parts that it leaves out are recovered.
    fn saved(&mut self, turn: &mut Turn<'_>, record: &RecoveryRecord) {
        let id = record.table;
        let Some(unfinished) = self.tables.get_mut(&id) else {
            return;
        };
        for number in std::mem::take(&mut unfinished.saving) {
            let rest = unfinished.parts.remove(&number).map(|part| part.sources.remainder());
            for (range, sources) in rest.into_iter().flatten() {
                unfinished.parts.insert(unfinished.next_part, Part { ranges: vec![range], sources });
                unfinished.next_part += 1;
            }
        }
        let total = unfinished.total;
        let done = total.saturating_sub(unfinished.parts.values().map(|part| part.ranges.len()).sum());
        turn.effects.push(Effect::Observe(Observation::Recovery { table: id, done, total }));
        if unfinished.parts.is_empty() {
            self.tables.remove(&id);
        }
        self.stuck_at = None;
    }

    /// What a pull was to bring must come from elsewhere, or later.
    fn give_up(&mut self, turn: &Turn<'_>, id: u64) {
        if let Some(pulling) = self.pulls.remove(&id) {
            self.timers.cancel(pulling.deadline, id);
            *self.failures.entry(pulling.source).or_default() += 1;
            self.retry_later(turn);
        }
    }

    fn retry_later(&mut self, turn: &Turn<'_>) {
        self.retry_at = self.retry_at.or(Some(turn.now.mono + RETRY_AFTER));
    }
}

impl Part {
    /// Whether it is what a damaged key left.
    fn is_one_token(&self) -> bool {
        matches!(self.ranges[..], [range] if range.width() == 1)
    }
}

impl Unfinished {
    /// The one of `parts` that has a token.
    fn part_of(&mut self, parts: impl IntoIterator<Item = u64>, token: Token) -> Option<&mut Part> {
        let has_it = |number: &u64| {
            let part = self.parts.get(number);
            part.is_some_and(|part| part.ranges.iter().any(|range| range.contains(token)))
        };
        let number = parts.into_iter().find(has_it)?;
        self.parts.get_mut(&number)
    }

    /// The ranges that are left once the parts that are complete are done with.
    fn left(&self) -> Vec<TokenRange> {
        let left = self.parts.values().flat_map(|part| match part.sources.is_complete() {
            true => part.sources.remainder().into_iter().map(|(range, _)| range).collect(),
            false => part.ranges.clone(),
        });
        left.collect()
    }
}

pub(super) fn write(turn: &mut Turn<'_>, ticket: RecoveryTicket, write: Write) {
    let ticket = Ticket::Recovery(Box::new(ticket));
    let operation = DiskOperation::Write(write);
    turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
}

/// The mistake [`Mutant::CasCopiedWithoutPromise`](crate::node::Mutant::CasCopiedWithoutPromise).
#[cfg(feature = "mutants")]
fn without_promises(mut page: crate::wire::PulledPage) -> crate::wire::PulledPage {
    page.states.iter_mut().for_each(|(_, state)| *state = state.as_message());
    page
}

/// The number of this room; the ids of single keys are of 2.
const ROOM: u64 = 0;
/// Pages under way at a time: with the longest page, a few megabytes at most.
const PULLS_MAX: usize = 4;
const PULLS_PER_SOURCE_MAX: usize = 2;
/// Parts in one pull: a large ring has hundreds of them, most with next to nothing in them. A pull that fails
/// begins all of its parts again.
const PARTS_PER_PULL: usize = 64;
/// Parts into which ranges with the same replicas are divided, so that pulls of them go on side by side, and how many
/// ranges are not worth dividing.
const PARTS_PER_SET: usize = 8;
const RANGES_PER_PART_MIN: usize = 16;
/// A source that has not answered by then is asked again, or another one is.
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Without a range recovered in this time the operator hears of it.
const STUCK_AFTER: Duration = Duration::from_secs(60);
