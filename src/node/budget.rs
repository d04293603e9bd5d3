//! What the node does beside requests of clients, and how much of it at a time.

use quorate_ring::{Duration, Instant};

/// A bucket of tokens that hinted handoff, anti-entropy, the rebuilding of digests and the scrub share: one for each state that
/// a peer is given, one for [`RECORDS_PER_TOKEN`] records that are read. What they take is bounded, and more so while
/// clients are served: repair after a failure must not cause the next one.
///
/// Whoever gives states also waits for acknowledgements, so a peer that is slow takes less than its share, and reading for
/// the digests has rates of its own, in `repair`, far below this one. A range of a lost disk is recovered at full speed:
/// until then this replica is missed by every request (rule R7).
#[derive(Debug)]
pub struct Budget {
    /// What is there, in billionths of a token; less than nothing while a large piece of work is paid off.
    filled: i64,
    as_of: Instant,
    /// When clients were served last.
    busy_at: Option<Instant>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { filled: 0, as_of: Instant::ZERO, busy_at: None }
    }
}

impl Budget {
    /// A client asks for something.
    pub fn serves_client(&mut self, now: Instant) {
        self.busy_at = Some(now);
    }

    /// Takes a token for a state.
    ///
    /// # Errors
    /// When there will be one, if there is none.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        self.take_many(now, 1)
    }

    /// Takes what the reading of so many records costs. It is begun as soon as there is one token, or those that take
    /// one at a time would leave nothing, and paid off before anything else is.
    ///
    /// # Errors
    /// When to ask again, if there is none.
    pub fn take_for_records(&mut self, now: Instant, records: usize) -> Result<(), Instant> {
        self.take_many(now, records.div_ceil(RECORDS_PER_TOKEN) as i64)
    }

    fn take_many(&mut self, now: Instant, tokens: i64) -> Result<(), Instant> {
        let is_busy = self.busy_at.is_some_and(|at| now.since(at) < BUSY_FOR);
        let rate = if is_busy { RATE_BUSY } else { RATE };
        let elapsed = now.since(self.as_of).min(Duration::from_secs(1)).as_nanos() as i64;
        self.as_of = self.as_of.max(now);
        self.filled = self.filled.saturating_add(elapsed.saturating_mul(rate)).min(BURST * TOKEN);
        if self.filled >= TOKEN {
            self.filled -= tokens * TOKEN;
            return Ok(());
        }
        // A few at a time, or the clock would wake the node for each.
        let missing = BURST / 2 * TOKEN - self.filled.min(0);
        Err(now + Duration::from_nanos((missing / rate) as u64))
    }
}

/// A token, in billionths.
const TOKEN: i64 = 1_000_000_000;
/// States a second while no client is served.
const RATE: i64 = 40_000;
/// States a second while clients are. Two nodes that each have half of a minute's 5,000 writes a second for a third one
/// would give them in 15 s at this rate.
const RATE_BUSY: i64 = 10_000;
/// States at once.
const BURST: i64 = 64;
/// A record that is read in a row and hashed costs about an eighth of one that is read alone, sent, merged and synced.
const RECORDS_PER_TOKEN: usize = 8;
/// How long after a request clients count as served.
const BUSY_FOR: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// How many states pass in a second of asking whenever there may be one.
    fn pass(budget: &mut Budget, from: Instant, has_clients: bool) -> i64 {
        let (mut now, mut passed) = (from, 0);
        let end = from + Duration::from_secs(1);
        while now < end {
            if has_clients {
                budget.serves_client(now);
            }
            match budget.take(now) {
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
        let idle = pass(&mut budget, begin, false);
        assert!((RATE - BURST..=RATE + BURST).contains(&idle), "{idle}");
        let busy = pass(&mut budget, begin + Duration::from_secs(2), true);
        assert!((RATE_BUSY - BURST..=RATE_BUSY + BURST).contains(&busy), "{busy}");
        let after = pass(&mut budget, begin + Duration::from_secs(60), false);
        assert!(after <= RATE + BURST, "what was not taken is not saved up");
    }

    #[test]
    fn reading_is_paid_off_and_never_starved() {
        let mut budget = Budget::default();
        let begin = Instant::ZERO + Duration::from_secs(5);
        // Somebody else takes every token as soon as there is one.
        while budget.take(begin).is_ok() {}
        let (mut now, mut states, mut records) = (begin, 0, 0);
        let end = begin + Duration::from_secs(1);
        while now < end {
            budget.serves_client(now);
            if budget.take_for_records(now, 256).is_ok() {
                records += 256;
            }
            match budget.take(now) {
                Ok(()) => states += 1,
                Err(at) => now = at,
            }
        }
        let paid = states + records / RECORDS_PER_TOKEN as i64;
        assert!(records > 0 && (RATE_BUSY - 2 * BURST..=RATE_BUSY + 2 * BURST).contains(&paid), "{paid}");
    }
}
