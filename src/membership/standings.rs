//! How far each node has come since it started: whether it acts as a member, and what it recovers (rule R7).
//!
//! Whenever a peer comes up the two tell each other; whoever comes further says so. A peer that has not said anything,
//! or is not done, is asked again: what it said may have been lost with a connection.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Instant, NodeId};

use crate::{
    node::{Effect, Timers, Turn},
    wire::{AskStanding, Frame, Header, PeerMessage, RequestId, Standing},
};

/// What the peers that are up have said of themselves.
///
/// Events: [`peer_up`](Self::peer_up), [`peer_down`](Self::peer_down), [`heard`](Self::heard),
/// [`watch`](Self::watch), [`fire_timers`](Self::fire_timers).
#[derive(Debug, Default)]
pub struct Standings {
    /// Whether each peer that is up has said anything on this connection.
    has_said: BTreeMap<NodeId, bool>,
    timers: Timers<()>,
}

impl Standings {
    /// A peer has come up.
    pub fn peer_up(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        self.has_said.insert(peer, false);
        send_standing(turn, peer, NO_REQUEST);
    }

    /// A peer is lost.
    pub fn peer_down(&mut self, peer: NodeId) {
        self.has_said.remove(&peer);
    }

    /// A peer has said how far it has come.
    pub fn heard(&mut self, peer: NodeId) {
        self.has_said.entry(peer).and_modify(|has_said| *has_said = true);
    }

    /// The peers that are up and have said how far they have come.
    pub fn have_said(&self) -> impl Iterator<Item = NodeId> {
        self.has_said.iter().filter(|(_, has_said)| **has_said).map(|(peer, _)| *peer)
    }

    /// Sees to it that whoever is not done is asked in time. To be called when a peer has come up or said how far it has come.
    pub fn watch(&mut self, turn: &Turn<'_>) {
        if self.timers.next().is_none()
            && self.has_said.iter().any(|(peer, said)| is_open(turn, *peer, *said))
        {
            self.timers.set(turn.now.mono + ASK_EVERY, ());
        }
    }

    /// Asks those that are not done.
    pub fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        // There are as many peers as nodes, and this is asked at every step: while no timer is due nothing has become open.
        if self.timers.next().is_none_or(|at| at > turn.now.mono) {
            return;
        }
        while self.timers.pop_due(turn.now.mono).is_some() {
            let open = self.has_said.iter().filter(|(peer, said)| is_open(turn, **peer, **said));
            for peer in open.map(|(peer, _)| *peer).collect::<Vec<_>>() {
                send(turn, peer, NO_REQUEST, AskStanding {}.into());
            }
        }
        self.watch(turn);
    }

    /// When [`Standings::fire_timers`] is due.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Tells every peer that is up how far this node has come.
    pub fn publish(&self, turn: &mut Turn<'_>) {
        for peer in self.has_said.keys() {
            send_standing(turn, *peer, NO_REQUEST);
        }
    }
}

/// Answers a peer that asked by the name of `id`.
pub fn send_standing(turn: &mut Turn<'_>, peer: NodeId, id: RequestId) {
    let standing = Standing { serves: turn.serves, recovering: turn.catalog.left(), wall: turn.now.wall };
    send(turn, peer, id, standing.into());
}

fn is_open(turn: &Turn<'_>, peer: NodeId, has_said: bool) -> bool {
    !has_said || turn.up.is_absent(peer) || turn.up.is_recovering(peer)
}

fn send(turn: &mut Turn<'_>, peer: NodeId, id: RequestId, message: PeerMessage) {
    let deadline = turn.now.mono + turn.config.request_timeout_max;
    let header = Header { id, epoch: turn.epoch, deadline };
    turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
}

/// Whatever comes as an answer to it says all there is to know.
const NO_REQUEST: RequestId = RequestId(0);
const ASK_EVERY: Duration = Duration::from_millis(500);
