//! The node's rooms, and the way from an event to the room that it concerns.

use std::{collections::BTreeMap, sync::Arc};

use quorate_ring::{Duration, Epoch, Hlc, Instant, NodeId, Now, Ring};
use quorate_storage::{HintBacklog, Life, Recovered, WriteError};

use super::{
    ClientId, ClockOffset, DiskResult, Effect, Effects, Input, NodeConfig, Readiness, Ticket, backup,
    clock_offsets::ClockOffsets,
    healing,
    held::{Held, HeldFrame},
    turn::{Surroundings, Turn},
};
use crate::{
    coordinator::{Coordinator, ReplicaAnswer, answer, refuse},
    handoff::Handoff,
    membership::{Agreement, Arrivals, Detector, Standings, map::Process},
    recovery::{Recovery, Source},
    repair::{AgreementAges, Repair},
    replica::{self, Replica},
    wire::{
        ClientMessage, ClusterInfo, Draining, Failure, Frame, Header, NodesDescribed, PROTOCOL_VERSION,
        RequestError, Verdict,
    },
};

/// One node of the cluster: coordinator of its clients' requests and replica of its ranges.
#[derive(Debug)]
pub struct Node {
    pub(super) surroundings: Surroundings,
    pub(super) coordinator: Coordinator,
    pub(super) replica: Replica,
    pub(super) arrivals: Arrivals,
    pub(super) agreement: Agreement,
    pub(super) detector: Detector,
    pub(super) standings: Standings,
    pub(super) clock_offsets: ClockOffsets,
    pub(super) held: Held,
    pub(super) recovery: Recovery,
    pub(super) source: Source,
    pub(super) handoff: Handoff,
    pub(super) repair: Repair,
    pub(super) draining: bool,
    /// As of when timers were fired last.
    fired_at: Option<Instant>,
    /// How many requests of clients have begun.
    requests: u64,
}

impl Node {
    /// A node that starts with what its data directory gave back.
    ///
    /// # Panics
    /// If `config.node` is no member of `ring`, or the cluster map in `recovered` is none, or of another cluster: whoever
    /// makes a node has checked it.
    pub fn new(config: NodeConfig, ring: impl Into<Arc<Ring>>, mut recovered: Recovered) -> Self {
        let ring = ring.into();
        assert!(ring.member(config.node).is_some(), "{} is no member of the ring", config.node);
        let Life { incarnation, actor, .. } = recovered.life(config.actor);
        let own = Process { node: config.node, incarnation, actor };
        let agreement = Agreement::new(own, Arc::clone(&ring), recovered.cluster_map.take().as_deref());
        #[cfg(feature = "mutants")]
        let agreement = agreement.with_mutant(match config.mutant {
            Some(super::Mutant::Map(mutant)) => Some(mutant),
            _ => None,
        });
        Self {
            coordinator: Coordinator::new(config.actor),
            replica: Replica::default(),
            arrivals: Arrivals::default(),
            agreement,
            detector: Detector::default(),
            standings: Standings::default(),
            clock_offsets: ClockOffsets::new(config.actor),
            held: Held::default(),
            handoff: Handoff::new(config.actor, std::mem::take(&mut recovered.hints)),
            recovery: Recovery::new(config.actor),
            source: Source::default(),
            repair: Repair::new(config.node, config.actor, &ring),
            draining: false,
            fired_at: None,
            requests: 0,
            surroundings: Surroundings::new(config, ring, recovered),
        }
    }

