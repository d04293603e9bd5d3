//! What the node does beside requests of clients, and how much of it at a time.

use quorate_ring::{Duration, Instant};

/// Tokens that hinted handoff, anti-entropy, the rebuilding of digests and the scrub share: one for each state that a peer is
/// given, one for [`RECORDS_PER_TOKEN`] records that are read. What they take is bounded, and more so while clients are
/// served: repair after a failure must not cause the next one.
///
/// Beside clients anti-entropy has a quarter of it at most. Hints are what a node lacks that was away for a while, and reads
/// meet the gap until they are given, so they may have all of it; but they take no more than they need to be given in
/// [`HINTS_WITHIN`] ([`Pace`]). What only a comparison finds has been so for long, or is rare, and can wait a little longer.
///
/// Of several peers one is given all that comes until it has what it lacks, or acknowledges it more slowly than it comes;
/// then the next one has its turn.
///
/// Whoever gives states also waits for acknowledgements, so a peer that is slow takes less than its share, and reading for
/// the digests has rates of its own, in `repair`, far below this one. A range of a lost disk is recovered at full speed:
/// until then this replica is missed by every request (rule R7).
#[derive(Debug, Default)]
pub struct Budget {
    all: Bucket,
    /// What anti-entropy may take of it.
    repair: Bucket,
    /// When clients were served last.
    busy_at: Option<Instant>,
}

/// How fast one target is given its hints beside clients.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bucket: Bucket,
    /// States a second.
    rate: i64,
}

impl Pace {
    /// A pace at which so many hints are given in time. It is kept for a pass over them: with one that follows what is left
    /// the last of them would take for ever.
    pub fn for_hints(hints: u64) -> Self {
        let rate = i64::try_from(hints / HINTS_WITHIN.as_secs()).unwrap_or(i64::MAX);
        Self { bucket: Bucket::default(), rate: rate.clamp(HINT_RATE_MIN, RATE_BUSY) }
    }
}

/// Fills with time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// What is there, in billionths of a token; less than nothing while a large piece of work is paid off.
    filled: i64,
    as_of: Instant,
    /// Whether nothing is given until some have come together.
    is_spent: bool,
}

impl Budget {
    /// A client asks for something.
    pub fn serves_client(&mut self, now: Instant) {
        self.busy_at = Some(now);
    }

    /// Takes a token for a state that is given because of a hint, at the target's pace. Once there are none, there are none until [`TOGETHER`]
    /// have come: states that travel together share wake-ups, packets and the sync of the commit at the other end, and one by
    /// one they would cost a multiple of what they cost so.
    ///
    /// # Errors
    /// When there will be some, if there are none.
    pub fn take_for_hint(&mut self, now: Instant, pace: &mut Pace) -> Result<(), Instant> {
        let (rate, _) = self.rates(now);
        let rate_of_hints = if self.is_busy(now) { pace.rate } else { rate };
        self.all.fill(now, rate);
        pace.bucket.fill(now, rate_of_hints);
        pace.bucket.ready(now, rate_of_hints)?;
        self.all.ready(now, rate)?;
        self.all.filled -= TOKEN;
        pace.bucket.filled -= TOKEN;
        Ok(())
    }

    /// Takes a token for a state that is given because of a comparison, in the same way.
    ///
    /// # Errors
    /// When there will be some, if there are none.
    pub fn take_for_repair(&mut self, now: Instant) -> Result<(), Instant> {
        let (rate, rate_of_repair) = self.rates(now);
        self.all.fill(now, rate);
        self.repair.fill(now, rate_of_repair);
        self.repair.ready(now, rate_of_repair)?;
        self.all.ready(now, rate)?;
        self.all.filled -= TOKEN;
        self.repair.filled -= TOKEN;
        Ok(())
    }

