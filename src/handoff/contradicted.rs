//! Hints that their target does not take because what it holds contradicts them.
//!
//! That changes only when somebody writes the key anew, or a damaged record is got back, which nobody tells the keeper. So such a
//! hint is given ever more seldom, and apart from all others, which wait for nothing.

use std::collections::BTreeMap;

use quorate_ring::{Duration, Instant, NodeId};
use quorate_storage::Row;

use super::Uncovered;

/// Those of each target that is up.
#[derive(Debug, Default)]
pub(super) struct Contradicted(BTreeMap<NodeId, Aside>);

#[derive(Debug)]
struct Aside {
    rows: Uncovered,
    /// When they are given again, if there are any.
    at: Instant,
    /// How long those wait that come next.
    pause: Duration,
}

impl Contradicted {
    /// A target does not take its hint of `row`.
    pub(super) fn add(&mut self, now: Instant, target: NodeId, row: &Row) {
        let begin = || Aside { rows: Uncovered::default(), at: now, pause: PAUSE_MIN };
        let aside = self.0.entry(target).or_insert_with(begin);
        if aside.rows.is_empty() {
            // What was given again has been taken since: this is another matter.
            if aside.at + aside.pause < now {
                aside.pause = PAUSE_MIN;
            }
            aside.at = now + aside.pause;
            aside.pause = (aside.pause * 2).min(PAUSE_MAX);
        }
        aside.rows.add(row);
    }

    /// Those that are to be given again.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(NodeId, Uncovered)> {
        let due = self.0.iter_mut().filter(|(_, aside)| aside.at <= now && !aside.rows.is_empty());
        due.map(|(target, aside)| (*target, std::mem::take(&mut aside.rows))).collect()
    }

    /// When the next are.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.0.values().filter(|aside| !aside.rows.is_empty()).map(|aside| aside.at).min()
    }

    /// A target is lost: it may hold something else when it is back. Those that it did not take.
    pub(super) fn take(&mut self, target: NodeId) -> Uncovered {
        self.0.remove(&target).map(|aside| aside.rows).unwrap_or_default()
    }

    /// Whether there are any.
    pub(super) fn is_any_of(&self, target: NodeId) -> bool {
        self.0.get(&target).is_some_and(|aside| !aside.rows.is_empty())
    }
}

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quorate_ring::{TableId, token_of};

    use super::*;

    const TARGET: NodeId = NodeId(3);

    #[test]
    fn what_was_taken_in_the_end_holds_the_next_one_no_longer_up() {
        let mut contradicted = Contradicted::default();
        let key = Bytes::from_static(b"k");
        let row = Row { token: token_of(&key), table: TableId(1), key };
        let soon = Duration::from_millis(5);
        let mut now = Instant::ZERO;
        for pause in [1, 2, 4, 8].map(Duration::from_secs) {
            contradicted.add(now, TARGET, &row);
            assert_eq!(contradicted.next_timer(), Some(now + pause), "ever more seldom");
            assert_eq!(contradicted.take_due(now + pause).len(), 1);
            assert!(!contradicted.is_any_of(TARGET) && contradicted.next_timer().is_none());
            now = now + pause + soon;
        }
        // It was taken then. The next one has nothing to do with it.
        now = now + Duration::from_secs(60);
        contradicted.add(now, TARGET, &row);
        assert_eq!(contradicted.next_timer(), Some(now + PAUSE_MIN));
    }
}
