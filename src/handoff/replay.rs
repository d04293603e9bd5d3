//! How far the hints for one target have been given.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use quorate_ring::Instant;
use quorate_storage::{Row, State, Version};

use super::{Taken, Uncovered};
use crate::{
    node::Pace,
    wire::{PeerMessage, RequestId, Store},
};

/// One pass over hints of a target.
#[derive(Debug)]
pub(super) struct Replay {
    /// Its own, for pages that an earlier one has asked for.
    number: u64,
    /// Over which.
    of: Uncovered,
    pace: Pace,
    /// Read, not sent.
    queue: VecDeque<(Row, State)>,
    /// Sent, not answered.
    under_way: BTreeMap<RequestId, (Row, Version)>,
    page: Page,
    /// What the target could not take on this pass: it stays kept, and is tried again later.
    refused: Uncovered,
    /// When the pass is given up and begun anew.
    timer: Option<Instant>,
}

#[derive(Debug)]
enum Page {
    /// The disk reads one.
    Reading,
    /// None is read before the timer.
    Waiting,
    /// There is one more, after this row.
    More(Row),
    /// That was the last one.
    Last,
}

impl Replay {
    /// A pass over some of so many hints, of which a page is being read.
    pub(super) fn of(number: u64, uncovered: Uncovered, hints: u64) -> Self {
        let few = |rows: &Arc<BTreeSet<Row>>| hints.min(rows.len() as u64);
        let hints = match &uncovered {
            Uncovered::Rows(rows) => few(rows),
            Uncovered::All => hints,
        };
        Self {
            number,
            of: uncovered,
            pace: Pace::for_hints(hints),
            queue: VecDeque::new(),
            under_way: BTreeMap::new(),
            page: Page::Reading,
            refused: Uncovered::default(),
            timer: None,
        }
    }

    /// Its number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it is this one.
    pub(super) fn is(&self, number: u64) -> bool {
        self.number == number
    }

    /// How fast it goes beside clients.
    pub(super) fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    /// A page is here; there are more after `next`.
    pub(super) fn page_read(&mut self, hints: Vec<(Row, State)>, next: Option<Row>) {
        self.queue.extend(hints);
        self.page = next.map_or(Page::Last, Page::More);
    }

    /// Whether one more hint may be under way, and there is one.
    pub(super) fn can_send(&self) -> bool {
        self.under_way.len() < UNDER_WAY_MAX && !self.queue.is_empty()
    }

    /// The next hint, if one more may be under way.
    pub(super) fn next_to_send(&mut self) -> Option<(Row, State)> {
        if self.under_way.len() < UNDER_WAY_MAX { self.queue.pop_front() } else { None }
    }

    /// A hint was sent; the target has until `deadline`.
    pub(super) fn sent(&mut self, id: RequestId, row: Row, version: Version, deadline: Instant) {
        self.under_way.insert(id, (row, version));
        self.timer = Some(deadline);
    }

    /// The target answered: what it was given; `None` if nobody asked.
    pub(super) fn answered(&mut self, id: RequestId, taken: Taken) -> Option<(Row, Version)> {
        let given = self.under_way.remove(&id)?;
        if taken == Taken::NotNow {
            self.refused.add(&given.0);
        }
        Some(given)
    }

    /// Whether all that was read has been answered.
    pub(super) fn is_exhausted(&self) -> bool {
        self.queue.is_empty() && self.under_way.is_empty()
    }

    /// The row after which the next page begins, if there is one; the caller reads it.
    pub(super) fn next_page(&mut self) -> Option<Row> {
        match std::mem::replace(&mut self.page, Page::Last) {
            Page::More(after) => {
                self.page = Page::Reading;
                Some(after)
            }
            page => {
                self.page = page;
                None
            }
        }
    }

    pub(super) fn is_reading(&self) -> bool {
        matches!(self.page, Page::Reading)
    }

    /// Whether there is nothing to do before a page is here, or the timer fires.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.page, Page::Reading | Page::Waiting)
    }

    pub(super) fn had_refusals(&self) -> bool {
        !self.refused.is_empty()
    }

    /// The rows that the pass is over; none if it is over all.
    pub(super) fn rows(&self) -> Option<Arc<BTreeSet<Row>>> {
        match &self.of {
            Uncovered::Rows(rows) => Some(rows.clone()),
            Uncovered::All => None,
        }
    }

    /// What is still to be given if the pass ends here.
    pub(super) fn left(mut self) -> Uncovered {
        if !matches!(self.page, Page::Last) {
            return self.of;
        }
        let under_way = self.under_way.values().map(|(row, _)| row);
        self.queue.iter().map(|(row, _)| row).chain(under_way).for_each(|row| self.refused.add(row));
        self.refused
    }

    /// Nothing is asked of the target any more.
    pub(super) fn stop_waiting(&mut self) {
        self.timer = None;
    }

    /// Begins anew then.
    pub(super) fn begin_anew_at(&mut self, at: Instant) {
        self.page = Page::Waiting;
        self.timer = Some(at);
    }

    /// Leaves the target alone until then.
    pub(super) fn wait_until(&mut self, at: Instant) {
        self.timer = Some(at);
    }

    pub(super) fn timer(&self) -> Option<Instant> {
        self.timer
    }
}

/// A hint as it is sent: a store like any other.
pub(super) fn store(row: Row, state: State) -> PeerMessage {
    Store { table: row.table, key: row.key, state, report: false, defer: false, fresh: false }.into()
}

/// Hints under way to one target: enough to keep its commits full, few enough not to crowd out clients.
const UNDER_WAY_MAX: usize = 64;
