//! How far apart the wall clocks of this node and its peers are, for those who watch over the cluster: what is written, read
//! or refused does not depend on it.

use std::collections::BTreeMap;

use quorate_ring::{Actor, Duration, Instant, NodeId, Now, WallMicros};

use super::{Effect, RequestIds, Turn};
use crate::wire::{AskStanding, Frame, Header, RequestId};

/// How far a peer's wall clock was ahead of this node's when they were compared. True to within `error`, unless one of the
/// two was set meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// In microseconds; less than 0 if it was behind.
    pub ahead_us: i64,
    /// How much more or less it may have been.
    pub error: Duration,
}

/// Asks each peer that is up what its wall clock shows, again and again.
///
/// Events: [`peer_up`](Self::peer_up), [`peer_down`](Self::peer_down), [`heard`](Self::heard),
/// [`fire_timers`](Self::fire_timers). [`of`](Self::of) only looks.
#[derive(Debug)]
pub(super) struct ClockOffsets {
    peers: BTreeMap<NodeId, Compared>,
    ids: RequestIds,
    timer: Option<Instant>,
}

/// What is known of a peer since it came up.
#[derive(Debug, Default)]
struct Compared {
    /// The question that has no answer yet, and when it was asked.
    asked: Option<(RequestId, Instant)>,
    last: Option<ClockOffset>,
}

impl ClockOffset {
    /// From a question `asked` then and answered `now`: in between the peer's clock showed `theirs`. When exactly is not
    /// known, so the middle is taken, and at most half of the time is wrong (Cristian 1989).
    fn between(asked: Instant, now: Now, theirs: WallMicros) -> Self {
        let half = now.mono.since(asked) / 2;
        let own = i128::from(now.wall.0) - half.as_micros() as i128;
        let ahead = (i128::from(theirs.0) - own).clamp(i64::MIN.into(), i64::MAX.into());
        // A clock shows whole microseconds only.
        Self { ahead_us: ahead as i64, error: half + 2 * Duration::from_micros(1) }
    }
}

impl ClockOffsets {
    /// No peer is up.
    pub(super) fn new(actor: Actor) -> Self {
        Self { peers: BTreeMap::new(), ids: RequestIds::of(ROOM, actor), timer: None }
    }

    /// A peer has come up.
    pub(super) fn peer_up(&mut self, now: Now, peer: NodeId) {
        self.peers.insert(peer, Compared::default());
        self.timer.get_or_insert(now.mono + ASK_EVERY);
    }

    /// A peer is lost.
    pub(super) fn peer_down(&mut self, peer: NodeId) {
        self.peers.remove(&peer);
    }

    /// A peer said what its clock shows: in answer to a question, if that is what `id` names.
    pub(super) fn heard(&mut self, now: Now, peer: NodeId, id: RequestId, theirs: WallMicros) {
        let Some(compared) = self.peers.get_mut(&peer) else {
            return;
        };
        if let Some((_, asked)) = compared.asked.take_if(|(asked, _)| *asked == id) {
            compared.last = Some(ClockOffset::between(asked, now, theirs));
        }
    }

    /// Asks every peer that is up, if it is time. A question without an answer is given up then.
    pub(super) fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        if self.timer.is_none_or(|due| due > turn.now.mono) {
            return;
        }
        let again = turn.now.mono + ask_every(self.peers.len());
        for (peer, compared) in &mut self.peers {
            let id = self.ids.next();
            compared.asked = Some((id, turn.now.mono));
            let header = Header { id, epoch: turn.epoch, deadline: again };
            let frame = Frame { header, message: AskStanding {}.into() };
            turn.effects.push(Effect::ToPeer { peer: *peer, frame });
        }
        self.timer = (!self.peers.is_empty()).then_some(again);
    }

    /// When [`ClockOffsets::fire_timers`] is due.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timer
    }

    /// How far the clock of a peer was off when it was last asked; `None` if it has not answered since it came up.
    pub(super) fn of(&self, peer: NodeId) -> Option<ClockOffset> {
        self.peers.get(&peer)?.last
    }
}

/// How often so many peers are asked. Every node asks all others and answers all others, so the more of them there are the
/// more seldom: ten questions a second at most, however many members there are.
fn ask_every(peers: usize) -> Duration {
    ASK_EVERY.max(ASK_EVERY_PER_PEER * peers as u32)
}

