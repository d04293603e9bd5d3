//! How many requests a node takes at a time, and for how long they would wait (rule Q11).
//!
//! A bound on requests alone is no bound on time: eight thousand of them are nothing to a quick disk and a minute's work
//! to a slow one, and work on requests that will be too late is what makes an overloaded node serve hardly any. So a
//! request is turned away at once if it would have to wait for longer than a part of the time that it has.
//!
//! How long that would be is measured ([`Pace`]). By Little's law the requests under way at a time are their rate times
//! the time that each takes; so each request that was served shows how much longer every other one made it take: the
//! time that it took, divided by how many were under way when it came. Requests that fail say nothing: those that wait for a
//! replica which is gone take all of their time and hold nobody up.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Instant};

use super::operation::Origin;
use crate::{node::NodeConfig, wire::Failure};

/// Counts requests under way, in all and per client or forwarding peer. Full means refused at once, never queued.
///
/// Events: [`admit`](Self::admit), then [`ended`](Self::ended) for each that was let in; [`gone`](Self::gone).
#[derive(Debug, Default)]
pub(super) struct Admission {
    in_flight: usize,
    per_origin: BTreeMap<Origin, usize>,
    pace: Pace,
}

/// A request that was let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admitted {
    origin: Origin,
    at: Instant,
    /// Requests that were under way, with it.
    among: usize,
}

impl Admitted {
    /// Who asks.
    pub(super) fn origin(self) -> Origin {
        self.origin
    }

    /// When it came.
    pub(super) fn at(self) -> Instant {
        self.at
    }
}

impl Admission {
    /// Takes a request in that has until `deadline`, or says when to come back.
    pub(super) fn admit(
        &mut self,
        config: &NodeConfig,
        origin: Origin,
        now: Instant,
        deadline: Instant,
    ) -> Result<Admitted, Failure> {
        let of_origin = self.per_origin.entry(origin).or_default();
        let most = match origin {
            Origin::Client(_) => config.requests_per_client_max,
            // A peer stands for all of its clients, and still is not all there is.
            Origin::Peer(_) => NodeConfig::share_of_peer(config.requests_max),
            // What a page reads was admitted with it.
            Origin::Scan(_) | Origin::Repair => config.requests_max,
        };
        if self.in_flight >= config.requests_max || *of_origin >= most {
            return Err(overloaded(RETRY_AFTER));
        }
        let among = self.in_flight + 1;
        let too_long = self.pace.wait(among).saturating_sub(deadline.since(now) / PATIENCE);
        if among > FEW && too_long > Duration::ZERO {
            return Err(overloaded(too_long.clamp(RETRY_AFTER, RETRY_AFTER_MAX)));
        }
        self.in_flight += 1;
        *of_origin += 1;
        Ok(Admitted { origin, at: now, among })
    }

    /// A part of a request that was let in begins: it is counted, and never refused. Whoever begins it bounds their number.
    pub(super) fn join(&mut self, origin: Origin, now: Instant) -> Admitted {
        self.in_flight += 1;
        Admitted { origin, at: now, among: self.in_flight }
    }

    /// A request ended; `served` if the client got what it asked for.
    pub(super) fn ended(&mut self, now: Instant, request: Admitted, served: bool) {
        self.in_flight -= 1;
        if let Some(of_origin) = self.per_origin.get_mut(&request.origin) {
            *of_origin = of_origin.saturating_sub(1);
        }
        if served {
            self.pace.learn(now.since(request.at), request.among);
        }
    }

    /// A client or peer left; what it left under way still counts in all.
    pub(super) fn gone(&mut self, origin: Origin) {
        self.per_origin.remove(&origin);
    }

    /// Requests under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }
}

/// How much longer each request under way makes the others take.
#[derive(Debug, Default)]
struct Pace {
    /// Smoothed, in nanoseconds; 0 before anything is known.
    each: u64,
}

impl Pace {
    /// A request took so long among so many. Among a few it took mostly what any request takes, however few there are: that
    /// is no less than what each adds, so it may bring the figure down and never up.
    fn learn(&mut self, took: Duration, among: usize) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let each = (nanos / among as u64).max(1);
        if among < MANY && each >= self.each {
            return;
        }
        self.each = match self.each {
            0 => each,
            known => known - known / SMOOTHING + each / SMOOTHING,
        };
    }

    /// How long a request takes among so many.
    fn wait(&self, among: usize) -> Duration {
        Duration::from_nanos(self.each.saturating_mul(among as u64))
    }
}

