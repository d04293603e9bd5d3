//! Hints that the pass under way does not come by.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use quorate_storage::Row;

/// Which hints of a target there are beside those of the pass under way, if there is one.
///
/// A pass over all hints also passes what was removed of them lately, which storage engines keep for a while, and which may be
/// a hundred times as much: whoever would begin anew for each hint that comes while the target is up, would mostly read that.
/// So the rows of those that came are remembered, as long as they are few, and looked for one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Uncovered {
    /// Those of these rows; some of them may be gone.
    Rows(Arc<BTreeSet<Row>>),
    /// Nobody knows: all of them.
    All,
}

impl Default for Uncovered {
    fn default() -> Self {
        Self::Rows(Arc::default())
    }
}

impl Uncovered {
    /// There is a hint of `row`.
    pub(super) fn add(&mut self, row: &Row) {
        match self {
            Self::Rows(rows) if rows.len() < ROWS_MAX || rows.contains(row) => {
                // The key alone, not what it came in.
                let row = Row { key: Bytes::copy_from_slice(&row.key), ..row.clone() };
                Arc::make_mut(rows).insert(row);
            }
            uncovered => *uncovered = Self::All,
        }
    }

    /// There are others, too.
    pub(super) fn join(&mut self, other: Self) {
        match other {
            Self::Rows(rows) => rows.iter().for_each(|row| self.add(row)),
            Self::All => *self = Self::All,
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Rows(rows) if rows.is_empty())
    }
}

/// Rows that are remembered for a target: looking for each of them takes a few milliseconds in all.
const ROWS_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use quorate_ring::{TableId, Token};

    use super::*;

    fn row(number: usize) -> Row {
        Row::new(Token(number as i64), TableId(1), number.to_be_bytes().to_vec())
    }

    #[test]
    fn a_few_rows_are_remembered_and_of_many_that_there_are_some() {
        let mut uncovered = Uncovered::default();
        assert!(uncovered.is_empty());
        for number in 0..ROWS_MAX {
            uncovered.add(&row(number));
        }
        uncovered.add(&row(7));
        assert!(matches!(&uncovered, Uncovered::Rows(rows) if rows.len() == ROWS_MAX));
        uncovered.add(&row(ROWS_MAX));
        assert_eq!(uncovered, Uncovered::All);
        uncovered.add(&row(1));
        assert_eq!(uncovered, Uncovered::All, "there is no way back but a pass");
        assert!(!uncovered.is_empty());
    }

    #[test]
    fn what_is_joined_is_of_both() {
        let mut uncovered = Uncovered::default();
        uncovered.add(&row(1));
        let mut other = Uncovered::default();
        other.add(&row(2));
        uncovered.join(other);
        assert_eq!(uncovered, Uncovered::Rows(Arc::new([1, 2].map(row).into())));
        uncovered.join(Uncovered::All);
        assert_eq!(uncovered, Uncovered::All);
    }
}
