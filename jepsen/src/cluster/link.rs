//! What becomes of a datagram between two parties: the arithmetic of the network's faults.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::{Rng, RngExt};

/// A party on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// A node, from 0.
    Node(usize),
    /// A client, from 0.
    Client(usize),
}

/// The faults of one direction between two parties.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Shape {
    /// Nothing comes through.
    pub(crate) cut: bool,
    /// Which part of the datagrams is lost, 0 to 1.
    pub(crate) loss: f64,
    /// How long each takes.
    pub(crate) delay: Duration,
    /// How much longer at most, at random.
    pub(crate) jitter: Duration,
    /// Which part arrives twice, 0 to 1.
    pub(crate) duplicate: f64,
    /// Which part is held back so that later ones overtake it, 0 to 1.
    pub(crate) reorder: f64,
    /// How many bytes a second come through; more wait, and are lost where they would wait too long.
    pub(crate) bytes_per_second: Option<u32>,
}

/// Directed pairs of parties and their faults; pairs that are not named have none.
pub(crate) type Shapes = BTreeMap<(End, End), Shape>;

impl Shape {
    /// Nothing comes through.
    pub(crate) const CUT: Self = Self {
        cut: true,
        loss: 0.0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        duplicate: 0.0,
        reorder: 0.0,
        bytes_per_second: None,
    };

    /// The faults of both at once.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            cut: self.cut || other.cut,
            loss: 1.0 - (1.0 - self.loss) * (1.0 - other.loss),
            delay: self.delay + other.delay,
            jitter: self.jitter + other.jitter,
            duplicate: self.duplicate.max(other.duplicate),
            reorder: self.reorder.max(other.reorder),
            bytes_per_second: match (self.bytes_per_second, other.bytes_per_second) {
                (Some(one), Some(two)) => Some(one.min(two)),
                (one, two) => one.or(two),
            },
        }
    }

    /// When each copy of a datagram that was sent at `now` arrives, counted from `now`; empty if it is lost.
    /// `busy_until`, on the same clock as `now`, is when the link is free again.
    pub(crate) fn copies(
        &self,
        bytes: usize,
        now: Duration,
        busy_until: &mut Duration,
        rng: &mut impl Rng,
    ) -> Vec<Duration> {
        if self.cut || chance(rng, self.loss) {
            return Vec::new();
        }
        let Some(wait) = self.queue(bytes, now, busy_until) else { return Vec::new() };
        let count = if chance(rng, self.duplicate) { 2 } else { 1 };
        let delay = |_| {
            let held =
                if chance(rng, self.reorder) { random_part(rng, HELD_BACK_MAX) } else { Duration::ZERO };
            wait + self.delay + random_part(rng, self.jitter) + held
        };
        (0..count).map(delay).collect()
    }

    /// How long a datagram waits for those before it; `None` if there is no room to wait.
    fn queue(&self, bytes: usize, now: Duration, busy_until: &mut Duration) -> Option<Duration> {
        let Some(rate) = self.bytes_per_second else { return Some(Duration::ZERO) };
        let takes = Duration::from_secs_f64(bytes as f64 / f64::from(rate.max(1)));
        let done = now.max(*busy_until) + takes;
        if done - now > QUEUE_MAX {
            return None;
        }
        *busy_until = done;
        Some(done - now)
    }
}

fn chance(rng: &mut impl Rng, part: f64) -> bool {
    part > 0.0 && rng.random_range(0.0..1.0) < part
}

fn random_part(rng: &mut impl Rng, most: Duration) -> Duration {
    if most.is_zero() { most } else { most.mul_f64(rng.random_range(0.0..1.0)) }
}

/// How long a datagram is held back so that others overtake it.
const HELD_BACK_MAX: Duration = Duration::from_millis(40);
/// What waits longer than this for a slow link is lost, as in a router.
const QUEUE_MAX: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn arrivals(shape: Shape, count: usize) -> Vec<Vec<Duration>> {
        let (mut rng, mut busy) = (StdRng::seed_from_u64(1), Duration::ZERO);
        (0..count).map(|_| shape.copies(1_000, Duration::ZERO, &mut busy, &mut rng)).collect()
    }

    #[test]
    fn a_whole_link_delivers_at_once_and_a_cut_one_never() {
        assert!(arrivals(Shape::default(), 100).iter().all(|copies| copies == &[Duration::ZERO]));
        assert!(arrivals(Shape::CUT, 100).iter().all(Vec::is_empty));
        assert!(arrivals(Shape::CUT.and(Shape::default()), 1)[0].is_empty());
    }

    #[test]
    fn each_fault_has_its_share() {
        let lossy = Shape { loss: 0.25, ..Shape::default() };
        let lost = arrivals(lossy, 4_000).iter().filter(|copies| copies.is_empty()).count();
        assert!((800..1_200).contains(&lost), "{lost}");
        let twice = Shape { duplicate: 0.5, ..Shape::default() };
        let copies: usize = arrivals(twice, 4_000).iter().map(Vec::len).sum();
        assert!((5_600..6_400).contains(&copies), "{copies}");
        let (delay, jitter) = (Duration::from_millis(50), Duration::from_millis(10));
        let slow = arrivals(Shape { delay, jitter, ..Shape::default() }, 1_000);
        assert!(slow.iter().flatten().all(|at| (delay..delay + jitter).contains(at)));
        let held = arrivals(Shape { reorder: 0.5, ..Shape::default() }, 1_000);
        assert!((400..600).contains(&held.iter().flatten().filter(|at| at.is_zero()).count()));
    }

    #[test]
    fn a_slow_link_lets_its_rate_through_and_loses_what_waits_too_long() {
        let slow = arrivals(Shape { bytes_per_second: Some(10_000), ..Shape::default() }, 10);
        let through: Vec<_> = slow.iter().flatten().map(Duration::as_millis).collect();
        assert_eq!(through, [100, 200, 300, 400]);
    }
}
