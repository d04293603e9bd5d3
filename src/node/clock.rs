//! The node's hybrid logical clock, with the reservations that make it durable (rule V1).

use std::collections::BTreeMap;

use quorate_ring::{Actor, Duration, Hlc, Instant, Now, Tag};
use quorate_storage::{HlcClock, Horizon, MetaWrite, Row, Write};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{DiskOperation, DiskRequest, Effect, Effects, Ticket};

/// Mints tags. A reading is given out only below a bound that is durable; the next bound is asked for
/// before the present one is used up, and an idle node asks for none.
#[derive(Debug)]
pub struct Clock {
    hlc: HlcClock,
    actor: Actor,
    /// How far apart working clocks may be.
    offset_max: Duration,
    /// The bound that is on its way to the disk.
    requested: Option<Hlc>,
    /// Set while peers refuse what this clock names.
    refused: Option<RefusedAt>,
    /// Actors drawn for single writes.
    actors_drawn: u64,
    /// Keys whose record was replaced by what others hold, with the actor under which they are written since.
    restored: BTreeMap<Row, Actor>,
    #[cfg(feature = "mutants")]
    by_wall_alone: bool,
}

/// What peers accepted at most, and when.
#[derive(Clone, Copy, Debug)]
struct RefusedAt {
    limit: Hlc,
    at: Instant,
}

impl Clock {
    /// Goes on above `bound`, everything that an earlier process of this node may have given out. Working clocks are
    /// at most `offset_max` apart.
    pub fn resume(bound: Hlc, actor: Actor, offset_max: Duration) -> Self {
        Self {
            hlc: HlcClock::resume(bound),
            actor,
            offset_max,
            requested: None,
            refused: None,
            actors_drawn: 0,
            restored: BTreeMap::new(),
            #[cfg(feature = "mutants")]
            by_wall_alone: false,
        }
    }

    /// The mistake [`Mutant::ClockAlone`](super::Mutant::ClockAlone).
    #[cfg(feature = "mutants")]
    pub(super) fn forget_all_but_the_wall(&mut self) {
        self.by_wall_alone = true;
    }

    /// The mistake [`Mutant::AheadAccepted`](super::Mutant::AheadAccepted).
    #[cfg(feature = "mutants")]
    pub(super) fn accept_all(&mut self) {
        self.offset_max = Duration::from_secs(1 << 32);
    }

    /// A tag above `floor` and above all minted or observed before; `None` if the reservation is used
    /// up: the caller waits for [`Clock::reserved`].
    ///
    /// A floor that is ahead of every working clock does not move this one (rule V2): the tag is just above it, and
    /// not above what was minted before. So it is no name yet: see [`Clock::is_ahead`].
    pub fn mint(&mut self, now: Now, floor: Option<Tag>, effects: &mut Effects) -> Option<Tag> {
        if let Some(floor) = floor.filter(|floor| self.is_ahead(now, floor.hlc)) {
            return Some(Tag { hlc: floor.hlc.next(), actor: self.actor });
        }
        let floor = floor.map_or(Hlc::ZERO, |tag| tag.hlc);
        #[cfg(feature = "mutants")]
        if self.by_wall_alone {
            return Some(Tag { hlc: Hlc(Hlc::from_wall(now.wall).0 + 1), actor: self.actor });
        }
        let minted = self.hlc.tick_above(now.wall, floor);
        self.reserve_if_due(now, effects);
        minted.ok().map(|hlc| Tag { hlc, actor: self.actor })
    }

    /// What the clock shows, as far as that is durable (rule D1): a later reading is never less, whatever
    /// becomes of the process. If it lags behind [`Clock::present`], a reservation is on its way:
    /// [`Clock::reserved`] will be called.
    pub fn durable(&mut self, now: Now, effects: &mut Effects) -> Hlc {
        let shown = self.hlc.durable(now.wall);
        self.reserve_if_due(now, effects);
        shown
    }

    /// What the clock shows, durable or not.
    pub fn present(&self, now: Now) -> Hlc {
        self.hlc.present(now.wall)
    }

