//! Letting readers of a hot key agree (rule Q5).
//!
//! A strict read of siblings needs a moment in which a quorum holds one identical state. Where writes of the
//! key come faster than a round trip there is hardly ever one. A reader that has failed to agree twice asks
//! the replicas to hold new writes of that key back for a moment. The moment is short, and so is any row of
//! moments, however many readers ask: writers are slowed, never stopped.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Instant};
use quorate_storage::Row;

/// The keys whose new writes wait, and until when.
///
/// Events: [`defer`](Self::defer). Looking: [`until`](Self::until), before each mint.
#[derive(Debug, Default)]
pub struct Deferrals(BTreeMap<Row, Deferral>);

#[derive(Clone, Copy, Debug)]
struct Deferral {
    /// When the present row of moments began.
    since: Instant,
    /// When the last moment ends.
    until: Instant,
}

impl Deferrals {
    /// How long writes of a key wait after the last reader asked for it: about one round of a reader.
    pub const MOMENT: Duration = Duration::from_micros(1_500);
    /// The longest that moments in a row hold writes of a key back.
    pub const ROW_MAX: Duration = Duration::from_millis(10);
    /// How long writes of a key are let through after that.
    pub const REST: Duration = Duration::from_millis(5);
    /// Keys remembered. Readers of further keys go without.
    pub const KEYS_MAX: usize = 1_024;

    /// A reader of `row` cannot agree with others: new writes of it wait for a moment, unless they have
    /// waited too long already.
    pub fn defer(&mut self, now: Instant, row: &Row) {
        if let Some(deferral) = self.0.get_mut(row).filter(|deferral| deferral.is_kept(now)) {
            deferral.until = deferral.until.max((now + Self::MOMENT).min(deferral.since + Self::ROW_MAX));
            return;
        }
        if self.0.len() >= Self::KEYS_MAX {
            self.0.retain(|_, deferral| deferral.is_kept(now));
        }
        if self.0.len() < Self::KEYS_MAX {
            self.0.insert(row.clone(), Deferral { since: now, until: now + Self::MOMENT });
        }
    }

    /// Until when a new write of `row` must wait; `None` if it need not.
    pub fn until(&self, now: Instant, row: &Row) -> Option<Instant> {
        self.0.get(row).map(|deferral| deferral.until).filter(|until| *until > now)
    }
}

impl Deferral {
    /// Whether it still counts: writes wait, or have waited so long that they are let through for a while.
    fn is_kept(&self, now: Instant) -> bool {
        let rest =
            if self.until >= self.since + Deferrals::ROW_MAX { Deferrals::REST } else { Duration::ZERO };
        self.until + rest > now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quorate_ring::{TableId, Token};

    use super::*;

    const START: Instant = Instant(1_000_000_000);

    fn row(n: usize) -> Row {
        Row::new(Token(n as i64), TableId(1), n.to_string().into_bytes())
    }

    #[test]
    fn writes_wait_for_a_moment_after_the_last_reader() {
        let mut deferrals = Deferrals::default();
        assert_eq!(deferrals.until(START, &row(1)), None);
        deferrals.defer(START, &row(1));
        assert_eq!(deferrals.until(START, &row(1)), Some(START + Deferrals::MOMENT));
        assert_eq!(deferrals.until(START, &row(2)), None);
        let later = START + Duration::from_millis(1);
        deferrals.defer(later, &row(1));
        assert_eq!(deferrals.until(later, &row(1)), Some(later + Deferrals::MOMENT));
        assert_eq!(deferrals.until(later + Deferrals::MOMENT, &row(1)), None);
    }

    #[test]
    fn keys_are_bounded_and_old_ones_make_room() {
        let mut deferrals = Deferrals::default();
        (0..=Deferrals::KEYS_MAX).for_each(|n| deferrals.defer(START, &row(n)));
        assert_eq!(deferrals.until(START, &row(Deferrals::KEYS_MAX)), None);
        let later = START + Deferrals::MOMENT;
        deferrals.defer(later, &row(Deferrals::KEYS_MAX));
        assert!(deferrals.until(later, &row(Deferrals::KEYS_MAX)).is_some());
    }

    proptest! {
        /// However readers ask: a write never waits longer than a moment after the last of them, and after a
        /// full row of moments there is a rest in which none waits.
        #[test]
        fn no_writer_is_stopped(gaps_us in proptest::collection::vec(0_u64..4_000, 1..200)) {
            let (mut deferrals, mut now, mut waited) = (Deferrals::default(), START, Duration::ZERO);
            for gap in gaps_us {
                let before = deferrals.until(now, &row(1));
                deferrals.defer(now, &row(1));
                let until = deferrals.until(now, &row(1));
                prop_assert!(until.is_none_or(|until| until <= now + Deferrals::MOMENT));
                prop_assert!(until >= before);
                let gap = Duration::from_micros(gap);
                waited = match until {
                    Some(until) if until > now + gap => waited + gap,
                    Some(until) => { prop_assert!(waited + until.since(now) <= Deferrals::ROW_MAX); Duration::ZERO }
                    None => Duration::ZERO,
                };
                prop_assert!(waited <= Deferrals::ROW_MAX);
                now = now + gap;
            }
        }
    }
}
