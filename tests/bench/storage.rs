//! What storage costs: merges by table kind, minting, the group-commit step by batch size and value size, and
//! reads.
//!
//! `cargo bench -p quorate-storage` prints one line per case; figures include the sync of the disk the
//! temporary directory is on (`TMPDIR`).

#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use quorate_ring::{Actor, Hlc, TableId, Tag, Token};
use quorate_storage::{
    Committer, Content, DigestWork, Digests, FjallEngine, FjallOptions, Horizon, MemoryEngine, MetaWrite,
    Recovered, Register, Row, Seen, Siblings, Slicing, State, VersionVector, Write, Written, merge, read,
    recover,
};

/// Distinct keys written to.
const KEYS: u64 = 100_000;
/// How long each case runs.
const RUN: Duration = Duration::from_millis(1500);

fn main() {
    println!("{:<26} {:>10} {:>10} {:>10} {:>10}", "case", "records/s", "us each", "cpu us", "commits/s");
    bench_merges();
    bench_mint();
    bench_digests();
    for value_bytes in [100, 1024] {
        let directory = tempfile::tempdir().unwrap();
        let engine = FjallEngine::open(directory.path(), &FjallOptions::default()).unwrap();
        let mut store = Store::new(&engine, value_bytes);
        store.fill();
        for batch in [1, 16, 64, 256] {
            store.bench_commit(batch);
        }
        store.bench_get("get hot", |n| n % 1000);
        store.bench_get("get spread", spread);
        store.bench_get("get absent", |n| KEYS + n);
    }
}

/// Merges of 100-byte values, with nothing to keep of what is held and with everything.
fn bench_merges() {
    let content = || Content::Value(Bytes::from(vec![7; 100]));
    let register = |hlc| State::Register(Register { tag: dot(hlc, 1), content: content() });
    bench_merge("merge register", &register(1), &register(2));
    for siblings in [1, 4, 16, 64] {
        let state = |first: u64, actor| {
            let none = VersionVector::new();
            let start = Siblings::first(dot(first, actor), &none, content());
            let more = (first + 1..first + siblings).map(|hlc| dot(hlc, actor));
            State::Siblings(more.fold(start, |state, dot| state.written(dot, &none, content())))
        };
        let (held, concurrent) = (state(1, 1), state(1, 2));
        bench_merge(&format!("merge {siblings} siblings, held"), &held, &held);
        bench_merge(&format!("merge {siblings} + {siblings} siblings"), &held, &concurrent);
    }
}

fn bench_merge(name: &str, held: &State, incoming: &State) {
    let (mut merges, start) = (0, Start::now());
    while start.wall.elapsed() < RUN / 5 {
        for _ in 0..1000 {
            std::hint::black_box(merge(Some(held), incoming)).unwrap();
        }
        merges += 1000;
    }
    report(name, merges, 0, &start);
}

/// The whole step but the disk: keys with one sibling each, superseded by batches of 64 puts.
fn bench_mint() {
    let engine = MemoryEngine::new();
    let mut committer = Committer::new(&Recovered::default());
    for (name, keys) in [("mint, distinct keys x 64", 10_000), ("mint, one key x 64", 1)] {
        let (mut minted, start) = (0, Start::now());
        while start.wall.elapsed() < RUN / 3 {
            let mint = |n| Write::Mint {
                row: row(n % keys),
                dot: dot(minted + n + 1, 1),
                seen: Seen::Durable,
                content: Content::Value(Bytes::from(vec![7; 100])),
                horizon: Horizon::default(),
            };
            let writes: Vec<_> = (0..64).map(mint).collect();
            let results = committer.run(&engine, &writes);
            assert!(results.iter().all(|result| matches!(result, Ok(Written::Minted(_)))), "{results:?}");
            minted += 64;
        }
        report(name, minted, 0, &start);
        engine.wipe();
    }
}

