//! How far the hints for one target have been given.

use std::collections::{BTreeMap, VecDeque};

use quorate_ring::Instant;
use quorate_storage::{Row, State, Version};

use crate::{
    node::Pace,
    wire::{PeerMessage, RequestId, Store},
};

/// One pass over the hints of a target.
#[derive(Debug)]
pub(super) struct Replay {
    pace: Pace,
    /// Read, not sent.
    queue: VecDeque<(Row, State)>,
    /// Sent, not answered.
    under_way: BTreeMap<RequestId, (Row, Version)>,
    page: Page,
    /// Whether the target refused a hint on this pass: it stays kept, and is tried again later.
    refused: bool,
    /// Whether a hint was kept since the pass began: it may have come after its page was read.
    has_news: bool,
    /// When the pass is given up and begun anew.
    timer: Option<Instant>,
}

#[derive(Debug)]
enum Page {
    /// The disk reads one.
    Reading,
    /// There is one more, after this row.
    More(Row),
    /// That was the last one.
    Last,
}

impl Replay {
    /// A pass over so many hints, of which a page is being read.
    pub(super) fn of(hints: u64) -> Self {
        Self {
            pace: Pace::for_hints(hints),
            queue: VecDeque::new(),
            under_way: BTreeMap::new(),
            page: Page::Reading,
            refused: false,
            has_news: false,
            timer: None,
        }
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

    /// The target answered: what it was given, if it keeps that; `None` if nobody asked.
    #[expect(clippy::option_option, reason = "no question, and a question answered with no")]
    pub(super) fn answered(&mut self, id: RequestId, is_stored: bool) -> Option<Option<(Row, Version)>> {
        let given = self.under_way.remove(&id)?;
        self.refused |= !is_stored;
        Some(is_stored.then_some(given))
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

    pub(super) fn had_refusals(&self) -> bool {
        self.refused
    }

    /// Another hint is kept for the target.
    pub(super) fn kept_another(&mut self) {
        self.has_news = true;
    }

    /// Whether another pass must follow this one.
    pub(super) fn has_news(&self) -> bool {
        self.has_news
    }

    /// Nothing is asked of the target any more.
    pub(super) fn stop_waiting(&mut self) {
        self.timer = None;
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
