//! Having a node write a backup of what it holds, and asking how far it is.

use quorate_ring::NodeId;
use serde::{Deserialize, Serialize};

/// Has a node write a backup of what it holds at this moment, beside its other work. One is written at a time; asked again
/// for the one that is under way it says how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackUp {
    /// What it is to be called. It lies in the directory of that name among the node's backups.
    pub name: String,
    /// How fast it is written at most; none for the node's own bound.
    pub bytes_per_s: Option<u64>,
}

/// Asks a node how far its backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeBackup {}

/// The answer to [`BackUp`] and [`DescribeBackup`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupDescribed {
    /// The node.
    pub node: NodeId,
    /// The backup that is under way, or was last, in its process; none if there was none.
    pub backup: Option<BackupStatus>,
}

/// How far a backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupStatus {
    /// What it is called.
    pub name: String,
    /// Where it lies, in the words of the node's machine.
    pub directory: String,
    /// Whether it is done.
    pub stage: BackupStage,
    /// Records in it so far.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How much of the ring it has come past, in percent.
    pub percent: u8,
    /// How long it has taken, in milliseconds.
    pub took_ms: u64,
    /// Records that were damaged, and so are not in it.
    pub damaged: u64,
    /// Tables that the node does not hold whole: it gets some keys of them back from its peers.
    pub recovering: Vec<String>,
}

/// Whether a backup is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BackupStage {
    /// It is being written.
    Running,
    /// It is whole, and on the disk.
    Done,
    /// It was given up and removed; why.
    Failed(String),
}
