//! What is asked of the step, and what becomes of it.

use quorate_ring::{Duration, Hlc, NodeId, Tag};

use crate::{
    Content, DigestAnswer, DigestWork, EngineError, HintChange, MergeError, MetaWrite, RecordError, Row,
    State, Version, VersionVector,
};

/// Something to make durable.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Merge a state into a row.
    Store {
        /// Where.
        row: Row,
        /// What.
        state: State,
        /// On which terms.
        terms: StoreTerms,
    },
    /// Write a row of a `siblings` table under a new dot, on the newest state of the row, whether that is
    /// durable yet or not: writes of one row are one chain (rule V5).
    Mint {
        /// Where.
        row: Row,
        /// The new dot. It exceeds every reading that the node has observed.
        dot: Tag,
        /// What the writer had seen, and so supersedes.
        seen: Seen,
        /// What is written.
        content: Content,
        /// How far ahead the dot may be.
        horizon: Horizon,
    },
    /// Put a row on the list of those that are to be restored from peers, with a copy of its record, if that
    /// is damaged (rule S3). The record stays: reads and stores of the row go on failing as corrupt, so that
    /// no quorum takes what this replica has forgotten for an absence.
    Quarantine {
        /// Where.
        row: Row,
    },
    /// Merge a state into a row, or put it in the place of a damaged record and take the row off that list.
    /// The caller answers for the state: it is the merge of what N-Q+1 other replicas of the row hold, and so
    /// has all that a quorum with this replica in it ever acknowledged (rule R7, for one key).
    Restore {
        /// Where.
        row: Row,
        /// What; none if all of them hold nothing, which takes a damaged record away and nothing else. However far ahead
        /// its tags are, they are kept: others have accepted them.
        state: Option<State>,
        /// Up to where they are those of working clocks.
        clocks: Hlc,
    },
    /// Merge a state into what another node is still to be given (rule H1).
    Hint {
        /// The node.
        target: NodeId,
        /// Where.
        row: Row,
        /// What.
        state: State,
    },
    /// Forget a hint.
    Unhint {
        /// The node that it is for.
        target: NodeId,
        /// Where.
        row: Row,
        /// What the node was given: a hint that has grown since stays. `None` if it is damaged: a sound one
        /// that has taken its place since stays.
        given: Option<Version>,
    },
    /// Look at or look after the digests of what is durable (rule A1), between this batch and the one before.
    Digest(DigestWork),
    /// Change what the node knows about itself.
    Meta(MetaWrite),
}

impl Write {
    /// A store on the usual terms.
    pub fn store(row: Row, state: State) -> Self {
        Self::Store { row, state, terms: StoreTerms::default() }
    }
}

/// On which terms a state is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreTerms {
    /// How far ahead its tags may be.
    pub horizon: Horizon,
    /// Whether the sender wants to know what else is held.
    pub report: bool,
    /// Whether it is what another replica holds, for one that has lost its state: of a `cas` key that is copied, promise
    /// and all (rules R7, C5), and not taken for a proposer's message.
    pub copied: bool,
    /// A mistake: whether a `cas` key takes it whatever was promised (rule C1).
    #[cfg(feature = "mutants")]
    pub blindly: bool,
}

/// How far ahead the tags of a write may be (rule V2).
///
/// A tag that no working clock can have minted yet is refused, or one broken clock would set all others. Where a
/// quorum's clocks were broken together, the keys that they wrote meanwhile hold such tags rightfully, and the
/// next write of such a key must exceed them: so it may be a little ahead of what the key has come to. It must not
/// drag the node's clock along, which would only carry the mistake to other keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// The last reading that a working clock can show by now. A tag up to it counts as seen by the node's clock: the
    /// durable bound is raised above it.
    pub clocks: Hlc,
    /// By how much a tag beyond that may exceed what the key holds; `None` for any tag at all.
    pub lead: Option<Duration>,
}

impl Default for Horizon {
    /// Any tag, and all of them count as seen.
    fn default() -> Self {
        Self { clocks: Hlc(u64::MAX), lead: None }
    }
}

impl Horizon {
    /// The last reading that a tag of a key may have which has come to `held`.
    pub fn limit(self, held: Option<Hlc>) -> Hlc {
        let Some(lead) = self.lead else {
            return Hlc(u64::MAX);
        };
        let lead = (lead.as_millis() as u64) << Hlc::LOGICAL_BITS;
        held.map_or(self.clocks, |held| self.clocks.max(Hlc(held.0.saturating_add(lead))))
    }

    /// What the durable bound must exceed once `written` is stored.
    pub(super) fn seen(self, written: Hlc) -> Hlc {
        if written <= self.clocks { written.next() } else { Hlc::ZERO }
    }
}

/// What a writer had seen of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// This much.
    Context(VersionVector),
    /// What is durable on this node when the write is staged.
    Durable,
}

/// What became of one write.
pub type WriteResult = Result<Written, WriteError>;

/// A write that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The state was merged in.
    Stored {
        /// The greatest tag then held.
        held: Tag,
        /// What was then held, if that is more than was sent and the sender wanted to know.
        more: Option<State>,
    },
    /// What is held already covers the state; the write is as good as stored.
    Covered {
        /// The greatest tag held.
        held: Tag,
        /// What is held, if that is more than was sent and the sender wanted to know.
        more: Option<State>,
    },
    /// The row's state after the new write: what the other replicas are sent, whole (rule V5).
    Minted(State),
    /// How a hint, or its end, changed what is waiting for its target.
    Hints(HintChange),
    /// The row's record is damaged; a copy is in the quarantine.
    Quarantined(RecordError),
    /// The row's record is not damaged, or there is none: nothing was done.
    Sound,
    /// What came of work for the digests.
    Digest(DigestAnswer),
    /// A change to the node's own state.
    Meta,
}

/// A write that is not acknowledged.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The two states cannot be merged: one tag names different contents (rule V4), or the kinds differ.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The record that is held is damaged. It is not overwritten: it may have been newer (rule S3).
    #[error("the record that is held is damaged: {0}")]
    Corrupt(RecordError),
    /// The key or the value is larger than a record may be.
    #[error("{bytes} bytes is more than the {bytes_max} a record may have")]
    TooLarge {
        /// What was asked for.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
    /// The tag leaves no reading above it for any clock.
    #[error("the tag {0} is at the end of time")]
    TagOutOfRange(Tag),
    /// The tag is further ahead than a working clock can be (rule V2).
    #[error("the tag {tag} is ahead of every clock that is right: at most {limit} is accepted here")]
    TagAhead {
        /// The tag.
        tag: Tag,
        /// The last reading that is accepted.
        limit: Hlc,
    },
    /// The row has as many concurrent writes as it may (rule V6). A write with this context resolves them.
    #[error("the key has {siblings} siblings already: read it, and write with the context of the read")]
    TooManySiblings {
        /// How many there are.
        siblings: usize,
        /// What covers them all.
        context: VersionVector,
    },
    /// The dot does not exceed what it would join; nothing was written (rule V5).
    #[error("the new version {dot} is not above {seen}, which the key has seen")]
    DotTooLow {
        /// The dot.
        dot: Tag,
        /// What it would have to exceed.
        seen: Tag,
    },
    /// The engine failed. Unless it was only full, the write may still turn out to be there after a restart.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
