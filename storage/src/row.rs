//! Where a record lives: its place on the ring, its table, its key.

use bytes::{BufMut, Bytes, BytesMut};
use quorate_ring::{TableId, Token};
use serde::{Deserialize, Serialize};

/// Names one key of one table together with its token. Ordered by token, then table, then key, which is
/// the byte order of [`Row::to_storage_key`]: a range of tokens is one contiguous run of records.
///
/// The token is carried, not computed: the partitioner belongs to the ring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Row {
    /// The key's position on the ring.
    pub token: Token,
    /// The table the key belongs to.
    pub table: TableId,
    /// The key as the client gave it, 0 to [`Row::KEY_BYTES_MAX`] bytes.
    pub key: Bytes,
}

impl Row {
    /// The longest key, in bytes: with token and table in front of it, and the target of a hint, the longest that
    /// the engine takes.
    pub const KEY_BYTES_MAX: usize = u16::MAX as usize - 16;

    /// Bytes before the key in a storage key: the token and the table.
    const PREFIX_BYTES: usize = 12;

    /// The row of `key` in `table`, given the key's token.
    pub fn new(token: Token, table: TableId, key: impl Into<Bytes>) -> Self {
        Self { token, table, key: key.into() }
    }

    /// The key under which the record is stored: the token in an order-preserving form (8 bytes), the
    /// table (4 bytes, big-endian), the key.
    pub fn to_storage_key(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(Self::PREFIX_BYTES + self.key.len());
        bytes.put_slice(&self.token.to_ordered_bytes());
        bytes.put_u32(self.table.0);
        bytes.put_slice(&self.key);
        bytes.freeze()
    }

    /// The inverse of [`Row::to_storage_key`]; `None` if `bytes` is too short to be a storage key.
    pub fn from_storage_key(bytes: &[u8]) -> Option<Self> {
        let (token, table, key) = Self::parse(bytes)?;
        Some(Self { token, table, key: Bytes::copy_from_slice(key) })
    }

    /// The same, with a key that shares the memory of `bytes`.
    pub(crate) fn sharing(bytes: &Bytes) -> Option<Self> {
        let (token, table, key) = Self::parse(bytes)?;
        Some(Self { token, table, key: bytes.slice_ref(key) })
    }

    fn parse(bytes: &[u8]) -> Option<(Token, TableId, &[u8])> {
        let (token, rest) = bytes.split_first_chunk::<8>()?;
        let (table, key) = rest.split_first_chunk::<4>()?;
        Some((Token::from_ordered_bytes(*token), TableId(u32::from_be_bytes(*table)), key))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows() -> impl Strategy<Value = Row> {
        let token = prop_oneof![any::<i64>(), -2_i64..3, Just(i64::MIN), Just(i64::MAX)];
        let table = prop_oneof![any::<u32>(), 0_u32..3];
        let key = proptest::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(255)], 0..5);
        (token, table, key).prop_map(|(token, table, key)| Row::new(Token(token), TableId(table), key))
    }

    proptest! {
        #[test]
        fn storage_keys_order_as_rows(a in rows(), b in rows()) {
            prop_assert_eq!(a.cmp(&b), a.to_storage_key().cmp(&b.to_storage_key()));
        }

        #[test]
        fn storage_keys_come_back_as_rows(row in rows()) {
            prop_assert_eq!(Row::sharing(&row.to_storage_key()), Some(row.clone()));
            prop_assert_eq!(Row::from_storage_key(&row.to_storage_key()), Some(row));
        }

        #[test]
        fn any_bytes_are_a_storage_key_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            match Row::from_storage_key(&bytes) {
                Some(row) => prop_assert_eq!(row.to_storage_key(), bytes),
                None => prop_assert!(bytes.len() < Row::PREFIX_BYTES),
            }
        }
    }
}
