//! What a node knows about itself, kept beside its data: who it is, how far its clock may have run, the
//! cluster map, and what it has still to recover.
//!
//! Each is a record in [`Space::Meta`] inside the common envelope, its content a msgpack array.

use std::{collections::BTreeMap, ops::Bound};

use bytes::{BufMut, Bytes, BytesMut};
use quorate_ring::{Actor, ClusterId, Hlc, Incarnation, NodeId, TableId, TokenRange};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Batch, Engine, EngineError, HintBacklog, RecordError, Row, Space, envelope, hints, quarantine,
    read::{self, ReadError},
};

/// Who a data directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its name, for messages.
    pub cluster_name: String,
    /// The node.
    pub node: NodeId,
    /// Its name, for messages.
    pub name: String,
    /// The life of this directory (rule V3).
    pub incarnation: Incarnation,
}

/// One process of a node: no two ever share all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// The life of its directory (rule V3).
    pub incarnation: Incarnation,
    /// How often a process has started on this directory, this time included.
    pub starts: u64,
    /// The process.
    pub actor: Actor,
}

/// What is remembered of another member's lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// The member.
    pub node: NodeId,
    /// Its last known process.
    pub life: Life,
    /// A life that another member has met, if this node knows neither that it is over nor that it is the present
    /// one: the next process to be met tells.
    pub heard: Option<Incarnation>,
    /// Lives of its directory that were lost, the last [`PeerRecord::RETIRED_MAX`] of them, oldest first.
    pub retired: Vec<Incarnation>,
}

impl PeerRecord {
    /// How many lost lives of a member are remembered.
    pub const RETIRED_MAX: usize = 64;
}

/// What is left to be recovered of a table (rule R7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryRecord {
    /// The table.
    pub table: TableId,
    /// The ranges that are still to be recovered, of those that the node holds; none if all are.
    pub left: Vec<TokenRange>,
}

/// A change to what the node knows about itself.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetaWrite {
    /// Raises the durable bound of the clock (rule V1). A lower one than before changes nothing.
    HlcBound(Hlc),
    /// Records the cluster map and what was promised about the next one, as the membership writes it, in place of
    /// what was recorded before.
    ClusterMap(Bytes),
    /// Records how far a table is recovered, in place of what was recorded before.
    Recovery(RecoveryRecord),
    /// Forgets how far a table is recovered: there is no such table any more.
    ForgetRecovery(TableId),
    /// Records who the directory belongs to.
    Identity(Identity),
    /// Records how often a process has started on this directory.
    Starts(u64),
    /// Records what is known of another member's lives, in place of what was known before.
    Peer(PeerRecord),
}

/// What a start finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Who the directory belongs to; `None` for a fresh one.
    pub identity: Option<Identity>,
    /// Every reading ever issued, and every tag ever stored, is below it.
    pub hlc_bound: Hlc,
    /// The cluster map and what was promised about the next one; `None` before the first.
    pub cluster_map: Option<Bytes>,
    /// How far tables are recovered, by id.
    pub recoveries: Vec<RecoveryRecord>,
    /// What other nodes are still to be given.
    pub hints: BTreeMap<NodeId, HintBacklog>,
    /// The number of the last batch that was committed; 0 for a fresh directory (rule S4).
    pub sequence: u64,
    /// How often a process has started on this directory.
    pub starts: u64,
    /// What is known of the other members, by id.
    pub peers: Vec<PeerRecord>,
    /// Rows whose records are damaged and were not restored yet, the first [`Recovered::QUARANTINED_MAX`] of them
    /// (rule S3).
    pub quarantined: Vec<Row>,
}

