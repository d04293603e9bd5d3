//! Mistakes in the keeping of the map that tests must catch. No release build has them.

/// One mistake, against rule M1 unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MapMutant {
    /// A map is decided by a majority of its own members, not of its parent's.
    NewSetDecides,
    /// A map is decided by a majority of the members of both maps taken together.
    UnionDecides,
    /// Promises are not written down.
    PromiseForgotten,
    /// An acceptor that knows the outcome of a slot votes in it as if it were empty.
    OldSlotAfresh,
    /// What is found accepted is not finished: the own change is put on top of it, in the same slot.
    BuildsOnAccepted,
    /// Half of the members decide.
    MinorityDecides,
    /// An accept is taken although a later ballot was promised.
    AcceptIgnoresPromise,
    /// A restarted member serves before it has asked for the newest map.
    ServesStale,
    /// A member that lost its disk votes on, as if it were the same.
    LostDiskVotes,
    /// Answers leave before what they say is durable (rule C2).
    AnswersUnsynced,
    /// The names of past changes are not looked at: a change asked for twice happens twice.
    RepeatsApplied,
    /// A majority of the founders names the founders' lives.
    MajorityFounds,
    /// A change is refused by what this node knows, without asking a majority whether that is the newest.
    RefusesUnconfirmed,
    /// A change whose accept was sent, and is not heard of in time, is called not applied (rule Q10).
    UnknownIsNo,
}

impl MapMutant {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::NewSetDecides,
        Self::UnionDecides,
        Self::PromiseForgotten,
        Self::OldSlotAfresh,
        Self::BuildsOnAccepted,
        Self::MinorityDecides,
        Self::AcceptIgnoresPromise,
        Self::ServesStale,
        Self::LostDiskVotes,
        Self::AnswersUnsynced,
        Self::RepeatsApplied,
        Self::MajorityFounds,
        Self::RefusesUnconfirmed,
        Self::UnknownIsNo,
    ];
}
