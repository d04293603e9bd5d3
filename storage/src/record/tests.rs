use proptest::prelude::*;

use super::*;
use crate::arbitrary::{siblings, states};

fn keys() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..30)
}

proptest! {
    #[test]
    fn records_come_back(key in keys(), state in states()) {
        let record = encode(&key, &state);
        prop_assert_eq!(decode(&key, record), Ok(state));
    }

    #[test]
    fn every_flipped_bit_is_noticed(key in keys(), state in states()) {
        let record = encode(&key, &state);
        for bit in 0..record.len() * 8 {
            let mut damaged = record.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
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
        prop_assert!(decode(&key, bytes.into()).is_err());
    }

    /// Behind a right checksum too, content that is not what the format says is an error and no panic.
    #[test]
    fn arbitrary_content_is_read_strictly(
        kind in prop_oneof![any::<u8>(), Just(KIND_REGISTER), Just(KIND_SIBLINGS), Just(KIND_CAS)],
        content in proptest::collection::vec(prop_oneof![any::<u8>(), 0_u8..3, Just(0)], 0..60),
    ) {
        check_strictness(kind, &content)?;
    }

    /// The same for content that is nearly right.
    #[test]
    fn damaged_siblings_are_read_strictly(
        state in siblings(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
        more in proptest::collection::vec(any::<u8>(), 0..3),
    ) {
        let mut content = encode(b"key", &State::Siblings(state)).split_off(HEADER_BYTES).to_vec();
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        content.truncate(cut.map_or(content.len(), |cut| cut.index(content.len())));
        content.extend(more);
        check_strictness(KIND_SIBLINGS, &content)?;
    }
}

fn check_strictness(kind: u8, content: &[u8]) -> Result<(), TestCaseError> {
    let record = envelope::seal(b"key", kind, content.len(), |bytes| bytes.put_slice(content));
    if let Ok(state) = decode(b"key", record.clone()) {
        prop_assert_eq!(encode(b"key", &state), record);
    }
    Ok(())
}

/// Counts and lengths are not believed before the bytes are there: a few bytes cannot ask for gigabytes.
#[test]
fn counts_that_nothing_backs_are_refused() {
    let record = |content: &[u8]| envelope::seal(b"key", KIND_SIBLINGS, 0, |bytes| bytes.put_slice(content));
    let one_actor = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9];
    let truncated = |content: &[u8]| {
        let decoded = decode(b"key", record(content));
        assert!(matches!(decoded, Err(RecordError::Truncated { .. })), "{decoded:?}");
    };
    truncated(&[0xff; 4]);
    truncated(&one_actor);
    truncated(&[&one_actor[..], &[0xff; 4]].concat());
    truncated(&[&one_actor[..], &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 1]].concat());
    let no_siblings = [&one_actor[..], &[0; 4]].concat();
    assert!(decode(b"key", record(&no_siblings)).is_ok());
    let trailing = [&no_siblings[..], &[0]].concat();
    assert!(matches!(decode(b"key", record(&trailing)), Err(RecordError::Malformed(_))));
    assert!(matches!(decode(b"key", record(&[0; 8])), Err(RecordError::Malformed(_))), "seen nothing");
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
fn golden_acceptors_of_version_1() {
    let tag = |hlc, actor| Tag { hlc: Hlc(hlc), actor: Actor(actor) };
    let promising = State::Cas(Acceptor::promising(tag(0x31, 0x41)));
    assert_eq!(hex(&encode(b"key", &promising)), "0103114a4b110000000000000031000000000000004100");
    let content = Content::Value(Bytes::from("value"));
    let accepted =
        Accepted { ballot: tag(0x32, 0x42), write: tag(0x22, 0x43), replaced: tag(0x12, 0x44), content };
    let copied = State::Cas(Acceptor::try_from((tag(0x33, 0x45), Some(accepted), true)).unwrap());
    assert_eq!(
        hex(&encode(b"key", &copied)),
        "0103d74aab3600000000000000330000000000000045010000000000000032000000000000004200000000000000120000000000000044000000000000002200000000000000430076616c7565"
    );
}

/// What is compared between replicas is what was accepted, whatever was promised since, and by whom it was copied.
#[test]
fn promises_are_not_compared() {
    let tag = |hlc| Tag { hlc: Hlc(hlc), actor: Actor(1) };
    let accepted =
        Accepted { ballot: tag(3), write: tag(2), replaced: tag(1), content: Content::Value("v".into()) };
    let accepted = || accepted.clone();
    let held = |promised, copied| Acceptor::try_from((tag(promised), Some(accepted()), copied)).unwrap();
    let hash = |state: Acceptor| crate::merkle::hash(b"key", &encode(b"key", &State::Cas(state)));
    let quiet = State::Cas(held(3, false));
    for state in [held(9, false), held(9, true)] {
        assert_eq!(hash(state.clone()), hash(held(3, false)));
        assert_eq!(State::Cas(state).digest(), quiet.digest());
    }
    assert_eq!(hash(Acceptor::promising(tag(9))), 0);
    let again = Accepted { ballot: tag(4), ..accepted() };
    assert_ne!(hash(Acceptor::accepting(again.clone())), hash(held(3, false)));
    assert_ne!(State::Cas(Acceptor::accepting(again)).digest(), quiet.digest());
}

#[test]
fn golden_expiry_and_siblings_of_version_1() {
    let expiring = Content::Expiring { value: Bytes::from("value"), expires: Hlc(0x2122_2324_2526_2728) };
    assert_eq!(
        hex(&encode(b"key", &register(expiring.clone()))),
        "01015f2018370102030405060708111213141516171802\
         212223242526272876616c7565"
    );
    assert_eq!(
        hex(&encode(b"key", &three_siblings(expiring))),
        "0102a9f6a79a\
         00000002\
         00000000000000010000000000000005\
         00000000000000020000000000000006\
         00000003\
         00000012000000000000000300000000000000020076\
         000000110000000000000004000000000000000101\
         0000001e\
         0000000000000005000000000000000102212223242526272876616c7565"
    );
}

/// Three siblings under a vector of two actors.
fn three_siblings(expiring: Content) -> State {
    let (a, b) = (Actor(1), Actor(2));
    let sibling = |hlc, actor, content| Sibling { dot: Tag { hlc: Hlc(hlc), actor }, content };
    let siblings = vec![
        sibling(3, b, Content::Value(Bytes::from("v"))),
        sibling(4, a, Content::Tombstone),
        sibling(5, a, expiring),
    ];
    let vector = VersionVector::from_entries([(a, Hlc(5)), (b, Hlc(6))]);
    State::Siblings(Siblings::try_from((vector, siblings)).unwrap())
}

#[test]
fn golden_digests() {
    let value = register(Content::Value(Bytes::from("value")));
    assert_eq!(format!("{:032x}", value.digest()), "181e573bb464565b3b04866c7403e4f6");
    assert_eq!(
        format!("{:032x}", three_siblings(Content::Tombstone).digest()),
        "4d5b68217550f28f17ea378ec6690ca0"
    );
}

#[test]
fn damage_is_named() {
    let record = encode(b"key", &register(Content::Tombstone));
    assert_eq!(decode(b"key", record.slice(..3)), Err(RecordError::Truncated { len: 3 }));
    assert!(matches!(decode(b"kez", record.clone()), Err(RecordError::BadChecksum { .. })));
    let mut newer = record.to_vec();
    newer[0] = 2;
    assert!(matches!(decode(b"key", newer.clone().into()), Err(RecordError::BadChecksum { .. })));
    let crc = [&[2, 1, 0, 0, 0, 3], &b"key"[..], &newer[HEADER_BYTES..]].concat();
    newer[2..HEADER_BYTES].copy_from_slice(&crc32fast::hash(&crc).to_be_bytes());
    assert_eq!(decode(b"key", newer.into()), Err(RecordError::UnknownVersion(2)));
    let unknown = envelope::seal(b"key", 4, 0, |_| ());
    assert_eq!(decode(b"key", unknown), Err(RecordError::UnknownKind(4)));
}

#[test]
fn a_decoded_value_shares_the_bytes_of_its_record() {
    let record = encode(b"key", &register(Content::Value(Bytes::from("value"))));
    let state = decode(b"key", record.clone()).unwrap();
    assert_eq!(state.values().next().unwrap().as_ptr(), record[23..].as_ptr());
    let record = encode(b"key", &three_siblings(Content::Tombstone));
    let state = decode(b"key", record.clone()).unwrap();
    let shared = record.as_ptr_range();
    assert!(state.values().all(|value| shared.contains(&value.as_ptr())));
}
