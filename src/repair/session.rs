//! One comparison with one peer, from the roots down to keys, driven by the side that began it.

use std::{collections::BTreeSet, ops::Range};

use quorate_ring::{Instant, NodeId, TableId, TokenRange};
use quorate_storage::{DigestAnswer, DigestQuery, DigestWork, Page, Row};

use super::{
    PATIENCE, RETRY_AFTER, RepairTicket, SETTLE,
    agreement::Agreements,
    digest_answer, digests, disk, row, send,
    sets::{ReplicaSet, Sets, parts},
};
#[cfg(feature = "mutants")]
use crate::node::Mutant;
use crate::{
    node::{DiskOperation, DiskResult, Effect, Observation, RequestIds, Scan, Turn},
    wire::{Branch, Compare, CompareKeys, Compared, Comparison, KeysCompared, RequestId},
};

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    stage: Stage,
    /// When it is given up, or goes on.
    timer: Instant,
    /// When it began.
    began_at: Instant,
    /// The sets that are compared.
    sets: BTreeSet<(TableId, u32)>,
    /// Those of them in which something was found, or not known.
    unequal: BTreeSet<(TableId, u32)>,
    /// Branches that differ, or may, to be compared; the last one first, so that few are open at a time.
    pending: Vec<Open>,
    /// Cells that differed a moment ago.
    leaves: Vec<Open>,
    /// Cells that still do: their keys are to be compared.
    confirmed: Vec<Branch>,
    /// Cells that were found to differ.
    differing: u64,
    has_found: bool,
    /// Whether the peer could not say everything.
    is_unsure: bool,
    outcome: Option<Outcome>,
}

/// How a comparison ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Both hold the same.
    Agreed,
    /// They did not, and were given what they lacked.
    Found,
    /// The peer did not answer, or could not say everything.
    Failed,
    /// This node does not know its own digests.
    OwnUnknown,
}

impl Outcome {
    /// Its name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Found => "found",
            Self::Failed | Self::OwnUnknown => "failed",
        }
    }
}

/// A branch to be compared, and what the peer had in it when it was last asked.
#[derive(Clone, Copy, Debug)]
struct Open {
    branch: Branch,
    theirs: Option<u64>,
}

#[derive(Debug)]
enum Stage {
    /// This node's own digests are being looked up. `confirms` if of cells that differed a moment ago.
    Own { batch: Vec<Open>, confirms: bool },
    /// The peer is asked.
    Asked { id: RequestId, branches: Vec<Branch>, confirms: bool },
    /// Writes under way have a moment to arrive.
    Settling,
    /// This node's own keys are being read.
    Scanning { group: Group, after: Option<Row> },
    /// The peer compares them.
    KeysAsked { id: RequestId, group: Group, after: Option<Row> },
    /// Much is on its way to the peer: its acknowledgements set the pace.
    Draining,
}

/// Cells of a table whose keys are compared together.
#[derive(Clone, Debug)]
struct Group {
    table: TableId,
    /// The sets that they are in.
    sets: BTreeSet<u32>,
    ranges: Vec<TokenRange>,
}

/// What surrounds a session while something happens to it.
pub(super) struct Scene<'a, 't> {
    pub(super) peer: NodeId,
    pub(super) sets: &'a mut Sets,
    pub(super) request_ids: &'a mut RequestIds,
    pub(super) agreements: &'a mut Agreements,
    /// States that the peer has still to acknowledge.
    pub(super) backlog: usize,
    /// States that the peer is to be given.
    pub(super) to_give: Vec<Row>,
    pub(super) turn: &'a mut Turn<'t>,
}

impl Session {
    pub(super) fn new(number: u64, now: Instant) -> Self {
        Self {
            number,
            stage: Stage::Draining,
            timer: now + PATIENCE,
            began_at: now,
            sets: BTreeSet::new(),
            unequal: BTreeSet::new(),
            pending: Vec::new(),
            leaves: Vec::new(),
            confirmed: Vec::new(),
            differing: 0,
            has_found: false,
            is_unsure: false,
            outcome: None,
        }
    }

    /// Whether this is its number.
    pub(super) fn is(&self, number: u64) -> bool {
        self.number == number
    }

    /// When [`Session::fire_timers`] is due.
    pub(super) fn timer(&self) -> Instant {
        self.timer
    }