fn overloaded(retry_after: Duration) -> Failure {
    Failure::Overloaded { retry_after_ms: u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX) }
}

/// So many are always taken, if the bounds on requests allow it: what is measured among a few says little of many, and
/// without any there would be nothing to measure by.
const FEW: usize = 128;
/// So many share what is shared, the disk's sync above all.
const MANY: usize = FEW / 2;
/// A request is let in if it is expected to take this part of its time at most. What is expected is what requests take on
/// average; those that wait longest take a few times that.
const PATIENCE: u32 = 4;
/// The share that the newest request has in the pace: it follows a change within a few batches of the commit thread.
const SMOOTHING: u64 = 64;
/// A few batches of the commit thread.
const RETRY_AFTER: Duration = Duration::from_millis(20);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;
    use quorate_ring::{Actor, NodeId};

    use super::*;
    use crate::node::ClientId;

    const CLIENT: Origin = Origin::Client(ClientId(1));
    const START: Instant = Instant(1_000_000_000);

    fn config() -> NodeConfig {
        NodeConfig::new(NodeId(1), Actor(1), "test")
    }

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// A node that carries out one request after the other, and is asked again and again.
    struct Shop {
        admission: Admission,
        waiting: VecDeque<Admitted>,
        now: Instant,
        served_in_time: u32,
        too_late: u32,
        refused: u32,
    }

    impl Shop {
        fn new() -> Self {
            let (admission, waiting) = (Admission::default(), VecDeque::new());
            Self { admission, waiting, now: START, served_in_time: 0, too_late: 0, refused: 0 }
        }

        /// Requests that have `time` come every `apart`, and one is done every `each`, for as long as `lasts`.
        fn open(&mut self, apart: Duration, each: Duration, time: Duration, lasts: Duration) {
            let (end, mut comes, mut ends) = (self.now + lasts, self.now, self.now + each);
            while self.now < end {
                self.now = comes.min(ends);
                if comes <= ends {
                    comes = comes + apart;
                    match self.admission.admit(&config(), CLIENT, self.now, self.now + time) {
                        Ok(request) => self.waiting.push_back(request),
                        Err(_) => self.refused += 1,
                    }
                } else {
                    ends = ends + each;
                    if let Some(request) = self.waiting.pop_front() {
                        let in_time = self.now.since(request.at) < time;
                        self.served_in_time += u32::from(in_time);
                        self.too_late += u32::from(!in_time);
                        self.admission.ended(self.now, request, in_time);
                    }
                }
            }
        }
    }

    #[test]
    fn twice_the_load_costs_nothing_of_what_is_served() {
        let mut shop = Shop::new();
        let (each, time, second) = (micros(200), Duration::from_millis(500), Duration::from_secs(1));
        shop.open(micros(210), each, time, second);
        assert_eq!((shop.refused, shop.too_late), (0, 0), "what can be done is taken");
        let before = shop.served_in_time;
        shop.open(micros(100), each, time, second * 5);
        let served = shop.served_in_time - before;
        assert!(served >= 24_900, "{served} of 25,000 were served, {} too late", shop.too_late);
        assert_eq!(shop.too_late, 0);
        // The way back: nobody is refused once there is room.
        shop.open(micros(400), each, time, second);
        let refused = shop.refused;
        shop.open(micros(400), each, time, second);
        assert_eq!(shop.refused, refused);
    }

    #[test]
    fn who_has_little_time_is_refused_first() {
        let mut shop = Shop::new();
        shop.open(micros(50), micros(100), Duration::from_secs(4), Duration::from_millis(300));
        let mut admit = |time| shop.admission.admit(&config(), CLIENT, shop.now, shop.now + time);
        let refused = admit(Duration::from_millis(500)).unwrap_err();
        assert!(matches!(refused, Failure::Overloaded { retry_after_ms: 100..=1_000 }), "{refused:?}");
        assert!(admit(Duration::from_secs(10)).is_ok());
    }

    /// Five hundred requests wait for a replica that is gone; one client goes on with what needs no replica but this one.
    #[test]
    fn those_that_wait_for_the_dead_hold_nobody_up() {
        let mut admission = Admission::default();
        let config = config();
        let admit = |admission: &mut Admission, now| {
            admission.admit(&config, CLIENT, now, now + Duration::from_secs(5))
        };
        let stuck: Vec<_> = (0..500).map(|_| admit(&mut admission, START).unwrap()).collect();
        let mut now = START;
        while now < START + Duration::from_secs(5) {
            let request = admit(&mut admission, now).expect("there is room");
            now = now + Duration::from_millis(1);
            admission.ended(now, request, true);
        }
        stuck.into_iter().for_each(|request| admission.ended(now, request, false));
        assert!(admit(&mut admission, now).is_ok(), "that they took their time says nothing");
    }

    #[test]
    fn a_peer_that_forwards_too_much_leaves_room_for_the_others() {
        let config = NodeConfig { requests_max: 9, ..config() };
        let mut admission = Admission::default();
        let mut taken = |origin| {
            let admit = || admission.admit(&config, origin, START, Instant::NEVER).ok();
            std::iter::from_fn(admit).collect::<Vec<_>>()
        };
        let (one, other) = (Origin::Peer(NodeId(2)), Origin::Peer(NodeId(3)));
        let of_one = taken(one);
        assert_eq!((of_one.len(), taken(CLIENT).len(), taken(other).len()), (5, 4, 0), "half, and all of it");
        of_one.into_iter().for_each(|request| admission.ended(START, request, true));
        assert!(admission.admit(&config, other, START, Instant::NEVER).is_ok());
    }

    #[test]
    fn a_few_are_always_taken() {
        let mut admission = Admission::default();
        let slow: Vec<_> =
            (0..FEW).map(|_| admission.admit(&config(), CLIENT, START, Instant::NEVER).unwrap()).collect();
        let late = START + Duration::from_secs(60);
        slow.into_iter().for_each(|request| admission.ended(late, request, true));
        let taken = (0..1_000)
            .take_while(|_| admission.admit(&config(), CLIENT, late, late + Duration::from_secs(1)).is_ok());
        assert_eq!(taken.count(), FEW);
    }

    /// A node that has nothing to do answers one request after the other, each in the time of a slow sync. That says
    /// nothing of two thousand at once, which share their syncs.
    #[test]
    fn a_burst_on_an_idle_node_is_taken() {
        let mut admission = Admission::default();
        let (mut now, config) = (START, config());
        for _ in 0..100 {
            let request = admission.admit(&config, CLIENT, now, now + Duration::from_secs(5)).unwrap();
            now = now + Duration::from_millis(30);
            admission.ended(now, request, true);
        }
        let burst = (0..2_000).map(|_| admission.admit(&config, CLIENT, now, now + Duration::from_secs(5)));
        assert!(burst.into_iter().all(|admitted| admitted.is_ok()));
    }

    proptest! {
        /// Whatever happens, what is under way is counted, bounded, and no more than a few are let in that would
        /// wait too long.
        #[test]
        fn counts_what_is_under_way(
            events in proptest::collection::vec((any::<bool>(), 0_u64..2_000_000, any::<bool>()), 0..400),
            requests_max in 1_usize..300,
        ) {
            let config = NodeConfig { requests_max, requests_per_client_max: 200, ..config() };
            let (mut admission, mut under_way, mut now) = (Admission::default(), VecDeque::new(), START);
            for (comes, micros, served) in events {
                now = now + Duration::from_micros(micros / 100);
                if comes {
                    let time = Duration::from_micros(micros);
                    let wait = admission.pace.wait(under_way.len() + 1);
                    match admission.admit(&config, CLIENT, now, now + time) {
                        Ok(request) => {
                            prop_assert!(under_way.len() < FEW || wait <= time / PATIENCE);
                            under_way.push_back(request);
                        }
                        Err(Failure::Overloaded { retry_after_ms }) => {
                            prop_assert!((20..=1_000).contains(&retry_after_ms));
                        }
                        Err(other) => prop_assert!(false, "{other:?}"),
                    }
                } else if let Some(request) = under_way.pop_front() {
                    admission.ended(now, request, served);
                }
                prop_assert_eq!(admission.in_flight(), under_way.len());
                prop_assert!(under_way.len() <= requests_max.min(200));
            }
        }
    }
}
