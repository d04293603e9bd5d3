//! What this replica's clock shows to readers of values that expire (rule D1).
//!
//! A reading counts for a reader only if it is never taken back, so only what lies below the clock's durable
//! bound is told. A node that was idle has used its reservation up: its durable reading lags behind, so it tells nothing
//! with the state, and the reader asks for the clock by itself. That answer waits for the next reservation.
//! A reading that lags would do where no expiry of the state lies in between, but another replica may hold a newer
//! state that expires just there: the reader would take this clock for one that has not got so far, and a value would
//! outlive its time by as long as the node was idle.

use quorate_ring::{Hlc, Instant, NodeId};
use quorate_storage::State;

use super::{Replica, answer, refused};
use crate::{
    node::{Effect, Observation, Turn},
    wire::{Advance, Advanced, Header, PeerRefusal},
};

/// A peer that waits until the clock has durably passed a reading.
#[derive(Debug)]
pub(super) struct AwaitingReservation {
    peer: NodeId,
    header: Header,
    to: Hlc,
}

/// The clock's durable reading, if a value of `state` expires and that reading does not lag behind.
pub fn shown_with(turn: &mut Turn<'_>, state: Option<&State>) -> Option<Hlc> {
    let state = state?;
    state.last_expiry()?;
    let shown = turn.clock.durable(turn.now, turn.effects);
    (shown >= Hlc::from_wall(turn.now.wall)).then_some(shown)
}

impl Replica {
    /// A reader wants the clock to pass a reading, and to know what it shows then. One that is further ahead than
    /// working clocks can be is refused, or one broken clock would set all others (rule V2).
    pub fn advance(&mut self, turn: &mut Turn<'_>, peer: NodeId, header: Header, advance: Advance) {
        if header.deadline <= turn.now.mono {
            return turn.effects.push(Effect::Observe(Observation::Expired));
        }
        let limit = turn.clock.horizon(turn.now);
        if advance.to > limit {
            return answer(turn, peer, header, refused(PeerRefusal::ClockAhead { limit }));
        }
        self.forget_expired(turn.now.mono);
        if !self.room.is_there_for(peer, turn.config) {
            turn.effects.push(Effect::Observe(Observation::Overloaded));
            return answer(turn, peer, header, refused(PeerRefusal::Overloaded));
        }
        self.room.enter(peer);
        self.awaiting_reservation.push(AwaitingReservation { peer, header, to: advance.to });
        self.clock_reserved(turn);
    }

    /// The clock may go on: those whose reading it has durably passed hear of it.
    pub fn clock_reserved(&mut self, turn: &mut Turn<'_>) {
        self.forget_expired(turn.now.mono);
        self.awaiting_reservation.retain(|awaiting| {
            let Some(shown) = turn.clock.advance(turn.now, awaiting.to, turn.effects) else {
                return true;
            };
            self.room.leave(awaiting.peer);
            answer(turn, awaiting.peer, awaiting.header, Advanced { to: shown }.into());
            false
        });
    }

    /// Those that are not waited for any more count no longer: a clock that could not go on, for want of room on the disk,
    /// may never be asked again.
    pub(super) fn forget_expired(&mut self, now: Instant) {
        let expired = self.awaiting_reservation.extract_if(.., |awaiting| awaiting.header.deadline <= now);
        expired.for_each(|awaiting| self.room.leave(awaiting.peer));
    }
}
