//! Cursors: where a scan has come to, for its client to go on from, opaque to the client.
//!
//! ```text
//! 0        format: 1
//! 1..5     crc32 of all that follows
//! 5..9     the table
//! 9..17    a token
//! 17..     a key of that token, or nothing: the place before all of them
//! ```
//!
//! All numbers are big-endian. Tables never get the id of an earlier one, so a cursor of a table that was dropped or
//! truncated fits no other.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quorate_ring::{TableId, Token};
use quorate_storage::Row;

use crate::wire::{CURSOR_TOKEN_AT, Failure, KEY_BYTES_MAX};

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = CURSOR_TOKEN_AT + 8;

/// The cursor of a scan that goes on behind `place`.
pub(super) fn encode(place: &Row) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEAD_BYTES + place.key.len());
    bytes.put_u8(FORMAT);
    bytes.put_u32(0);
    bytes.put_u32(place.table.0);
    bytes.put_i64(place.token.0);
    bytes.put_slice(&place.key);
    let crc = crc32fast::hash(&bytes[5..]);
    bytes[1..5].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

/// The place behind which a scan of `table` goes on.
///
/// # Errors
/// [`Failure::BadRequest`]: damaged, or of another table.
pub(super) fn decode(table: TableId, mut bytes: Bytes) -> Result<Row, Failure> {
    let bad = |why: &str| Failure::BadRequest(format!("the scan's cursor {why}"));
    if bytes.len() < HEAD_BYTES || bytes.len() > HEAD_BYTES + KEY_BYTES_MAX {
        return Err(bad("is cut off; give it as the page before did"));
    }
    if bytes.get_u8() != FORMAT {
        return Err(bad("has an unknown format; give it as the page before did"));
    }
    if bytes.get_u32() != crc32fast::hash(&bytes) {
        return Err(bad("is damaged; give it as the page before did"));
    }
    if TableId(bytes.get_u32()) != table {
        return Err(bad(
            "is of another table, or of one that was dropped or truncated: begin the scan again",
        ));
    }
    Ok(Row { token: Token(bytes.get_i64()), table, key: bytes })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::cursor_token;

    fn place(token: i64, key: &[u8]) -> Row {
        Row::new(Token(token), TableId(3), key.to_vec())
    }

    proptest! {
        #[test]
        fn cursors_come_back(token in any::<i64>(), key in proptest::collection::vec(any::<u8>(), 0..20)) {
            let place = place(token, &key);
            let cursor = encode(&place);
            prop_assert_eq!(cursor_token(&cursor), Some(place.token));
            prop_assert_eq!(decode(place.table, cursor), Ok(place));
        }

        #[test]
        fn a_flipped_bit_is_refused(bit in any::<usize>()) {
            let mut cursor = encode(&place(5, b"key")).to_vec();
            let bit = bit % (8 * cursor.len());
            cursor[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(TableId(3), cursor.into()).is_err());
        }

        #[test]
        fn any_bytes_are_a_cursor_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = cursor_token(&bytes);
            let _ = decode(TableId(3), bytes.into());
        }
    }

    #[test]
    fn a_cursor_of_another_table_is_refused() {
        let refused = decode(TableId(4), encode(&place(5, b"key"))).unwrap_err();
        assert!(refused.to_string().contains("dropped or truncated"), "{refused}");
    }
}
