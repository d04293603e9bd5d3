//! The circle of tokens and arcs of it.

use std::{fmt, ops::RangeInclusive};

use serde::{Deserialize, Serialize};

/// A position on the ring: the full circle of signed 64-bit integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub i64);

impl Token {
    /// The numerically smallest token. No key has it.
    pub const MIN: Self = Self(i64::MIN);
    /// The numerically greatest token.
    pub const MAX: Self = Self(i64::MAX);

    /// Big-endian bytes whose byte order is the numeric order, for storage keys.
    pub const fn to_ordered_bytes(self) -> [u8; 8] {
        (self.0 as u64 ^ (1 << 63)).to_be_bytes()
    }

    /// The inverse of [`Token::to_ordered_bytes`].
    pub const fn from_ordered_bytes(bytes: [u8; 8]) -> Self {
        Self((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64)
    }

    /// The token `distance` further clockwise, past the top of the circle if need be.
    pub const fn advance(self, distance: u64) -> Self {
        Self(self.0.wrapping_add_unsigned(distance))
    }

    /// How far `to` lies clockwise from here; 0 if it is the same token.
    pub const fn distance_to(self, to: Self) -> u64 {
        to.0.wrapping_sub(self.0) as u64
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An arc of the circle, from `start` (exclusive) clockwise to `end` (inclusive). Equal ends mean the full
/// circle: there is no empty range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenRange {
    /// The last token before the range.
    pub start: Token,
    /// The last token in the range.
    pub end: Token,
}

impl TokenRange {
    /// The whole circle, in numeric order.
    pub const FULL: Self = Self { start: Token::MAX, end: Token::MAX };

    /// The range after `start` up to and with `end`.
    pub const fn new(start: Token, end: Token) -> Self {
        Self { start, end }
    }

    /// Whether this is the whole circle.
    pub fn is_full(self) -> bool {
        self.start == self.end
    }

    /// Whether the range runs past the top of the circle, so that its tokens are not one numeric interval.
    pub fn is_wrapping(self) -> bool {
        self.start.advance(1) > self.end
    }

    /// Whether `token` lies in the range.
    pub fn contains(self, token: Token) -> bool {
        // Seen from `start`, 0 is the token a full turn away: the last one of the full circle.
        self.is_full() || self.start.distance_to(token).wrapping_sub(1) < self.start.distance_to(self.end)
    }

    /// Whether every token of `other` lies in this range.
    pub fn contains_range(self, other: Self) -> bool {
        let offset = self.start.distance_to(other.start);
        self.is_full() || (!other.is_full() && u128::from(offset) + other.width() <= self.width())
    }

    /// Whether the two ranges share a token.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.start.advance(1)) || other.contains(self.start.advance(1))
    }

    /// How many tokens the range holds: 1 to 2^64.
    pub fn width(self) -> u128 {
        if self.is_full() { CIRCLE } else { u128::from(self.start.distance_to(self.end)) }
    }

    /// The range's share of the circle, above 0 to 1.
    pub fn fraction(self) -> f64 {
        self.width() as f64 / CIRCLE as f64
    }

    /// Cuts the range after `at`. `None` if that leaves nothing on one side.
    pub fn split(self, at: Token) -> Option<(Self, Self)> {
        let cuts = at != self.end && self.contains(at);
        cuts.then(|| (Self::new(self.start, at), Self::new(at, self.end)))
    }

    /// Cuts the range into `parts` ranges whose widths differ by at most one token; fewer if the range has
    /// fewer tokens, the range itself if `parts` is 0.
    pub fn divide(self, parts: u32) -> impl Iterator<Item = Self> {
        let width = self.width();
        let parts = u128::from(parts).clamp(1, width);
        // Wide enough: the product is below 2^96. Offset 2^64 wraps to 0, which is the full circle's end.
        let cut = move |part: u128| self.start.advance((width * part / parts) as u64);
        (0..parts).map(move |part| Self::new(cut(part), cut(part + 1)))
    }

    /// The range as one or two numeric intervals in clockwise order, for scans of ordered storage.
    pub fn intervals(self) -> impl Iterator<Item = RangeInclusive<Token>> {
        let first = self.start.advance(1);
        let (upper, lower) = if first <= self.end {
            (Some(first..=self.end), None)
        } else {
            (Some(first..=Token::MAX), Some(Token::MIN..=self.end))
        };
        upper.into_iter().chain(lower)
    }
}

impl fmt::Display for TokenRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {}]", self.start, self.end)
    }
}

const CIRCLE: u128 = 1 << 64;

#[cfg(test)]
mod tests;
