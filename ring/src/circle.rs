//! The sorted circle: every token with its owner, and the way from a token to its range.

use crate::{RingError, Token, TokenRange};

/// All tokens of a ring in ascending order. Slot `i` is the range that ends in the i-th token, and belongs to
/// that token's owner, given as an index into the ring's members.
#[derive(Clone, Debug)]
pub(crate) struct Circle {
    tokens: Vec<Token>,
    owners: Vec<u32>,
    /// For each value of a token's leading bits, the first slot whose token has at least that value: with
    /// about as many values as slots, a look-up searches one or two slots. One more entry closes the last.
    index: Vec<u32>,
    /// How far a token is shifted to leave its leading bits.
    shift: u32,
}

impl Circle {
    /// The circle of `(token, owner)` pairs, of which there is at least one.
    pub(crate) fn new(mut slots: Vec<(Token, u32)>) -> Result<Self, RingError> {
        slots.sort_unstable();
        if let Some(pair) = slots.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(RingError::DuplicateToken(pair[0].0));
        }
        let (tokens, owners): (Vec<_>, Vec<_>) = slots.into_iter().unzip();
        let bits = tokens.len().next_power_of_two().trailing_zeros().max(1);
        let shift = u64::BITS - bits;
        let mut index = Vec::with_capacity((1 << bits) + 1);
        for (slot, &token) in (0_u32..).zip(&tokens) {
            index.resize(index.len().max(leading(token, shift) + 1), slot);
        }
        index.resize((1 << bits) + 1, tokens.len() as u32);
        Ok(Self { tokens, owners, index, shift })
    }

    /// How many slots there are: at least one.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The slot whose range holds `token`.
    pub(crate) fn slot_of(&self, token: Token) -> usize {
        let leading = leading(token, self.shift);
        let (low, high) = (self.index[leading] as usize, self.index[leading + 1] as usize);
        let slot = low + self.tokens[low..high].partition_point(|&end| end < token);
        if slot == self.tokens.len() { 0 } else { slot }
    }

    /// The index of the slot's owner.
    pub(crate) fn owner(&self, slot: usize) -> u32 {
        self.owners[slot]
    }

    /// The slot's last token.
    pub(crate) fn end(&self, slot: usize) -> Token {
        self.tokens[slot]
    }

    /// The slot's range.
    pub(crate) fn range(&self, slot: usize) -> TokenRange {
        let before = if slot == 0 { self.len() } else { slot } - 1;
        TokenRange::new(self.tokens[before], self.tokens[slot])
    }

    /// The owners of `slot` and all slots after it, once around the circle.
    pub(crate) fn walk(&self, slot: usize) -> impl Iterator<Item = u32> + Clone {
        let (before, after) = self.owners.split_at(slot);
        after.iter().chain(before).copied()
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.tokens) + size_of_val(&*self.owners) + size_of_val(&*self.index)
    }
}

fn leading(token: Token, shift: u32) -> usize {
    ((token.0 as u64 ^ (1 << 63)) >> shift) as usize
}
