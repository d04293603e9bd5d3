//! What goes wrong, and when. A fault draws its details from a stream of its own, so that leaving another
//! one out changes nothing about it.

use std::fmt;

use quorate::{node::Input, ring::NodeId, storage::State, wire::Store};

use super::{Event, World};
use crate::{
    invariants::OnDisk,
    options::{MS, Options, SECOND, time},
    random::Random,
};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// A process dies and comes back.
    Crash,
    /// A process dies between two frames that it sends, and comes back.
    CrashMidway,
    /// A process takes no more requests, then stops, and comes back.
    Drain,
    /// Every process dies and comes back.
    CrashAll,
    /// A process does nothing for a while, then goes on as if nothing had been.
    Pause,
    /// One node is cut off.
    Isolate,
    /// Two sides do not hear each other.
    Halves,
    /// Every node hears its neighbours on a circle only: a majority each, no two the same.
    MajoritiesRing,
    /// Two sides that share one node.
    Bridge,
    /// One direction between two nodes is cut.
    OneWay,
    /// Directions are cut one by one and freed in another order.
    Swizzle,
    /// Connections of a node are lost.
    Reset,
    /// A wall clock is set.
    ClockJump,
    /// A disk is slow.
    SlowDisk,
    /// A disk is full.
    DiskFull,
    /// A sync fails.
    FailedSync,
    /// A bit of a record flips. One node of a cluster only, and only where quorums bear it.
    BitFlip,
    /// A disk is replaced by an empty one, if all tables bear it: never more than N-Q at a time.
    Wipe,
    /// The next write by a node that is no replica reaches one replica, which loses its disk and comes back; the others
    /// hear of the write afterwards, one after the other. Drawn only where `forgetting` is.
    Forget,
    /// The same, but that a bit of the record flips.
    ForgetOne,
    /// A disk is replaced by an older copy of itself. That is found out only sometimes, and so not promised to be
    /// borne.
    Rollback,
}

/// The kinds that every cluster must bear.
const PROMISED: &[FaultKind] = &[
    FaultKind::Crash,
    FaultKind::CrashMidway,
    FaultKind::Drain,
    FaultKind::CrashAll,
    FaultKind::Pause,
    FaultKind::Isolate,
    FaultKind::Halves,
    FaultKind::MajoritiesRing,
    FaultKind::Bridge,
    FaultKind::OneWay,
    FaultKind::Swizzle,
    FaultKind::Reset,
    FaultKind::ClockJump,
    FaultKind::SlowDisk,
    FaultKind::DiskFull,
    FaultKind::FailedSync,
    FaultKind::BitFlip,
    FaultKind::Wipe,
];

/// One fault.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) number: usize,
    pub(crate) at: u64,
    pub(crate) lasts: u64,
    pub(crate) kind: FaultKind,
    pub(crate) node: usize,
}

/// Every fault of a run, in the order of their times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan(pub(crate) Vec<Fault>);

impl Plan {
    /// Draws a plan: a few kinds, and when they strike.
    pub(crate) fn draw(options: &Options, unpromised: &[FaultKind]) -> Self {
        let random = &mut Random::stream(options.seed, "faults");
        let may_lose = options.replication >= 3;
        let loses = |kind: &FaultKind| matches!(kind, FaultKind::BitFlip | FaultKind::Wipe);
        let mut kinds: Vec<_> = PROMISED.iter().copied().filter(|kind| may_lose || !loses(kind)).collect();
        random.shuffle(&mut kinds);
        kinds.truncate(random.range(0, 6) as usize);
        kinds.extend(unpromised);
        if options.torn {
            kinds = vec![FaultKind::Bridge];
        }
        if options.losing {
            kinds = vec![FaultKind::Wipe, FaultKind::Wipe, FaultKind::SlowDisk];
            if options.has_cas() {
                kinds.extend([FaultKind::Pause, FaultKind::Pause]);
            }
        }
        if options.forgetting {
            kinds = vec![FaultKind::Forget, FaultKind::ForgetOne];
        }
        if options.rotting {
            kinds = vec![FaultKind::BitFlip, FaultKind::BitFlip, FaultKind::Crash, FaultKind::Isolate];
        }
        if options.racing {
            let racing = [
                FaultKind::Crash,
                FaultKind::CrashMidway,
                FaultKind::CrashMidway,
                FaultKind::Pause,
                FaultKind::Isolate,
                FaultKind::Halves,
                FaultKind::OneWay,
                FaultKind::Wipe,
            ];
            kinds = racing.into();
        }
        if kinds.is_empty() {
            return Self::default();
        }
        let nodes = u64::from(options.nodes);
        let damaged = random.below(nodes) as usize;
        let count = random.scale(1, 24);
        let mut times: Vec<_> = (0..count).map(|_| random.below(options.duration)).collect();
        times.sort_unstable();
        let faults = times.into_iter().enumerate().map(|(number, at)| {
            let kind = *random.pick(&kinds);
            let lasts = random.scale(MS, options.duration.max(2 * MS)).min(60 * SECOND);
            let drawn = random.below(nodes) as usize;
            let (node, lasts) = match kind {
                FaultKind::BitFlip => (damaged, lasts),
                FaultKind::Crash if options.rotting => (damaged, lasts / 32),
                // Where most requests are, and back before they are forgotten.
                FaultKind::CrashMidway => (if options.favour > 0 { 0 } else { drawn }, lasts / 16),
                // Back before those are done that are slow.
                FaultKind::Wipe if options.losing => (drawn, lasts / 64),
                _ if options.racing => (drawn, lasts / 8),
                _ => (drawn, lasts),
            };
            Fault { number, at, lasts, kind, node }
        });
        Self(faults.collect())
    }

