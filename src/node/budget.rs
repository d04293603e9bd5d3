//! What the node does beside requests of clients, and how much of it at a time.

use quorate_ring::{Duration, Instant};

/// A bucket of tokens that hinted handoff and anti-entropy share: one for each state that a peer is given. What they take
/// is bounded, and more so while clients are served: repair after a failure must not cause the next one.
///
/// Each also waits for acknowledgements, so a peer that is slow takes less than its share. Work for the digests has
/// rates of its own, in `repair`, far below this one. A range of a lost disk is recovered at full speed: until then
/// this replica is missed by every request (rule R7).
#[derive(Debug)]
pub struct Budget {
    /// What is there, in billionths of a token.
    filled: u64,
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

    /// Takes a token.
    ///
    /// # Errors
    /// When there will be one, if there is none.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let is_busy = self.busy_at.is_some_and(|at| now.since(at) < BUSY_FOR);
        let rate = if is_busy { RATE_BUSY } else { RATE };
        let elapsed = now.since(self.as_of).min(Duration::from_secs(1)).as_nanos() as u64;
        self.as_of = self.as_of.max(now);
        self.filled = self.filled.saturating_add(elapsed.saturating_mul(rate)).min(BURST * TOKEN);
        match self.filled.checked_sub(TOKEN) {
            Some(left) => {
                self.filled = left;
                Ok(())
            }
            // A few at a time, or the clock would wake the node for each.
            None => Err(now + Duration::from_nanos(BURST / 2 * TOKEN / rate)),
        }
    }
}

/// A token, in billionths.
const TOKEN: u64 = 1_000_000_000;
/// States a second while no client is served.
const RATE: u64 = 40_000;
/// States a second while clients are. Two nodes that each have half of a minute's 5,000 writes a second for a third one
/// would give them in 15 s at this rate.
const RATE_BUSY: u64 = 10_000;
/// States at once.
const BURST: u64 = 64;
/// How long after a request clients count as served.
const BUSY_FOR: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// How many states pass in a second of asking whenever there may be one.
    fn pass(budget: &mut Budget, from: Instant, has_clients: bool) -> u64 {
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
}
