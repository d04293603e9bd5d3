//! What a keeper writes down, as bytes.
//!
//! ```text
//! 0        format version
//! 1..      a msgpack array: the map, the promised ballot, the accepted ballot and map if there is one, and the first
//!          free table id when a map first named this life; maps as [`ClusterMap::encode`] writes them
//! ```
//!
//! The maps have their own digests; the storage's envelope has a checksum over all of it (rule S3).

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use quorate_ring::TableId;
use serde::{Deserialize, Serialize};

use super::{MapRecord, Vote};
use crate::membership::{
    map::{ClusterMap, MAP_BYTES_MAX, MapError},
    synod::Ballot,
};

/// The longest encoded record, in bytes: two maps and some numbers.
const RECORD_BYTES_MAX: usize = 2 * MAP_BYTES_MAX + 256;

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Content {
    map: Bytes,
    promised: Ballot,
    accepted: Option<(Ballot, Bytes)>,
    named_at: Option<TableId>,
}

impl MapRecord {
    /// The record as bytes.
    pub fn encode(&self) -> Bytes {
        let content = Content {
            map: self.map.encode(),
            promised: self.promised,
            accepted: self.accepted.as_ref().map(|vote| (vote.ballot, vote.value.encode())),
            named_at: self.named_at,
        };
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        rmp_serde::encode::write(&mut (&mut bytes).writer(), &content)
            .expect("these types have lengths known ahead and BytesMut grows: nothing can fail");
        bytes.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote. Work and memory are bounded by the length of `bytes`, which is
    /// looked at first.
    ///
    /// # Errors
    /// See [`MapError`]: the directory counts as lost (rule S4). Never panics.
    pub fn decode(bytes: &[u8]) -> Result<Self, MapError> {
        let malformed = |why: &str| MapError::Malformed(why.to_owned());
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(MapError::TooLong { bytes: bytes.len() });
        }
        let Some((&version, content)) = bytes.split_first() else {
            return Err(MapError::Truncated { bytes: 0 });
        };
        if version != VERSION {
            return Err(MapError::UnknownVersion(version));
        }
        let mut reader = rmp_serde::Deserializer::new(content);
        let read =
            Content::deserialize(&mut reader).map_err(|error| MapError::Malformed(error.to_string()))?;
        if !reader.get_ref().is_empty() {
            return Err(malformed("bytes are left over"));
        }
        let map = Arc::new(ClusterMap::decode(&read.map)?);
        let accepted = match read.accepted {
            Some((ballot, value)) => Some(Vote { ballot, value: Arc::new(ClusterMap::decode(&value)?) }),
            None => None,
        };
        if let Some(vote) = &accepted
            && (vote.value.parent() != Some(map.name()) || vote.ballot > read.promised)
        {
            return Err(malformed("a map was accepted that is no child of the decided one"));
        }
        Ok(Self { map, promised: read.promised, accepted, named_at: read.named_at })
    }
}
