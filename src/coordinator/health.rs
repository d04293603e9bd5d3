//! How quickly replicas answer: whom to ask first, and when to ask one more (rules Q1, Q9).
//!
//! Of each node two figures are kept, both in constant room and without a clock of their own. The 95th
//! percentile is estimated by a walk: up a step for an answer above it, down a nineteenth of a step for one
//! below, in proportion to itself (after Ma, Muthukrishnan, Sandler, "Frugal Streaming for Estimating
//! Quantiles", 2013). It says when an answer is late. A smoothed latency, which fades while nothing is heard,
//! says who is near: a slow node is asked last for a while, and then tried again.
//!
//! A replica that lacks what others hold costs a read more rounds. Which share of the reads found a node so is
//! kept, too, and fades in the same way: one that gets back what it missed is asked last, for reads at QUORUM and above, until it has most of it.
//!
//! Asking one more replica as soon as an answer is late is paid from a budget, a few percent of the reads:
//! when everybody is slow, more requests would only make it worse. An answer that takes many times what is
//! usual is lost, and needs no budget.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Instant, NodeId};

/// What is known of the nodes. Of nodes that were never members nothing is kept, so the maps are as large as the
/// cluster at most.
#[derive(Debug, Default)]
pub struct Health {
    nodes: BTreeMap<NodeId, Latency>,
    /// Of those that lacked something lately.
    stale: BTreeMap<NodeId, Staleness>,
    budget: Budget,
}

/// Of one node, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Latency {
    p95: u64,
    smoothed: u64,
    /// When something was learnt last.
    at: Instant,
}

/// How often one node was found behind.
#[derive(Clone, Copy, Debug)]
struct Staleness {
    /// The share of the reads, smoothed, of [`ALL`].
    share: u32,
    /// When something was learnt last.
    at: Instant,
}

impl Health {
    /// No answer is late sooner than this: below, a scheduler's whim would look like a slow replica.
    pub const DELAY_MIN: Duration = Duration::from_millis(1);

    /// `node` answered a read after `latency`.
    pub fn answered(&mut self, now: Instant, node: NodeId, latency: Duration) {
        let nanos = nanos(latency);
        self.nodes
            .entry(node)
            .and_modify(|known| known.learn(now, nanos, nanos > known.p95))
            .or_insert(Latency { p95: nanos.saturating_mul(FIRST_GUESS), smoothed: nanos, at: now });
    }

    /// `node` has not answered a read after `waited`, which was too long. The answer, should it come, is not
    /// to be counted again.
    pub fn late(&mut self, now: Instant, node: NodeId, waited: Duration) {
        let nanos = nanos(waited);
        self.nodes
            .entry(node)
            .and_modify(|known| known.learn(now, nanos.max(known.faded(now)), nanos >= known.p95))
            .or_insert(Latency { p95: nanos.saturating_mul(FIRST_GUESS), smoothed: nanos, at: now });
    }

    /// How long to wait for the last of `nodes`: from [`Health::DELAY_MIN`] to `ceiling`, and `ceiling` for a
    /// node of which nothing is known.
    pub fn delay(&self, nodes: impl Iterator<Item = NodeId>, ceiling: Duration) -> Duration {
        let delays =
            nodes.map(|node| self.nodes.get(&node).map_or(ceiling, |known| Duration::from_nanos(known.p95)));
        delays.max().unwrap_or(ceiling).max(Self::DELAY_MIN).min(ceiling)
    }

    /// After how long an answer that is due after `delay` must be lost.
    pub fn lost_after(delay: Duration, ceiling: Duration) -> Duration {
        (delay * LOST_FACTOR).clamp(ceiling, ceiling * LOST_CEILINGS)
    }

    /// How far away `node` seems, in powers of two of a millisecond: 0 for all that is near enough.
    pub fn distance(&self, now: Instant, node: NodeId) -> u32 {
        let smoothed = self.nodes.get(&node).map_or(0, |known| known.faded(now));
        (smoothed / NEAR_NANOS).checked_ilog2().map_or(0, |power| power + 1)
    }

    /// A read found out whether `node` lacks something that other replicas of the key hold.
    pub fn compared(&mut self, now: Instant, node: NodeId, is_behind: bool) {
        match self.stale.get_mut(&node) {
            Some(known) => known.learn(now, is_behind),
            None if is_behind => {
                let mut new = Staleness { share: 0, at: now };
                new.learn(now, true);
                self.stale.insert(node, new);
            }
            None => {}
        }
    }

    /// Whether so many reads found that `node` lacks something that it is better asked last.
    pub fn is_behind(&self, now: Instant, node: NodeId) -> bool {
        self.stale.get(&node).is_some_and(|known| known.faded(now) > BEHIND)
    }

    /// A read begins: the budget grows.
    pub fn earn(&mut self) {
        self.budget.earn();
    }

    /// Whether the budget still has room for asking one replica more; if so, it is taken.
    pub fn spend(&mut self) -> bool {
        self.budget.spend()
    }
}

impl Latency {
    fn learn(&mut self, now: Instant, nanos: u64, above: bool) {
        let up = self.p95 / STEPS + 1;
        self.p95 = if above {
            self.p95.saturating_add(up)
        } else {
            self.p95.saturating_sub(self.p95 / (STEPS * 19))
        };
        let faded = self.faded(now);
        self.smoothed = faded - faded / SMOOTHING + nanos / SMOOTHING;
        self.at = now;
    }

    /// The smoothed latency, halved for each [`FADING`] in which nothing was learnt.
    fn faded(&self, now: Instant) -> u64 {
        self.smoothed.checked_shr(halvings(now, self.at)).unwrap_or(0)
    }
}

