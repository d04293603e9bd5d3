//! Names of operations and their rounds, as requests to replicas carry them there and back.

use quorate_ring::Actor;

use crate::wire::{OperationId, RequestId};

impl OperationId {
    /// Where a process starts to count.
    pub(super) fn first_of(actor: Actor) -> Self {
        Self(actor.0 >> (Step::ROUND_BITS + 1))
    }

    /// Whether it is one of the sample in which one of `one_in` is; none if that is 0. Ids are counted, so they are
    /// mixed (the finaliser of Steele, Lea, Flood, "SplitMix", 2014), or a client that repeats itself might never be
    /// looked at.
    pub(super) fn is_sampled(self, one_in: u32) -> bool {
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(u64::from(one_in)) == Some(0)
    }

    /// The next one.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A round of an operation: what a request to a replica is part of, and what its answer finds back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which operation.
    pub operation: OperationId,
    /// Which of its rounds: an answer that comes after its round is over is not taken for one of the next.
    pub round: u8,
}

impl Step {
    /// Reads of a hot key have many rounds (rule Q5).
    pub(super) const ROUND_BITS: u32 = u8::BITS;

    /// The request id that carries this step to a peer and back.
    pub fn request_id(self) -> RequestId {
        RequestId(self.operation.0 << Self::ROUND_BITS | u64::from(self.round))
    }

    /// The step that a request id carries.
    pub fn from_request_id(id: RequestId) -> Self {
        Self { operation: OperationId(id.0 >> Self::ROUND_BITS), round: id.0 as u8 }
    }
}
