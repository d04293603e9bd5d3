//! What a ring refuses.

use crate::{Founder, NodeId, Token};

/// Why a list of members makes no ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// No member at all.
    #[error("a cluster needs at least one member")]
    NoMembers,
    /// More members than [`Layout::MEMBERS_MAX`](crate::Layout::MEMBERS_MAX).
    #[error("{count} members are more than the {max} a cluster may have")]
    TooManyMembers {
        /// The members asked for.
        count: usize,
        /// The most there may be.
        max: usize,
    },
    /// Not a name of a cluster or a node.
    #[error("'{0}' is not a name: it takes 1 to {max} letters, digits, '.', '_' or '-'",
        max = Founder::WORD_BYTES_MAX)]
    BadName(String),
    /// Not an address.
    #[error("node '{name}': '{address}' is not an address of the form host:port")]
    BadAddress {
        /// The node.
        name: String,
        /// Its address.
        address: String,
    },
    /// Not a name of a rack.
    #[error("node '{name}': '{rack}' is not a rack: it takes up to {max} letters, digits, '.', '_' or '-'",
        max = Founder::WORD_BYTES_MAX)]
    BadRack {
        /// The node.
        name: String,
        /// Its rack.
        rack: String,
    },
    /// A weight out of bounds.
    #[error("node '{name}': weight {weight} is not in 1 to {max} (100 is an ordinary node)",
        max = Founder::WEIGHT_MAX)]
    BadWeight {
        /// The node.
        name: String,
        /// Its weight.
        weight: u16,
    },
    /// Tokens missing, too many, out of order or doubled.
    #[error("node '{name}': its tokens are missing, too many or not in ascending order")]
    BadTokens {
        /// The node.
        name: String,
    },
    /// Two members of one name.
    #[error("two nodes are named '{0}'")]
    DuplicateName(String),
    /// Two members at one address.
    #[error("nodes '{first}' and '{second}' have the same address {address}")]
    DuplicateAddress {
        /// One node.
        first: String,
        /// The other node.
        second: String,
        /// The address of both.
        address: String,
    },
    /// Two members, or one twice, with one token.
    #[error("token {0} has two owners")]
    DuplicateToken(Token),
    /// Ids out of order, doubled, or not yet given out.
    #[error("node id {0} is doubled, out of order or was never given out")]
    BadId(NodeId),
    /// No such member.
    #[error("no member has the id {0}")]
    UnknownMember(NodeId),
    /// Every id or epoch has been used.
    #[error("the cluster has used up its node ids or epochs")]
    Exhausted,
}
