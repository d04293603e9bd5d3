//! What a node knows about itself, kept beside its data: who it is, how far its clock may have run, and the
//! tables it heard of.
//!
//! Each is a record in [`Space::Meta`] inside the common envelope, its content a msgpack array.

use std::{collections::BTreeMap, ops::Bound};

use bytes::{BufMut, Bytes, BytesMut};
use quorate_ring::{ClusterId, Hlc, Incarnation, NodeId, Table, TableId, Tag};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Batch, Engine, EngineError, HintBacklog, RecordError, Space, envelope, hints};

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

/// A table, and how far its creation has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    /// The definition.
    pub table: Table,
    /// How far it has come.
    pub stage: TableStage,
}

/// How far the creation of a table has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableStage {
    /// Promised to an attempt to create it; not to be used yet.
    Prepared {
        /// The attempt.
        attempt: Tag,
        /// Who makes it.
        coordinator: NodeId,
    },
    /// Every node knows it or will: it is in use.
    Committed {
        /// The attempt that created it.
        attempt: Tag,
    },
    /// The attempt was given up and must not succeed any more.
    Refused {
        /// The attempt.
        attempt: Tag,
    },
}

/// A change to what the node knows about itself.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetaWrite {
    /// Raises the durable bound of the clock (rule V1). A lower one than before changes nothing.
    HlcBound(Hlc),
    /// Records a table under its id, in place of what was recorded there.
    PutTable(TableRecord),
    /// Forgets a table.
    RemoveTable(TableId),
    /// Records who the directory belongs to.
    Identity(Identity),
}

/// What a start finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Who the directory belongs to; `None` for a fresh one.
    pub identity: Option<Identity>,
    /// Every reading ever issued, and every tag ever stored, is below it.
    pub hlc_bound: Hlc,
    /// The tables, by id.
    pub tables: Vec<TableRecord>,
    /// What other nodes are still to be given.
    pub hints: BTreeMap<NodeId, HintBacklog>,
    /// The number of the last batch that was committed; 0 for a fresh directory (rule S4).
    pub sequence: u64,
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
const KIND_TABLE: u8 = 0x42;
const KIND_SEQUENCE: u8 = 0x43;

const KEY_IDENTITY: &[u8] = b"identity";
const KEY_HLC_BOUND: &[u8] = b"hlc_bound";
/// Written by each batch: the batch's own number.
pub(crate) const KEY_SEQUENCE: &[u8] = b"commit_sequence";
/// Followed by the table's id, 4 bytes, big-endian.
const KEY_TABLE_PREFIX: &[u8] = b"table/";

/// How many records one scan takes.
const SCAN_RECORDS: usize = 256;

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
        let records = engine.scan(Space::Meta, as_slice(&from), Bound::Unbounded, SCAN_RECORDS)?;
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
    Ok(recovered)
}

impl Recovered {
    fn take(&mut self, key: &[u8], record: &[u8]) -> Result<(), RecordError> {
        let (kind, content) = envelope::open(key, record)?;
        match kind {
            KIND_IDENTITY if key == KEY_IDENTITY => self.identity = Some(parse(content)?),
            KIND_HLC_BOUND if key == KEY_HLC_BOUND => self.hlc_bound = parse(content)?,
            KIND_SEQUENCE if key == KEY_SEQUENCE => self.sequence = parse(content)?,
            KIND_TABLE if key.starts_with(KEY_TABLE_PREFIX) => self.tables.push(parse(content)?),
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
        MetaWrite::PutTable(record) => put_record(batch, table_key(record.table.id), KIND_TABLE, record),
        MetaWrite::RemoveTable(id) => batch.remove(Space::Meta, table_key(*id)),
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

fn table_key(id: TableId) -> Bytes {
    [KEY_TABLE_PREFIX, &id.0.to_be_bytes()].concat().into()
}

fn as_slice(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    bound.as_ref().map(|bytes| &bytes[..])
}

#[cfg(test)]
mod tests;
