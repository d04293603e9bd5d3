//! Pages of a table, for coordinators that read it in the order of tokens.
//!
//! A page is as many fetches at once: of each key what a [`Fetch`](crate::wire::Fetch) of it would give, or would have
//! given a moment before, and of every place in between that there is nothing. It is admitted as a fetch is, of its
//! ranges in place of one key, and what a replica may not answer a fetch with it leaves out: a key with a damaged record
//! or contents in question is named, so that nobody takes it for absent (rules S3, V4).

use bytes::Bytes;
use quorate_ring::{NodeId, TokenRange, token_of};
use quorate_storage::{Page, Row, State};

use super::{Replica, answer, damaged, refused, shown_with};
use crate::{
    coordinator::Step,
    node::{DiskOperation, DiskRequest, DiskResult, Effect, Observation, Scan, Ticket, Turn},
    wire::{Answer, FetchPage, Header, PageFetched, PeerMessage, PeerRefusal, Want},
};

/// A page that the disk is to read.
#[derive(Clone, Debug)]
pub struct PageErrand {
    /// Whose coordinator asked: a peer's or this node's own.
    asker: NodeId,
    /// The request's id and deadline.
    header: Header,
    table: quorate_ring::TableId,
    rows_max: usize,
    want: Want,
}

impl Replica {
    /// A peer's coordinator asks for a page.
    pub fn fetch_page(&mut self, turn: &mut Turn<'_>, asker: NodeId, header: Header, fetch: FetchPage) {
        if header.deadline <= turn.now.mono {
            return turn.effects.push(Effect::Observe(Observation::Expired));
        }
        if let Err(refusal) = self.admit_page(turn, header, &fetch) {
            return answer(turn, asker, header, refused(refusal));
        }
        self.pages += 1;
        read_page(turn, asker, header, fetch);
    }

    /// The disk is done with a page: a peer hears of it; what this node's own coordinator is to hear comes back. `Err` if
    /// the node must stop.
    pub fn page_done(
        &mut self,
        turn: &mut Turn<'_>,
        errand: PageErrand,
        result: DiskResult,
    ) -> Result<Option<(Step, PeerMessage)>, String> {
        let PageErrand { asker, header, .. } = errand;
        if asker != turn.config.node {
            self.pages -= 1;
        }
        let message = match result {
            DiskResult::Scanned(Ok(page)) => fetched(turn, &errand, page).into(),
            DiskResult::Scanned(Err(why)) if why.is_fatal() => return Err(why.to_string()),
            DiskResult::Scanned(Err(why)) => refused(PeerRefusal::Disk(why.to_string())),
            _ => refused(PeerRefusal::Overloaded),
        };
        if asker == turn.config.node {
            return Ok(Some((Step::from_request_id(header.id), message)));
        }
        if header.deadline > turn.now.mono {
            answer(turn, asker, header, message);
        } else {
            turn.effects.push(Effect::Observe(Observation::Expired));
        }
        Ok(None)
    }

    fn admit_page(&self, turn: &mut Turn<'_>, header: Header, fetch: &FetchPage) -> Result<(), PeerRefusal> {
        if header.epoch < turn.catalog.moved_at() {
            return Err(PeerRefusal::WrongEpoch { known: turn.epoch });
        }
        let table = turn.catalog.table(fetch.table).ok_or(PeerRefusal::UnknownTable)?;
        let own = turn.config.node;
        let holds = |range: &TokenRange| turn.ring.replicas(range.end, table.replication).contains(&own);
        if !fetch.ranges.iter().all(holds) {
            return Err(PeerRefusal::WrongOwner);
        }
        if !turn.up.serves_all(own, table.id, &fetch.ranges) {
            return Err(PeerRefusal::Recovering);
        }
        if self.pages >= PAGES_MAX {
            turn.effects.push(Effect::Observe(Observation::Overloaded));
            return Err(PeerRefusal::Overloaded);
        }
        Ok(())
    }
}

/// Reads a page for this node's own coordinator, which has seen that its replica serves all of it.
pub fn read_own_page(turn: &mut Turn<'_>, header: Header, fetch: FetchPage) {
    read_page(turn, turn.config.node, header, fetch);
}

fn read_page(turn: &mut Turn<'_>, asker: NodeId, header: Header, fetch: FetchPage) {
    let FetchPage { table, ranges, after, rows_max, want } = fetch;
    let errand = PageErrand { asker, header, table, rows_max: rows_max.max(1) as usize, want };
    let bytes_max = PAGE_BYTES_MAX.min(turn.config.value_bytes_max + PAGE_BYTES_MIN);
    let operation = DiskOperation::Scan(Scan { table, ranges, after, bytes_max });
    let ticket = Ticket::Page(Box::new(errand));
    turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: header.deadline, operation }));
}

/// What the replica says of a page that was read.
fn fetched(turn: &mut Turn<'_>, errand: &PageErrand, page: Page) -> PageFetched {
    let PageErrand { table, rows_max, want, .. } = *errand;
    let Page { states, damaged: mut bad, next } = page;
    let told = states.into_iter().filter_map(|(key, state)| Some((key, state.told()?)));
    let mut states: Vec<_> = told.collect();
    let mut until = next;
    if states.len() > rows_max {
        states.truncate(rows_max);
        until = states.last().map(|(key, _)| Row::new(token_of(key), table, key.clone()));
        // Those behind that place are of a later page. A page has few of them, if any.
        bad.retain(|key| Some(Row::new(token_of(key), table, key.clone())) < until);
    }
    for key in &bad {
        let row = Row::new(token_of(key), table, key.clone());
        damaged(turn, &row, "found by a scan");
        turn.damaged.push(row);
    }
    // Those have nothing to be restored from (rule V4).
    let is_in_conflict = |(key, state): &mut (Bytes, State)| {
        let row = Row::new(token_of(key), table, key.clone());
        turn.conflicts.within(&row, state).is_some()
    };
    bad.extend(states.extract_if(.., is_in_conflict).map(|(key, _)| key));
    for (key, state) in &states {
        let row = Row::new(token_of(key), table, key.clone());
        if !turn.quarantine.contains(&row) {
            turn.cache.update(row, state.clone());
        }
    }
    let expiring = states.iter().map(|(_, state)| state).find(|state| state.last_expiry().is_some());
    let clock = shown_with(turn, expiring);
    let said = |state: State| match want {
        Want::State => Answer::State(Some(state)),
        _ if !state.is_vote() => Answer::State(Some(state)),
        Want::Digest | Want::Version => Answer::Digest(Some((state.version(), state.digest()))),
    };
    let rows = states.into_iter().map(|(key, state)| (key, said(state))).collect();
    let members: Vec<_> = turn.peers().collect();
    PageFetched { rows, damaged: bad, until, clock, lives: turn.lives.after_loss(&members) }
}

/// Pages of peers that wait for the disk at a time; more are refused as overloaded.
const PAGES_MAX: usize = 64;
/// The longest page, in bytes, unless one record is longer.
const PAGE_BYTES_MAX: usize = 256 * 1024;
/// What any frame has room for beside the longest value.
const PAGE_BYTES_MIN: usize = 48 * 1024;