    /// Passes `to` and what the wall clock shows, and gives the durable reading then (rule D1); `None` while
    /// the reservation does not reach so far: ask again after [`Clock::reserved`].
    pub fn advance(&mut self, now: Now, to: Hlc, effects: &mut Effects) -> Option<Hlc> {
        self.hlc.observe(to);
        let shown = self.durable(now, effects);
        (shown >= to && shown >= Hlc::from_wall(now.wall)).then_some(shown)
    }

    /// Never mints at or below `hlc` from now on.
    pub fn observe(&mut self, hlc: Hlc) {
        self.hlc.observe(hlc);
    }

    /// The last reading that a working clock elsewhere can show by now (rule V2). This node's hybrid clock may be
    /// further: it may have gone on from a wall clock that was wrong.
    pub fn horizon(&self, now: Now) -> Hlc {
        let ahead = (self.offset_max.as_millis() as u64) << Hlc::LOGICAL_BITS;
        Hlc(Hlc::from_wall(now.wall).0.saturating_add(ahead))
    }

    /// Whether no working clock can show `hlc` by now, and this one has not come so far either.
    pub fn is_ahead(&self, now: Now, hlc: Hlc) -> bool {
        hlc > self.horizon(now) && hlc > self.hlc.last()
    }

    /// How far ahead the tags may be that a peer has stored here. Only of what is new, `fresh`, are they judged: what a
    /// replica holds already spreads to the others, or they would never agree again; it moves no clock.
    pub fn horizon_for_peers(&self, now: Now, fresh: bool) -> Horizon {
        Horizon { clocks: self.horizon(now), lead: fresh.then_some(self.offset_max) }
    }

    /// How far ahead the tags may be that this node's own coordinator has stored here: what this clock has named
    /// itself is not refused.
    pub fn own_horizon(&self, now: Now, fresh: bool) -> Horizon {
        let clocks = self.horizon(now).max(self.hlc.last());
        Horizon { clocks, lead: fresh.then_some(self.offset_max) }
    }

    /// Takes in the tag of a state that is stored here, unless it is ahead of every working clock.
    pub fn observe_stored(&mut self, now: Now, hlc: Hlc) {
        if hlc <= self.horizon(now) {
            self.hlc.observe(hlc);
        }
    }

    /// So many peers refused a tag of this clock, as ahead of `limit`, that it must be this one which is wrong
    /// (rule V2). By how many milliseconds it is; `None` if that is known already.
    pub fn refused(&mut self, now: Now, limit: Hlc) -> Option<u64> {
        let is_known = self.ahead_of_peers(now).is_some();
        self.refused = Some(RefusedAt { limit, at: now.mono });
        self.ahead_of_peers(now).filter(|_| !is_known)
    }

    /// By how many milliseconds this clock is ahead of what its peers accept by now, if they have refused it: nothing is
    /// to be named by it. It ends when the clock is set right, or the peers' have caught up.
    pub fn ahead_of_peers(&mut self, now: Now) -> Option<u64> {
        let RefusedAt { limit, at } = self.refused?;
        let since = (now.mono.since(at).as_millis() as u64) << Hlc::LOGICAL_BITS;
        let ahead = self.present(now).0.saturating_sub(limit.0.saturating_add(since));
        if ahead == 0 {
            self.refused = None;
            return None;
        }
        Some((ahead >> Hlc::LOGICAL_BITS).max(1))
    }

    /// The record of `row` is about to be replaced by what other replicas hold. Dots of this process may be gone with it
    /// that others have, or will be given by a hint: on a state without them the usual actor must name nothing more,
    /// or its next dot would claim to have seen them (rule V5, as after a lost disk). False if this has happened to too
    /// many keys: the process must start again, and so draw another actor for all.
    pub fn restored(&mut self, row: &Row) -> bool {
        let actor = self.draw_actor();
        self.restored.insert(row.clone(), actor);
        self.restored.len() <= RESTORED_MAX
    }

    /// The actor under which siblings of `row` are written.
    pub fn actor_for(&self, row: &Row) -> Actor {
        self.restored.get(row).copied().unwrap_or(self.actor)
    }