    /// In how many cells the two were found to differ so far, writes under way aside.
    pub(super) fn differing(&self) -> u64 {
        self.differing
    }

    /// How it ended, if it has.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Compares all that the two share: one branch for each table and replica set.
    pub(super) fn begin(&mut self, scene: &mut Scene<'_, '_>) {
        let (own, peer) = (scene.turn.config.node, scene.peer);
        for table in scene.turn.catalog.tables() {
            let sets = scene.sets.of(scene.turn.ring, table.replication);
            for (number, set) in sets.shared(peer) {
                let serves = |node| scene.turn.up.serves_all(node, table.id, &set.ranges);
                if !serves(own) || !serves(peer) {
                    self.is_unsure = true;
                    continue;
                }
                let branch = Branch { table: table.id, set: number, at: 0, span: set.len(), digest: 0 };
                self.sets.insert((table.id, number));
                self.pending.push(Open { branch, theirs: None });
            }
        }
        self.advance(scene);
    }

    /// The disk has read this node's digests, or its keys.
    pub(super) fn disk_done(&mut self, scene: &mut Scene<'_, '_>, result: DiskResult) {
        match (std::mem::replace(&mut self.stage, Stage::Draining), result) {
            (Stage::Own { batch, confirms }, result) => {
                let Some(DigestAnswer::Compared(own)) = digest_answer(result) else {
                    return self.end(Outcome::Failed);
                };
                self.own_read(scene, batch, confirms, &own);
            }
            (Stage::Scanning { group, after }, DiskResult::Hashed(Ok(page))) => {
                self.scanned(scene, group, after, page);
            }
            (Stage::Scanning { .. }, _) => self.end(Outcome::Failed),
            (stage, _) => self.stage = stage,
        }
    }

    /// The peer says what its records add up to.
    pub(super) fn compared(&mut self, scene: &mut Scene<'_, '_>, id: RequestId, compared: Compared) {
        let Stage::Asked { id: asked, branches, confirms } = &mut self.stage else {
            return;
        };
        if id != *asked {
            return;
        }
        let (branches, confirms) = (std::mem::take(branches), *confirms);
        if compared.comparisons.len() != branches.len() {
            return self.end(Outcome::Failed);
        }
        for (branch, comparison) in branches.into_iter().zip(compared.comparisons) {
            match comparison {
                Comparison::Same => {}
                Comparison::Unknown => {
                    self.is_unsure = true;
                    self.unequal.insert((branch.table, branch.set));
                }
                Comparison::Differs(_) if branch.span == 1 && confirms => {
                    self.differing += 1;
                    self.confirmed.push(branch);
                }
                Comparison::Differs(_) if branch.span == 1 => self.leaves.push(Open { branch, theirs: None }),
                Comparison::Differs(theirs) => {
                    if parts(branch.at, branch.span).count() != theirs.len() {
                        return self.end(Outcome::Failed);
                    }
                    self.open(scene, branch, theirs);
                }
            }
        }
        self.advance(scene);
    }

    /// The peer has something else in a branch, in these parts of it.
    fn open(&mut self, scene: &mut Scene<'_, '_>, branch: Branch, theirs: Vec<u64>) {
        let (own, peer) = (scene.turn.config.node, scene.peer);
        let Some((order, len)) = scene.set(&branch, |set| (set.order(own, peer), set.len())) else {
            return;
        };
        let parts = parts(branch.at, branch.span).zip(theirs);
        let open =
            |((at, span), theirs)| Open { branch: Branch { at, span, ..branch }, theirs: Some(theirs) };
        let mut parts: Vec<_> = parts.map(open).collect();
        order.stack(branch.span == len, &mut parts);
        self.pending.extend(parts);
    }

