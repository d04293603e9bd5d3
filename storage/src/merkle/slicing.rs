//! How the circle is cut into cells.

use std::ops::{Range, RangeInclusive};

use quorate_ring::{Ring, Token, TokenRange};
use xxhash_rust::xxh3::xxh3_64;

/// The cells of a ring: 2^`bits` slices of one size, each cut where a range of the ring ends. Cells are numbered in the
/// order of their tokens, and none runs past the top of the circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slicing {
    bits: u32,
    /// Ends of ranges that are not ends of slices, ascending.
    cuts: Vec<Token>,
    fingerprint: u64,
}

impl Slicing {
    /// Slices of a cluster of up to five members. Larger ones have more, so that a node always holds about as many cells:
    /// with a million keys one has some 15, and what differs is found by reading few that do not.
    const BITS_MIN: u32 = 16;
    const BITS_MAX: u32 = 24;

    /// 2^`bits` slices (1 to 24), cut after each of `ends`.
    pub fn new(bits: u32, ends: impl IntoIterator<Item = Token>) -> Self {
        let bits = bits.clamp(1, Self::BITS_MAX);
        let is_slice_end = |token: &Token| place(*token) << bits == u64::MAX << bits;
        let mut cuts: Vec<_> = ends.into_iter().filter(|token| !is_slice_end(token)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let words = cuts.iter().map(|token| token.0).chain([i64::from(bits)]);
        let fingerprint = xxh3_64(&words.flat_map(i64::to_be_bytes).collect::<Vec<_>>());
        Self { bits, cuts, fingerprint }
    }

    /// The cells of `ring`: the same on every node that goes by it.
    pub fn of(ring: &Ring) -> Self {
        let more = (ring.members().len() / 3).max(1).ilog2();
        Self::new(Self::BITS_MIN + more, ring.ranges(1).map(|(range, _)| range.end))
    }

    /// Two slicings with one fingerprint have the same cells.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// How many cells there are.
    pub fn cells(&self) -> u32 {
        (1 << self.bits) + self.cuts.len() as u32
    }

    /// The cell of `token`.
    pub fn cell(&self, token: Token) -> u32 {
        self.slice(token) + self.cuts.partition_point(|cut| *cut < token) as u32
    }

    /// The tokens of `cell`, the last cell's if there are fewer.
    pub fn tokens(&self, cell: u32) -> RangeInclusive<Token> {
        let cell = cell.min(self.cells() - 1);
        let first = if cell == 0 { Token::MIN } else { self.end(cell - 1).advance(1) };
        first..=self.end(cell)
    }

    /// The cells of `range`, in clockwise order. Whole ones, if the range is one or several of the ring's.
    pub fn cells_of(&self, range: TokenRange) -> impl Iterator<Item = Range<u32>> {
        range.intervals().map(|tokens| self.cell(*tokens.start())..self.cell(*tokens.end()) + 1)
    }

    /// The last token of `cell`.
    fn end(&self, cell: u32) -> Token {
        // The cut at a place, by number, ends the cell of its own token.
        let at = |place: usize| self.slice(self.cuts[place]) + place as u32;
        let (mut low, mut high) = (0, self.cuts.len());
        while low < high {
            let middle = low.midpoint(high);
            if at(middle) < cell { low = middle + 1 } else { high = middle }
        }
        if low < self.cuts.len() && at(low) == cell {
            return self.cuts[low];
        }
        let slice = u64::from(cell - low as u32);
        let last = (slice << self.shift()) | (u64::MAX >> self.bits);
        Token((last ^ (1 << 63)) as i64)
    }

    fn slice(&self, token: Token) -> u32 {
        (place(token) >> self.shift()) as u32
    }

    fn shift(&self) -> u32 {
        u64::BITS - self.bits
    }
}

impl Default for Slicing {
    /// A circle without ranges.
    fn default() -> Self {
        Self::new(Self::BITS_MIN, [])
    }
}

/// How far a token lies from the smallest one.
fn place(token: Token) -> u64 {
    token.0 as u64 ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens() -> impl Strategy<Value = Token> {
        prop_oneof![any::<i64>(), -3_i64..3, i64::MIN..i64::MIN + 3, i64::MAX - 3..=i64::MAX].prop_map(Token)
    }

    proptest! {
        /// The slow obvious twin: all ends in order, looked through one after the other.
        #[test]
        fn cells_are_what_lies_between_two_ends(
            bits in 1_u32..6, cuts in proptest::collection::vec(tokens(), 0..12), probes in proptest::collection::vec(tokens(), 8),
        ) {
            let slicing = Slicing::new(bits, cuts.clone());
            let width = 1_u128 << (64 - bits);
            let ends = (1..=1_u128 << bits).map(|slice| Token((slice * width - 1) as i64).advance(1 << 63));
            let mut ends: Vec<_> = ends.chain(cuts).collect();
            ends.sort_unstable();
            ends.dedup();
            prop_assert_eq!(slicing.cells() as usize, ends.len());
            let mut first = Token::MIN;
            for (cell, end) in (0..).zip(&ends) {
                prop_assert_eq!(slicing.tokens(cell), first..=*end);
                first = end.advance(1);
            }
            for probe in probes.into_iter().chain(ends.clone()) {
                let cell = ends.iter().position(|end| *end >= probe).unwrap();
                prop_assert_eq!(slicing.cell(probe), cell as u32);
            }
        }

        #[test]
        fn a_range_of_the_ring_is_whole_cells(mut cuts in proptest::collection::btree_set(any::<i64>(), 2..12)) {
            let slicing = Slicing::new(4, cuts.iter().copied().map(Token));
            let (first, last) = (cuts.pop_first().unwrap(), cuts.pop_last().unwrap());
            let range = TokenRange::new(Token(first), Token(last));
            let both = [range, TokenRange::new(range.end, range.start)];
            let cells = both.map(|range| slicing.cells_of(range).flatten().collect::<Vec<_>>());
            for (range, cells) in both.iter().zip(&cells) {
                for cell in cells {
                    let tokens = slicing.tokens(*cell);
                    prop_assert!(range.contains(*tokens.start()) && range.contains(*tokens.end()));
                }
            }
            let mut all = cells.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..slicing.cells()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_same_ring_gives_the_same_cells_and_another_one_others() {
        let cut = |tokens: &[i64]| Slicing::new(16, tokens.iter().copied().map(Token));
        assert_eq!(cut(&[5, 9]), cut(&[9, 5, 5]));
        assert_ne!(cut(&[5, 9]).fingerprint(), cut(&[5, 8]).fingerprint());
        assert_ne!(cut(&[]).fingerprint(), Slicing::new(17, []).fingerprint());
    }
}
