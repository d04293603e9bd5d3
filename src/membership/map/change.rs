//! What can be asked of a cluster map.

use std::{collections::BTreeMap, fmt};

use quorate_ring::{Consistency, Epoch, Founder, Incarnation, NodeId, TableKind};
use serde::{Deserialize, Serialize};

use super::Settings;

/// Names one change for life, so that it happens at most once however often it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChangeId {
    /// The epoch of the newest map that its author knew when it was first asked for. It can only have happened
    /// after that, so a map needs to remember no more than the changes since.
    pub since: Epoch,
    /// Drawn at random.
    pub number: u64,
}

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}/{}", self.number, self.since)
    }
}

/// A table that is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTable {
    /// Its name.
    pub name: String,
    /// How versions of a key merge.
    pub kind: TableKind,
    /// N, at most the number of members.
    pub replication: u8,
    /// The other options.
    pub options: TableOptions,
}

/// The options of a table that can be altered: those that leave each key where it is. Kind and replication are not
/// among them, because they need data to be moved first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableOptions {
    /// The level of reads that name none.
    pub read_consistency: Consistency,
    /// The level of writes that name none.
    pub write_consistency: Consistency,
}

/// One step from a map to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Names the first life of every founder. The first change of a cluster and no other: until then nobody can
    /// tell a founder that starts for the first time from one that lost its disk.
    Found {
        /// All founders, each with its life.
        lives: BTreeMap<NodeId, Incarnation>,
    },
    /// A table.
    CreateTable(NewTable),
    /// Other options for a table. What is not named stays, so that two such changes do not undo each other.
    AlterTable {
        /// Its name.
        name: String,
        /// The level of reads that name none, if it changes.
        read_consistency: Option<Consistency>,
        /// The level of writes that name none, if it changes.
        write_consistency: Option<Consistency>,
    },
    /// No table of this name any more.
    DropTable {
        /// Its name.
        name: String,
    },
    /// The table without its rows: a new table in the place of the old one, under another id.
    ///
    /// *Why not a mark in the table ("forget what is older than this"): each version of each key would have to be
    /// compared with the mark, on every path, for ever, by clocks that may be wrong; and a write that is on its
    /// way while the table is truncated has no place before or after the mark that all replicas agree on. An id
    /// that no map knows any more is refused as a whole by whoever has the newer map: stores, hints, repair and
    /// streams alike. So no row comes back, and the space is freed table by table.*
    TruncateTable {
        /// Its name.
        name: String,
    },
    /// A node becomes a member, with tokens taken from the others.
    Join {
        /// What it is.
        node: Founder,
        /// Its life.
        incarnation: Incarnation,
    },
    /// A member lost its state and goes on as another life of its own (rules V3, R7).
    Renew {
        /// The member.
        node: NodeId,
        /// The life that the map names.
        lost: Incarnation,
        /// The one that it is to name.
        incarnation: Incarnation,
    },
    /// A member leaves; its tokens fall to the others. Its id stays listed and is never given out again.
    Remove {
        /// The member.
        node: NodeId,
    },
    /// Other cluster-wide settings, all of them.
    Settings(Settings),
}