impl Staleness {
    fn learn(&mut self, now: Instant, is_behind: bool) {
        let faded = self.faded(now);
        let new = if is_behind { ALL } else { 0 };
        self.share = faded - faded / STALE_SMOOTHING + new / STALE_SMOOTHING;
        self.at = now;
    }

    /// The share, halved for each [`FADING`] in which nothing was learnt.
    fn faded(&self, now: Instant) -> u32 {
        self.share.checked_shr(halvings(now, self.at)).unwrap_or(0)
    }
}

fn halvings(now: Instant, at: Instant) -> u32 {
    u32::try_from(now.since(at).as_nanos() / FADING.as_nanos()).unwrap_or(u32::MAX)
}

/// How many replicas may be asked early: a share of the reads, and a few at once.
#[derive(Debug)]
struct Budget {
    /// In hundredths of a request.
    saved: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { saved: SAVED_MAX }
    }
}

impl Budget {
    fn earn(&mut self) {
        self.saved = (self.saved + EARNED).min(SAVED_MAX);
    }

    fn spend(&mut self) -> bool {
        match self.saved.checked_sub(COST) {
            Some(left) => {
                self.saved = left;
                true
            }
            None => false,
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The first answer of a node is taken for a quarter of its 95th percentile.
const FIRST_GUESS: u64 = 4;
/// A step of the walk is this part of the estimate.
const STEPS: u64 = 16;
/// The share that the newest answer has in the smoothed latency.
const SMOOTHING: u64 = 8;
const FADING: Duration = Duration::from_secs(1);
/// Every read.
const ALL: u32 = 1 << 16;
/// The share that the newest read has in it.
const STALE_SMOOTHING: u32 = 16;
/// An eighth: three reads in a row, or one in eight for long. Fewer cost less than a replica that is farther away.
const BEHIND: u32 = ALL / 8;
/// Latencies below it are all the same.
const NEAR_NANOS: u64 = 1_000_000;
/// Five percent of the reads may ask one replica more ...
const EARNED: u32 = 5;
const COST: u32 = 100;
/// ... and sixteen at once.
const SAVED_MAX: u32 = 16 * COST;
const LOST_FACTOR: u32 = 8;
const LOST_CEILINGS: u32 = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NODE: NodeId = NodeId(2);
    const CEILING: Duration = Duration::from_millis(25);
    const START: Instant = Instant(1_000_000_000);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_node_that_nobody_knows_gets_the_ceiling_and_is_near() {
        let health = Health::default();
        assert_eq!(health.delay([NODE].into_iter(), CEILING), CEILING);
        assert_eq!(health.distance(START, NODE), 0);
    }

    #[test]
    fn a_late_node_is_far_until_it_has_had_time_to_mend() {
        let mut health = Health::default();
        (0..100).for_each(|_| health.answered(START, NODE, Duration::from_micros(300)));
        assert_eq!(health.delay([NODE].into_iter(), CEILING), Health::DELAY_MIN);
        assert_eq!(health.distance(START, NODE), 0);
        health.late(START, NODE, CEILING);
        assert!(health.distance(START, NODE) > 0);
        assert_eq!(health.distance(START + Duration::from_secs(10), NODE), 0);
    }

    #[test]
    fn a_node_that_lacks_much_is_behind_until_it_has_had_time_to_catch_up() {
        let mut health = Health::default();
        assert!(!health.is_behind(START, NODE));
        health.compared(START, NODE, true);
        assert!(!health.is_behind(START, NODE), "one key that differs says nothing");
        (0..20).for_each(|_| health.compared(START, NODE, true));
        assert!(health.is_behind(START, NODE));
        assert!(!health.is_behind(START, NodeId(3)));
        assert!(health.is_behind(START + Duration::from_secs(1), NODE));
        assert!(!health.is_behind(START + Duration::from_secs(4), NODE), "it is tried again");
        (0..60).for_each(|_| health.compared(START, NODE, false));
        assert!(!health.is_behind(START, NODE), "what it holds now counts");
        // A key in twenty: writes are under way.
        (0..1_000).for_each(|n| health.compared(START, NODE, n % 20 == 0));
        assert!(!health.is_behind(START, NODE));
    }

    #[test]
    fn the_budget_is_a_few_percent_and_a_few_at_once() {
        let mut health = Health::default();
        let mut spent = 0;
        for _ in 0..10_000 {
            health.earn();
            spent += u32::from(health.spend());
        }
        assert!((500..=516).contains(&spent), "{spent} of 10,000");
    }

    #[test]
    fn an_answer_is_lost_in_bounded_time() {
        assert_eq!(Health::lost_after(ms(1), CEILING), CEILING);
        assert_eq!(Health::lost_after(ms(5), CEILING), ms(40));
        assert_eq!(Health::lost_after(CEILING, CEILING), ms(100));
    }

    proptest! {
        /// The slow obvious twin: the sorted answers. Where the walk is at one moment is chance; where it is in the mean is not.
        #[test]
        fn the_walk_comes_near_the_percentile(
            base_us in 100_u64..5_000, spread in 1_u64..20, seed in any::<u64>(),
        ) {
            let (mut health, mut answers, mut random) = (Health::default(), Vec::new(), seed | 1);
            let mut walked = 0;
            for n in 0..20_000 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let latency = Duration::from_micros(base_us + random % (base_us * spread));
                answers.push(latency);
                health.answered(START, NODE, latency);
                if n >= 10_000 {
                    walked += health.nodes[&NODE].p95;
                }
            }
            answers.sort_unstable();
            let estimate = Duration::from_nanos(walked / 10_000);
            let (low, high) = (answers[answers.len() * 92 / 100], answers[answers.len() * 98 / 100]);
            prop_assert!((low..=high).contains(&estimate), "{estimate:?} is not in {low:?}..={high:?}");
        }
    }
}