    /// The peer says which keys it wants.
    pub(super) fn keys_compared(&mut self, scene: &mut Scene<'_, '_>, id: RequestId, answer: KeysCompared) {
        let Stage::KeysAsked { id: asked, group, after } = &mut self.stage else {
            return;
        };
        if id != *asked {
            return;
        }
        let KeysCompared { wanted, given, unknown, next } = answer;
        let table = group.table;
        let is_ours = |row: &Row| group.ranges.iter().any(|range| range.contains(row.token));
        let before = scene.to_give.len();
        scene.to_give.extend(wanted.into_iter().map(|key| row(table, key)).filter(is_ours));
        let has_found = given > 0 || scene.to_give.len() > before;
        self.has_found |= has_found;
        if has_found || unknown > 0 {
            self.unequal.extend(group.sets.iter().map(|set| (table, *set)));
        }
        match next {
            // A peer that turns back would keep this going for ever.
            Some(next) if after.as_ref().is_some_and(|after| next <= *after) => self.end(Outcome::Failed),
            Some(next) => {
                let group = group.clone();
                self.scan(scene, group, Some(next));
            }
            None => self.advance(scene),
        }
    }

    /// The peer acknowledged something.
    pub(super) fn given(&mut self, scene: &mut Scene<'_, '_>) {
        if matches!(self.stage, Stage::Draining) && scene.backlog < BACKLOG_MAX {
            self.advance(scene);
        }
    }

    /// The peer refused a question.
    pub(super) fn refused(&mut self, id: RequestId) {
        match &self.stage {
            Stage::Asked { id: asked, .. } | Stage::KeysAsked { id: asked, .. } if id == *asked => {
                self.end(Outcome::Failed);
            }
            _ => {}
        }
    }

    pub(super) fn fire_timers(&mut self, scene: &mut Scene<'_, '_>) {
        if self.timer > scene.turn.now.mono {
            return;
        }
        match self.stage {
            Stage::Draining => self.advance(scene),
            Stage::Settling => {
                let batch = std::mem::take(&mut self.leaves);
                self.look_up(scene, batch, true);
            }
            _ => self.end(Outcome::Failed),
        }
    }

    fn advance(&mut self, scene: &mut Scene<'_, '_>) {
        if scene.backlog + scene.to_give.len() >= BACKLOG_MAX {
            self.stage = Stage::Draining;
            self.timer = scene.turn.now.mono + RETRY_AFTER;
        } else if let Some(group) = self.next_group(scene) {
            self.scan(scene, group, None);
        } else if self.leaves.len() >= BRANCHES_MAX {
            // So much is not merely under way.
            let batch = self.leaves.split_off(self.leaves.len() - BRANCHES_MAX);
            self.look_up(scene, batch, true);
        } else if !self.pending.is_empty() {
            let batch = self.pending.split_off(self.pending.len().saturating_sub(BRANCHES_MAX));
            self.look_up(scene, batch, false);
        } else if !self.leaves.is_empty() {
            self.stage = Stage::Settling;
            self.timer = scene.turn.now.mono + SETTLE;
        } else {
            self.conclude(scene);
        }
    }

    fn look_up(&mut self, scene: &mut Scene<'_, '_>, batch: Vec<Open>, confirms: bool) {
        let query = |open: &Open| {
            let Branch { table, at, span, .. } = open.branch;
            let cells = scene.set(&open.branch, |set| set.cells(at, span));
            cells.map(|cells| (*open, DigestQuery { table, cells }))
        };
        let (batch, queries) = batch.iter().filter_map(query).unzip();
        self.sets.retain(|(table, _)| scene.turn.catalog.table(*table).is_some());
        self.stage = Stage::Own { batch, confirms };
        self.timer = scene.turn.now.mono + PATIENCE;
        digests(scene.turn, RepairTicket::Session(self.number), DigestWork::Compare(queries));
    }

    fn own_read(&mut self, scene: &mut Scene<'_, '_>, batch: Vec<Open>, confirms: bool, own: &[Option<u64>]) {
        if own.contains(&None) {
            return self.end(Outcome::OwnUnknown);
        }
        let differs = |(open, own): (Open, &Option<u64>)| {
            let digest = own.filter(|own| open.theirs != Some(*own))?;
            Some(Branch { digest, ..open.branch })
        };
        let branches: Vec<_> = batch.into_iter().zip(own).filter_map(differs).collect();
        if branches.is_empty() {
            return self.advance(scene);
        }
        let id = scene.request_ids.next();
        let slicing = scene.sets.slicing().fingerprint();
        self.stage = Stage::Asked { id, branches: branches.clone(), confirms };
        self.timer = scene.turn.now.mono + PATIENCE;
        send(scene.turn, scene.peer, id, Compare { slicing, branches }.into());
    }

