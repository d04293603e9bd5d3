//! Damaged records (rule S3): the list of those that are to be restored from peers, with a copy of each.
//!
//! The damaged record stays where it is until it is restored. Without it the key would read as absent, and this
//! replica may have acknowledged what the record said: an absence would be counted as an answer.

use std::ops::Bound;

use bytes::{BufMut, Bytes};
use serde::{Deserialize, Serialize};

use crate::{Batch, Engine, EngineError, RecordError, Row, Space, envelope};

/// A row whose record is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Which row.
    pub row: Row,
    /// What is wrong with its record.
    pub reason: String,
    /// The record's bytes, as they were found.
    pub record: Bytes,
}

/// The content of a record in the quarantine.
#[derive(Serialize, Deserialize)]
struct Copy {
    reason: String,
    record: Bytes,
}

const KIND_COPY: u8 = 0x44;

/// Up to `limit` rows in the quarantine, in their order, from the first one behind `after`.
///
/// # Errors
///
/// [`EngineError`]. A copy that is damaged itself has that for its reason, and no bytes.
pub fn quarantined(
    engine: &dyn Engine,
    after: Option<&Row>,
    limit: usize,
) -> Result<Vec<Quarantined>, EngineError> {
    let after = after.map(Row::to_storage_key);
    let from = after.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key[..]));
    let records = engine.scan(Space::Quarantine, from, Bound::Unbounded, limit, usize::MAX)?;
    let entry = |(key, record): &(Bytes, Bytes)| {
        let row = Row::from_storage_key(key)?;
        let copy = parse(key, record);
        let copy = copy.unwrap_or_else(|error| Copy { reason: error.to_string(), record: Bytes::new() });
        Some(Quarantined { row, reason: copy.reason, record: copy.record })
    };
    Ok(records.iter().filter_map(entry).collect())
}

/// Adds to `batch` a copy of the damaged `record` under `key`.
pub(crate) fn put(batch: &mut Batch, key: &Bytes, record: Bytes, error: &RecordError) {
    let copy = Copy { reason: error.to_string(), record };
    let content =
        rmp_serde::to_vec(&copy).expect("these types have lengths known ahead and a Vec takes any bytes");
    let sealed = envelope::seal(key, KIND_COPY, content.len(), |bytes| bytes.put_slice(&content));
    batch.put(Space::Quarantine, key.clone(), sealed);
}

fn parse(key: &[u8], record: &[u8]) -> Result<Copy, RecordError> {
    match envelope::open(key, record)? {
        (KIND_COPY, content) => {
            rmp_serde::from_slice(content).map_err(|error| RecordError::Malformed(error.to_string()))
        }
        (kind, _) => Err(RecordError::UnknownKind(kind)),
    }
}