    /// Lets one event happen. Timers that are due fire first, so that an answer that comes after its
    /// deadline finds its request ended.
    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Effects) {
        // Of the inputs that a driver hands over together the first fires what is due.
        if self.fired_at != Some(now.mono) || matches!(input, Input::Tick) {
            self.fired_at = Some(now.mono);
            self.fire_timers(now, effects);
        }
        match input {
            Input::Tick => {}
            Input::Client { client, frame } => {
                self.surroundings.budget.serves_client(now.mono);
                self.client(now, client, frame, effects);
            }
            Input::ClientGone(client) => {
                self.coordinator.client_gone(client);
                self.agreement.client_gone(client);
                self.held.client_gone(client);
            }
            Input::Peer { from, frame } if self.surroundings.up.contains(from) => {
                self.peer(now, from, frame, effects);
            }
            Input::Peer { from, frame } => self.arrivals.frame(from, frame),
            Input::PeerUp { peer, life, .. } => self.peer_open(now, peer, life, effects),
            Input::Gossip { from, packet } => {
                self.detector.datagram(&mut self.surroundings.turn(now, effects), from, &packet);
            }
            Input::PeerDown(peer) => self.peer_down(now, peer, effects),
            Input::DiskDone { ticket, result } => self.disk_done(now, ticket, result, effects),
            Input::Drain => {
                self.draining = true;
                let turn = &mut self.surroundings.turn(now, effects);
                self.coordinator.drain(turn);
                self.detector.leave(turn);
            }
        }
        self.follow_gossip(now, effects);
        self.follow_map(now, effects);
        self.keep_hints(now, effects);
        for row in std::mem::take(&mut self.surroundings.damaged) {
            self.recovery.damaged(&mut self.surroundings.turn(now, effects), row);
        }
    }

    fn fire_timers(&mut self, now: Now, effects: &mut Effects) {
        let turn = &mut self.surroundings.turn(now, effects);
        self.coordinator.fire_timers(turn);
        self.agreement.tick(turn);
        self.detector.tick(turn);
        self.handoff.fire_timers(turn);
        self.arrivals.fire_timers(turn);
        self.standings.fire_timers(turn);
        self.clock_offsets.fire_timers(turn);
        self.recovery.fire_timers(turn);
        self.repair.fire_timers(turn, |peer| self.handoff.gives_much(peer));
        self.refuse_overdue(now, effects);
        self.follow_map(now, effects);
    }

    /// When [`Input::Tick`] is due, unless something else happens before; ask after each pass.
    pub fn next_timer(&self) -> Option<Instant> {
        let Self { coordinator, arrivals, agreement, detector, standings, held, .. } = self;
        let Self { clock_offsets, recovery, handoff, repair, .. } = self;
        let timers = [
            coordinator.next_timer(),
            arrivals.next_timer(),
            agreement.next_timer(),
            detector.next_timer(),
            standings.next_timer(),
            clock_offsets.next_timer(),
            held.next_timer(),
            recovery.next_timer(),
            handoff.next_timer(),
            repair.next_timer(),
        ];
        timers.into_iter().flatten().min()
    }

    /// Whether no request of a client is under way: a draining node may stop.
    pub fn is_idle(&self) -> bool {
        self.coordinator.is_empty()
            && self.agreement.is_idle()
            && self.held.is_empty()
            && self.handoff.is_idle()
    }

    /// Whether a draining node has told the others that it leaves: they call it stopped then, and need not find out.
    pub fn has_said_goodbye(&self) -> bool {
        self.detector.has_said_goodbye()
    }

    /// How many hints it keeps for nodes that it reaches: a draining node gives them away before it stops.
    pub fn hints_to_give(&self) -> u64 {
        let up = &self.surroundings.up;
        let backlogs = self.handoff.backlogs().iter().filter(|(target, _)| up.contains(**target));
        backlogs.map(|(_, backlog)| backlog.hints).sum()
    }

    /// Whether it does all of its work.
    pub fn readiness(&self) -> Readiness {
        let Surroundings { serves, catalog, .. } = &self.surroundings;
        let (tables, ranges) = catalog
            .recovering()
            .fold((0, 0), |(tables, ranges), (_, left)| (tables + 1, ranges + left.len()));
        match () {
            () if self.draining => Readiness::Draining,
            () if !serves => Readiness::Waiting,
            () if tables > 0 => Readiness::Recovering { tables, ranges },
            () => Readiness::Ready,
        }
    }

    /// How far the node's hybrid clock is ahead of its wall clock: as far as the wall clock of whoever it has heard of is, at
    /// most, or as it was itself before it stepped back.
    pub fn clock_lead(&self, now: Now) -> Duration {
        Duration::from_micros(self.surroundings.clock.last().wall().0.saturating_sub(now.wall.0))
    }

    /// How far the wall clock of a peer was ahead of this node's when they were last compared; `None` before, and while the
    /// peer is not up.
    pub fn clock_offset(&self, peer: NodeId) -> Option<ClockOffset> {
        self.clock_offsets.of(peer)
    }

    /// How long ago this node and its peers were last found to hold the same, the `max` longest ago (rule A3): it goes through
    /// all that they hold together. None while its digests are not those of the ring.
    pub fn agreement_ages(&mut self, now: Now, max: usize) -> Option<AgreementAges> {
        // Who looks brings nothing about.
        let mut effects = Effects::default();
        self.repair.ages(&self.surroundings.turn(now, &mut effects), max)
    }

    /// What a client needs to know to route by itself.
    pub fn cluster_info(&self) -> ClusterInfo {
        let Surroundings { config, ring, up, catalog, .. } = &self.surroundings;
        ClusterInfo {
            protocol: PROTOCOL_VERSION,
            cluster_name: config.cluster_name.clone(),
            node: config.node,
            epoch: catalog.epoch(),
            layout: ring.layout().clone(),
            up: up.iter().collect(),
            value_bytes_max: config.value_bytes_max as u64,
        }
    }

    /// How many peers are up: connected, and known to be who they say they are. None before this node acts as a
    /// member.
    pub fn peers_up(&self) -> usize {
        if !self.surroundings.serves {
            return 0;
        }
        self.surroundings.up.iter().filter(|node| *node != self.surroundings.config.node).count()
    }

    /// How many of them have said that they act as members, too: those that this node counts on.
    pub fn peers_serving(&self) -> usize {
        let Surroundings { serves, up, .. } = &self.surroundings;
        self.standings.have_said().filter(|peer| *serves && !up.is_absent(*peer)).count()
    }

    /// The epoch of the cluster map by which it acts as a member; none before it does (rule M1).
    pub fn serves_by(&self) -> Option<Epoch> {
        self.surroundings.serves.then(|| self.surroundings.catalog.epoch())
    }

    /// What gossip holds of a member.
    pub fn verdict(&self, node: NodeId) -> Verdict {
        self.detector.verdict(node)
    }

    /// The map that it goes by.
    pub fn ring(&self) -> &Ring {
        &self.surroundings.ring
    }

    /// The last reading of the node's hybrid clock.
    pub fn clock_reading(&self) -> Hlc {
        self.surroundings.clock.last()
    }

    /// Panics if the state contradicts itself. Run after each simulated step.
    pub fn validate(&self) {
        self.coordinator.validate();
        self.replica.validate(self.surroundings.config.replica_requests_max);
        self.arrivals.validate();
        self.recovery.validate();
        self.source.validate();
        self.surroundings.catalog.validate();
        self.surroundings.cache.validate();
        self.surroundings.lives.validate();
        self.standings.validate(&self.surroundings.up);
        self.handoff.validate();
        self.repair.validate();
        self.agreement.validate();
        self.detector.validate();
        self.held.validate();
    }

    /// What waits for each node that missed writes.
    pub fn hint_backlogs(&self) -> &BTreeMap<NodeId, HintBacklog> {
        self.handoff.backlogs()
    }

    /// Hands the hints that this step left to handoff, and the coordinator what handoff and this node's replica say to
    /// it. An answer may end a write and so leave hints, but only for replicas that it has not left any for; it may end a
    /// round and so ask this node's replica again, but only in a later round: the loop ends.
    fn keep_hints(&mut self, now: Now, effects: &mut Effects) {
        while !self.surroundings.hints.is_empty() || !self.surroundings.own_answers.is_empty() {
            for hint in std::mem::take(&mut self.surroundings.hints) {
                self.handoff.keep(&mut self.surroundings.turn(now, effects), hint);
            }
            let own = self.surroundings.config.node;
            for (step, message) in std::mem::take(&mut self.surroundings.own_answers) {
                self.answered(now, own, step, message, effects);
            }
        }
    }

    pub(super) fn client(
        &mut self,
        now: Now,
        client: ClientId,
        frame: Frame<ClientMessage>,
        effects: &mut Effects,
    ) {
        if let ClientMessage::Drain(_) = &frame.message {
            let draining = Draining { node: self.surroundings.config.node, hints: self.hints_to_give() };
            answer(&mut self.surroundings.turn(now, effects), client, frame.header, draining.into());
            return effects.push(Effect::Drain);
        }
        if self.draining {
            let turn = &mut self.surroundings.turn(now, effects);
            return refuse(turn, client, frame.header, RequestError::not_applied(Failure::ShuttingDown));
        }
        let Some(HeldFrame::Client(_, frame)) = self.hold(now, HeldFrame::Client(client, frame), effects)
        else {
            return;
        };
        let Frame { header, message } = frame;
        self.requests += 1;
        let info = matches!(message, ClientMessage::DescribeCluster(_) | ClientMessage::DescribeNodes(_))
            .then(|| self.cluster_info());
        let turn = &mut self.surroundings.turn(now, effects);
        match message {
            ClientMessage::Get(get) => self.coordinator.get(turn, client, header, get),
            ClientMessage::Put(put) => self.coordinator.put(turn, client, header, put),
            ClientMessage::Delete(delete) => self.coordinator.delete(turn, client, header, delete),
            ClientMessage::CompareAndSet(it) => self.coordinator.compare_and_set(turn, client, header, it),
            ClientMessage::Scan(scan) => self.coordinator.scan(turn, client, header, scan),
            ClientMessage::CreateTable(_)
            | ClientMessage::AlterTable(_)
            | ClientMessage::DropTable(_)
            | ClientMessage::TruncateTable(_) => self.agreement.change(turn, client, header, message),
            ClientMessage::ListTables(_) => self.agreement.list(turn, client, header),
            ClientMessage::DescribeCluster(_) => {
                info.into_iter().for_each(|info| answer(turn, client, header, info.into()));
            }
            ClientMessage::DescribeNodes(_) => {
                if let Some(cluster) = info {
                    let nodes = self.detector.describe(turn);
                    answer(turn, client, header, NodesDescribed { cluster, nodes }.into());
                }
            }
            ClientMessage::DescribeHealing(_) | ClientMessage::CompareNow(_) | ClientMessage::ScrubNow(_) => {
                let described = healing::describe(turn, &mut self.repair, &self.handoff, &message);
                answer(turn, client, header, described.into());
            }
            ClientMessage::ReadReplica(read) => healing::inspect(turn, client, header, read),
            ClientMessage::BackUp(asked) => backup::begin(turn, client, header, asked),
            ClientMessage::DescribeBackup(_) => backup::describe(turn, client, header),
            ClientMessage::Drain(_)
            | ClientMessage::Got(_)
            | ClientMessage::Written(_)
            | ClientMessage::Scanned(_)
            | ClientMessage::TableCreated(_)
            | ClientMessage::TableChanged(_)
            | ClientMessage::Tables(_)
            | ClientMessage::ClusterInfo(_)
            | ClientMessage::NodesDescribed(_)
            | ClientMessage::ComparedAndSet(_)
            | ClientMessage::HealingDescribed(_)
            | ClientMessage::ReplicaRead(_)
            | ClientMessage::Draining(_)
            | ClientMessage::BackupDescribed(_)
            | ClientMessage::RequestError(_) => refuse_answer(turn, client, header),
        }
    }

    fn disk_done(&mut self, now: Now, ticket: Ticket, result: DiskResult, effects: &mut Effects) {
        let own = self.surroundings.config.node;
        let turn = &mut self.surroundings.turn(now, effects);
        match ticket {
            Ticket::Operation { step, row, want } => match ReplicaAnswer::of_mint(&row, result) {
                Ok(minted) => self.coordinator.answered(turn, own, step, minted),
                Err(result) => match replica::own_outcome(turn, &row, want, result) {
                    Ok(message) => self.answered(now, own, step, message, effects),
                    Err(halt) => effects.push(Effect::Halt(halt)),
                },
            },
            Ticket::Changed => replica::changed(turn, result),
            Ticket::Inspect(inspection) => healing::inspected(turn, *inspection, result),
            Ticket::Backup(asked) => backup::described(turn, *asked, result),
            Ticket::Hint(ticket) => self.handoff.disk_done(turn, ticket, result),
            Ticket::Replica(errand) => self.replica.disk_done(turn, *errand, result),
            Ticket::Page(errand) => match self.replica.page_done(turn, *errand, result) {
                Ok(Some((step, message))) => self.answered(now, own, step, message, effects),
                Ok(None) => {}
                Err(halt) => effects.push(Effect::Halt(halt)),
            },
            Ticket::Map(ticket) => {
                if let Err(halt) = self.agreement.disk_done(turn, ticket, &result) {
                    effects.push(Effect::Halt(halt));
                }
            }
            Ticket::Vitals => {
                if let DiskResult::Measured(stats) = result {
                    let hints = self.handoff.backlogs().values().map(|backlog| backlog.hints).sum();
                    let healing = (hints, self.repair.agreed_ago(turn));
                    self.detector.measured(turn, &stats, self.requests, healing);
                }
            }
            Ticket::Catalog => {
                if let DiskResult::Written(Err(WriteError::Engine(why))) = result
                    && why.is_fatal()
                {
                    effects.push(Effect::Halt(why.to_string()));
                }
            }
            Ticket::Peer(record) => self.peer_remembered(now, &record, result, effects),
            Ticket::Source(errand) => {
                if let Err(halt) = self.source.disk_done(turn, *errand, result) {
                    effects.push(Effect::Halt(halt));
                }
            }
            Ticket::Repair(ticket) => {
                if let Err(halt) = self.repair.disk_done(turn, *ticket, result) {
                    effects.push(Effect::Halt(halt));
                }
            }
            Ticket::Recovery(ticket) => match self.recovery.disk_done(turn, *ticket, result) {
                Ok(Some(record)) => self.recovered(now, record, effects),
                Ok(None) => {}
                Err(halt) => effects.push(Effect::Halt(halt)),
            },
            Ticket::ClockBound(bound) => match result {
                DiskResult::Written(Ok(_)) => {
                    turn.clock.reserved(bound);
                    self.replica.clock_reserved(turn);
                    self.coordinator.clock_reserved(turn);
                }
                DiskResult::Written(Err(WriteError::Engine(why))) if why.is_fatal() => {
                    effects.push(Effect::Halt(why.to_string()));
                }
                _ => turn.clock.reservation_failed(),
            },
        }
    }
}

fn refuse_answer(turn: &mut Turn<'_>, client: ClientId, header: Header) {
    let failure = Failure::BadRequest("an answer was sent as a request".to_owned());
    refuse(turn, client, header, RequestError::not_applied(failure));
}
