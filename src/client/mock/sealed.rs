//! What a mock gives out and takes back: contexts. Opaque, as those of nodes are, and in no way the same.

use bytes::Bytes;
use quorate_ring::token_of;
use quorate_storage::{Row, VersionVector};
use serde::{Serialize, de::DeserializeOwned};

use super::Failure;

/// The context of someone who has seen `vector` of `row`.
pub(super) fn context(row: &Row, vector: &VersionVector) -> Bytes {
    seal(&(row.table, row.token, vector.entries().map(|dot| (dot.actor, dot.hlc)).collect::<Vec<_>>()))
}

/// What the bearer of a context of `row` has seen.
pub(super) fn open_context(row: &Row, context: &[u8]) -> Result<VersionVector, Failure> {
    let bad = |why: &str| Failure::BadContext(why.to_owned());
    let (table, token, entries): (_, _, Vec<_>) =
        open(context).ok_or_else(|| bad("it is damaged; give it as the read printed it"))?;
    if (table, token) != (row.table, row.token) {
        return Err(bad("it comes from a read of another key"));
    }
    VersionVector::try_from(entries).map_err(|why| bad(&why.to_string()))
}

/// The bytes behind their checksum.
fn seal(content: &impl Serialize) -> Bytes {
    let content = rmp_serde::to_vec(content).expect("numbers and bytes have a form");
    [&token_of(&content).0.to_be_bytes()[..], &content].concat().into()
}

fn open<T: DeserializeOwned>(sealed: &[u8]) -> Option<T> {
    let (checksum, content) = sealed.split_first_chunk()?;
    if i64::from_be_bytes(*checksum) != token_of(content).0 {
        return None;
    }
    rmp_serde::from_slice(content).ok()
}
