//! The known mistakes, by the names that the command line takes.

use quorate::{membership::map::MapMutant, node::Mutant as CoreMutant};

/// A mistake that the simulator must catch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// In the node.
    Core(CoreMutant),
    /// The disk's reads show what still waits for its sync (S1).
    ExposeUnsynced,
    /// The disk reports a write before its sync (S1).
    AckBeforeSync,
    /// A restarted process goes on with the actor and without the clock of the last one (V1).
    ActorReused,
    /// The disk mints on what is durable, not on what waits for its sync (V5).
    MintsOnDurable,
    /// A store of siblings drops what is held beside it.
    SiblingDropped,
    /// A store of siblings leaves what it supersedes.
    SupersededKept,
    /// What records add up to is not brought up to date with some commits (A1).
    DigestForgotten,
    /// Repair gives peers what it reads, whatever the checksum says (S3, A4).
    BadChecksumGiven,
    /// A promise of a `cas` key is given, and not written down (C2).
    CasPromiseForgotten,
    /// A `cas` key takes what is passed on whatever was promised (C1).
    CasPassedOnBlindly,
}

/// Every mutant: its name, itself, and what it breaks.
pub(crate) const ALL: &[(&str, Mutant, &str)] = &[
    ("clock-alone", Mutant::Core(CoreMutant::ClockAlone), "V1: the clock is lost, a tag is the wall clock"),
    (
        "ahead-accepted",
        Mutant::Core(CoreMutant::AheadAccepted),
        "V2: a replica takes any tag, however far ahead",
    ),
    ("actor-reused", Mutant::ActorReused, "V1: the same actor after a restart, with the clock lost"),
    (
        "failed-counts",
        Mutant::Core(CoreMutant::FailedCounts),
        "Q2: a failed replica counts, as if for its hint",
    ),
    ("live-quorum", Mutant::Core(CoreMutant::LiveQuorum), "Q2: N is the number of live replicas"),
    ("blind-write", Mutant::Core(CoreMutant::BlindWrite), "Q4: a QUORUM write without its first round"),
    ("round-one-of-one", Mutant::Core(CoreMutant::RoundOneOfOne), "Q4: the first round asks one replica"),
    ("no-write-back", Mutant::Core(CoreMutant::NoWriteBack), "Q5: a QUORUM read without write-back"),
    ("absence-wins", Mutant::Core(CoreMutant::AbsenceWins), "Q6: absence beats a value at a read"),
    ("retry-new-tag", Mutant::Core(CoreMutant::RetryNewTag), "Q10: a retry mints a new tag"),
    (
        "timeout-not-applied",
        Mutant::Core(CoreMutant::TimeoutNotApplied),
        "Q10: a write that timed out in its second round claims not to be applied",
    ),
    ("expose-unsynced", Mutant::ExposeUnsynced, "S1: reads show what waits for its sync"),
    ("ack-before-sync", Mutant::AckBeforeSync, "S1: writes are acknowledged before their sync"),
    (
        "siblings-answered-early",
        Mutant::Core(CoreMutant::SiblingsAnsweredEarly),
        "Q5: siblings are answered after one write-back",
    ),
    (
        "coordinator-clock-expiry",
        Mutant::Core(CoreMutant::CoordinatorClockExpiry),
        "D1: the coordinator's clock decides on an expiry",
    ),
    (
        "any-clock-expiry",
        Mutant::Core(CoreMutant::AnyClockExpiry),
        "D1: any replica's clock decides on an expiry",
    ),
    (
        "tombstone-forgotten",
        Mutant::Core(CoreMutant::TombstoneForgotten),
        "D1: a tombstone is read as absence",
    ),
    (
        "cached-before-durable",
        Mutant::Core(CoreMutant::CachedBeforeDurable),
        "S1: a replica shows from memory what is not durable yet",
    ),
    // Two more mistakes of V5 are not to be had here: both send a dot to other replicas before it is durable at the minter,
    // which the commit step mints with the rest of its batch, so that nobody has the state before its sync is over
    // (ack-before-sync breaks that, and actor-reused what an actor that is new at each start is for).
    ("mints-on-durable", Mutant::MintsOnDurable, "V5: two puts in flight both mint on the committed state"),
    ("non-replica-mints", Mutant::Core(CoreMutant::NonReplicaMints), "V5: a node that is no replica mints"),
    (
        "usual-actor-stands-in",
        Mutant::Core(CoreMutant::UsualActorStandsIn),
        "Q2: a fallback makes a write under its usual actor",
    ),
    ("bare-dot", Mutant::Core(CoreMutant::BareDot), "V5: replicas are sent a new sibling alone"),
    (
        "context-ignored",
        Mutant::Core(CoreMutant::ContextIgnored),
        "Q4: a write with a context is made as if it had none",
    ),
    ("sibling-dropped", Mutant::SiblingDropped, "merge: a store drops what is held beside it"),
    ("digest-forgotten", Mutant::DigestForgotten, "A1: a digest is not updated with a commit"),
    ("bad-checksum-given", Mutant::BadChecksumGiven, "S3: repair gives a record with a bad checksum"),
    (
        "repair-absence-wins",
        Mutant::Core(CoreMutant::RepairAbsenceWins),
        "A2: in anti-entropy a key that the peer lacks is deleted",
    ),
    (
        "agreement-dated-late",
        Mutant::Core(CoreMutant::AgreementDatedLate),
        "A3: replicas are said to agree as of the end of their comparison",
    ),
    (
        "cas-plain-writes",
        Mutant::Core(CoreMutant::CasPlainWrites),
        "C1: a put of a cas key is stored under a ballot that nobody has promised",
    ),
    ("cas-passed-on-blindly", Mutant::CasPassedOnBlindly, "C1: repair of a cas key ignores promises"),
    (
        "cas-acks-older",
        Mutant::Core(CoreMutant::CasAcksOlder),
        "C1: a replica of a cas key that has promised a later round acknowledges an earlier one",
    ),
    ("cas-promise-forgotten", Mutant::CasPromiseForgotten, "C2: promises of cas keys are not written down"),
    (
        "cas-answered-early",
        Mutant::Core(CoreMutant::CasAnsweredEarly),
        "C3: a read of a cas key, or a failed condition, is answered after its first phase",
    ),
    (
        "cas-retried",
        Mutant::Core(CoreMutant::CasRetried),
        "C4: a write of a cas key whose second phase was lost is made again",
    ),
    (
        "cas-copied-without-promise",
        Mutant::Core(CoreMutant::CasCopiedWithoutPromise),
        "C5: a replica that lost its state copies proposals of cas keys, and no promises",
    ),
    ("superseded-kept", Mutant::SupersededKept, "merge: a store leaves what it supersedes"),
    (
        "promise-forgotten",
        Mutant::Core(CoreMutant::Map(MapMutant::PromiseForgotten)),
        "M1: promises are not written down",
    ),
    (
        "old-slot-afresh",
        Mutant::Core(CoreMutant::Map(MapMutant::OldSlotAfresh)),
        "M1: a slot whose outcome is known is voted in as if it were empty",
    ),
    (
        "builds-on-accepted",
        Mutant::Core(CoreMutant::Map(MapMutant::BuildsOnAccepted)),
        "M1: a change is put on top of a map that is merely accepted",
    ),
    (
        "minority-decides",
        Mutant::Core(CoreMutant::Map(MapMutant::MinorityDecides)),
        "M1: half of the members decide",
    ),
    (
        "accept-ignores-promise",
        Mutant::Core(CoreMutant::Map(MapMutant::AcceptIgnoresPromise)),
        "M1: an accept is taken although a later ballot was promised",
    ),
    (
        "serves-stale",
        Mutant::Core(CoreMutant::Map(MapMutant::ServesStale)),
        "M1: a restarted member serves before it has asked for the newest map",
    ),
    (
        "lost-disk-votes",
        Mutant::Core(CoreMutant::Map(MapMutant::LostDiskVotes)),
        "M1: a member that lost its disk votes on",
    ),
    (
        "answers-unsynced",
        Mutant::Core(CoreMutant::Map(MapMutant::AnswersUnsynced)),
        "C2: an acceptor's answers leave before they are durable",
    ),
    (
        "repeats-applied",
        Mutant::Core(CoreMutant::Map(MapMutant::RepeatsApplied)),
        "Q10: a change that is asked for twice happens twice",
    ),
    (
        "unknown-is-no",
        Mutant::Core(CoreMutant::Map(MapMutant::UnknownIsNo)),
        "Q10: a change whose accept was sent claims not to be applied",
    ),
    ("no-recovery", Mutant::Core(CoreMutant::NoRecovery), "R7: a node that lost its disk serves at once"),
    (
        "old-acks-count",
        Mutant::Core(CoreMutant::OldAcksCount),
        "R7: what a replica acknowledged before it lost its disk counts",
    ),
    (
        "refetched-at-once",
        Mutant::Core(CoreMutant::RefetchedAtOnce),
        "S3: a damaged record is replaced while what it was counted for is under way",
    ),
    (
        "scan-trusts-one-replica",
        Mutant::Core(CoreMutant::ScanTrustsOneReplica),
        "Q1: a scan takes one replica's word for which keys there are",
    ),
    (
        "scan-ignores-cuts",
        Mutant::Core(CoreMutant::ScanIgnoresCuts),
        "Q1: a page counts as the whole rest of a table",
    ),
    (
        "recovering-mints",
        Mutant::Core(CoreMutant::RecoveringMints),
        "R7: a recovering node counts on its own replica",
    ),
];

impl Mutant {
    /// The mutant of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(known, ..)| *known == name).map(|(_, mutant, _)| *mutant)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        ALL.iter().find(|(_, mutant, _)| *mutant == self).map_or("?", |(name, ..)| name)
    }

    /// The mistake to make inside the node.
    pub(crate) fn core(self) -> Option<CoreMutant> {
        match self {
            Self::Core(core) => Some(core),
            _ => None,
        }
    }
}
