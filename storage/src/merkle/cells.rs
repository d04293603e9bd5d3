//! Sets of cells.

use std::{collections::BTreeMap, ops::Range};

/// A set of cells, kept as runs: most often all of them, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellSet {
    /// By its first cell, the one behind its last. Runs neither touch nor overlap.
    runs: BTreeMap<u32, u32>,
    len: u64,
}

impl CellSet {
    /// How many cells are in it.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no cell is in it.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The runs of cells, in order.
    pub fn runs(&self) -> impl Iterator<Item = Range<u32>> {
        self.runs.iter().map(|(start, end)| *start..*end)
    }

    /// The run that `cell` is in, or the first one behind it.
    pub fn run_from(&self, cell: u32) -> Option<Range<u32>> {
        let own = self.runs.range(..=cell).next_back().filter(|(_, end)| **end > cell);
        own.or_else(|| self.runs.range(cell..).next()).map(|(start, end)| *start..*end)
    }

    /// Whether `cell` is in it.
    pub fn contains(&self, cell: u32) -> bool {
        self.meets(cell..cell + 1)
    }

    /// Whether one of `cells` is in it.
    pub fn meets(&self, cells: Range<u32>) -> bool {
        !cells.is_empty()
            && self.runs.range(..cells.end).next_back().is_some_and(|(_, end)| *end > cells.start)
    }

    /// Puts `cells` in.
    pub fn insert(&mut self, cells: Range<u32>) {
        if cells.is_empty() {
            return;
        }
        let Range { mut start, mut end } = cells;
        while let Some((first, last)) = self.runs.range(..=end).next_back().map(|(a, b)| (*a, *b))
            && last >= start
        {
            self.runs.remove(&first);
            self.len -= u64::from(last - first);
            (start, end) = (start.min(first), end.max(last));
        }
        self.runs.insert(start, end);
        self.len += u64::from(end - start);
    }

    /// Takes `cells` out.
    pub fn remove(&mut self, cells: Range<u32>) {
        if cells.is_empty() {
            return;
        }
        while let Some((first, last)) = self.runs.range(..cells.end).next_back().map(|(a, b)| (*a, *b))
            && last > cells.start
        {
            self.runs.remove(&first);
            self.len -= u64::from(last - first);
            for rest in [first..cells.start, cells.end..last] {
                if rest.start < rest.end {
                    self.runs.insert(rest.start, rest.end);
                    self.len += u64::from(rest.end - rest.start);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((any::<bool>(), 0_u32..40, 0_u32..12), 0..40)) {
            let (mut cells, mut twin) = (CellSet::default(), BTreeSet::new());
            for (puts, start, len) in steps {
                let range = start..start + len;
                if puts {
                    cells.insert(range.clone());
                    twin.extend(range.clone());
                } else {
                    cells.remove(range.clone());
                    twin.retain(|cell| !range.contains(cell));
                }
                prop_assert_eq!(cells.meets(range.clone()), range.clone().any(|cell| twin.contains(&cell)));
                prop_assert_eq!(cells.runs().flatten().collect::<Vec<_>>(), twin.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(cells.len(), twin.len() as u64);
                let run = cells.runs().find(|run| run.end > start);
                prop_assert_eq!(cells.run_from(start), run);
                let runs: Vec<_> = cells.runs().collect();
                prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
        }
    }
}
