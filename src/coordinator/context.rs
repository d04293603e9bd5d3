//! Contexts: what a client carries from a read to the write that resolves it, opaque to the client.
//!
//! ```text
//! 0        format: 1
//! 1..5     crc32 of all that follows
//! 5..13    the key's token
//! 13..17   the table
//! 17..     for each actor, in order: actor (8 bytes), greatest clock reading seen of it (8 bytes)
//! ```
//!
//! All numbers are big-endian. A context that was cut, mistyped or taken from another key would silently
//! supersede what nobody has seen, so it is refused (rule V6).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quorate_ring::{Actor, Hlc};
use quorate_storage::{Row, VersionVector};

use crate::wire::Failure;

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 17;
const ENTRY_BYTES: usize = 16;

/// The context of someone who has seen `vector` of `row`.
pub(super) fn encode(row: &Row, vector: &VersionVector) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEAD_BYTES + ENTRY_BYTES * vector.len());
    bytes.put_u8(FORMAT);
    bytes.put_u32(0);
    bytes.put_i64(row.token.0);
    bytes.put_u32(row.table.0);
    for dot in vector.entries() {
        bytes.put_u64(dot.actor.0);
        bytes.put_u64(dot.hlc.0);
    }
    let crc = crc32fast::hash(&bytes[5..]);
    bytes[1..5].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

/// What the bearer of a context of `row` has seen.
///
/// # Errors
/// [`Failure::BadContext`]: damaged, of another key, or with readings that no clock comes to. Whether it is further ahead than the key is known where the
/// write is made (rules V2, V6).
pub(super) fn decode(row: &Row, mut bytes: Bytes) -> Result<VersionVector, Failure> {
    let bad = |why: &str| Failure::BadContext(why.to_owned());
    if bytes.len() < HEAD_BYTES || !(bytes.len() - HEAD_BYTES).is_multiple_of(ENTRY_BYTES) {
        return Err(bad("it is cut off; give it as the read printed it"));
    }
    if bytes.get_u8() != FORMAT {
        return Err(bad("its format is unknown; give it as the read printed it"));
    }
    if bytes.get_u32() != crc32fast::hash(&bytes) {
        return Err(bad("it is damaged; give it as the read printed it"));
    }
    if (bytes.get_i64(), bytes.get_u32()) != (row.token.0, row.table.0) {
        return Err(bad("it comes from a read of another key"));
    }
    let entries =
        std::iter::from_fn(|| bytes.has_remaining().then(|| (Actor(bytes.get_u64()), Hlc(bytes.get_u64()))));
    let vector = VersionVector::try_from(entries.collect::<Vec<_>>()).map_err(|why| bad(&why.to_string()))?;
    match vector.greatest() {
        Some(dot) if dot.hlc >= END_OF_TIME => Err(bad("no clock will ever have named what it has seen")),
        _ => Ok(vector),
    }
}

/// Readings from here on leave none above them: some four thousand years after 1970.
const END_OF_TIME: Hlc = Hlc(1 << 63);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quorate_ring::{TableId, Token};

    use super::*;

    fn row(token: i64) -> Row {
        Row { token: Token(token), table: TableId(3), key: Bytes::from_static(b"k") }
    }

    fn vectors() -> impl Strategy<Value = VersionVector> {
        proptest::collection::vec((any::<u64>().prop_map(Actor), (0_u64..=1_000).prop_map(Hlc)), 0..6)
            .prop_map(VersionVector::from_entries)
    }

    proptest! {
        #[test]
        fn contexts_come_back(vector in vectors(), token in any::<i64>()) {
            let context = encode(&row(token), &vector);
            prop_assert_eq!(decode(&row(token), context), Ok(vector));
        }

        #[test]
        fn a_flipped_bit_is_refused(vector in vectors(), bit in any::<usize>()) {
            let mut context = encode(&row(5), &vector).to_vec();
            let bit = bit % (8 * context.len());
            context[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(&row(5), context.into()).is_err());
        }

        #[test]
        fn any_bytes_are_a_context_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&row(5), bytes.into());
        }
    }

    #[test]
    fn a_context_of_another_key_is_refused() {
        let context = encode(&row(5), &VersionVector::new());
        assert!(matches!(decode(&row(6), context), Err(Failure::BadContext(_))));
    }

    /// A node that took it would have to name its write above the last reading there is.
    #[test]
    fn a_context_from_the_end_of_time_is_refused() {
        for hlc in [u64::MAX, u64::MAX - 1, 1 << 63] {
            let context = encode(&row(5), &VersionVector::from_entries([(Actor(1), Hlc(hlc))]));
            assert!(matches!(decode(&row(5), context), Err(Failure::BadContext(_))), "{hlc}");
        }
    }
}
