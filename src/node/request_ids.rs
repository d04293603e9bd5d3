//! Names of the requests that a room of the node sends to peers.

use quorate_ring::Actor;

use crate::wire::RequestId;

/// Counts the requests of a room. The first two bits of each id tell the rooms apart whose answers are of one kind.
///
/// A peer may answer a process that has ended: its disk was slow, the node is back before it, and the answer goes to whoever
/// is connected under the node's id now. So each process counts from a number of its own, as good as random: no answer to
/// an earlier one finds a request here. An acknowledgement of another hint would end the only copy of a write that ANY
/// or a sloppy quorum has counted (rules H1, Q2), an older page would pass for what a lost disk held (rule R7), and replicas
/// would be said to agree that do not (rule A3).
#[derive(Debug)]
pub struct RequestIds {
    last: u64,
}

impl RequestIds {
    /// Those of the room with this number, 0 to 3, in the process of `actor`.
    pub fn of(room: u64, actor: Actor) -> Self {
        Self { last: room << ROOM_SHIFT | actor.0 >> COUNT_SHIFT }
    }

    /// One that nobody has in this process, nor had in an earlier one.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> RequestId {
        self.last += 1;
        RequestId(self.last)
    }

    /// Whether it is one of the room with this number.
    pub fn are_of(room: u64, id: RequestId) -> bool {
        id.0 >> ROOM_SHIFT == room
    }
}

const ROOM_SHIFT: u32 = 62;
/// A process that begins at the last number still has three quarters of its room's before it.
const COUNT_SHIFT: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_process_counts_like_another_and_rooms_stay_apart() {
        let mut seen = std::collections::BTreeSet::new();
        for actor in [Actor(1 << 20), Actor(5 << 40), Actor(u64::MAX - (1 << 20)), Actor(u64::MAX)] {
            for room in 0..4 {
                let mut ids = RequestIds::of(room, actor);
                for _ in 0..1_000 {
                    let id = ids.next();
                    assert!(seen.insert(id), "{id:?} of {actor}");
                    let rooms = (0..4).filter(|room| RequestIds::are_of(*room, id));
                    assert_eq!(rooms.collect::<Vec<_>>(), [room]);
                }
            }
        }
    }
}
