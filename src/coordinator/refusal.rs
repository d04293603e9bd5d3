//! Why replicas did not do what they were asked, and what that says of a write (rules Q10, S5, V2).
//!
//! A replica that was lost may have stored what it was sent. One that refused for want of room, or because of its
//! map or its clock, has certainly not. A write that every replica it was sent to has refused so was not applied, and
//! must leave no hint behind, or it would be applied after all.

use quorate_ring::{Hlc, Tag};

use super::{quorum::Places, stragglers::Refused};
use crate::{
    node::{Alarm, Effect, Turn},
    wire::PeerRefusal,
};

/// A replica that did not do what it was asked.
#[derive(Clone, Debug)]
pub struct Failed {
    /// For people.
    pub why: String,
    cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It may have done it all the same.
    Unsure,
    /// It did nothing.
    Refused,
    /// It did nothing, because the tag is beyond what it accepts.
    ClockAhead(Hlc),
    /// It did nothing, because it has promised itself to this later round.
    Outbid(Tag),
}

impl Failed {
    /// It may have done it all the same.
    pub fn unsure(why: impl Into<String>) -> Self {
        Self { why: why.into(), cause: Cause::Unsure }
    }

    /// The most that it accepts, if the tag is ahead of its clock.
    pub(super) fn limit(&self) -> Option<Hlc> {
        match self.cause {
            Cause::ClockAhead(limit) => Some(limit),
            Cause::Unsure | Cause::Refused | Cause::Outbid(_) => None,
        }
    }

    /// The later round that it has promised itself to, if it refused an earlier one (rule C1).
    pub(super) fn outbid(&self) -> Option<Tag> {
        match self.cause {
            Cause::Outbid(promised) => Some(promised),
            Cause::Unsure | Cause::Refused | Cause::ClockAhead(_) => None,
        }
    }

    /// Whether it refused a tag that is ahead of its clock.
    pub(super) fn is_clock_ahead(&self) -> bool {
        matches!(self.cause, Cause::ClockAhead(_))
    }
}

impl From<PeerRefusal> for Failed {
    fn from(refusal: PeerRefusal) -> Self {
        let cause = match refusal {
            PeerRefusal::ClockAhead { limit } => Cause::ClockAhead(limit),
            PeerRefusal::Outbid { promised, .. } => Cause::Outbid(promised),
            PeerRefusal::WrongEpoch { .. }
            | PeerRefusal::WrongOwner
            | PeerRefusal::UnknownTable
            | PeerRefusal::Behind
            | PeerRefusal::Overloaded
            | PeerRefusal::Full => Cause::Refused,
            // A recovering replica keeps what it does not acknowledge.
            PeerRefusal::Recovering | PeerRefusal::Damaged(_) | PeerRefusal::Disk(_) => Cause::Unsure,
        };
        Self { why: refusal.to_string(), cause }
    }
}

/// What replicas said that did not store a write.
///
/// Events: [`sent`](Self::sent), [`failed`](Self::failed), [`superseded`](Self::superseded). The rest only looks.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    sent: Places,
    /// Those that certainly stored nothing.
    refused: Places,
    /// Those of them that found the tag ahead of every clock.
    ahead: Places,
    /// Those of them that have promised themselves to a later round.
    outbid: Places,
    /// The most that any of those accepts.
    limit: Hlc,
    /// The greatest of the versions ahead of every clock that were kept in the write's place.
    kept: Option<Tag>,
}

impl Refusals {
    /// The state is on its way to the replica at `place`.
    pub(super) fn sent(&mut self, place: usize) {
        self.sent.insert(place);
    }

    /// The replica at `place` did not store it.
    pub(super) fn failed(&mut self, place: usize, failed: &Failed) {
        if failed.cause != Cause::Unsure {
            self.refused.insert(place);
        }
        if let Cause::Outbid(_) = failed.cause {
            self.outbid.insert(place);
        }
        if let Cause::ClockAhead(limit) = failed.cause {
            self.ahead.insert(place);
            self.limit = self.limit.max(limit);
        }
    }

    /// Whether the replica at `place` has promised itself to a later round.
    pub(super) fn is_outbid(&self, place: usize) -> bool {
        self.outbid.contains(place)
    }

    /// The replica at `place` keeps `held` in its place, which is ahead of every clock.
    pub(super) fn superseded(&mut self, place: usize, held: Tag) {
        self.refused.insert(place);
        self.kept = self.kept.max(Some(held));
    }

    /// What a write must exceed that nobody has kept, because of versions ahead of every clock.
    pub(super) fn kept(&self) -> Option<Tag> {
        self.kept.filter(|_| self.are_all())
    }

    /// Whether the replica at `place` found the tag ahead.
    pub(super) fn is_ahead(&self, place: usize) -> bool {
        self.ahead.contains(place)
    }

    /// Whether nobody who was sent the state can have it.
    pub(super) fn are_all(&self) -> bool {
        self.sent.iter().all(|place| self.refused.contains(place))
    }

    /// Whether nobody who has answered so far can have it.
    pub(super) fn may_be_all(&self, outstanding: Places) -> bool {
        self.sent.iter().all(|place| self.refused.contains(place) || outstanding.contains(place))
    }

    /// So many found the tag ahead that it must be this node's clock which is wrong (rule V2): `blocking` of them
    /// keep every quorum from forming.
    pub(super) fn tell(&self, blocking: usize, turn: &mut Turn<'_>) {
        if self.ahead.len() >= blocking {
            tell(self.limit, turn);
        }
    }

    /// For the replicas that have not answered yet: `blocking` is as above, if the tag is of this node's clock.
    pub(super) fn so_far(&self, blocking: Option<usize>) -> Refused {
        Refused { ahead: self.ahead.len(), limit: self.limit, blocking: blocking.unwrap_or(usize::MAX) }
    }
}

/// Peers accept `limit` at most: this node's clock names nothing until it is right again.
pub(super) fn tell(limit: Hlc, turn: &mut Turn<'_>) {
    if let Some(ahead_ms) = turn.clock.refused(turn.now, limit) {
        turn.effects.push(Effect::Alarm(Alarm::ClockAhead { ahead_ms }));
    }
}
