//! Keys with so many concurrent values that an operator should hear of it (rule V6): somebody writes them without
//! ever reading. Each is told of once, and again only after it was resolved in between.

use std::collections::BTreeSet;

use quorate_storage::{Row, Siblings};

/// The keys that were told of.
///
/// Events: [`minted`](Self::minted).
#[derive(Debug, Default)]
pub struct Crowded(BTreeSet<Row>);

impl Crowded {
    /// Keys remembered. Beyond that all are forgotten, and told of once more.
    pub const KEYS_MAX: usize = 1_024;

    /// A write has left `siblings` values under `row`; true if that is to be told.
    pub fn minted(&mut self, row: &Row, siblings: usize) -> bool {
        if siblings <= Siblings::SIBLINGS_WARN / 2 {
            if !self.0.is_empty() {
                self.0.remove(row);
            }
            return false;
        }
        if siblings < Siblings::SIBLINGS_WARN || self.0.contains(row) {
            return false;
        }
        if self.0.len() >= Self::KEYS_MAX {
            self.0.clear();
        }
        self.0.insert(row.clone())
    }
}

#[cfg(test)]
mod tests {
    use quorate_ring::{TableId, Token};

    use super::*;

    fn row(n: usize) -> Row {
        Row::new(Token(n as i64), TableId(1), n.to_string().into_bytes())
    }

    #[test]
    fn a_key_is_told_of_once_until_it_is_resolved() {
        let mut crowded = Crowded::default();
        let told: Vec<_> = (1..=40).filter(|siblings| crowded.minted(&row(1), *siblings)).collect();
        assert_eq!(told, [Siblings::SIBLINGS_WARN], "not at each write");
        assert!(crowded.minted(&row(2), 20), "another key, whatever it skipped");
        assert!(
            !crowded.minted(&row(1), 15) && !crowded.minted(&row(1), 16),
            "it comes and goes around the bound"
        );
        assert!(!crowded.minted(&row(1), 1) && crowded.minted(&row(1), 16));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut crowded = Crowded::default();
        assert!((0..3 * Crowded::KEYS_MAX).all(|n| crowded.minted(&row(n), 16)));
        assert!(crowded.0.len() <= Crowded::KEYS_MAX);
    }
}