    /// Leaves out all but these.
    pub(crate) fn keep(&mut self, numbers: &[usize]) {
        self.0.retain(|fault| numbers.contains(&fault.number));
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  faults {}", self.0.len())?;
        for Fault { number, at, lasts, kind, node } in &self.0 {
            write!(f, "\n    #{number} at {} for {}: {kind:?} n{}", time(*at), time(*lasts), node + 1)?;
        }
        Ok(())
    }
}

impl World {
    /// Lets fault `place` of the plan begin.
    pub(super) fn begin_fault(&mut self, place: usize) {
        if self.healed {
            return;
        }
        let fault = self.options.faults.0[place].clone();
        let random = &mut Random::numbered(self.options.seed, "fault", fault.number as u64);
        let end = self.now + fault.lasts;
        self.under_way.insert(place);
        self.agenda.push(end, Event::FaultEnd(place));
        match fault.kind {
            FaultKind::Crash => self.crash(fault.node, end),
            FaultKind::CrashMidway => {
                self.processes[fault.node].crash_midway = Some((random.range(1, 12) as u32, fault.lasts));
            }
            FaultKind::Drain => self.input(fault.node, Input::Drain),
            FaultKind::CrashAll => {
                for node in 0..self.processes.len() {
                    self.crash(node, end + random.below(fault.lasts));
                }
            }
            FaultKind::Pause => self.pause(fault.node, end),
            FaultKind::Isolate
            | FaultKind::Halves
            | FaultKind::MajoritiesRing
            | FaultKind::Bridge
            | FaultKind::OneWay => {
                let cut = cut(fault.kind, fault.node, self.processes.len(), random);
                for (from, to) in &cut {
                    self.network.block(self.now, *from, *to, &mut self.agenda);
                }
                self.cuts.insert(place, cut);
            }
            FaultKind::Swizzle => self.swizzle(fault.node, end, random),
            FaultKind::Reset => {
                for peer in 0..self.processes.len() {
                    if peer != fault.node && random.chance(700) {
                        self.network.reset(self.now, fault.node, peer, &mut self.agenda);
                    }
                }
            }
            FaultKind::ClockJump => {
                let by = random.scale(1_000, 20_000_000) as i64;
                let by = if random.chance(500) { by } else { -by };
                self.processes[fault.node].clock.jump(self.now, by);
            }
            FaultKind::SlowDisk => self.processes[fault.node].disk.slowness = random.scale(2, 200),
            FaultKind::DiskFull => self.processes[fault.node].disk.engine.set_full(true),
            FaultKind::FailedSync => self.processes[fault.node].disk.next_sync_fails = true,
            FaultKind::BitFlip => self.flip_bit(fault.node, random),
            FaultKind::Wipe if self.may_lose(fault.node) => self.replace_disk(fault.node, end, None),
            FaultKind::Wipe => self.crash(fault.node, end),
            FaultKind::Forget | FaultKind::ForgetOne => self.forgets_next = Some(fault.kind),
            FaultKind::Rollback => {
                let image = self.processes[fault.node].disk.engine.image();
                self.images.insert(place, image);
            }
        }
    }

