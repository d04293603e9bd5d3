//! States on their way to a peer: as many at a time as it acknowledges.

use std::collections::{BTreeMap, VecDeque};

use quorate_ring::{Instant, NodeId, Tag};
use quorate_storage::{Row, State};

use super::{PATIENCE, send};
use crate::{
    node::{RequestIds, Turn},
    wire::{RequestId, Store},
};

/// A state on its way: whose, and which.
pub(super) type Given = (Row, Tag);

/// What one peer is given. What is lost on the way is found by the next comparison.
#[derive(Debug, Default)]
pub(super) struct Giving {
    rows: VecDeque<Row>,
    reading: usize,
    /// Sent, and until when an answer is waited for.
    under_way: BTreeMap<RequestId, (Instant, Given)>,
}

impl Giving {
    /// These are to be given, too.
    pub(super) fn push(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    /// How many are not acknowledged yet.
    pub(super) fn len(&self) -> usize {
        self.rows.len() + self.reading + self.under_way.len()
    }

    /// Whether one more row may be under way, and there is one.
    pub(super) fn can_read(&self) -> bool {
        self.reading + self.under_way.len() < UNDER_WAY_MAX && !self.rows.is_empty()
    }

    /// The next row to be read.
    pub(super) fn next_to_read(&mut self) -> Option<Row> {
        let row = self.rows.pop_front()?;
        self.reading += 1;
        Some(row)
    }

    /// A row was read. If there is nothing, or nothing sound, nothing is given.
    pub(super) fn read(
        &mut self,
        turn: &mut Turn<'_>,
        peer: NodeId,
        row: Row,
        state: Option<State>,
        request_ids: &mut RequestIds,
    ) {
        // One read for an earlier connection may come late.
        self.reading = self.reading.saturating_sub(1);
        let Some(state) = state else {
            return;
        };
        let id = request_ids.next();
        let state = state.as_message();
        self.under_way.insert(id, (turn.now.mono + PATIENCE, (row.clone(), state.tag())));
        let Row { table, key, .. } = row;
        send(turn, peer, id, Store { table, key, state, report: false, defer: false, fresh: false }.into());
    }

    /// The peer answered: what it was given; none if this was no answer to that.
    pub(super) fn answered(&mut self, id: RequestId) -> Option<Given> {
        self.under_way.remove(&id).map(|(_, given)| given)
    }

    /// Waits no longer for answers that are overdue; true if there were any.
    pub(super) fn drop_overdue(&mut self, now: Instant) -> bool {
        let before = self.under_way.len();
        self.under_way.retain(|_, (until, _)| *until > now);
        self.under_way.len() < before
    }

    /// When [`Giving::drop_overdue`] is due.
    pub(super) fn timer(&self) -> Option<Instant> {
        // Ids rise, and so do their times.
        self.under_way.values().next().map(|(until, _)| *until)
    }

    /// Panics if the state contradicts itself.
    pub(super) fn validate(&self) {
        assert!(self.under_way.len() <= UNDER_WAY_MAX, "more states are under way than may be");
    }
}

/// States under way to one peer.
const UNDER_WAY_MAX: usize = 64;
