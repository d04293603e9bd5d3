//! What the data path asks of the allocator: a guard against costs that creep in, without a clock. A count that has become
//! smaller is to be written down here, one that has become larger to be explained in the commit that raises it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{hint::black_box, sync::Arc};

use bytes::{Bytes, BytesMut};
use quorate::wire::{self, Frame, Header, PeerMessage, RequestId, Store};
use quorate_ring::{Actor, Duration, Epoch, Founder, Hlc, Instant, Ring, TableId, Tag, Token};
use quorate_storage::{
    Committer, Content, DigestWork, Digests, MemoryEngine, Recovered, Register, Row, Slicing, State, Write,
    merge,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// One test: what others allocate at the same time would be counted, too.
#[test]
fn steps_of_the_data_path_allocate_no_more_than_before() {
    let _profiler = dhat::Profiler::builder().testing().build();

    let founders: Vec<_> = (0..5).map(|n| Founder::new(format!("n{n}"), format!("n{n}:1"))).collect();
    let ring = Ring::found("guard", &founders).unwrap();
    ring.prepare(3);
    at_most("the look-up of a key's replicas", 0, || {
        black_box(ring.replicas_of_key(black_box(b"alice"), 3));
    });
    at_most("a preference list", 1, || {
        black_box(ring.preference_list(Token(7), 3).iter().count());
    });

    let frame = store();
    let mut out = BytesMut::with_capacity(4_096);
    at_most("encoding a store", 0, || {
        out.clear();
        wire::encode(&frame, Instant::ZERO, &mut out);
    });
    let whole = wire::split(&mut out, 1 << 20).unwrap().unwrap();
    at_most("decoding a store", DECODED, || {
        black_box(wire::decode::<PeerMessage>(&whole, Instant::ZERO).unwrap());
    });

    let (older, newer) = (register(1), register(2));
    at_most("a merge of registers", 0, || {
        black_box(merge(Some(&older), &newer).unwrap());
    });

    let engine = MemoryEngine::new();
    let mut committer = Committer::new(&Recovered::default());
    committer.keep(Digests::unknown(Arc::new(Slicing::default())));
    committer.run(&engine, &[Write::Digest(DigestWork::Rebuild { records_max: 1_000 })]);
    let batch =
        |first: u64| -> Vec<_> { (0..64).map(|n| Write::store(row(n), register(first + n))).collect() };
    // The first batch makes rooms that stay.
    committer.run(&engine, &batch(1));
    let writes = batch(1_000);
    at_most("a commit of 64 stores, digests included", COMMITTED, || {
        black_box(committer.run(&engine, &writes));
    });
}

fn at_most(what: &str, blocks_max: u64, step: impl FnOnce()) {
    let before = dhat::HeapStats::get().total_blocks;
    step();
    let blocks = dhat::HeapStats::get().total_blocks - before;
    assert!(blocks <= blocks_max, "{what} takes {blocks} allocations, {blocks_max} at most");
}

fn store() -> Frame<PeerMessage> {
    let Row { table, key, .. } = row(1);
    let store = Store { table, key, state: register(1), report: false, defer: false, fresh: true };
    let header =
        Header { id: RequestId(1), epoch: Epoch(1), deadline: Instant::ZERO + Duration::from_secs(1) };
    Frame { header, message: store.into() }
}

fn register(hlc: u64) -> State {
    let tag = Tag { hlc: Hlc(hlc), actor: Actor(1) };
    State::Register(Register { tag, content: Content::Value(Bytes::from_static(&[7; 100])) })
}

fn row(key: u64) -> Row {
    let token = Token(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64);
    Row::new(token, TableId(1), Bytes::from(format!("key{key:013}")))
}

const DECODED: u64 = 3;
/// Keys, records and the nodes of ordered maps.
const COMMITTED: u64 = 303;
