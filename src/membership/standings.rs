//! How far each node has come since it started: whether it acts as a member, and what it recovers (rule R7).
//!
//! Whenever a peer comes up the two tell each other; whoever comes further says so. A peer that has not said anything,
//! or is not done, is asked again: what it said may have been lost with a connection.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Instant, NodeId};

use super::UpSet;
use crate::{
    node::{Effect, Turn},
    wire::{AskStanding, Frame, Header, PeerMessage, RequestId, Standing},
};

/// What the peers that are up have said of themselves.
///
/// Events: [`peer_up`](Self::peer_up), [`peer_down`](Self::peer_down), [`heard`](Self::heard),
/// [`fire_timers`](Self::fire_timers).
#[derive(Debug, Default)]
pub struct Standings {
    /// Whether each peer that is up has said anything on this connection.
    has_said: BTreeMap<NodeId, bool>,
    /// When those that are not done are asked; set while there is one.
    timer: Option<Instant>,
}

impl Standings {
    /// A peer has come up.
    pub fn peer_up(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        self.has_said.insert(peer, false);
        send_standing(turn, peer, NO_REQUEST);
        self.watch(turn, peer);
    }

    /// A peer is lost.
    pub fn peer_down(&mut self, peer: NodeId) {
        self.has_said.remove(&peer);
    }

    /// A peer has said how far it has come; `turn` knows what it said.
    pub fn heard(&mut self, turn: &Turn<'_>, peer: NodeId) {
        self.has_said.entry(peer).and_modify(|has_said| *has_said = true);
        self.watch(turn, peer);
    }

    /// The peers that are up and have said how far they have come.
    pub fn have_said(&self) -> impl Iterator<Item = NodeId> {
        self.has_said.iter().filter(|(_, has_said)| **has_said).map(|(peer, _)| *peer)
    }

    /// Asks those that are not done.
    pub fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        // Whoever is found not to be done sets it: before it goes off there is nobody to look for among all peers.
        if self.timer.is_none_or(|at| at > turn.now.mono) {
            return;
        }
        let open: Vec<_> = self.open(turn.up).collect();
        self.timer = (!open.is_empty()).then_some(turn.now.mono + ASK_EVERY);
        for peer in open {
            send(turn, peer, NO_REQUEST, AskStanding {}.into());
        }
    }

    /// When [`Standings::fire_timers`] is due.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timer
    }

    /// Panics if the state contradicts itself, or what is known of the peers.
    pub fn validate(&self, up: &UpSet) {
        let is_forgotten = self.timer.is_none() && self.open(up).next().is_some();
        assert!(!is_forgotten, "a peer that is not done is never asked");
        assert!(self.has_said.keys().all(|peer| up.contains(*peer)), "only peers that are up");
    }

    /// Tells every peer that is up how far this node has come.
    pub fn publish(&self, turn: &mut Turn<'_>) {
        for peer in self.has_said.keys() {
            send_standing(turn, *peer, NO_REQUEST);
        }
    }

    /// Sees to it that a peer is asked in time if it is not done. Of others nothing has changed.
    fn watch(&mut self, turn: &Turn<'_>, peer: NodeId) {
        if self.has_said.get(&peer).is_some_and(|has_said| is_open(turn.up, peer, *has_said)) {
            self.timer.get_or_insert(turn.now.mono + ASK_EVERY);
        }
    }

    /// Those that are not done.
    fn open(&self, up: &UpSet) -> impl Iterator<Item = NodeId> {
        self.has_said.iter().filter(|(peer, said)| is_open(up, **peer, **said)).map(|(peer, _)| *peer)
    }
}

/// Answers a peer that asked by the name of `id`.
pub fn send_standing(turn: &mut Turn<'_>, peer: NodeId, id: RequestId) {
    let standing = Standing { serves: turn.serves, recovering: turn.catalog.left(), wall: turn.now.wall };
    send(turn, peer, id, standing.into());
}

fn is_open(up: &UpSet, peer: NodeId, has_said: bool) -> bool {
    !has_said || up.is_absent(peer) || up.is_recovering(peer)
}

fn send(turn: &mut Turn<'_>, peer: NodeId, id: RequestId, message: PeerMessage) {
    let deadline = turn.now.mono + turn.config.request_timeout_max;
    let header = Header { id, epoch: turn.epoch, deadline };
    turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
}

/// Whatever comes as an answer to it says all there is to know.
const NO_REQUEST: RequestId = RequestId(0);
const ASK_EVERY: Duration = Duration::from_millis(500);
