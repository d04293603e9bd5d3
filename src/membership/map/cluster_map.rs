//! The map itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use bytes::Bytes;
use quorate_ring::{ClusterId, Epoch, Founder, Incarnation, Layout, NodeId, Ring, RingError, Table, TableId};
use serde::{Deserialize, Serialize};

use super::{ChangeId, History, Settings};
use crate::membership::synod::Electorate;

/// A checksum of a map's content: tells two maps of one epoch apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MapDigest(pub u64);

impl fmt::Display for MapDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Names one map. There is one decided map per epoch; the digest is there to find out if ever there were two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MapName {
    /// Its epoch.
    pub epoch: Epoch,
    /// Of its content; of the founding map the cluster's id, because founders may know each other under different
    /// addresses.
    pub digest: MapDigest,
}

impl fmt::Display for MapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.epoch, self.digest)
    }
}

/// What became of a change that was sent to be accepted into one slot, and whose author then lost sight of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It happened, and made this epoch.
    Applied(Epoch),
    /// It did not happen and never will.
    NotApplied,
    /// This map is too old, or too new, to tell.
    Unknown,
}

/// The members, tables and settings of a cluster at an epoch. A value: [`apply`](Self::apply) makes another.
/// Copying one is cheap where members and tables are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterMap {
    pub(super) epoch: Epoch,
    /// The decided map that this one was made from; `None` for the founding map.
    pub(super) parent: Option<MapName>,
    /// Shared by all maps with the same members. Its own epoch counts changes of members alone.
    pub(super) ring: Arc<Ring>,
    /// The epoch at which a range changed hands last.
    pub(super) moved_at: Epoch,
    /// The life of each member; none at all in the founding map.
    pub(super) lives: BTreeMap<NodeId, Incarnation>,
    /// Former members.
    pub(super) removed: BTreeSet<NodeId>,
    pub(super) tables: Arc<BTreeMap<String, Table>>,
    /// The id of the next table. Every smaller one was given out and is never given out again.
    pub(super) next_table: TableId,
    pub(super) settings: Settings,
    pub(super) history: History,
    /// Of all of the above.
    pub(super) digest: MapDigest,
    /// All of the above as bytes.
    pub(super) encoded: Bytes,
}

impl ClusterMap {
    /// The most tables.
    pub const TABLES_MAX: usize = 4_096;
    /// The most node ids ever given out.
    pub const NODE_IDS_MAX: u32 = 65_536;

    /// The first map, which every founder makes for itself from the same list.
    ///
    /// It names no lives, because lives are drawn at random and no founder knows the others' yet. So it is not
    /// served by, its only change is [`Change::Found`](super::Change::Found), and that one takes *all* founders,
    /// not a majority. *Why: a founder that lost its disk looks like one that starts for the first time. Of n1, n2
    /// and n3, n1 and n2 found the cluster and create a table; n2 loses its disk, starts as a fresh founder, and
    /// founds the cluster once more with n3, without the table. Where all must agree, the one that did not lose its
    /// disk knows.*
    ///
    /// # Errors
    /// See [`Layout::found`].
    pub fn founding(cluster_name: &str, founders: &[Founder]) -> Result<Self, RingError> {
        Self::founding_on(Arc::new(Ring::found(cluster_name, founders)?))
    }

    /// The same on the ring that the founders make.
    ///
    /// # Errors
    /// [`RingError::TooManyMembers`] if the map would be too large to be sent.
    pub fn founding_on(ring: Arc<Ring>) -> Result<Self, RingError> {
        let count = ring.members().len();
        let mut map = Self {
            epoch: Layout::FOUNDING_EPOCH,
            parent: None,
            ring,
            moved_at: Layout::FOUNDING_EPOCH,
            lives: BTreeMap::new(),
            removed: BTreeSet::new(),
            tables: Arc::default(),
            next_table: TableId(1),
            settings: Settings::default(),
            history: History::default(),
            digest: MapDigest(0),
            encoded: Bytes::new(),
        };
        map.seal().map_err(|_| RingError::TooManyMembers { count, max: Layout::MEMBERS_MAX })?;
        Ok(map)
    }

    /// The epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The epoch of the map that follows: the slot that is decided among this map's members.
    pub fn slot(&self) -> Epoch {
        Epoch(self.epoch.0 + 1)
    }

    /// What tells this map from any other.
    pub fn name(&self) -> MapName {
        let digest = if self.is_founded() { self.digest } else { MapDigest(self.cluster().0) };
        MapName { epoch: self.epoch, digest }
    }

    /// The decided map that this one was made from; `None` for the founding map.
    pub fn parent(&self) -> Option<MapName> {
        self.parent
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterId {
        self.ring.cluster_id()
    }

    /// Whether the founders' lives are known.
    pub fn is_founded(&self) -> bool {
        self.epoch > Layout::FOUNDING_EPOCH
    }

    /// The members and their tokens.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// The epoch at which a range changed hands last: whoever goes by an earlier map may take a node for a replica
    /// that is none any more (rule M3). Tables and settings move no range.
    pub fn moved_at(&self) -> Epoch {
        self.moved_at
    }

    /// The members' ids, in order.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.ring.members().iter().map(|member| member.id)
    }

    /// Whether `node` is a member.
    pub fn is_member(&self, node: NodeId) -> bool {
        self.ring.member(node).is_some()
    }

    /// The life that the map names for a member.
    pub fn life(&self, node: NodeId) -> Option<Incarnation> {
        self.lives.get(&node).copied()
    }

    /// Whether this life of `node` votes on the next map. In the founding map any life of a founder does.
    pub fn names(&self, node: NodeId, incarnation: Incarnation) -> bool {
        match self.life(node) {
            Some(life) => life == incarnation,
            None => !self.is_founded() && self.is_member(node),
        }
    }

    /// Who decides the next map.
    pub fn electorate(&self) -> Electorate<NodeId> {
        if self.is_founded() {
            Electorate::majority(self.members())
        } else {
            Electorate::unanimity(self.members())
        }
    }

    /// Former members. No node ever gets one of these ids.
    pub fn removed(&self) -> &BTreeSet<NodeId> {
        &self.removed
    }

    /// The tables in the order of their names.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.values()
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// The table with this id.
    pub fn table_by_id(&self, id: TableId) -> Option<&Table> {
        self.tables().find(|table| table.id == id)
    }

    /// The id of the next table: every table that there was has a smaller one.
    pub fn next_table(&self) -> TableId {
        self.next_table
    }

    /// Whether a table had this id and has it no more: it was dropped or truncated, and its rows may be freed.
    pub fn is_retired(&self, id: TableId) -> bool {
        id < self.next_table && self.table_by_id(id).is_none()
    }

    /// What all nodes have set alike.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The last changes.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The change that made this map; `None` for the founding map.
    pub fn change(&self) -> Option<ChangeId> {
        self.history.last()
    }

    /// The epoch that a change made, if it is remembered.
    pub fn epoch_of(&self, id: ChangeId) -> Option<Epoch> {
        self.history.epoch_of(id, self.epoch)
    }

    /// What this map knows of a change that was last sent to be accepted into `slot`, and is no longer tried.
    pub fn fate(&self, id: ChangeId, slot: Epoch) -> Fate {
        match self.epoch_of(id) {
            Some(epoch) => Fate::Applied(epoch),
            None if self.epoch < slot || slot <= self.history.oldest(self.epoch) => Fate::Unknown,
            None => Fate::NotApplied,
        }
    }
}
