//! The written form of leaves: one record for each page of cells.

use bytes::{BufMut, Bytes, BytesMut};
use quorate_ring::TableId;

use crate::{RecordError, envelope};

/// Cells whose leaves are written down together.
pub const CELLS_PER_PAGE: u32 = 256;

const KIND_PAGE: u8 = 0x4a;
/// Table, cell, leaf.
const LEAF_BYTES: usize = 16;

/// The key of `page`, of the slicing with this fingerprint.
pub(super) fn key(fingerprint: u64, page: u32) -> Bytes {
    [&fingerprint.to_be_bytes()[..], &page.to_be_bytes()].concat().into()
}

/// The slicing's fingerprint and the page of a key.
pub(super) fn parse_key(key: &[u8]) -> Option<(u64, u32)> {
    let (fingerprint, page) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*fingerprint), u32::from_be_bytes(page.try_into().ok()?)))
}

/// The record of leaves that are not zero, to be stored under `key`.
pub(super) fn encode(key: &[u8], leaves: &[(TableId, u32, u64)]) -> Bytes {
    envelope::seal(key, KIND_PAGE, leaves.len() * LEAF_BYTES, |bytes: &mut BytesMut| {
        for (table, cell, leaf) in leaves {
            bytes.put_u32(table.0);
            bytes.put_u32(*cell);
            bytes.put_u64(*leaf);
        }
    })
}

/// The leaves in the record found under `key`, which are those of one page.
pub(super) fn decode(key: &[u8], record: &[u8]) -> Result<Vec<(TableId, u32, u64)>, RecordError> {
    let malformed = || RecordError::Malformed("no page of digests".to_owned());
    let (_, page) = parse_key(key).ok_or_else(malformed)?;
    let content = match envelope::open(key, record)? {
        (KIND_PAGE, content) => content,
        (kind, _) => return Err(RecordError::UnknownKind(kind)),
    };
    let (leaves, rest) = content.as_chunks::<LEAF_BYTES>();
    let leaves: Vec<_> = leaves
        .iter()
        .map(|leaf| {
            let [t0, t1, t2, t3, c0, c1, c2, c3, digest @ ..] = *leaf;
            let (table, cell) = (u32::from_be_bytes([t0, t1, t2, t3]), u32::from_be_bytes([c0, c1, c2, c3]));
            (TableId(table), cell, u64::from_be_bytes(digest))
        })
        .collect();
    let is_own = |(_, cell, _): &(TableId, u32, u64)| cell / CELLS_PER_PAGE == page;
    if rest.is_empty() && leaves.iter().all(is_own) { Ok(leaves) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_comes_back_and_damage_is_noticed() {
        let key = key(7, 3);
        assert_eq!(parse_key(&key), Some((7, 3)));
        let leaves =
            vec![(TableId(1), 3 * CELLS_PER_PAGE, 5), (TableId(2), 4 * CELLS_PER_PAGE - 1, u64::MAX)];
        let record = encode(&key, &leaves);
        assert_eq!(decode(&key, &record), Ok(leaves.clone()));
        let elsewhere = super::key(7, 4);
        assert!(decode(&elsewhere, &encode(&elsewhere, &leaves)).is_err(), "cells of another page");
        for bit in 0..record.len() * 8 {
            let mut damaged = record.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&key, &damaged).is_err());
        }
    }
}