/// Of its requests' ids. Nobody else's are answered with a clock.
const ROOM: u64 = 1;
/// In which clocks that nobody sets drift apart by a millisecond at most, as a rule.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// Of more than a hundred peers each is asked more seldom. A quarter of a second is worth an alarm: of a thousand, too, clocks
/// drift apart by far less until they are asked again.
const ASK_EVERY_PER_PEER: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PEER: NodeId = NodeId(2);

    fn at(mono_us: u64, wall_us: u64) -> Now {
        Now { mono: Instant(mono_us * 1_000), wall: WallMicros(wall_us) }
    }

    /// With a question under way to the peer.
    fn asked(asked_at: Now, id: RequestId) -> ClockOffsets {
        let mut offsets = ClockOffsets::new(Actor(1));
        offsets.peer_up(asked_at, PEER);
        offsets.peers.insert(PEER, Compared { asked: Some((id, asked_at.mono)), last: None });
        offsets
    }

    proptest! {
        /// Whatever the ways there and back take, and however long either node is busy.
        #[test]
        fn an_offset_is_no_further_from_the_truth_than_its_error(
            there in 0..2_000_000_u64,
            back in 0..2_000_000_u64,
            truth in -5_000_000..5_000_000_i64,
        ) {
            const START: u64 = 1_800_000_000_000_000;
            let theirs = WallMicros((START + there).saturating_add_signed(truth));
            let offset = ClockOffset::between(Instant(0), at(there + back, START + there + back), theirs);
            let wrong_by = Duration::from_micros(offset.ahead_us.abs_diff(truth));
            prop_assert!(wrong_by <= offset.error, "{offset:?}");
            prop_assert!(offset.error <= Duration::from_micros((there + back) / 2 + 3), "{offset:?}");
        }

        #[test]
        fn no_clock_is_too_wrong_to_be_compared(own in any::<u64>(), theirs in any::<u64>(), way in any::<u64>()) {
            ClockOffset::between(Instant(0), Now { mono: Instant(way), wall: WallMicros(own) }, WallMicros(theirs));
        }
    }

    #[test]
    fn many_peers_are_not_asked_more_often_together_than_a_hundred() {
        let seconds = [1, 2, 100, 300, 1_000].map(|peers| ask_every(peers).as_secs());
        assert_eq!(seconds, [10, 10, 10, 30, 100]);
    }

    #[test]
    fn only_the_answer_to_the_last_question_counts_and_only_once() {
        let (start, id) = (at(0, 50_000_000), RequestId(7));
        let mut offsets = asked(start, id);
        let then = at(10_000, 50_010_000);
        offsets.heard(then, PEER, RequestId(0), WallMicros(60_000_000));
        offsets.heard(then, PEER, RequestId(6), WallMicros(60_000_000));
        offsets.heard(then, NodeId(3), id, WallMicros(60_000_000));
        assert_eq!((offsets.of(PEER), offsets.of(NodeId(3))), (None, None));
        offsets.heard(then, PEER, id, WallMicros(50_205_000));
        let offset = ClockOffset { ahead_us: 200_000, error: Duration::from_micros(5_002) };
        assert_eq!(offsets.of(PEER), Some(offset));
        offsets.heard(at(20_000, 50_020_000), PEER, id, WallMicros(60_000_000));
        assert_eq!(
            offsets.of(PEER),
            Some(offset),
            "a copy of the answer, which says nothing of when it was asked for"
        );
    }

    #[test]
    fn a_connection_that_is_lost_ends_what_was_known_and_asked() {
        let (start, id) = (at(0, 50_000_000), RequestId(7));
        let mut offsets = asked(start, id);
        offsets.heard(start, PEER, id, start.wall);
        assert!(offsets.of(PEER).is_some());
        offsets.peer_down(PEER);
        assert_eq!(offsets.of(PEER), None);

        let mut offsets = asked(start, id);
        offsets.peer_down(PEER);
        offsets.peer_up(start, PEER);
        offsets.heard(start, PEER, id, start.wall);
        assert_eq!(offsets.of(PEER), None, "the way of an answer over another connection is not known");
    }
}
