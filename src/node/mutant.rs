//! Protocol mistakes that the simulator must catch. No release build has them.

use crate::membership::map::MapMutant;

/// One mistake in the core; the rule that it breaks is in parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mutant {
    /// A tag is what the wall clock shows, with no regard to tags heard of (V1).
    ClockAlone,
    /// A replica takes any tag, however far ahead, and its clock follows (V2).
    AheadAccepted,
    /// A QUORUM read answers before a quorum holds what it saw (Q5).
    NoWriteBack,
    /// A replica that failed counts toward the level, as if a hint did (Q2).
    FailedCounts,
    /// Quorums are counted over the replicas that are up (Q2).
    LiveQuorum,
    /// A QUORUM write asks nobody for tags (Q4).
    BlindWrite,
    /// A QUORUM write asks one replica for tags (Q4).
    RoundOneOfOne,
    /// A QUORUM read of siblings answers after one write-back, whatever else the replicas hold (Q5).
    SiblingsAnsweredEarly,
    /// Readers that cannot agree do not make new writes of their key wait (Q5). Nothing goes wrong by it: they need
    /// more rounds.
    NeverDefers,
    /// An absent key beats a value at a read (Q6).
    AbsenceWins,
    /// In anti-entropy a key that the peer lacks is deleted, not given (A2).
    RepairAbsenceWins,
    /// Replicas are said to agree as of the end of their comparison, not of its begin (A3).
    AgreementDatedLate,
    /// A slow write is sent again under a new tag (Q10).
    RetryNewTag,
    /// A write that timed out in its second round says that it was not applied (Q10).
    TimeoutNotApplied,
    /// The coordinator's clock decides whether a value has expired (D1).
    CoordinatorClockExpiry,
    /// The clock of any replica decides whether a value has expired (D1).
    AnyClockExpiry,
    /// Tombstones count for nothing when states are joined (D1).
    TombstoneForgotten,
    /// One in the keeping of the cluster map (M1).
    Map(MapMutant),
    /// A node that is no replica of a key mints for it (V5).
    NonReplicaMints,
    /// A fallback makes a write under its usual actor (Q2).
    UsualActorStandsIn,
    /// The other replicas are sent a new sibling alone, in place of the whole state (V5).
    BareDot,
    /// A write of siblings with a context is made as if it had none (Q4).
    ContextIgnored,
    /// A node that lost its state serves at once, without merging from its peers (R7).
    NoRecovery,
    /// What a replica acknowledged counts although it has lost its state since (R7).
    OldAcksCount,
    /// A damaged record is replaced at once, while requests are under way for which it was counted (S3).
    RefetchedAtOnce,
    /// A scan at QUORUM takes one replica's word for which keys there are (Q1).
    ScanTrustsOneReplica,
    /// A page counts as the whole rest of a table, though its replicas stopped before (Q1).
    ScanIgnoresCuts,
    /// What a peer sends is remembered as if it were durable already (S1).
    CachedBeforeDurable,
    /// A plain put of a `cas` table is stored under a ballot that nobody has promised (C1).
    CasPlainWrites,
    /// A replica of a `cas` key that has promised a later round acknowledges what it is sent (C1).
    CasAcksOlder,
    /// What one replica has accepted is answered before a quorum has (C3).
    CasAnsweredEarly,
    /// A write whose round was lost in its second phase is done again (C4).
    CasRetried,
    /// A replica that lost its state copies what others have accepted, and not what they have promised (C5).
    CasCopiedWithoutPromise,
    /// A node that recovers counts on its own replica in what it coordinates (R7).
    RecoveringMints,
}
