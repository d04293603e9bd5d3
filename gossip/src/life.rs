//! Lives of nodes, and claims about them.

use std::fmt;

use quorate_ring::NodeId;

/// One process of a node. A later process has a greater life, so that news of it replaces all news of earlier ones.
///
/// Drivers propose microseconds of the wall clock at process start. That is a proposal only: a node that hears of
/// itself in a life that is not its own takes a greater one, so a clock that stepped back costs one exchange and not
/// the node's membership. No two processes of a node may propose the same life: their entries could not be told apart.
/// Apart from [`Incarnation`](quorate_ring::Incarnation), which names a state of the disk, is
/// drawn at random and survives a restart; gossip carries that as an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life(pub u64);

impl Life {
    /// The greatest life that is accepted or proposed. Microseconds reach it in 146,000 years.
    pub const MAX: Self = Self(1 << 62);

    /// The life that follows; [`Life::MAX`] follows itself.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1)).min(Self::MAX)
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "l{}", self.0)
    }
}

/// How often a node has refuted a claim within one life: SWIM calls it the incarnation number. At most
/// [`REFUTATION_MAX`]; past it the node takes a new life.
pub type Refutation = u32;

/// The greatest [`Refutation`] that is accepted.
pub const REFUTATION_MAX: Refutation = 1 << 30;

/// What is claimed of a member. Later ones win over earlier ones within one life and refutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
    /// It answers.
    Alive,
    /// Somebody got no answer from it, nor did others on their behalf. It has time to object.
    Suspect,
    /// It did not object in time.
    Dead,
    /// It said goodbye.
    Left,
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
        })
    }
}

/// What somebody holds of a member. Only the member itself makes a greater life or refutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// About whom.
    pub node: NodeId,
    /// In which of its lives.
    pub life: Life,
    /// After how many refutations in that life.
    pub refutation: Refutation,
    /// What.
    pub state: MemberState,
}

impl Claim {
    /// That a member answers.
    pub fn alive(node: NodeId, life: Life, refutation: Refutation) -> Self {
        Self { node, life, refutation, state: MemberState::Alive }
    }

    /// The same life and refutation in another state.
    #[must_use]
    pub fn with_state(self, state: MemberState) -> Self {
        Self { state, ..self }
    }

    /// The total order in which a claim wins over another about the same node (SWIM, section 4.2, with the life in
    /// front).
    pub fn precedence(&self) -> (Life, Refutation, MemberState) {
        (self.life, self.refutation, self.state)
    }

    /// Whether both are about the same life and refutation.
    pub fn is_of_same_word(&self, other: &Self) -> bool {
        (self.node, self.life, self.refutation) == (other.node, other.life, other.refutation)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} r{}", self.node, self.state, self.life, self.refutation)
    }
}