/// The whole step but the disk, with leaves that are known and kept up to date, and with leaves that are not.
fn bench_digests() {
    let slicing = Arc::new(Slicing::default());
    for round in 0..3 {
        for (name, known) in [("store x 64, no digests", false), ("store x 64, digests", true)] {
            let engine = MemoryEngine::new();
            let mut committer = Committer::new(&Recovered::default());
            if known {
                committer.keep(Digests::unknown(Arc::clone(&slicing)));
                let records_max = 1_000;
                committer.run(&engine, &[Write::Digest(DigestWork::Rebuild { records_max })]);
                assert!(committer.digests().dirty().is_empty());
            }
            let (mut stored, start) = (0, Start::now());
            while start.wall.elapsed() < RUN / 3 {
                let store = |n| {
                    let content = Content::Value(Bytes::from(vec![7; 100]));
                    let state = State::Register(Register { tag: dot(stored + n + 1, 1), content });
                    Write::store(row(spread(stored + n)), state)
                };
                let writes: Vec<_> = (0..64).map(store).collect();
                committer.run(&engine, &writes);
                stored += 64;
            }
            if round > 0 {
                report(name, stored, 0, &start);
            }
        }
    }
}

fn dot(hlc: u64, actor: u64) -> Tag {
    Tag { hlc: Hlc(hlc), actor: Actor(actor) }
}

struct Store<'a> {
    engine: &'a FjallEngine,
    committer: Committer,
    value: Bytes,
    written: u64,
}

impl<'a> Store<'a> {
    fn new(engine: &'a FjallEngine, value_bytes: usize) -> Self {
        let mut committer = Committer::new(&recover(engine).unwrap());
        let bound = Write::Meta(MetaWrite::HlcBound(Hlc(1 << 60)));
        committer.run(engine, &[bound]);
        // Bytes that do not compress.
        let mut word = 1_u64;
        let value = std::iter::repeat_with(|| {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (word >> 56) as u8
        });
        Self { engine, committer, value: value.take(value_bytes).collect(), written: 0 }
    }

    fn fill(&mut self) {
        for first in (0..KEYS).step_by(1000) {
            let writes: Vec<_> = (first..first + 1000).map(|key| self.write(key)).collect();
            self.run(&writes);
        }
    }

    fn bench_commit(&mut self, batch: u64) {
        let (mut commits, start) = (0, Start::now());
        while start.wall.elapsed() < RUN {
            let writes: Vec<_> = (0..batch).map(|_| self.write(spread(self.written))).collect();
            self.run(&writes);
            commits += 1;
        }
        let name = format!("commit {} B x {batch}", self.value.len());
        report(&name, commits * batch, commits, &start);
    }

    fn bench_get(&self, name: &str, key: impl Fn(u64) -> u64) {
        let (mut reads, start) = (0, Start::now());
        while start.wall.elapsed() < RUN / 3 {
            for _ in 0..100 {
                std::hint::black_box(read(self.engine, &row(key(reads))).unwrap());
                reads += 1;
            }
        }
        report(&format!("{name} {} B", self.value.len()), reads, 0, &start);
    }

    fn write(&mut self, key: u64) -> Write {
        self.written += 1;
        let tag = Tag { hlc: Hlc(self.written), actor: Actor(1) };
        let state = State::Register(Register { tag, content: Content::Value(self.value.clone()) });
        Write::store(row(key), state)
    }

    fn run(&mut self, writes: &[Write]) {
        let results = self.committer.run(self.engine, writes);
        assert!(results.iter().all(|result| matches!(result, Ok(Written::Stored { .. }))));
    }
}

/// Keys in an order without pattern.
fn spread(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS
}

fn row(key: u64) -> Row {
    let token = Token(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64);
    Row::new(token, TableId(1), format!("user{key:012}").into_bytes())
}

/// When a case began, by the wall and by the CPU time of the whole process, compaction included.
struct Start {
    wall: Instant,
    cpu: Duration,
}

impl Start {
    fn now() -> Self {
        Self { wall: Instant::now(), cpu: cpu_time() }
    }
}

/// User and system time of this process, to 10 ms; zero where there is no `/proc`.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 =
        after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn report(name: &str, records: u64, commits: u64, start: &Start) {
    let seconds = start.wall.elapsed().as_secs_f64();
    let cpu_us = (cpu_time() - start.cpu).as_secs_f64() * 1e6 / records as f64;
    let (per_second, us) = (records as f64 / seconds, seconds * 1e6 / records as f64);
    println!("{name:<26} {per_second:>10.0} {us:>10.2} {cpu_us:>10.2} {:>10.0}", commits as f64 / seconds);
}
