//! Golden bytes of what is said of keys of `cas` tables.

use quorate_ring::{Actor, Hlc, NodeId, Tag};

use super::{healing::hex, *};

const TABLE: TableId = TableId(9);

const fn tag(hlc: u64, actor: u64) -> Tag {
    Tag { hlc: Hlc(hlc), actor: Actor(actor) }
}

fn key() -> Bytes {
    Bytes::from_static(b"k")
}

/// [table, bin key, condition, bin value or nil, level]
#[test]
fn golden_compare_and_set() {
    let value = Some(Bytes::from_static(b"new"));
    let request = |condition, value| {
        hex(CompareAndSet { table: TABLE, key: key(), condition, value, consistency: Consistency::Quorum }
            .into())
    };
    let expected = Condition::Value(Bytes::from_static(b"old"));
    assert_eq!(
        request(expected, value.clone()),
        "52 9509c4016b81a556616c7565c4036f6c64c4036e6577a651756f72756d"
    );
    assert_eq!(request(Condition::Absent, value), "52 9509c4016ba6416273656e74c4036e6577a651756f72756d");
    assert_eq!(request(Condition::Present, None), "52 9509c4016ba750726573656e74c0a651756f72756d");
}

/// [applied, [bin value, tag, expiry or nil] or nil, receipt]
#[test]
fn golden_compared_and_set() {
    let receipt = Receipt {
        coordinator: NodeId(1),
        epoch: Epoch(3),
        consistency: Consistency::All,
        replicas: Vec::new(),
        answered: Vec::new(),
        tag: Some(tag(7, 2)),
        repaired: false,
        monotone: false,
        rounds: 2,
        reports: Vec::new(),
        hinted: Vec::new(),
        forwarded_by: None,
        operation: None,
        request_id: None,
    };
    let answer = |applied, found| hex(ComparedAndSet { applied, found, receipt: receipt.clone() }.into());
    let golden = "9d0103a3416c6c9090920702c2c2029090c0c0";
    let found = VersionedValue { value: Bytes::from_static(b"v"), tag: tag(7, 2), expires: None };
    assert_eq!(answer(true, None), format!("62 93c3c0{golden}"));
    assert_eq!(answer(false, Some(found)), format!("62 93c293c40176920702c0{golden}"));
    assert_eq!(answer(false, None), format!("62 93c2c0{golden}"));
}

#[cfg(feature = "server")]
mod rounds {
    use quorate_storage::{Accepted, Acceptor, Content, State};

    use super::{super::healing::hex_of, *};

    fn store(acceptor: Acceptor, report: bool) -> String {
        let (state, defer, fresh) = (State::Cas(acceptor), false, true);
        hex_of(PeerMessage::from(Store { table: TABLE, key: key(), state, report, defer, fresh }))
    }

    /// {"Cas": [promised, [ballot, write, replaced, content] or nil, copied]} in its place.
    #[test]
    fn golden_prepare_and_accept() {
        assert_eq!(store(Acceptor::promising(tag(7, 2)), true), "11 9609c4016b81a343617393920702c0c2c3c2c3");
        let content = Content::Value(Bytes::from_static(b"v"));
        let (ballot, write, replaced) = (tag(7, 2), tag(5, 2), tag(3, 1));
        let accepting = Acceptor::accepting(Accepted { ballot, write, replaced, content });
        assert_eq!(
            store(accepting, false),
            "11 9609c4016b81a34361739392070294920702920502920301\
             81a556616c7565c40176c2c2c2c3"
        );
    }

    /// [promised, {"Cas": ..}]
    #[test]
    fn golden_promise() {
        let (ballot, promised) = (tag(7, 2), tag(9, 2));
        let accepted = Accepted { ballot, write: ballot, replaced: tag(0, 0), content: Content::Tombstone };
        let acceptor = Acceptor::try_from((promised, Some(accepted), true)).unwrap();
        let stored = Stored { held: promised, more: Some(State::Cas(acceptor)) };
        assert_eq!(
            hex_of(PeerMessage::from(stored)),
            "21 9292090281a34361739392090294920702920702920000a9546f6d6273746f6e65c3"
        );
    }

    /// [{"Outbid": [promised, accepted or nil]}]
    #[test]
    fn golden_outbid() {
        let refused = |accepted| {
            let refusal = PeerRefusal::Outbid { promised: tag(9, 2), accepted };
            hex_of(PeerMessage::from(Refused { refusal }))
        };
        assert_eq!(refused(Some(tag(7, 2))), "2f 9181a64f757462696492920902920702");
        assert_eq!(refused(None), "2f 9181a64f757462696492920902c0");
    }

    #[test]
    fn an_acceptor_that_has_accepted_more_than_it_promised_is_refused() {
        let mut bytes = encoded(&frame(PeerMessage::from(Store {
            table: TABLE,
            key: key(),
            state: State::Cas(Acceptor::accepting(Accepted {
                ballot: tag(7, 2),
                write: tag(7, 2),
                replaced: tag(0, 0),
                content: Content::Tombstone,
            })),
            report: false,
            defer: false,
            fresh: false,
        })));
        // Its promise stands before its ballot.
        let promise = bytes.windows(3).position(|bytes| bytes == [0x92, 7, 2]).unwrap();
        bytes[promise + 1] = 6;
        let body = split(&mut bytes, 1 << 20).unwrap().unwrap();
        let refused = decode::<PeerMessage>(&body, NOW);
        assert!(
            matches!(&refused, Err(FrameError::Body { kind: 0x11, reason }) if reason.contains("ballots"))
        );
    }
}