    /// All was compared. Of each set in which nothing was found every cell was the same at some time since this session
    /// began, if not all at the same time: what either held of it then the other one holds now, too. While clients write
    /// there is no more to be had.
    fn conclude(&mut self, scene: &mut Scene<'_, '_>) {
        for (table, set) in self.sets.difference(&self.unequal) {
            let (peer, since) = (scene.peer, self.began_at);
            #[cfg(feature = "mutants")]
            let since = match scene.turn.config.mutant {
                Some(Mutant::AgreementDatedLate) => scene.turn.now.mono,
                _ => since,
            };
            scene.agreements.agreed(peer, *table, *set, since);
            let agreed = Observation::Agreed { peer, table: *table, set: *set, since };
            scene.turn.effects.push(Effect::Observe(agreed));
        }
        self.end(match (self.is_unsure, self.has_found) {
            (true, _) => Outcome::Failed,
            (false, true) => Outcome::Found,
            (false, false) => Outcome::Agreed,
        });
    }

    /// The cells whose keys are compared next.
    fn next_group(&mut self, scene: &mut Scene<'_, '_>) -> Option<Group> {
        let table = self.confirmed.last()?.table;
        let (leaves, rest) =
            std::mem::take(&mut self.confirmed).into_iter().partition(|leaf| leaf.table == table);
        self.confirmed = rest;
        let leaves: Vec<Branch> = leaves;
        let cells = leaves.iter().filter_map(|leaf| scene.set(leaf, |set| set.cells(leaf.at, 1)));
        let mut cells: Vec<Range<u32>> = cells.flatten().collect();
        cells.sort_unstable_by_key(|run| run.start);
        let mut runs: Vec<Range<u32>> = Vec::new();
        for cell in cells {
            match runs.last_mut() {
                Some(run) if run.end == cell.start => run.end = cell.end,
                _ => runs.push(cell),
            }
        }
        let slicing = scene.sets.slicing();
        let range = |run: &Range<u32>| {
            let start = slicing.tokens(run.start).start().advance(u64::MAX);
            TokenRange::new(start, *slicing.tokens(run.end - 1).end())
        };
        let sets = leaves.iter().map(|leaf| leaf.set).collect();
        Some(Group { table, sets, ranges: runs.iter().map(range).collect() })
    }

    fn scan(&mut self, scene: &mut Scene<'_, '_>, group: Group, after: Option<Row>) {
        let Group { table, ranges, .. } = group.clone();
        let scan = Scan { table, ranges, after: after.clone(), bytes_max: KEYS_BYTES_MAX };
        disk(scene.turn, RepairTicket::Session(self.number), DiskOperation::Hashes(scan));
        self.stage = Stage::Scanning { group, after };
        self.timer = scene.turn.now.mono + PATIENCE;
    }

    fn scanned(&mut self, scene: &mut Scene<'_, '_>, group: Group, after: Option<Row>, page: Page<u64>) {
        let Page { states: keys, damaged, next: until } = page;
        let Group { table, ranges, sets } = group.clone();
        if !damaged.is_empty() {
            self.unequal.extend(sets.into_iter().map(|set| (table, set)));
        }
        scene.turn.damaged.extend(damaged.iter().map(|key| row(table, key.clone())));
        let id = scene.request_ids.next();
        let message = CompareKeys { table, ranges, after: after.clone(), until, keys, damaged };
        self.stage = Stage::KeysAsked { id, group, after };
        self.timer = scene.turn.now.mono + PATIENCE;
        send(scene.turn, scene.peer, id, message.into());
    }

    fn end(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }
}

impl Scene<'_, '_> {
    /// Looks at the set that a branch is in; `None` if there is no such table any more.
    fn set<T>(&mut self, branch: &Branch, look: impl FnOnce(&ReplicaSet) -> T) -> Option<T> {
        let table = self.turn.catalog.table(branch.table)?;
        let sets = self.sets.of(self.turn.ring, table.replication);
        sets.get(self.peer, branch.set).map(look)
    }
}

/// Branches in one message.
pub(super) const BRANCHES_MAX: usize = 256;
/// How much of one message the keys and their hashes take.
pub(super) const KEYS_BYTES_MAX: usize = 8 * 1024;
/// States on their way to the peer beyond which nothing more is looked for.
const BACKLOG_MAX: usize = 512;