    /// An actor for one write alone, which is not made on a state that this node holds.
    pub fn draw_actor(&mut self) -> Actor {
        Actor(self.draw())
    }

    /// A random number: of this process, and another one each time.
    pub fn draw(&mut self) -> u64 {
        self.actors_drawn += 1;
        StdRng::seed_from_u64(self.actor.0 ^ self.actors_drawn.rotate_left(32)).random()
    }

    /// `bound` is durable.
    pub fn reserved(&mut self, bound: Hlc) {
        self.hlc.reserved(bound);
        if self.requested.is_some_and(|requested| requested <= bound) {
            self.requested = None;
        }
    }

    /// The disk has no room for a bound: the next mint asks again.
    pub fn reservation_failed(&mut self) {
        self.requested = None;
    }

    /// The last reading.
    pub fn last(&self) -> Hlc {
        self.hlc.last()
    }

    fn reserve_if_due(&mut self, now: Now, effects: &mut Effects) {
        let Some(bound) = self.hlc.reservation_due(now.wall) else {
            return;
        };
        if self.requested.is_some_and(|requested| requested >= bound || requested > self.hlc.last()) {
            return;
        }
        self.requested = Some(bound);
        let operation = DiskOperation::Write(Write::Meta(MetaWrite::HlcBound(bound)));
        let ticket = Ticket::ClockBound(bound);
        effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
    }
}

/// Keys whose record was replaced that a process keeps in mind.
const RESTORED_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use quorate_ring::WallMicros;

    use super::*;

    const OFFSET: Duration = Duration::from_millis(500);

    fn at(millis: u64) -> Now {
        let wall = WallMicros(1_000_000_000_000 + millis * 1_000);
        Now { mono: Instant(millis * 1_000_000), wall }
    }

    /// A clock that may go on for long.
    fn clock(now: Now) -> Clock {
        let mut clock = Clock::resume(Hlc::ZERO, Actor(1), OFFSET);
        clock.reserved(Hlc(u64::MAX));
        clock.durable(now, &mut Effects::default());
        clock
    }

    fn tag(now: Now) -> Tag {
        Tag { hlc: Hlc::from_wall(now.wall), actor: Actor(9) }
    }

    #[test]
    fn a_floor_that_is_ahead_of_every_clock_is_exceeded_and_not_followed() {
        let (now, effects) = (at(0), &mut Effects::default());
        let mut clock = clock(now);
        let far = tag(at(3_600_000));
        let minted = clock.mint(now, Some(far), effects).unwrap();
        assert_eq!(minted.hlc, far.hlc.next());
        assert_ne!(clock.draw_actor(), clock.draw_actor(), "two writes above one floor need two names");
        let usual = clock.mint(now, None, effects).unwrap();
        assert!(usual.hlc <= clock.horizon(now), "{usual}");
        clock.observe_stored(now, far.hlc);
        assert_eq!(clock.last(), usual.hlc);
        let near = tag(at(400));
        clock.observe_stored(now, near.hlc);
        assert!(clock.mint(now, None, effects).unwrap() > near, "rule V5");
    }

    #[test]
    fn a_clock_that_peers_refuse_names_nothing_until_it_is_right_or_they_have_caught_up() {
        let mut clock = clock(at(10_000));
        assert_eq!(clock.ahead_of_peers(at(10_000)), None);
        let limit = Hlc::from_wall(at(700).wall);
        let ahead = clock.refused(at(10_000), limit);
        assert_eq!(ahead, Some(9_300));
        assert_eq!(clock.refused(at(10_001), limit), None, "that is known");
        assert!(clock.ahead_of_peers(at(11_000)).is_some(), "both go on");
        // The wall clock was set right, but the hybrid one never goes back.
        let right = |millis: u64| Now { mono: at(10_001 + millis).mono, wall: at(200 + millis).wall };
        assert!(clock.ahead_of_peers(right(1_000)).is_some());
        assert_eq!(clock.ahead_of_peers(right(9_400)), None, "peers have caught up");
        assert_eq!(clock.ahead_of_peers(at(20_000)), None, "that is over until they refuse again");
    }
}
