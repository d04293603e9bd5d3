//! The manifest: what a backup is of, and what must be in it.

use quorate_ring::{ClusterId, Epoch, Incarnation, NodeId, Table};
use serde::{Deserialize, Serialize};

use super::{BackupData, BackupError, FORMAT};

/// What a backup is of, and what must be in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupManifest {
    /// The format version of both files.
    pub format: u32,
    /// Which cluster.
    #[serde(with = "hex_id")]
    pub cluster: ClusterId,
    /// Its name.
    pub cluster_name: String,
    /// How many members it had.
    pub nodes: u64,
    /// The newest cluster map that the node went by.
    pub epoch: Epoch,
    /// Which node.
    pub node: NodeId,
    /// Its name.
    pub node_name: String,
    /// Which life of its disk.
    #[serde(with = "hex_life")]
    pub incarnation: Incarnation,
    /// When it was asked for, by the node's wall clock, in microseconds since 1970: what it holds was held at that time or a
    /// moment later.
    pub taken_us: u64,
    /// The tables, by id.
    pub tables: Vec<BackupTable>,
    /// Records that were damaged on the node's own disk, and so are not in it (rule S3).
    pub damaged: u64,
    /// What the data file holds.
    pub data: BackupData,
}

/// A table of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupTable {
    /// As it was.
    #[serde(flatten)]
    pub table: Table,
    /// Whether the node answered for all of its keys; if not, it was still getting some back from peers (rule R7).
    pub whole: bool,
    /// Its records.
    pub records: u64,
}

impl BackupManifest {
    /// The format version that is written.
    pub const FORMAT: u32 = FORMAT as u32;

    /// The bytes of the manifest file.
    ///
    /// # Errors
    /// [`BackupError::Manifest`], if something in it has no form in JSON.
    pub fn encode(&self) -> Result<Vec<u8>, BackupError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| BackupError::Manifest(e.to_string()))?;
        bytes.push(b'\n');
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(format!("{CHECKSUM}{crc:08x}\n").as_bytes());
        Ok(bytes)
    }

    /// What the bytes of a manifest file say.
    ///
    /// # Errors
    /// [`BackupError::Manifest`] or [`BackupError::UnknownVersion`]. No input panics.
    pub fn decode(bytes: &[u8]) -> Result<Self, BackupError> {
        let damaged = |why: &str| BackupError::Manifest(why.to_owned());
        let (json, line) =
            bytes.split_at_checked(bytes.len().wrapping_sub(CHECKSUM.len() + 9)).unwrap_or_default();
        if line != format!("{CHECKSUM}{:08x}\n", crc32fast::hash(json)).as_bytes() {
            return Err(damaged("its last line is not the checksum of the others"));
        }
        let unread = |error: serde_json::Error| damaged(&error.to_string());
        let Version { format } = serde_json::from_slice(json).map_err(unread)?;
        if format != Self::FORMAT {
            return Err(BackupError::UnknownVersion(format));
        }
        serde_json::from_slice(json).map_err(unread)
    }
}

/// What stands in the manifest of every version.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Begins the last line.
const CHECKSUM: &str = "crc32 ";

/// A 64-bit number as 16 hex digits: JSON's own numbers are not exact everywhere.
pub(super) mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::backup) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{number:016x}"))
    }

    pub(in crate::backup) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(from)?, 16).map_err(D::Error::custom)
    }
}

/// The same for the id of a cluster.
mod hex_id {
    use quorate_ring::ClusterId;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &ClusterId, to: S) -> Result<S::Ok, S::Error> {
        super::hex::serialize(&id.0, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ClusterId, D::Error> {
        super::hex::deserialize(from).map(ClusterId)
    }
}

/// The same for the life of a disk.
mod hex_life {
    use quorate_ring::Incarnation;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(life: &Incarnation, to: S) -> Result<S::Ok, S::Error> {
        super::hex::serialize(&life.0, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Incarnation, D::Error> {
        super::hex::deserialize(from).map(Incarnation)
    }
}
