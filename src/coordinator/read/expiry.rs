//! Whether a value that expires is still there (rule D1).
//!
//! No clock is right, so no single clock may say. Replicas report what their clocks durably show, and a
//! reading once reported is never taken back. If a quorum has not reached the expiry, the value is there; if
//! a quorum has, it is absent. Two quorums share a replica, so of two reads, one after the other, the second
//! cannot find the value after the first found it absent. Where neither holds, the expiry itself is pushed to
//! a quorum, whose clocks then durably pass it, before absence is answered.
//!
//! What goes wrong with less, on three replicas whose clocks differ:
//! - *The coordinator's clock decides.* n1's clock is past the expiry, n2's is not. A read through n1 answers
//!   absent; a later one through n2 answers the value, which has come back from the dead.
//! - *Any replica's clock decides.* A read hears n1 (past) and n2 and answers absent; a later one hears n2 and
//!   n3, neither past, and answers the value. The push is what keeps that quorum from existing.
//! - *A reading is not durable.* n1 and n2 report readings past the expiry, and absent is answered; n1 restarts
//!   with its clock set back, and the next read finds n1 and n3 not past.
//!
//! It does not matter which state a replica held when it told its clock: the promise is about clocks alone,
//! and any reading since the read began will do. A value whose expiry passes while a read is under way may be
//! answered: the read is then ordered before the expiry, with which it is concurrent.
//!
//! One promise is lost with a disk: what its node's clock had shown, if that was further ahead than working clocks are. The
//! clocks of N-Q+1 others, which a replica that recovers takes over (rule R7), move it no further than its own horizon (rule
//! V2), or one clock that is years ahead would end every value with a TTL as soon as any disk is replaced. So a value that
//! was absent by the lost clock and another one that is as wrong can be back until the clocks that are left pass its expiry.

use quorate_ring::Hlc;
use quorate_storage::State;

/// How an expiry stands with the clocks of a quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A quorum has not reached it: the value is there.
    Ahead,
    /// A quorum has reached it: the value is absent, for good.
    Past,
    /// Neither, as far as is known.
    Split,
}

/// How `expiry` stands with `clocks`, of which there may be fewer than replicas, and a quorum of `quorum`.
pub(super) fn standing(expiry: Hlc, clocks: impl Iterator<Item = Option<Hlc>>, quorum: usize) -> Standing {
    let (mut past, mut ahead) = (0, 0);
    for clock in clocks.flatten() {
        *(if clock >= expiry { &mut past } else { &mut ahead }) += 1;
    }
    if past >= quorum {
        Standing::Past
    } else if ahead >= quorum {
        Standing::Ahead
    } else {
        Standing::Split
    }
}

/// The last expiry in `state` that `clocks` leave open. Once a quorum has passed that one, none is open.
pub(super) fn open_expiry<C>(state: &State, clocks: impl Fn() -> C, quorum: usize) -> Option<Hlc>
where
    C: Iterator<Item = Option<Hlc>>,
{
    let expiries = state.contents().filter_map(|(_, content)| content.expires());
    expiries.filter(|expiry| standing(*expiry, clocks(), quorum) == Standing::Split).max()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXPIRY: Hlc = Hlc(100);

    fn of(clocks: &[u64]) -> Standing {
        standing(EXPIRY, clocks.iter().map(|clock| Some(Hlc(*clock))), 2)
    }

    #[test]
    fn a_quorum_of_clocks_decides() {
        assert_eq!(of(&[99, 99]), Standing::Ahead);
        assert_eq!(of(&[100, 101]), Standing::Past);
        assert_eq!(of(&[99, 100]), Standing::Split);
        assert_eq!(of(&[99, 100, 99]), Standing::Ahead);
        assert_eq!(of(&[99, 100, 100]), Standing::Past);
        assert_eq!(of(&[100]), Standing::Split);
        assert_eq!(standing(EXPIRY, [None, None, Some(EXPIRY)].into_iter(), 2), Standing::Split);
    }

    proptest! {
        /// Clocks only go on. Once some quorum was past, no quorum is ahead again.
        #[test]
        fn nothing_comes_back_from_the_dead(
            replicas in 1_usize..6,
            steps in proptest::collection::vec((0_usize..6, 0_u64..60, any::<u8>()), 1..40),
        ) {
            let quorum = replicas / 2 + 1;
            let mut clocks = vec![Hlc(0); replicas];
            let mut was_past = false;
            for (place, by, mask) in steps {
                clocks[place % replicas].0 += by;
                let heard = clocks.iter().enumerate().map(|(n, c)| (mask & (1 << n) != 0).then_some(*c));
                let standing = standing(EXPIRY, heard, quorum);
                was_past |= standing == Standing::Past;
                prop_assert!(!(was_past && standing == Standing::Ahead));
            }
        }
    }
}
