//! Which tables the peers know, and how far they have come with those that they recover (rule R7).
//!
//! Whenever a peer comes up it is told of every table that is there. A peer that lost its state learns of them at
//! once; all others answer that they know. While a peer does not know a table, or recovers one, it is told or
//! asked again.

use std::collections::{BTreeMap, BTreeSet};

use quorate_ring::{Duration, Instant, NodeId, Table, TableId, Tag};
use quorate_storage::{MetaWrite, Write};

use crate::{
    node::{DiskOperation, DiskRequest, Effect, Ticket, Timers, Turn},
    wire::{Frame, Header, PeerMessage, RequestId, Standing, TellTables},
};

/// What the peers that are up have said about their tables.
///
/// Events: [`peer_up`](Self::peer_up), [`peer_down`](Self::peer_down), [`heard`](Self::heard),
/// [`watch`](Self::watch), [`fire_timers`](Self::fire_timers).
#[derive(Debug, Default)]
pub struct TableNews {
    /// The tables of which each peer that is up has said, on this connection, that it knows them.
    known: BTreeMap<NodeId, BTreeSet<TableId>>,
    timers: Timers<()>,
}

impl TableNews {
    /// A peer has come up.
    pub fn peer_up(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        self.known.insert(peer, BTreeSet::new());
        let is_news = self.tell(turn, peer);
        if !is_news {
            // No news is news to a node that has forgotten all tables, or thinks that it might have.
            send_tables(turn, peer, &[]);
        }
    }

    /// A peer is lost.
    pub fn peer_down(&mut self, peer: NodeId) {
        self.known.remove(&peer);
    }

    /// A peer knows these tables.
    pub fn heard(&mut self, peer: NodeId, tables: impl IntoIterator<Item = TableId>) {
        if let Some(known) = self.known.get_mut(&peer) {
            known.extend(tables);
        }
    }

    /// Sees to it that whoever does not know everything, or recovers something, is told and asked in time. To
    /// be called after every other event, and when a table has come.
    pub fn watch(&mut self, turn: &Turn<'_>) {
        if self.timers.next().is_none() && self.known.keys().any(|peer| self.is_behind(turn, *peer)) {
            self.timers.set(turn.now.mono + TELL_EVERY, ());
        }
    }

    /// Tells and asks those that are behind.
    pub fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        while self.timers.pop_due(turn.now.mono).is_some() {
            let behind: Vec<_> =
                self.known.keys().copied().filter(|peer| self.is_behind(turn, *peer)).collect();
            for peer in behind {
                self.tell(turn, peer);
            }
        }
    }

    /// When [`TableNews::fire_timers`] is due.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Tells every peer that is up how far this node has come.
    pub fn publish(&self, turn: &mut Turn<'_>) {
        for peer in self.known.keys() {
            send_standing(turn, *peer, Vec::new());
        }
    }

    fn is_behind(&self, turn: &Turn<'_>, peer: NodeId) -> bool {
        let unknown = self
            .known
            .get(&peer)
            .is_some_and(|known| turn.catalog.there().any(|(_, table)| !known.contains(&table.id)));
        unknown || turn.up.is_recovering(peer)
    }

    /// False if there is nothing to tell or ask.
    fn tell(&self, turn: &mut Turn<'_>, peer: NodeId) -> bool {
        let Some(known) = self.known.get(&peer) else {
            return false;
        };
        let news = turn.catalog.there().filter(|(_, table)| !known.contains(&table.id));
        let news: Vec<_> = news.map(|(attempt, table)| (attempt, table.clone())).collect();
        if news.is_empty() && turn.up.is_recovering(peer) {
            send_tables(turn, peer, &[]);
            return true;
        }
        for tables in news.chunks(TABLES_PER_FRAME) {
            send_tables(turn, peer, tables);
        }
        !news.is_empty()
    }
}

/// Answers a peer that told or asked.
pub fn send_standing(turn: &mut Turn<'_>, peer: NodeId, heard: Vec<TableId>) {
    let standing = Standing { heard, recovering: turn.catalog.left(), wall: turn.now.wall };
    send(turn, peer, standing.into());
}

fn send_tables(turn: &mut Turn<'_>, peer: NodeId, tables: &[(Tag, Table)]) {
    let there = turn.catalog.there().map(|(_, table)| table.id).collect();
    let message = TellTables { tables: tables.to_vec(), there, sure: !turn.catalog.is_unsure() };
    send(turn, peer, message.into());
}

/// Makes it durable that no table is forgotten.
pub fn remember_tables_known(turn: &mut Turn<'_>) {
    let operation = DiskOperation::Write(Write::Meta(MetaWrite::TablesKnown));
    let request = DiskRequest { ticket: Ticket::TablesKnown, deadline: Instant::NEVER, operation };
    turn.effects.push(Effect::Disk(request));
}

fn send(turn: &mut Turn<'_>, peer: NodeId, message: PeerMessage) {
    let deadline = turn.now.mono + turn.config.request_timeout_max;
    let header = Header { id: RequestId(0), epoch: turn.ring.epoch(), deadline };
    turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
}

/// A definition has about a hundred bytes: far below the shortest limit of a frame.
const TABLES_PER_FRAME: usize = 256;
const TELL_EVERY: Duration = Duration::from_millis(500);
