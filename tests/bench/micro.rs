//! `cargo bench --bench micro [-- FILTER]`: what single steps of the data path cost, one at a time: the ring's look-up, frames,
//! merges, digests, the commit step without and with a disk, and the checker.
//!
//! Times differ from one machine to the next and from one hour to the next: compare two versions of the code in one sitting
//! (`-- --save-baseline before`, then `-- --baseline before`).

#![allow(missing_docs, reason = "criterion's macros make items without")]

use std::{hint::black_box, sync::Arc};

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use quorate::wire::{self, Frame, Header, PeerMessage, RequestId, Store};
use quorate_jepsen::{
    checker::{
        Linearizable,
        linearizable::{Limits, Register as RegisterModel},
    },
    generator::AtomicRegister,
};
use quorate_ring::{Actor, Duration, Epoch, Founder, Hlc, Instant, Ring, TableId, Tag, Token, token_of};
use quorate_storage::{
    Committer, Content, DigestWork, Digests, Engine, FjallEngine, FjallOptions, MemoryEngine, Recovered,
    Register, Row, Siblings, Slicing, State, VersionVector, Write, merge,
};
use rand::{SeedableRng, rngs::StdRng};

criterion_group!(steps, ring, frames, merges, digests, disk, checker);
criterion_main!(steps);

fn ring(c: &mut Criterion) {
    let founder =
        |n| Founder::new(format!("n{n:04}"), format!("n{n:04}:7000")).in_rack(format!("r{}", n % 3));
    let ring = Ring::found("bench", &(0..1_000).map(founder).collect::<Vec<_>>()).expect("a ring");
    ring.prepare(3);
    let tokens: Vec<_> = (0..1_u64 << 16).map(|n| token_of(&n.to_le_bytes())).collect();
    let mut group = c.benchmark_group("ring, 1,000 nodes x 150 tokens");
    let mut next = tokens.iter().cycle();
    group.bench_function("replicas of a token", |b| {
        b.iter(|| black_box(ring.replicas(*next.next().expect("a cycle"), 3)));
    });
    group.bench_function("replicas of a key of 16 bytes", |b| {
        b.iter(|| black_box(ring.replicas_of_key(black_box(b"key0000000012345"), 3)));
    });
    group.finish();
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    for bytes in [100, 1_024] {
        let frame = store(bytes);
        let mut out = BytesMut::with_capacity(1 << 20);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("encode a store of {bytes} B"), |b| {
            b.iter(|| {
                out.clear();
                wire::encode(&frame, Instant::ZERO, &mut out);
                black_box(&out);
            });
        });
        let mut encoded = BytesMut::new();
        wire::encode(&frame, Instant::ZERO, &mut encoded);
        let whole = wire::split(&mut encoded, 1 << 20).expect("short").expect("whole");
        group.bench_function(format!("decode a store of {bytes} B"), |b| {
            b.iter(|| black_box(wire::decode::<PeerMessage>(&whole, Instant::ZERO).expect("a frame")));
        });
    }
    group.finish();
}

fn merges(c: &mut Criterion) {
    let mut group = c.benchmark_group("merge");
    let (older, newer) = (register(1, 100), register(2, 100));
    group.bench_function("register", |b| b.iter(|| black_box(merge(Some(&older), &newer))));
    for count in [1, 4, 16] {
        let (held, concurrent) = (siblings(1, count), siblings(2, count));
        group.bench_function(format!("{count} + {count} siblings"), |b| {
            b.iter(|| black_box(merge(Some(&held), &concurrent)));
        });
    }
    group.finish();
}

fn digests(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit of 64 stores in memory");
    group.throughput(Throughput::Elements(64));
    for (name, known) in [("without digests", false), ("with digests", true)] {
        let engine = MemoryEngine::new();
        let mut committer = Committer::new(&Recovered::default());
        if known {
            committer.keep(Digests::unknown(Arc::new(Slicing::default())));
            committer.run(&engine, &[Write::Digest(DigestWork::Rebuild { records_max: 1_000 })]);
        }
        commits(&mut group, name, &engine, &mut committer, 64);
    }
    group.finish();
}

fn disk(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = FjallEngine::open(directory.path(), &FjallOptions::default()).expect("a database");
    let mut committer = Committer::new(&Recovered::default());
    let mut group = c.benchmark_group("commit on a disk, synced");
    for batch in [1, 64] {
        group.throughput(Throughput::Elements(batch));
        commits(&mut group, &format!("{batch} stores"), &engine, &mut committer, batch);
    }
    group.finish();
}

/// Stores in batches of 100 B each, over 100,000 keys.
fn commits(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    engine: &dyn Engine,
    committer: &mut Committer,
    batch: u64,
) {
    let mut written = 0;
    group.bench_function(name, |b| {
        b.iter_batched(
            || {
                let write = |n: u64| Write::store(row(n.wrapping_mul(48_271) % 100_000), register(n, 100));
                let writes: Vec<_> = (written + 1..=written + batch).map(write).collect();
                written += batch;
                writes
            },
            |writes| black_box(committer.run(engine, &writes)),
            BatchSize::SmallInput,
        );
    });
}

fn checker(c: &mut Criterion) {
    let mut group = c.benchmark_group("checker");
    for operations in [60, 10_000] {
        let shape = AtomicRegister {
            clients: 5,
            operations,
            values: 0,
            reads_percent: 50,
            cas_percent: 0,
            unknown_percent: 3,
        };
        let history = shape.run(&mut StdRng::seed_from_u64(1));
        let model = RegisterModel::new(0);
        group.throughput(Throughput::Elements(operations as u64));
        group.bench_function(format!("{operations} operations on one key"), |b| {
            b.iter(|| black_box(Linearizable::new(Limits::default()).check(&model, &history)));
        });
    }
    group.finish();
}

fn store(bytes: usize) -> Frame<PeerMessage> {
    let Row { table, key, .. } = row(1);
    let store = Store { table, key, state: register(1, bytes), report: false, defer: false, fresh: true };
    let header =
        Header { id: RequestId(1), epoch: Epoch(1), deadline: Instant::ZERO + Duration::from_secs(1) };
    Frame { header, message: store.into() }
}

fn register(hlc: u64, bytes: usize) -> State {
    State::Register(Register { tag: tag(hlc, 1), content: Content::Value(Bytes::from(vec![7; bytes])) })
}

/// Concurrent writes of one actor.
fn siblings(actor: u64, count: u64) -> State {
    let (none, content) = (VersionVector::new(), || Content::Value(Bytes::from_static(&[7; 100])));
    let first = Siblings::first(tag(1, actor), &none, content());
    State::Siblings((2..=count).fold(first, |state, hlc| state.written(tag(hlc, actor), &none, content())))
}

fn tag(hlc: u64, actor: u64) -> Tag {
    Tag { hlc: Hlc(hlc), actor: Actor(actor) }
}

fn row(key: u64) -> Row {
    let token = Token(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64);
    Row::new(token, TableId(1), format!("key{key:013}").into_bytes())
}
