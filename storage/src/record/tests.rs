use proptest::prelude::*;

use super::*;
use crate::state::arbitrary::states;

fn keys() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..30)
}

proptest! {
    #[test]
    fn records_come_back(key in keys(), state in states()) {
        let record = encode(&key, &state);
        prop_assert_eq!(decode_version(&key, record.clone()), Ok(state.version()));
        prop_assert_eq!(decode(&key, record), Ok(state));
    }

    #[test]
    fn every_flipped_bit_is_noticed(key in keys(), state in states()) {
        let record = encode(&key, &state);
        for bit in 0..record.len() * 8 {
            let mut damaged = record.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode_version(&key, damaged.clone().into()).is_err());
            prop_assert!(decode(&key, damaged.into()).is_err());
        }
    }

    #[test]
    fn every_cut_is_noticed(key in keys(), state in states()) {
        let record = encode(&key, &state);
        for len in 0..record.len() {
            prop_assert!(decode(&key, record.slice(..len)).is_err());
        }
    }

    #[test]
    fn a_record_under_another_key_is_damaged(a in keys(), b in keys(), state in states()) {
        prop_assume!(a != b);
        prop_assert!(decode(&b, encode(&a, &state)).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_an_error(key in keys(), bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        prop_assert!(decode_version(&key, bytes.clone().into()).is_err());
        prop_assert!(decode(&key, bytes.into()).is_err());
    }

    /// Behind a right checksum too, content that is not what the format says is an error and no panic.
    #[test]
    fn arbitrary_content_is_read_strictly(
        kind in any::<u8>(),
        content in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let record = envelope::seal(b"key", kind, content.len(), |bytes| bytes.put_slice(&content));
        let decoded = decode(b"key", record.clone());
        prop_assert_eq!(decode_version(b"key", record.clone()), decoded.clone().map(|state| state.version()));
        if let Ok(state) = decoded {
            prop_assert_eq!(encode(b"key", &state), record);
        }
    }
}

fn register(content: Content) -> State {
    let tag = Tag { hlc: Hlc(0x0102_0304_0506_0708), actor: Actor(0x1112_1314_1516_1718) };
    State::Register(Register { tag, content })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// These bytes are on disks: a change here is a new format version.
#[test]
fn golden_records_of_version_1() {
    let value = register(Content::Value(Bytes::from("value")));
    let tombstone = register(Content::Tombstone);
    assert_eq!(
        hex(&encode(b"key", &value)),
        "01017f19ca520102030405060708111213141516171800\
         76616c7565"
    );
    assert_eq!(hex(&encode(b"key", &tombstone)), "0101550519f90102030405060708111213141516171801");
}

#[test]
fn golden_digest() {
    let value = register(Content::Value(Bytes::from("value")));
    assert_eq!(format!("{:032x}", value.digest()), "181e573bb464565b3b04866c7403e4f6");
}

#[test]
fn damage_is_named() {
    let record = encode(b"key", &register(Content::Tombstone));
    assert_eq!(decode(b"key", record.slice(..3)), Err(RecordError::Truncated { len: 3 }));
    assert!(matches!(decode(b"kez", record.clone()), Err(RecordError::BadChecksum { .. })));
    let mut newer = record.to_vec();
    newer[0] = 2;
    assert_eq!(decode(b"key", newer.into()), Err(RecordError::UnknownVersion(2)));
    let cas = envelope::seal(b"key", 3, 0, |_| ());
    assert_eq!(decode(b"key", cas), Err(RecordError::UnknownKind(3)));
}

#[test]
fn a_decoded_value_shares_the_bytes_of_its_record() {
    let record = encode(b"key", &register(Content::Value(Bytes::from("value"))));
    let state = decode(b"key", record.clone()).unwrap();
    assert_eq!(state.values().next().unwrap().as_ptr(), record[23..].as_ptr());
}