    /// Takes what the reading of so many records costs. It is begun although others have spent what there was, or those
    /// would leave nothing, and paid off before anything else is.
    ///
    /// # Errors
    /// When to ask again, if others are paying it off already.
    pub fn take_for_records(&mut self, now: Instant, records: usize) -> Result<(), Instant> {
        let (rate, _) = self.rates(now);
        self.all.fill(now, rate);
        if self.all.filled >= 0 {
            self.all.filled -= records.div_ceil(RECORDS_PER_TOKEN) as i64 * TOKEN;
            return Ok(());
        }
        Err(self.all.when(now, rate, 0))
    }

    /// How much comes, of all and of what anti-entropy may take, in billionths of a token in a nanosecond.
    fn rates(&self, now: Instant) -> (i64, i64) {
        if self.is_busy(now) { (RATE_BUSY, REPAIR_RATE_BUSY) } else { (RATE, RATE) }
    }

    /// Whether clients are served.
    fn is_busy(&self, now: Instant) -> bool {
        self.busy_at.is_some_and(|at| now.since(at) < BUSY_FOR)
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self { filled: 0, as_of: Instant::ZERO, is_spent: false }
    }
}

impl Bucket {
    /// Adds what has come since.
    fn fill(&mut self, now: Instant, rate: i64) {
        let elapsed = now.since(self.as_of).min(Duration::from_secs(1)).as_nanos() as i64;
        self.as_of = self.as_of.max(now);
        self.filled = self.filled.saturating_add(elapsed.saturating_mul(rate)).min(BURST * TOKEN);
    }

    /// Whether there is a token, or when there will be some.
    fn ready(&mut self, now: Instant, rate: i64) -> Result<(), Instant> {
        self.is_spent &= self.filled < TOGETHER * TOKEN;
        self.is_spent |= self.filled < TOKEN;
        if self.is_spent { Err(self.when(now, rate, TOGETHER)) } else { Ok(()) }
    }

    /// When there will be so many tokens.
    fn when(&self, now: Instant, rate: i64, tokens: i64) -> Instant {
        let missing = (tokens * TOKEN - self.filled).max(1);
        now + Duration::from_nanos(missing.unsigned_abs().div_ceil(rate.unsigned_abs()))
    }
}

