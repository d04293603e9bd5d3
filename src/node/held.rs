//! Requests that wait for the cluster map: of a process that nobody has told of the newest one yet, and those for a
//! table that only the sender knows (rules M1, M5).
//!
//! To refuse them at once would turn a few milliseconds, in which a map is on its way, into failed requests. To serve them
//! would be wrong: a table may have been dropped, and a node that lost its disk has forgotten what it acknowledged.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Epoch, Instant, NodeId, Now, TableId};

use super::{ClientId, Effect, Effects, Node, Timers, Turn};
use crate::{
    coordinator::refuse,
    wire::{
        ClientMessage, Failure, Forward, Forwarded, Frame, Header, PeerMessage, PeerRefusal, Pulled, Refused,
        RequestError,
    },
};

/// A request that waits.
#[derive(Clone, Debug)]
pub(super) enum HeldFrame {
    Client(ClientId, Frame<ClientMessage>),
    Peer(NodeId, Frame<PeerMessage>),
}

/// What waits, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Held {
    frames: BTreeMap<u64, (Instant, HeldFrame)>,
    last: u64,
    timers: Timers<u64>,
}

impl HeldFrame {
    fn epoch(&self) -> Epoch {
        match self {
            Self::Client(_, frame) => frame.header.epoch,
            Self::Peer(_, frame) => frame.header.epoch,
        }
    }

    fn deadline(&self) -> Instant {
        match self {
            Self::Client(_, frame) => frame.header.deadline,
            Self::Peer(_, frame) => frame.header.deadline,
        }
    }

    /// Whether it asks a member to do something, and for which table; everything else is never held.
    fn concern(&self) -> Option<Option<TableId>> {
        match self {
            Self::Client(_, frame) => match &frame.message {
                ClientMessage::Get(get) => Some(Some(get.table)),
                ClientMessage::Put(put) => Some(Some(put.table)),
                ClientMessage::Delete(delete) => Some(Some(delete.table)),
                ClientMessage::CompareAndSet(request) => Some(Some(request.table)),
                ClientMessage::Scan(scan) => Some(Some(scan.table)),
                ClientMessage::CreateTable(_)
                | ClientMessage::AlterTable(_)
                | ClientMessage::DropTable(_)
                | ClientMessage::TruncateTable(_)
                | ClientMessage::ListTables(_) => Some(None),
                _ => None,
            },
            Self::Peer(_, frame) => match &frame.message {
                PeerMessage::Fetch(fetch) => Some(Some(fetch.table)),
                PeerMessage::Store(store) => Some(Some(store.table)),
                PeerMessage::FetchPage(fetch) => Some(Some(fetch.table)),
                PeerMessage::KeepHint(keep) => Some(Some(keep.table)),
                PeerMessage::Pull(pull) => Some(Some(pull.table)),
                PeerMessage::Forward(Forward::Put(put)) => Some(Some(put.table)),
                PeerMessage::Forward(Forward::Delete(delete)) => Some(Some(delete.table)),
                PeerMessage::Advance(_) => Some(None),
                _ => None,
            },
        }
    }
}

impl Held {
    /// Drops what a client waited for that is gone.
    pub(super) fn client_gone(&mut self, client: ClientId) {
        self.retain(|frame| !matches!(frame, HeldFrame::Client(of, _) if *of == client));
    }

    /// Drops what came over a connection that is lost.
    pub(super) fn peer_down(&mut self, peer: NodeId) {
        self.retain(|frame| !matches!(frame, HeldFrame::Peer(from, _) if *from == peer));
    }

    /// When [`Node::refuse_overdue`] is due.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Panics if the state contradicts itself.
    pub(super) fn validate(&self) {
        assert_eq!(self.timers.count(), self.frames.len(), "what waits is refused in time");
        assert!(self.frames.len() <= HELD_MAX);
    }

    fn hold(&mut self, until: Instant, frame: HeldFrame) {
        self.last += 1;
        self.timers.set(until, self.last);
        self.frames.insert(self.last, (until, frame));
    }

    fn retain(&mut self, stays: impl Fn(&HeldFrame) -> bool) {
        let Self { frames, timers, .. } = self;
        frames.retain(|number, (until, frame)| {
            let stays = stays(frame);
            if !stays {
                timers.cancel(*until, *number);
            }
            stays
        });
    }
}

impl Node {
    /// Holds a request back if it must wait for the map; else gives it back.
    pub(super) fn hold(&mut self, now: Now, frame: HeldFrame, effects: &mut Effects) -> Option<HeldFrame> {
        let must_wait = self.must_wait(&frame);
        let turn = &mut self.surroundings.turn(now, effects);
        let is_news = frame.epoch() > turn.epoch && frame.concern().is_some();
        if turn.serves && is_news && matches!(frame, HeldFrame::Client(..)) {
            self.agreement.look_for_news(turn);
        }
        if !must_wait {
            return Some(frame);
        }
        let turn = &mut self.surroundings.turn(now, effects);
        if self.held.frames.len() < HELD_MAX {
            self.held.hold(frame.deadline().min(now.mono + HELD_FOR), frame);
        } else {
            refuse_held(turn, frame);
        }
        None
    }

    /// Serves what need not wait any longer.
    pub(super) fn release(&mut self, now: Now, effects: &mut Effects) {
        let ready: Vec<_> =
            self.held.frames.iter().filter(|(_, (_, frame))| !self.must_wait(frame)).collect();
        let ready: Vec<_> = ready.into_iter().map(|(number, (until, _))| (*number, *until)).collect();
        for (number, until) in ready {
            self.held.timers.cancel(until, number);
            match self.held.frames.remove(&number) {
                Some((_, HeldFrame::Client(client, frame))) => self.client(now, client, frame, effects),
                Some((_, HeldFrame::Peer(from, frame))) => self.peer(now, from, frame, effects),
                None => {}
            }
        }
    }

    /// Refuses what has waited long enough.
    pub(super) fn refuse_overdue(&mut self, now: Now, effects: &mut Effects) {
        let turn = &mut self.surroundings.turn(now, effects);
        while let Some(number) = self.held.timers.pop_due(now.mono) {
            if let Some((_, frame)) = self.held.frames.remove(&number) {
                refuse_held(turn, frame);
            }
        }
    }

    fn must_wait(&self, frame: &HeldFrame) -> bool {
        let Some(table) = frame.concern() else {
            return false;
        };
        let catalog = &self.surroundings.catalog;
        let is_unheard_of = |id| catalog.table(id).is_none() && frame.epoch() > catalog.epoch();
        !self.surroundings.serves || table.is_some_and(is_unheard_of)
    }
}

fn refuse_held(turn: &mut Turn<'_>, frame: HeldFrame) {
    let behind = || RequestError::not_applied(Failure::Behind);
    let (peer, Frame { header, message }) = match frame {
        HeldFrame::Client(client, frame) => return refuse(turn, client, frame.header, behind()),
        HeldFrame::Peer(peer, frame) => (peer, frame),
    };
    let header = Header { epoch: turn.epoch, ..header };
    let message = match message {
        PeerMessage::Forward(_) => Forwarded { result: Err(behind()) }.into(),
        PeerMessage::Pull(_) => Pulled { result: Err(PeerRefusal::Behind) }.into(),
        _ => Refused { refusal: PeerRefusal::Behind }.into(),
    };
    turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
}

/// Requests that wait at a time; more are refused.
const HELD_MAX: usize = 4_096;
/// How long a map is waited for: longer than a member takes to answer, shorter than a client's patience.
const HELD_FOR: Duration = Duration::from_secs(1);
