//! The codec: golden bytes, round trips, and whatever bytes there are.

use std::{fmt::Write as _, sync::Arc};

use proptest::{collection::vec, prelude::*};
use quorate_ring::NodeId;

use super::*;
use crate::{
    entry::{Entry, EntryKey, Version},
    life::{Claim, Life, MemberState, REFUTATION_MAX},
    message::{BUCKETS, EntrySet, Head, Message, News, Packet},
};

fn packet(message: Message) -> Packet {
    Packet { life: Life(300), refutation: 2, is_leaving: false, message, news: Vec::new() }
}

fn entry(node: u32, life: u64, number: u64, subject: &str, value: &[u8]) -> Entry {
    Entry {
        key: EntryKey { node: NodeId(node), subject: Arc::from(subject) },
        version: Version { life: Life(life), number },
        value: Arc::from(value),
    }
}

fn claim(node: u32, state: MemberState) -> Claim {
    Claim { node: NodeId(node), life: Life(5), refutation: 1, state }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// One of each kind, and its bytes. They change only with the format version.
fn golden() -> Vec<(Packet, &'static str)> {
    let head = Head { claim: claim(9, MemberState::Dead), facts_life: Life(4), watermark: 200 };
    let set = EntrySet {
        node: NodeId(9),
        life: Life(5),
        base: 1,
        up_to: 3,
        entries: vec![entry(9, 5, 2, "rack", b"r1"), entry(9, 5, 3, "load", b"")],
    };
    let suspicion =
        News::Claim { claim: claim(3, MemberState::Suspect), accusers: vec![NodeId(1), NodeId(200)] };
    let left = News::Claim { claim: claim(3, MemberState::Left), accusers: Vec::new() };
    let mut hashes = Box::new([0; BUCKETS]);
    hashes[0] = 0x0102_0304_0506_0708;
    let news = vec![suspicion, left, News::Entry(entry(4, 6, 1, "address", b"a:1"))];
    vec![
        (packet(Message::Ping { sequence: 1 }), "0101ac020201"),
        (Packet { is_leaving: true, ..packet(Message::Ack { sequence: 128 }) }, "0182ac02028001"),
        (packet(Message::PingRequest { sequence: 1, target: NodeId(7) }), "0103ac02020107"),
        (packet(Message::Relayed { sequence: 1, life: Life(6), refutation: 3 }), "0104ac0202010603"),
        (packet(Message::Nack { sequence: u32::MAX }), "0105ac0202ffffffff0f"),
        (
            Packet { news, ..packet(Message::News) },
            "0106ac0202010305010201c8010303050104040601076164647265737303613a31",
        ),
        (packet(Message::Digest { root: 1 << 56 }), "0107ac02020000000000000001"),
        (
            packet(Message::Buckets { hashes }),
            concat!(
                "0108ac02020807060504030201",
                "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
                "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
                "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
                "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
                "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
                "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
                "0000000000000000"
            ),
        ),
        (packet(Message::Heads { buckets: 1 << 9, heads: vec![head] }), "0109ac020200020000010209050104c801"),
        (
            packet(Message::Delta { sets: vec![set], wants: vec![head] }),
            "010aac020201090501030202047261636b02723103046c6f616400010209050104c801",
        ),
    ]
}

#[test]
fn golden_bytes() {
    for (packet, bytes) in golden() {
        assert_eq!(hex(&encode(&packet)), bytes, "{packet:?}");
        assert_eq!(decode(&encode(&packet)), Ok(packet));
    }
}

#[test]
fn every_cut_of_a_packet_is_refused_or_another_packet() {
    for (packet, _) in golden() {
        let bytes = encode(&packet);
        for end in 0..bytes.len() {
            assert_ne!(decode(&bytes[..end]), Ok(packet.clone()));
        }
    }
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let cases: [(&[u8], DecodeError); 11] = [
        (&[], DecodeError::Short),
        (&[2, 1, 0, 0, 0], DecodeError::FormatVersion(2)),
        (&[1, 11, 0, 0], DecodeError::Kind(11)),
        (&[1, 1, 0x80, 0, 0, 0], DecodeError::Number), // longer than need be
        (&[1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x1f], DecodeError::Number), // above 32 bits
        (&[1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0], DecodeError::Number), // a life
        (&[1, 6, 0, 0, 5], DecodeError::Kind(5)),
        (&[1, 6, 0, 0, 1, 3, 0, 0, 2, 7, 7], DecodeError::List), // an accuser twice
        (&[1, 6, 0, 0, 1, 3, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7], DecodeError::List), // too many of them
        (&[1, 6, 0, 0, 4, 3, 0, 1, 1, 0xff, 0], DecodeError::Entry), // no UTF-8
        (&[1, 6, 0, 0, 4, 3, 0, 0, 1, b'a', 0], DecodeError::Entry), // numbers count from 1
    ];
    for (bytes, error) in cases {
        assert_eq!(decode(bytes), Err(error), "{bytes:?}");
    }
    assert_eq!(decode(&vec![1; STREAM_BYTES_MAX + 1]), Err(DecodeError::Long));
}

#[test]
fn a_count_reserves_nothing() {
    // 2^60 heads in a few bytes.
    let bytes = [1, 9, 0, 0, 0, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    assert_eq!(decode(&bytes), Err(DecodeError::Number));
}

fn any_claim() -> impl Strategy<Value = Claim> {
    let state = prop_oneof![
        Just(MemberState::Alive),
        Just(MemberState::Suspect),
        Just(MemberState::Dead),
        Just(MemberState::Left)
    ];
    (any::<u32>(), 0..=Life::MAX.0, 0..=REFUTATION_MAX, state).prop_map(|(node, life, refutation, state)| {
        Claim { node: NodeId(node), life: Life(life), refutation, state }
    })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    (any::<u32>(), 0..=Life::MAX.0, 1..=u64::MAX, "[a-z_é]{1,20}", vec(any::<u8>(), 0..300))
        .prop_map(|(node, life, number, subject, value)| entry(node, life, number, &subject, &value))
}

fn any_head() -> impl Strategy<Value = Head> {
    (any_claim(), 0..=Life::MAX.0, any::<u64>()).prop_map(|(claim, life, watermark)| Head {
        claim,
        facts_life: Life(life),
        watermark,
    })
}

fn any_heads() -> impl Strategy<Value = Vec<Head>> {
    vec(any_head(), 0..20).prop_map(|mut heads| {
        heads.sort_by_key(|head| head.claim.node);
        heads.dedup_by_key(|head| head.claim.node);
        heads
    })
}

fn any_set() -> impl Strategy<Value = EntrySet> {
    (vec(any_entry(), 0..8), any::<u32>(), 0..=Life::MAX.0, any::<(u64, u64)>()).prop_map(
        |(mut entries, node, life, (a, b))| {
            entries.sort_by_key(|entry| entry.version.number);
            entries.dedup_by_key(|entry| entry.version.number);
            for entry in &mut entries {
                (entry.key.node, entry.version.life) = (NodeId(node), Life(life));
            }
            EntrySet { node: NodeId(node), life: Life(life), base: a.min(b), up_to: a.max(b), entries }
        },
    )
}

fn any_news() -> impl Strategy<Value = News> {
    let claim =
        (any_claim(), proptest::collection::btree_set(any::<u32>(), 0..6)).prop_map(|(claim, accusers)| {
            let suits = claim.state == MemberState::Suspect;
            let accusers = accusers.into_iter().filter(|_| suits).map(NodeId).collect();
            News::Claim { claim, accusers }
        });
    prop_oneof![claim, any_entry().prop_map(News::Entry)]
}

fn any_message() -> impl Strategy<Value = Message> {
    let sequence = any::<u32>();
    let delta = (vec(any_set(), 0..6), any_heads()).prop_map(|(mut sets, wants)| {
        sets.sort_by_key(|set| set.node);
        sets.dedup_by_key(|set| set.node);
        Message::Delta { sets, wants }
    });
    prop_oneof![
        sequence.prop_map(|sequence| Message::Ping { sequence }),
        sequence.prop_map(|sequence| Message::Ack { sequence }),
        sequence.prop_map(|sequence| Message::Nack { sequence }),
        any::<(u32, u32)>()
            .prop_map(|(sequence, node)| Message::PingRequest { sequence, target: NodeId(node) }),
        (sequence, 0..=Life::MAX.0, 0..=REFUTATION_MAX).prop_map(|(sequence, life, refutation)| {
            Message::Relayed { sequence, life: Life(life), refutation }
        }),
        Just(Message::News),
        any::<u64>().prop_map(|root| Message::Digest { root }),
        any::<[u64; BUCKETS]>().prop_map(|hashes| Message::Buckets { hashes: Box::new(hashes) }),
        (any::<u32>(), any_heads()).prop_map(|(buckets, heads)| Message::Heads { buckets, heads }),
        delta,
    ]
}

pub(crate) fn any_packet() -> impl Strategy<Value = Packet> {
    let header = (0..=Life::MAX.0, 0..=REFUTATION_MAX, any::<bool>());
    (header, any_message(), vec(any_news(), 0..12)).prop_map(
        |((life, refutation, is_leaving), message, news)| Packet {
            life: Life(life),
            refutation,
            is_leaving,
            message,
            news,
        },
    )
}

proptest! {
    #[test]
    fn packets_survive_the_way(packet in any_packet()) {
        prop_assert_eq!(decode(&encode(&packet)), Ok(packet));
    }

    #[test]
    fn whatever_decodes_has_one_form(bytes in vec(any::<u8>(), 0..200)) {
        let bytes = [vec![FORMAT_VERSION], bytes].concat();
        if let Ok(packet) = decode(&bytes) {
            prop_assert_eq!(encode(&packet), bytes);
        }
    }

    #[test]
    fn a_damaged_packet_is_refused_or_well_formed(packet in any_packet(), at in any::<prop::sample::Index>(), bits in 1..=255_u8) {
        let mut bytes = encode(&packet);
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        if let Ok(packet) = decode(&bytes) {
            prop_assert_eq!(encode(&packet), bytes);
        }
    }
}
