//! A map as bytes, for the disk and for peers.
//!
//! ```text
//! 0        format version
//! 1..9     digest of the content: the first half of its Murmur3 hash, big-endian
//! 9..      content: a msgpack array
//! ```
//!
//! A map has one encoding: bytes that decode, but are not what the map encodes to, are refused. So the digest of
//! the bytes names the map.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::{BufMut, Bytes, BytesMut};
use quorate_ring::{Epoch, Incarnation, Layout, NodeId, Ring, Table, TableId, token_of};
use serde::{Deserialize, Serialize};

use super::{ClusterMap, History, MapDigest, MapName, Settings};

/// The longest encoded map, in bytes: more than 4,096 ordinary members and their tokens take.
pub const MAP_BYTES_MAX: usize = 8 * 1024 * 1024;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 8;

/// Why bytes are no map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// Longer than any map.
    #[error("a cluster map of {bytes} bytes, at most {MAP_BYTES_MAX} are accepted")]
    TooLong {
        /// The length.
        bytes: usize,
    },
    /// Too short for the fields that it must have.
    #[error("the cluster map is cut off after {bytes} bytes")]
    Truncated {
        /// The length.
        bytes: usize,
    },
    /// Another version of this program wrote it.
    #[error("the cluster map's format version {0} is unknown")]
    UnknownVersion(u8),
    /// The bytes are not those that were written.
    #[error("the cluster map's digest is {stored}, its bytes give {computed}")]
    BadDigest {
        /// What the header claims.
        stored: MapDigest,
        /// What the bytes give.
        computed: MapDigest,
    },
    /// The digest is right, but the content is none.
    #[error("the cluster map is malformed: {0}")]
    Malformed(String),
}

#[derive(Serialize)]
struct Content<'a> {
    epoch: Epoch,
    parent: Option<MapName>,
    ring: &'a Layout,
    moved_at: Epoch,
    lives: &'a BTreeMap<NodeId, Incarnation>,
    removed: &'a BTreeSet<NodeId>,
    tables: Vec<&'a Table>,
    next_table: TableId,
    settings: &'a Settings,
    history: &'a History,
}

#[derive(Deserialize)]
struct OwnedContent {
    epoch: Epoch,
    parent: Option<MapName>,
    ring: Ring,
    moved_at: Epoch,
    lives: BTreeMap<NodeId, Incarnation>,
    removed: BTreeSet<NodeId>,
    tables: Vec<Table>,
    next_table: TableId,
    settings: Settings,
    history: History,
}

impl ClusterMap {
    /// The map as bytes. Cheap: they are made once.
    pub fn encode(&self) -> Bytes {
        self.encoded.clone()
    }

    /// Reads what [`encode`](Self::encode) wrote. Work and memory are bounded by the length of `bytes`, which is
    /// looked at first.
    ///
    /// # Errors
    /// See [`MapError`]. Never panics.
    pub fn decode(bytes: &[u8]) -> Result<Self, MapError> {
        if bytes.len() > MAP_BYTES_MAX {
            return Err(MapError::TooLong { bytes: bytes.len() });
        }
        let Some((&[version, ref digest @ ..], content)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(MapError::Truncated { bytes: bytes.len() });
        };
        if version != VERSION {
            return Err(MapError::UnknownVersion(version));
        }
        let (stored, computed) = (MapDigest(u64::from_be_bytes(*digest)), digest_of(content));
        if stored != computed {
            return Err(MapError::BadDigest { stored, computed });
        }
        let read: OwnedContent =
            rmp_serde::from_slice(content).map_err(|error| MapError::Malformed(error.to_string()))?;
        let map = read.into_map(computed, Bytes::copy_from_slice(bytes));
        if map.content() != content {
            return Err(MapError::Malformed("this is not how the map is written".to_owned()));
        }
        map.validate().map_err(MapError::Malformed)?;
        Ok(map)
    }

    /// Takes the digest of what the map now holds. The error is how many bytes it would take, if too many.
    pub(super) fn seal(&mut self) -> Result<(), usize> {
        let content = self.content();
        self.digest = digest_of(&content);
        let bytes = HEADER_BYTES + content.len();
        let mut encoded = BytesMut::with_capacity(bytes);
        encoded.put_u8(VERSION);
        encoded.put_u64(self.digest.0);
        encoded.put_slice(&content);
        self.encoded = encoded.freeze();
        if bytes > MAP_BYTES_MAX { Err(bytes) } else { Ok(()) }
    }

    fn content(&self) -> Vec<u8> {
        let content = Content {
            epoch: self.epoch,
            parent: self.parent,
            ring: self.ring.layout(),
            moved_at: self.moved_at,
            lives: &self.lives,
            removed: &self.removed,
            tables: self.tables.values().collect(),
            next_table: self.next_table,
            settings: &self.settings,
            history: &self.history,
        };
        rmp_serde::to_vec(&content).expect("these types have lengths known ahead and a Vec takes any bytes")
    }
}

impl OwnedContent {
    fn into_map(self, digest: MapDigest, encoded: Bytes) -> ClusterMap {
        let Self { epoch, parent, ring, moved_at, lives, removed, tables, next_table, settings, history } =
            self;
        let tables = tables.into_iter().map(|table| (table.name.clone(), table)).collect();
        let (ring, tables) = (Arc::new(ring), Arc::new(tables));
        ClusterMap {
            epoch,
            parent,
            ring,
            moved_at,
            lives,
            removed,
            tables,
            next_table,
            settings,
            history,
            digest,
            encoded,
        }
    }
}

fn digest_of(content: &[u8]) -> MapDigest {
    MapDigest(token_of(content).0 as u64)
}
