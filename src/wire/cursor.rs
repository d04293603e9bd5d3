//! Cursors: where a scan has come to, for its client to go on from.
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

use super::{Failure, KEY_BYTES_MAX};

const FORMAT: u8 = 1;
/// Before it: format, checksum, table.
const TOKEN_AT: usize = 9;
const HEAD_BYTES: usize = TOKEN_AT + 8;

/// The cursor of a scan of `table` that goes on behind `key`, whose token is `token`.
pub fn encode_cursor(table: TableId, token: Token, key: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEAD_BYTES + key.len());
    bytes.put_u8(FORMAT);
    bytes.put_u32(0);
    bytes.put_u32(table.0);
    bytes.put_i64(token.0);
    bytes.put_slice(key);
    let crc = crc32fast::hash(&bytes[5..]);
    bytes[1..5].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

/// The token and the key behind which a scan of `table` goes on.
///
/// # Errors
/// [`Failure::BadRequest`]: damaged, or of another table.
pub fn decode_cursor(table: TableId, mut bytes: Bytes) -> Result<(Token, Bytes), Failure> {
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
    Ok((Token(bytes.get_i64()), bytes))
}

/// The token at which the page after `cursor` begins; none if `cursor` is too short to be one. Whether it is one in fact
/// is for the node to say.
pub fn cursor_token(cursor: &[u8]) -> Option<Token> {
    let token = cursor.get(TOKEN_AT..)?.first_chunk()?;
    Some(Token(i64::from_be_bytes(*token)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: TableId = TableId(3);

    proptest! {
        #[test]
        fn cursors_come_back(token in any::<i64>(), key in proptest::collection::vec(any::<u8>(), 0..20)) {
            let cursor = encode_cursor(TABLE, Token(token), &key);
            prop_assert_eq!(cursor_token(&cursor), Some(Token(token)));
            prop_assert_eq!(decode_cursor(TABLE, cursor), Ok((Token(token), key.into())));
        }

        #[test]
        fn a_flipped_bit_is_refused(bit in any::<usize>()) {
            let mut cursor = encode_cursor(TABLE, Token(5), b"key").to_vec();
            let bit = bit % (8 * cursor.len());
            cursor[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode_cursor(TABLE, cursor.into()).is_err());
        }

        #[test]
        fn any_bytes_are_a_cursor_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = cursor_token(&bytes);
            let _ = decode_cursor(TABLE, bytes.into());
        }
    }

    #[test]
    fn a_cursor_of_another_table_is_refused() {
        let refused = decode_cursor(TableId(4), encode_cursor(TABLE, Token(5), b"key")).unwrap_err();
        assert!(refused.to_string().contains("dropped or truncated"), "{refused}");
    }
}