    /// Lets fault `place` of the plan end.
    pub(super) fn end_fault(&mut self, place: usize) {
        if !self.under_way.remove(&place) {
            return;
        }
        for (from, to) in self.cuts.remove(&place).unwrap_or_default() {
            self.network.unblock(self.now, from, to, &mut self.agenda);
        }
        let Fault { kind, node, lasts, .. } = self.options.faults.0[place];
        match kind {
            FaultKind::Drain => {
                if self.processes[node].node.is_some() {
                    self.processes[node].disk.stop();
                }
                self.crash(node, self.now + lasts);
            }
            FaultKind::SlowDisk => self.processes[node].disk.slowness = 1,
            FaultKind::DiskFull => self.processes[node].disk.engine.set_full(false),
            FaultKind::FailedSync => self.processes[node].disk.next_sync_fails = false,
            FaultKind::Rollback if !self.healed => {
                let image = self.images.remove(&place);
                self.replace_disk(node, self.now + lasts, image);
            }
            _ => {}
        }
    }

    /// All faults end: the network is whole, clocks are right, and every process runs.
    pub(super) fn heal(&mut self) {
        for place in 0..self.options.faults.0.len() {
            self.end_fault(place);
        }
        for (from, to) in self.single_cuts.clone() {
            self.unblock(from, to);
        }
        self.healed = true;
        self.network.calm_down();
        for node in 0..self.processes.len() {
            self.processes[node].clock.set_right(self.now);
            self.processes[node].crash_midway = None;
            if self.processes[node].paused_until > self.now {
                self.processes[node].paused_until = self.now;
            }
            self.start(node);
            for peer in 0..node {
                self.network.redial(self.now, node, peer, &mut self.agenda);
            }
        }
    }

    /// Cuts random directions around a node one by one, and frees them in another order.
    fn swizzle(&mut self, node: usize, end: u64, random: &mut Random) {
        for peer in (0..self.processes.len()).filter(|peer| *peer != node) {
            for (from, to) in [(node, peer), (peer, node)] {
                if random.chance(600) {
                    let lasts = end - self.now;
                    let begin = self.now + random.below(lasts / 2 + 1);
                    self.agenda.push(begin, Event::Block { from, to });
                    self.agenda.push(begin + random.range(1, lasts), Event::Unblock { from, to });
                }
            }
        }
    }

    /// Cuts one direction, unless faults are over.
    pub(super) fn block(&mut self, from: usize, to: usize) {
        if !self.healed {
            self.single_cuts.push((from, to));
            self.network.block(self.now, from, to, &mut self.agenda);
        }
    }

    /// Frees a direction that [`World::block`] cut, if it still is.
    pub(super) fn unblock(&mut self, from: usize, to: usize) {
        if let Some(at) = self.single_cuts.iter().position(|cut| *cut == (from, to)) {
            self.single_cuts.swap_remove(at);
            self.network.unblock(self.now, from, to, &mut self.agenda);
        }
    }

    /// `coordinator` is about to send a write: see [`FaultKind::Forget`].
    pub(super) fn forget(&mut self, coordinator: usize, store: &Store) {
        let keys = &self.oracle.keys;
        let Some(key) = keys.iter().position(|key| key.row.table == store.table && key.row.key == store.key)
        else {
            return;
        };
        let mut replicas = keys[key].replicas().to_vec();
        let random = &mut Random::numbered(self.options.seed, "forget", self.events);
        if let State::Cas(acceptor) = &store.state
            && acceptor.accepted().is_some()
        {
            return self.forget_promise(coordinator, key, random);
        }
        let Some(kind) = self.forgets_next.take_if(|_| !replicas.contains(&coordinator)) else {
            return;
        };
        random.shuffle(&mut replicas);
        let mut at = self.now + random.range(MS, 10 * MS);
        if matches!(store.state, State::Cas(_)) && random.chance(600) {
            // All but one are asked for their promise, and it is that which one of them forgets.
            if let Some(other) = replicas.pop() {
                self.block(coordinator, other);
                self.agenda.push(
                    at + random.range(20 * MS, 400 * MS),
                    Event::Unblock { from: coordinator, to: other },
                );
            }
            self.promised = Some(Promised { coordinator, key, kind, replicas });
            return;
        }
        if let Some(node) = replicas.pop() {
            let key = (kind == FaultKind::ForgetOne).then_some(key);
            self.agenda.push(at, Event::Forget { node, key });
        }
        for other in replicas {
            self.block(coordinator, other);
            at += random.range(5 * MS, 200 * MS);
            self.agenda.push(at, Event::Unblock { from: coordinator, to: other });
        }
    }

