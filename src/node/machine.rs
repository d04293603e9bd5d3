//! The node's rooms, and the way from an event to the room that it concerns.

use std::{collections::BTreeMap, sync::Arc};

use quorate_ring::{Instant, NodeId, Now, Ring};
use quorate_storage::{HintBacklog, Recovered, WriteError};

use super::{ClientId, DiskResult, Effect, Effects, Input, NodeConfig, Ticket, turn::Surroundings};
use crate::{
    coordinator::{Coordinator, ReplicaAnswer, Step, answer, refuse},
    handoff::Handoff,
    membership::CreateTables,
    replica::{self, Replica},
    wire::{
        ClientMessage, ClusterInfo, Failure, Frame, PROTOCOL_VERSION, PeerMessage, Refused, RequestError,
        Tables,
    },
};

/// One node of the cluster: coordinator of its clients' requests and replica of its ranges.
#[derive(Debug)]
pub struct Node {
    surroundings: Surroundings,
    coordinator: Coordinator,
    replica: Replica,
    create_tables: CreateTables,
    handoff: Handoff,
    draining: bool,
}

impl Node {
    /// A node that starts with what its data directory gave back.
    ///
    /// # Panics
    /// If `config.node` is no member of `ring`: whoever makes a node has checked it.
    pub fn new(config: NodeConfig, ring: impl Into<Arc<Ring>>, mut recovered: Recovered) -> Self {
        let ring = ring.into();
        assert!(ring.member(config.node).is_some(), "{} is no member of the ring", config.node);
        Self {
            coordinator: Coordinator::new(config.actor),
            replica: Replica::default(),
            create_tables: CreateTables::default(),
            handoff: Handoff::new(std::mem::take(&mut recovered.hints)),
            draining: false,
            surroundings: Surroundings::new(config, ring, recovered),
        }
    }