/// A token, in billionths.
const TOKEN: i64 = 1_000_000_000;
/// States a second while no client is served.
const RATE: i64 = 40_000;
/// States a second while clients are. Two nodes that each have half of a minute's 5,000 writes a second for a third one
/// would give them in 15 s at this rate.
const RATE_BUSY: i64 = 10_000;
/// In what time a target is given its hints, if it takes no more than all of that.
const HINTS_WITHIN: Duration = Duration::from_secs(15);
/// States a second that few hints are given at.
const HINT_RATE_MIN: i64 = RATE_BUSY / 4;
/// Those of them that are given because of a comparison.
const REPAIR_RATE_BUSY: i64 = RATE_BUSY / 4;
/// States at once.
const BURST: i64 = 64;
/// States that begin together.
const TOGETHER: i64 = BURST / 2;
/// A record that is read in a row and hashed costs about an eighth of one that is read alone, sent, merged and synced.
const RECORDS_PER_TOKEN: usize = 8;
/// How long after a request clients count as served.
const BUSY_FOR: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// How many states pass in a second of asking whenever there may be one.
    fn pass(budget: &mut Budget, hints: u64, from: Instant, has_clients: bool) -> i64 {
        let mut pace = Pace::for_hints(hints);
        let (mut now, mut passed) = (from, 0);
        let end = from + Duration::from_secs(1);
        while now < end {
            if has_clients {
                budget.serves_client(now);
            }
            match budget.take_for_hint(now, &mut pace) {
                Ok(()) => passed += 1,
                Err(at) => {
                    assert!(at > now, "it would ask for ever");
                    now = at;
                }
            }
        }
        passed
    }

    #[test]
    fn a_second_gives_as_many_as_the_rate_and_fewer_beside_clients() {
        let mut budget = Budget::default();
        let begin = Instant::ZERO + Duration::from_secs(5);
        let idle = pass(&mut budget, u64::MAX, begin, false);
        assert!((RATE - BURST..=RATE + BURST).contains(&idle), "{idle}");
        let busy = pass(&mut budget, u64::MAX, begin + Duration::from_secs(2), true);
        assert!((RATE_BUSY - BURST..=RATE_BUSY + BURST).contains(&busy), "{busy}");
        let after = pass(&mut budget, u64::MAX, begin + Duration::from_secs(60), false);
        assert!(after <= RATE + BURST, "what was not taken is not saved up");
    }

    #[test]
    fn beside_clients_hints_take_no_more_than_they_need() {
        let begin = Instant::ZERO + Duration::from_secs(5);
        for (hints, rate) in [(90_000, 6_000), (1, HINT_RATE_MIN), (1_000_000, RATE_BUSY)] {
            let passed = pass(&mut Budget::default(), hints, begin, true);
            assert!((rate - BURST..=rate + BURST).contains(&passed), "{hints} hints: {passed}");
            let idle = pass(&mut Budget::default(), hints, begin, false);
            assert!((RATE - BURST..=RATE + BURST).contains(&idle), "{hints} hints: {idle}");
        }
    }

    #[test]
    fn what_comes_is_given_together() {
        let (mut budget, mut pace) = (Budget::default(), Pace::for_hints(u64::MAX));
        let mut now = Instant::ZERO + Duration::from_secs(5);
        while budget.take_for_hint(now, &mut pace).is_ok() {}
        let at = budget.take_for_hint(now, &mut pace).expect_err("it was spent");
        assert_eq!(at.since(now).as_micros() as i64, TOGETHER * 1_000_000 / RATE);
        while now < at {
            assert!(budget.take_for_hint(now, &mut pace).is_err(), "one token is not enough to begin");
            now = now + Duration::from_micros(50);
        }
        assert!((0..TOGETHER).all(|_| budget.take_for_hint(now, &mut pace).is_ok()), "they come together");
    }

    #[test]
    fn beside_clients_a_comparison_gives_a_quarter_and_leaves_the_rest_to_hints() {
        let (mut budget, mut pace) = (Budget::default(), Pace::for_hints(u64::MAX));
        let mut now = Instant::ZERO + Duration::from_secs(5);
        let end = now + Duration::from_secs(1);
        let (mut compared, mut hinted) = (0, 0);
        while now < end {
            budget.serves_client(now);
            compared += i64::from(budget.take_for_repair(now).is_ok());
            hinted += i64::from(budget.take_for_hint(now, &mut pace).is_ok());
            now = now + Duration::from_micros(20);
        }
        assert!((REPAIR_RATE_BUSY - BURST..=REPAIR_RATE_BUSY + BURST).contains(&compared), "{compared}");
        let all = compared + hinted;
        assert!((RATE_BUSY - 2 * BURST..=RATE_BUSY + 2 * BURST).contains(&all), "{all}");
    }

    #[test]
    fn reading_is_paid_off_and_never_starved() {
        let (mut budget, mut pace) = (Budget::default(), Pace::for_hints(u64::MAX));
        let begin = Instant::ZERO + Duration::from_secs(5);
        // Somebody else takes every token as soon as there is one.
        while budget.take_for_hint(begin, &mut pace).is_ok() {}
        let (mut now, mut states, mut records) = (begin, 0, 0);
        let end = begin + Duration::from_secs(1);
        while now < end {
            budget.serves_client(now);
            if budget.take_for_records(now, 256).is_ok() {
                records += 256;
            }
            match budget.take_for_hint(now, &mut pace) {
                Ok(()) => states += 1,
                Err(at) => now = at,
            }
        }
        let paid = states + records / RECORDS_PER_TOKEN as i64;
        assert!(records > 0 && (RATE_BUSY - 2 * BURST..=RATE_BUSY + 2 * BURST).contains(&paid), "{paid}");
    }
}