    /// `coordinator` is about to send a proposal that relies on promises: one replica forgets its own, and the others hear of
    /// the proposal afterwards.
    fn forget_promise(&mut self, coordinator: usize, key: usize, random: &mut Random) {
        let is_this_one =
            |promised: &mut Promised| promised.coordinator == coordinator && promised.key == key;
        let Some(Promised { kind, mut replicas, .. }) = self.promised.take_if(is_this_one) else {
            return;
        };
        let at = self.now + random.range(1, MS);
        if let Some(node) = replicas.pop() {
            let key = (kind == FaultKind::ForgetOne).then_some(key);
            self.agenda.push(at, Event::Forget { node, key });
            replicas.push(node);
        }
        for other in replicas {
            self.block(coordinator, other);
            let until = at + random.range(20 * MS, 400 * MS);
            self.agenda.push(until, Event::Unblock { from: coordinator, to: other });
        }
    }

    /// A node loses its disk and is back before long, or the record of a key, if quorums bear it.
    pub(super) fn forgets(&mut self, node: usize, key: Option<usize>) {
        match key {
            _ if self.healed || !self.may_lose(node) => {}
            Some(key) => self.flip_bit_of(node, key),
            None => self.replace_disk(node, self.now + MS, None),
        }
    }

    fn flip_bit(&mut self, node: usize, random: &mut Random) {
        let key = random.index(self.oracle.keys.len());
        self.flip_bit_of(node, key);
    }

    fn flip_bit_of(&mut self, node: usize, key: usize) {
        let row = self.oracle.keys[key].row.clone();
        if self.may_lose(node)
            && self.oracle.keys[key].place(node).is_some()
            && self.processes[node].disk.flip_bit(&row)
        {
            self.oracle.damaged(node, key);
        }
    }

    /// Whether quorums bear that `node` loses what is on its disk, or part of it, together with what others have
    /// lost and not recovered: N-Q disks at a time, of the table with the least N-Q, and never half of the members.
    fn may_lose(&self, node: usize) -> bool {
        let n = usize::from(self.options.replication);
        let most = n - (n / 2 + 1);
        let most = if self.options.tables > 0 { most.min(1) } else { most };
        let disks: Vec<_> = self.processes.iter().map(|process| OnDisk::read(&process.disk.engine)).collect();
        let newest = disks.iter().filter_map(|disk| disk.record.as_ref()).max_by_key(|r| r.map.epoch());
        let Some(newest) = newest.map(|record| &record.map) else {
            return false;
        };
        let is_whole = |other: usize| {
            let id = NodeId(other as u32 + 1);
            disks[other].incarnation.is_some_and(|incarnation| newest.names(id, incarnation))
                && newest.tables().all(|table| disks[other].is_whole(table.id))
        };
        let lost = (0..disks.len())
            .filter(|other| *other != node && (!is_whole(*other) || self.oracle.is_damaged(*other)));
        lost.count() < most
    }
}

/// Replicas whose promise one of them is to forget.
#[derive(Debug)]
pub(crate) struct Promised {
    coordinator: usize,
    key: usize,
    kind: FaultKind,
    replicas: Vec<usize>,
}

/// The directions that a partition cuts.
fn cut(kind: FaultKind, node: usize, nodes: usize, random: &mut Random) -> Vec<(usize, usize)> {
    let mut order: Vec<_> = (0..nodes).collect();
    random.shuffle(&mut order);
    let side: Vec<_> = {
        let half = random.range(1, (nodes as u64 / 2).max(1)) as usize;
        let mut side = vec![false; nodes];
        order[..half].iter().for_each(|member| side[*member] = true);
        side
    };
    let place: Vec<_> = (0..nodes).map(|n| order.iter().position(|o| *o == n).unwrap_or(0)).collect();
    let reach = nodes / 4 + 1;
    let one_way_peer = (node + 1 + random.index(nodes.max(2) - 1)) % nodes;
    let is_cut = |from: usize, to: usize| match kind {
        FaultKind::Isolate => from == node || to == node,
        FaultKind::Halves => side[from] != side[to],
        FaultKind::Bridge => side[from] != side[to] && from != node && to != node,
        FaultKind::MajoritiesRing => {
            let apart = place[from].abs_diff(place[to]);
            apart.min(nodes - apart) > reach
        }
        _ => from == node && to == one_way_peer,
    };
    let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
    pairs.filter(|(from, to)| from != to && is_cut(*from, *to)).collect()
}