/// Why a start cannot go on from what it finds: the directory counts as lost (rule S4).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    /// A record is damaged.
    #[error("the record '{key}' of the node's own state is damaged: {error}")]
    Corrupt {
        /// Its key, escaped.
        key: String,
        /// What is wrong with it.
        error: RecordError,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

const KIND_IDENTITY: u8 = 0x40;
const KIND_HLC_BOUND: u8 = 0x41;
const KIND_SEQUENCE: u8 = 0x43;
const KIND_STARTS: u8 = 0x45;
const KIND_PEER: u8 = 0x46;
const KIND_CLUSTER_MAP: u8 = 0x48;
const KIND_RECOVERY: u8 = 0x49;

const KEY_IDENTITY: &[u8] = b"identity";
const KEY_HLC_BOUND: &[u8] = b"hlc_bound";
/// Written by each batch: the batch's own number.
pub(crate) const KEY_SEQUENCE: &[u8] = b"commit_sequence";
/// Followed by the table's id, 4 bytes, big-endian.
const KEY_RECOVERY_PREFIX: &[u8] = b"recovery/";
const KEY_STARTS: &[u8] = b"starts";
const KEY_CLUSTER_MAP: &[u8] = b"cluster_map";
/// Followed by the node's id, 4 bytes, big-endian.
const KEY_PEER_PREFIX: &[u8] = b"peer/";

/// How many records one scan takes.
const SCAN_RECORDS: usize = 256;
/// After how many bytes one scan ends.
const SCAN_BYTES: usize = 1 << 20;

/// Reads back what the node knew about itself.
///
/// # Errors
///
/// See [`MetaError`]. A record of an unknown kind is an error too: this program is older than the one that
/// wrote it.
pub fn recover(engine: &dyn Engine) -> Result<Recovered, MetaError> {
    let mut recovered = Recovered::default();
    let mut from = Bound::Unbounded;
    loop {
        let records =
            engine.scan(Space::Meta, as_slice(&from), Bound::Unbounded, SCAN_RECORDS, SCAN_BYTES)?;
        for (key, record) in &records {
            recovered
                .take(key, record)
                .map_err(|error| MetaError::Corrupt { key: key.escape_ascii().to_string(), error })?;
        }
        match records.into_iter().next_back() {
            Some((last, _)) => from = Bound::Excluded(last),
            None => break,
        }
    }
    recovered.hints = hints::count(engine)?;
    let quarantined = quarantine::quarantined(engine, None, Recovered::QUARANTINED_MAX)?;
    // Copies of what nobody else had are kept, although nothing takes the place of the record.
    let is_damaged = |row: &Row| matches!(read::read(engine, row), Err(ReadError::Corrupt(_)));
    recovered.quarantined = quarantined.into_iter().map(|found| found.row).filter(is_damaged).collect();
    Ok(recovered)
}

impl Recovered {
    /// As many damaged rows as a start looks at: if there are more, they are met again by reads and scrubs.
    pub const QUARANTINED_MAX: usize = 1_024;

    /// Begins a process on the directory: what must be durable before the process is heard of. `identity` is
    /// asked for only if the directory is fresh.
    pub fn begin(&mut self, identity: impl FnOnce() -> Identity) -> Vec<MetaWrite> {
        let mut writes = Vec::new();
        if self.identity.is_none() {
            let identity = identity();
            writes.push(MetaWrite::Identity(identity.clone()));
            self.identity = Some(identity);
        }
        self.starts += 1;
        writes.push(MetaWrite::Starts(self.starts));
        writes
    }

    /// The process `actor` on this directory, once it has begun.
    pub fn life(&self, actor: Actor) -> Life {
        let incarnation = self.identity.as_ref().map_or(Incarnation(0), |identity| identity.incarnation);
        Life { incarnation, starts: self.starts, actor }
    }

    fn take(&mut self, key: &[u8], record: &[u8]) -> Result<(), RecordError> {
        let (kind, content) = envelope::open(key, record)?;
        match kind {
            KIND_IDENTITY if key == KEY_IDENTITY => self.identity = Some(parse(content)?),
            KIND_HLC_BOUND if key == KEY_HLC_BOUND => self.hlc_bound = parse(content)?,
            KIND_SEQUENCE if key == KEY_SEQUENCE => self.sequence = parse(content)?,
            KIND_CLUSTER_MAP if key == KEY_CLUSTER_MAP => self.cluster_map = Some(parse(content)?),
            KIND_RECOVERY if key.starts_with(KEY_RECOVERY_PREFIX) => self.recoveries.push(parse(content)?),
            KIND_STARTS if key == KEY_STARTS => self.starts = parse(content)?,
            KIND_PEER if key.starts_with(KEY_PEER_PREFIX) => self.peers.push(parse(content)?),
            kind => return Err(RecordError::UnknownKind(kind)),
        }
        Ok(())
    }
}

/// Adds `write` to `batch`. Whoever calls it keeps the clock's bound from being lowered.
pub(crate) fn put(batch: &mut Batch, write: &MetaWrite) {
    match write {
        MetaWrite::HlcBound(bound) => {
            put_record(batch, Bytes::from_static(KEY_HLC_BOUND), KIND_HLC_BOUND, bound)
        }
        MetaWrite::Identity(identity) => {
            put_record(batch, Bytes::from_static(KEY_IDENTITY), KIND_IDENTITY, identity);
        }
        MetaWrite::ClusterMap(map) => {
            put_record(batch, Bytes::from_static(KEY_CLUSTER_MAP), KIND_CLUSTER_MAP, map);
        }
        MetaWrite::Recovery(record) => put_record(batch, recovery_key(record.table), KIND_RECOVERY, record),
        MetaWrite::ForgetRecovery(id) => batch.remove(Space::Meta, recovery_key(*id)),
        MetaWrite::Starts(starts) => put_record(batch, Bytes::from_static(KEY_STARTS), KIND_STARTS, starts),
        MetaWrite::Peer(record) => {
            let key = [KEY_PEER_PREFIX, &record.node.0.to_be_bytes()].concat().into();
            put_record(batch, key, KIND_PEER, record);
        }
    }
}

/// Numbers `batch` (rule S4).
pub(crate) fn put_sequence(batch: &mut Batch, sequence: u64) {
    put_record(batch, Bytes::from_static(KEY_SEQUENCE), KIND_SEQUENCE, &sequence);
}

/// The number of the batch that wrote `record` under `key`, if it is one.
pub(crate) fn parse_sequence(key: &[u8], record: &[u8]) -> Option<u64> {
    match envelope::open(key, record) {
        Ok((KIND_SEQUENCE, content)) if key == KEY_SEQUENCE => parse(content).ok(),
        _ => None,
    }
}

fn put_record(batch: &mut Batch, key: Bytes, kind: u8, content: &impl Serialize) {
    let content =
        rmp_serde::to_vec(content).expect("these types have lengths known ahead and a Vec takes any bytes");
    let record = envelope::seal(&key, kind, content.len(), |bytes: &mut BytesMut| bytes.put_slice(&content));
    batch.put(Space::Meta, key, record);
}

fn parse<T: DeserializeOwned>(content: &[u8]) -> Result<T, RecordError> {
    rmp_serde::from_slice(content).map_err(|error| RecordError::Malformed(error.to_string()))
}

fn recovery_key(id: TableId) -> Bytes {
    [KEY_RECOVERY_PREFIX, &id.0.to_be_bytes()].concat().into()
}

fn as_slice(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    bound.as_ref().map(|bytes| &bytes[..])
}

#[cfg(test)]
mod tests;
