//! Why a map cannot be changed so.

use quorate_ring::{Consistency, Epoch, Incarnation, NodeId, RingError};

/// Why a change does not fit the map that it met. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It has happened already.
    #[error("this change has been made already, at {epoch}")]
    Repeated {
        /// The epoch that it made.
        epoch: Epoch,
    },
    /// So many changes came since that nobody remembers whether this one was among them.
    #[error(
        "this change was first asked for at {since}; what happened before {oldest} is forgotten: look, then ask anew"
    )]
    Forgotten {
        /// When it was first asked for.
        since: Epoch,
        /// From where on changes are remembered.
        oldest: Epoch,
    },
    /// It comes from somebody who claims to know a map that does not exist.
    #[error("this change was asked for at {since}, and the newest map is that of {known}")]
    Ahead {
        /// What the author claims.
        since: Epoch,
        /// The newest map.
        known: Epoch,
    },
    /// Not all founders have met yet.
    #[error("the cluster is not founded yet: every founder must have been up once")]
    NotFounded,
    /// All founders have met already.
    #[error("the cluster is founded already")]
    Founded,
    /// The lives named are not those of the founders, one each.
    #[error("the founders' lives are incomplete")]
    NotTheFounders,
    /// Not a name of a table.
    #[error("'{0}' is no name for a table: 1 to 64 of a-z, 0-9 and _, and not a digit first")]
    BadTableName(String),
    /// A table of this name is there.
    #[error("table '{0}' is there already")]
    TableExists(String),
    /// No table of this name is there.
    #[error("there is no table '{0}'")]
    NoSuchTable(String),
    /// More replicas than there are members, or none.
    #[error("replication = {replication}: 1 to {most} are possible here")]
    BadReplication {
        /// What was asked for.
        replication: u8,
        /// The most.
        most: u8,
    },
    /// A default level that no request could reach.
    #[error("level {level} does not fit a table of {replication} replicas")]
    BadLevel {
        /// The level.
        level: Consistency,
        /// The table's N.
        replication: u8,
    },
    /// As many tables as a map holds.
    #[error("a cluster has at most {0} tables")]
    TooManyTables(usize),
    /// The node is not a member.
    #[error("{0} is not a member")]
    NotMember(NodeId),
    /// The member lives another life than the one that was to be replaced.
    #[error("{node} is known as {known}, not as {claimed}")]
    OtherLife {
        /// The member.
        node: NodeId,
        /// What the map names.
        known: Incarnation,
        /// What the change would have replaced.
        claimed: Incarnation,
    },
    /// A table needs more members than would be left.
    #[error("table '{table}' has {replication} replicas, and {left} members would be left")]
    TooFewLeft {
        /// The table.
        table: String,
        /// Its N.
        replication: u8,
        /// The members after the change.
        left: usize,
    },
    /// The members would make no ring.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The settings are out of bounds.
    #[error("{0}")]
    BadSettings(String),
    /// All table ids or epochs have been used.
    #[error("the cluster has used up its table ids or epochs")]
    Exhausted,
    /// The map would be too large to be sent.
    #[error("the cluster map would have {bytes} bytes, and at most {bytes_max} are possible")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most.
        bytes_max: usize,
    },
}