    /// Lets one event happen. Timers that are due fire first, so that an answer that comes after its
    /// deadline finds its request ended.
    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Effects) {
        let turn = &mut self.surroundings.turn(now, effects);
        self.coordinator.fire_timers(turn);
        self.create_tables.fire_timers(turn);
        self.handoff.fire_timers(turn);
        match input {
            Input::Tick => {}
            Input::Client { client, frame } => self.client(now, client, frame, effects),
            Input::ClientGone(client) => self.coordinator.client_gone(client),
            Input::Peer { from, frame } => self.peer(now, from, frame, effects),
            Input::PeerUp(peer) => {
                self.surroundings.up.insert(peer);
                let turn = &mut self.surroundings.turn(now, effects);
                self.create_tables.peer_up(turn);
                self.handoff.peer_up(turn, peer);
            }
            Input::PeerDown(peer) => {
                self.surroundings.up.remove(peer);
                let turn = &mut self.surroundings.turn(now, effects);
                self.coordinator.peer_down(turn, peer);
                self.create_tables.peer_down(turn, peer);
                self.handoff.peer_down(peer);
            }
            Input::DiskDone { ticket, result } => self.disk_done(now, ticket, result, effects),
            Input::Drain => {
                self.draining = true;
                self.coordinator.drain(&mut self.surroundings.turn(now, effects));
            }
        }
        self.keep_hints(now, effects);
        self.create_tables.watch_doubts(&mut self.surroundings.turn(now, effects));
    }

    /// When [`Input::Tick`] is due, unless something else happens before; ask after each pass.
    pub fn next_timer(&self) -> Option<Instant> {
        let timers =
            [self.coordinator.next_timer(), self.create_tables.next_timer(), self.handoff.next_timer()];
        timers.into_iter().flatten().min()
    }

    /// Whether no request of a client is under way: a draining node may stop.
    pub fn is_idle(&self) -> bool {
        self.coordinator.is_empty() && self.create_tables.is_idle() && self.handoff.is_idle()
    }

    /// What a client needs to know to route by itself.
    pub fn cluster_info(&self) -> ClusterInfo {
        let Surroundings { config, ring, up, .. } = &self.surroundings;
        ClusterInfo {
            protocol: PROTOCOL_VERSION,
            cluster_name: config.cluster_name.clone(),
            node: config.node,
            layout: ring.layout().clone(),
            up: up.iter().collect(),
            value_bytes_max: config.value_bytes_max as u64,
        }
    }

    /// The map that it goes by.
    pub fn ring(&self) -> &Ring {
        &self.surroundings.ring
    }

    /// Panics if the state contradicts itself. Run after each simulated step.
    pub fn validate(&self) {
        self.coordinator.validate();
        self.replica.validate(self.surroundings.config.replica_requests_max);
        self.surroundings.catalog.validate();
        self.handoff.validate();
    }

    /// What waits for each node that missed writes.
    pub fn hint_backlogs(&self) -> &BTreeMap<NodeId, HintBacklog> {
        self.handoff.backlogs()
    }

    /// Hands the hints that this step left to handoff, and what handoff says of them back. An answer may end a
    /// write and so leave hints, but only for replicas that it has not left any for: the loop ends.
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

    fn client(&mut self, now: Now, client: ClientId, frame: Frame<ClientMessage>, effects: &mut Effects) {
        let Frame { header, message } = frame;
        let info = matches!(message, ClientMessage::DescribeCluster(_)).then(|| self.cluster_info());
        let turn = &mut self.surroundings.turn(now, effects);
        if self.draining {
            return refuse(turn, client, header, RequestError::not_applied(Failure::ShuttingDown));
        }
        match message {
            ClientMessage::Get(get) => self.coordinator.get(turn, client, header, get),
            ClientMessage::Put(put) => self.coordinator.put(turn, client, header, put),
            ClientMessage::Delete(delete) => self.coordinator.delete(turn, client, header, delete),
            ClientMessage::CreateTable(create) => self.create_tables.create(turn, client, header, create),
            ClientMessage::ListTables(_) => {
                let tables = turn.catalog.tables();
                answer(turn, client, header, Tables { tables }.into());
            }
            ClientMessage::DescribeCluster(_) => {
                if let Some(info) = info {
                    answer(turn, client, header, info.into());
                }
            }
            ClientMessage::Got(_)
            | ClientMessage::Written(_)
            | ClientMessage::TableCreated(_)
            | ClientMessage::Tables(_)
            | ClientMessage::ClusterInfo(_)
            | ClientMessage::RequestError(_) => {
                let failure = Failure::BadRequest("an answer was sent as a request".to_owned());
                refuse(turn, client, header, RequestError::not_applied(failure));
            }
        }
    }

    fn peer(&mut self, now: Now, from: NodeId, frame: Frame<PeerMessage>, effects: &mut Effects) {
        let Frame { header, message } = frame;
        let turn = &mut self.surroundings.turn(now, effects);
        match message {
            PeerMessage::Fetch(fetch) => self.replica.fetch(turn, from, header, fetch),
            PeerMessage::Store(store) => self.replica.store(turn, from, header, store),
            PeerMessage::Stored(_) if Handoff::is_own(header.id) => {
                self.handoff.answered(turn, from, header.id, true);
            }
            PeerMessage::Refused(_) if Handoff::is_own(header.id) => {
                self.handoff.answered(turn, from, header.id, false);
            }
            PeerMessage::KeepHint(keep) => self.handoff.keep_for_peer(turn, from, header, keep),
            PeerMessage::Fetched(_)
            | PeerMessage::Stored(_)
            | PeerMessage::Advanced(_)
            | PeerMessage::Forwarded(_)
            | PeerMessage::Refused(_) => {
                let step = Step::from_request_id(header.id);
                self.answered(now, from, step, message, effects);
            }
            PeerMessage::Forward(forward) => self.coordinator.forwarded(turn, from, header, forward),
            PeerMessage::Advance(advance) => self.replica.advance(turn, from, header, advance),
            PeerMessage::PrepareTable(_)
            | PeerMessage::CommitTable(_)
            | PeerMessage::AbortTable(_)
            | PeerMessage::InquireTable(_)
            | PeerMessage::TableStatus(_) => self.create_tables.handle(turn, from, header, message),
        }
    }

    /// A replica's word on a request of this node's coordinator.
    fn answered(&mut self, now: Now, from: NodeId, step: Step, message: PeerMessage, effects: &mut Effects) {
        let turn = &mut self.surroundings.turn(now, effects);
        let answer = match message {
            PeerMessage::Fetched(fetched) => ReplicaAnswer::Fetched(fetched),
            PeerMessage::Stored(stored) => ReplicaAnswer::Stored(stored),
            PeerMessage::Advanced(advanced) => ReplicaAnswer::Advanced(advanced),
            PeerMessage::Forwarded(forwarded) => ReplicaAnswer::Forwarded(Box::new(forwarded)),
            PeerMessage::Refused(Refused { refusal }) => ReplicaAnswer::Failed(refusal.to_string()),
            _ => return,
        };
        self.coordinator.answered(turn, from, step, answer);
    }

    fn disk_done(&mut self, now: Now, ticket: Ticket, result: DiskResult, effects: &mut Effects) {
        let own = self.surroundings.config.node;
        let turn = &mut self.surroundings.turn(now, effects);
        match ticket {
            Ticket::Operation { step, row } => match ReplicaAnswer::of_mint(&row, result) {
                Ok(minted) => self.coordinator.answered(turn, own, step, minted),
                Err(result) => match replica::outcome(turn, &row, result) {
                    Ok(message) => self.answered(now, own, step, message, effects),
                    Err(halt) => effects.push(Effect::Halt(halt)),
                },
            },
            Ticket::Hint(ticket) => self.handoff.disk_done(turn, ticket, result),
            Ticket::Replica(errand) => self.replica.disk_done(turn, *errand, result),
            Ticket::Table(record) => self.create_tables.disk_done(turn, *record, result),
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
