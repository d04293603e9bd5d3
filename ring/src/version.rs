//! Words for versions: what names one write. The algorithms on them live in `quorate-storage`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Actor, WallMicros};

/// A reading of a hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): 48 bits of
/// wall-clock milliseconds above 16 logical bits, so that comparing the numbers compares the times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hlc(pub u64);

impl Hlc {
    /// Bits of the logical counter.
    pub const LOGICAL_BITS: u32 = 16;
    /// Before every reading.
    pub const ZERO: Self = Self(0);

    /// The first reading of the millisecond that `wall` lies in.
    pub const fn from_wall(wall: WallMicros) -> Self {
        Self((wall.0 / 1_000) << Self::LOGICAL_BITS)
    }

    /// The wall-clock part.
    pub const fn wall(self) -> WallMicros {
        WallMicros((self.0 >> Self::LOGICAL_BITS) * 1_000)
    }

    /// The logical part.
    pub const fn logical(self) -> u16 {
        self.0 as u16
    }

    /// The next reading; a full logical counter carries into the milliseconds.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 >> Self::LOGICAL_BITS, self.logical())
    }
}

/// The name of one write, also called a dot: totally ordered by clock, then actor. A tag names at most
/// one write because the clock never repeats within a process and every process has its own actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// When, by the hybrid logical clock.
    pub hlc: Hlc,
    /// Which process minted it.
    pub actor: Actor,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.hlc, self.actor)
    }
}
