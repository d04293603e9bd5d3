//! Clients that want to know which tables there are.
//!
//! This node may have missed a change that another client was told of. So it asks for the newest map until a majority
//! of the members, itself included, has answered since the client asked: whoever told the other client waited for a
//! majority to install the change, and the two have a member in common. Where no majority can be reached, what this
//! node knows is told after a while: reads and writes at ONE go on there.

use std::collections::BTreeSet;

use quorate_ring::{Duration, Epoch, Instant, NodeId};

use super::{Agreement, Timer};
use crate::{
    coordinator::{answer, refuse},
    membership::map::MapMessage,
    node::{ClientId, Turn},
    wire::{Failure, Header, RequestError, RequestId, Tables},
};

/// A client that waits for a list.
#[derive(Debug)]
pub(super) struct Listing {
    client: ClientId,
    header: Header,
    until: Instant,
    heard: BTreeSet<NodeId>,
    /// The newest epoch that anybody told of.
    newest: Epoch,
}

impl Agreement {
    /// A client wants to know which tables there are.
    pub fn list(&mut self, turn: &mut Turn<'_>, client: ClientId, header: Header) {
        if self.listings.len() >= LISTINGS_MAX {
            let failure = Failure::Overloaded { retry_after_ms: RETRY_AFTER_MS };
            return refuse(turn, client, header, RequestError::not_applied(failure));
        }
        let id = self.listing_ids.next();
        let until = header.deadline.min(turn.now.mono + PATIENCE);
        let listing = Listing {
            client,
            header,
            until,
            heard: [turn.config.node].into(),
            newest: self.keeper.newest().epoch(),
        };
        self.listings.insert(id, listing);
        self.timers.set(until, Timer::Listing(id));
        let own = self.keeper.own();
        for peer in turn.peers().filter(|peer| turn.up.contains(*peer)).collect::<Vec<_>>() {
            let known = self.keeper.newest().epoch();
            let fetch = MapMessage::Fetch { asker: own.actor, known, incarnation: own.incarnation };
            self.send_as(turn, peer, fetch, id);
        }
        if !self.is_majority(turn.peers().filter(|peer| turn.up.contains(*peer)).count() + 1) {
            self.end_listing(turn, id);
        }
    }

    /// Nobody waits there any more.
    pub fn client_gone(&mut self, client: ClientId) {
        let Self { listings, timers, .. } = self;
        listings.retain(|id, listing| {
            if listing.client == client {
                timers.cancel(listing.until, Timer::Listing(*id));
            }
            listing.client != client
        });
    }

    /// A peer has answered a question of this id.
    pub(super) fn heard_for_listing(&mut self, id: RequestId, from: NodeId, epoch: Epoch) {
        let is_member = self.keeper.knows_member(from);
        if let Some(listing) = self.listings.get_mut(&id).filter(|_| is_member) {
            listing.heard.insert(from);
            listing.newest = listing.newest.max(epoch);
        }
    }

    /// Answers those who have waited long enough.
    pub(super) fn look_at_listings(&mut self, turn: &mut Turn<'_>) {
        let installed = self.keeper.map().map_or(Epoch(0), |map| map.epoch());
        let is_done =
            |listing: &Listing| installed >= listing.newest && self.is_majority(listing.heard.len());
        let done: Vec<_> = self.listings.iter().filter(|(_, l)| is_done(l)).map(|(id, _)| *id).collect();
        done.into_iter().for_each(|id| self.end_listing(turn, id));
    }

    /// Tells a client what is known.
    pub(super) fn end_listing(&mut self, turn: &mut Turn<'_>, id: RequestId) {
        let (Some(listing), Some(map)) = (self.listings.remove(&id), self.keeper.map()) else {
            return;
        };
        self.timers.cancel(listing.until, Timer::Listing(id));
        let tables = map.tables().cloned().collect();
        let header = listing.header;
        answer(turn, listing.client, header, Tables { tables }.into());
    }

    fn is_majority(&self, members: usize) -> bool {
        members > self.keeper.newest().members().count() / 2
    }
}

/// Clients that wait for a list at a time; each has asked every peer.
const LISTINGS_MAX: usize = 256;
const RETRY_AFTER_MS: u32 = 50;
/// How long a majority is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
