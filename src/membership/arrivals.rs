//! A peer's connection, from the moment it opens until it may be used: what is remembered of the peer's lives
//! must be durable first ([`Lives`](super::Lives)). What the peer sends meanwhile is held back in order.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Instant, NodeId};
use quorate_storage::{Life, MetaWrite, PeerRecord, Write, WriteError};

use super::Meeting;
use crate::{
    node::{Alarm, DiskOperation, DiskRequest, DiskResult, Effect, Ticket, Timers, Turn},
    wire::{Frame, Header, PeerMessage, RequestId, RolledBack},
};

/// Peers that are connected and not yet up.
///
/// Events: [`open`](Self::open), [`lost`](Self::lost), [`frame`](Self::frame), [`disk_done`](Self::disk_done),
/// [`fire_timers`](Self::fire_timers).
#[derive(Debug, Default)]
pub struct Arrivals {
    arriving: BTreeMap<NodeId, Arriving>,
    timers: Timers<NodeId>,
}

#[derive(Debug)]
struct Arriving {
    record: PeerRecord,
    held: Vec<Frame<PeerMessage>>,
}

/// What to do about a peer whose connection has opened.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is up.
    Up,
    /// Its record is on its way to the disk.
    Pending {
        /// Whether it lost its state: what it acknowledged before is void from now on.
        replaced: bool,
    },
    /// It is on a copy of its directory, and is told so.
    Refused,
}

impl Arrivals {
    /// A connection has opened to a peer that says it is `life`.
    pub fn open(&mut self, turn: &mut Turn<'_>, peer: NodeId, life: Life) -> Arrival {
        match turn.lives.meet(peer, life) {
            Meeting::Known => Arrival::Up,
            Meeting::Later { record, replaced } => {
                remember(turn, &record);
                turn.lives.remember(record.clone());
                self.arriving.insert(peer, Arriving { record, held: Vec::new() });
                Arrival::Pending { replaced }
            }
            Meeting::RolledBack { known } => {
                turn.effects.push(Effect::Alarm(Alarm::RolledBack { node: peer }));
                let deadline = turn.now.mono + turn.config.request_timeout_max;
                let header = Header { id: RequestId(0), epoch: turn.epoch, deadline };
                let message = RolledBack { said: life, known }.into();
                turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
                Arrival::Refused
            }
        }
    }

    /// The connection is lost.
    pub fn lost(&mut self, peer: NodeId) {
        self.arriving.remove(&peer);
    }

    /// Takes a frame of a peer that is not up: held back if it will be, else dropped.
    pub fn frame(&mut self, peer: NodeId, frame: Frame<PeerMessage>) {
        if let Some(arriving) = self.arriving.get_mut(&peer).filter(|a| a.held.len() < HELD_MAX) {
            arriving.held.push(frame);
        }
    }

    /// A record reached the disk, or did not. If that lets a peer be up, what it sent meanwhile; `Err` if the
    /// node must stop.
    pub fn disk_done(
        &mut self,
        turn: &Turn<'_>,
        record: &PeerRecord,
        result: DiskResult,
    ) -> Result<Option<Vec<Frame<PeerMessage>>>, String> {
        let arriving = self.arriving.get(&record.node).is_some_and(|arriving| arriving.record == *record);
        match result {
            DiskResult::Written(Err(WriteError::Engine(why))) if why.is_fatal() => Err(why.to_string()),
            _ if !arriving => Ok(None),
            DiskResult::Written(Ok(_)) => Ok(self.arriving.remove(&record.node).map(|a| a.held)),
            // No room. A peer that lost nothing may come in: a copy of its directory might then go unnoticed.
            _ if record.retired.is_empty() => Ok(self.arriving.remove(&record.node).map(|a| a.held)),
            _ => {
                self.timers.set(turn.now.mono + RETRY_AFTER, record.node);
                Ok(None)
            }
        }
    }

    /// Writes again what found no room.
    pub fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        while let Some(peer) = self.timers.pop_due(turn.now.mono) {
            if let Some(arriving) = self.arriving.get(&peer) {
                remember(turn, &arriving.record);
            }
        }
    }

    /// When [`Arrivals::fire_timers`] is due.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Panics if the state contradicts itself.
    pub fn validate(&self) {
        self.timers.validate();
        assert!(self.arriving.values().all(|arriving| arriving.held.len() <= HELD_MAX));
    }
}

/// Makes a record durable; [`Ticket::Peer`] brings it back.
pub fn remember(turn: &mut Turn<'_>, record: &PeerRecord) {
    let operation = DiskOperation::Write(Write::Meta(MetaWrite::Peer(record.clone())));
    let ticket = Ticket::Peer(Box::new(record.clone()));
    turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
}

/// Frames held back for one peer; further ones are lost to their deadlines.
const HELD_MAX: usize = 4_096;
const RETRY_AFTER: Duration = Duration::from_millis(500);
