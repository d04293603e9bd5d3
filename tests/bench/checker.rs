//! How fast the linearizability checker judges: `cargo bench -p quorate-jepsen --bench checker`.
//!
//! Each line names a shape of history, how many of them, how many were judged valid, not valid and unknown,
//! the mean and the worst time for one, and the time for all.
#![expect(clippy::disallowed_methods, reason = "a bench measures time")]
#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::time::{Duration, Instant};

use quorate_jepsen::checker::linearizable::{
    Counter, CounterAction, FailedCas, Limits, Register, RegisterAction,
};
use quorate_jepsen::checker::{Linearizable, Verdict};
use quorate_jepsen::generator::{AtomicRegister, corrupt_read};
use quorate_jepsen::history::Operation;
use rand::SeedableRng;
use rand::rngs::StdRng;

type History = Vec<Operation<RegisterAction<u64>>>;

fn main() {
    let small = shape(5, 60, 0, 0, 10);
    run("simulator: 60 operations, 5 clients, own values", small, 20_000);
    run("simulator: 60 operations, 5 clients, 3 values", AtomicRegister { values: 3, ..small }, 20_000);
    let wide = shape(15, 80, 0, 0, 0);
    run("80 operations, 15 pending, own values", wide, 100);
    run("80 operations, 15 pending, 5 values", AtomicRegister { values: 5, ..wide }, 100);
    run("80 operations, 15 pending, 5 values, cas", shape(15, 80, 5, 30, 0), 100);
    run("80 operations, 15 pending, 20 % unknown", shape(15, 80, 5, 10, 20), 100);
    run("100,000 operations over 1,000 keys", shape(10, 100, 0, 0, 3), 1_000);
    run("100,000 operations over 1,000 keys, 5 values, cas", shape(10, 100, 5, 20, 3), 1_000);
    run("10,000 operations on one key", shape(10, 10_000, 0, 0, 1), 3);
    run("10,000 operations on one key, 5 values", shape(10, 10_000, 5, 0, 1), 3);
    run("1,000 operations, 50 pending", shape(50, 1_000, 0, 0, 5), 10);
    run("1,000 operations, 50 pending, 5 values", shape(50, 1_000, 5, 0, 5), 10);
    hopeless();
}

/// Forty concurrent sums of which no two are alike, and a read of another: the caps end it.
fn hopeless() {
    let adds = (0..40_u64).map(|n| Operation::applied(n, n, 1_000 + n, CounterAction::Add(1 << n)));
    let read = Operation::applied(99, 500, 1_001, CounterAction::Read(Some(-1)));
    let history: Vec<_> = adds.chain([read]).collect();
    let limits = Limits { steps_max: u64::MAX, memory_bytes_max: 256 << 20 };
    let start = Instant::now();
    let verdict = Linearizable::new(limits).check(&Counter { initial: 0 }, &history);
    println!("hopeless, capped at 256 MiB: {verdict}, after {:.1?}", start.elapsed());
}

fn shape(clients: u64, operations: usize, values: u64, cas: u32, unknown: u32) -> AtomicRegister {
    AtomicRegister {
        clients,
        operations,
        values,
        reads_percent: 50,
        cas_percent: cas,
        unknown_percent: unknown,
    }
}

/// Judges `count` histories of this shape, then the same with one read changed in each.
fn run(name: &str, shape: AtomicRegister, count: usize) {
    let mut rng = StdRng::seed_from_u64(1);
    let mut histories: Vec<History> = (0..count).map(|_| shape.run(&mut rng)).collect();
    judge(name, &histories);
    for history in &mut histories {
        corrupt_read(history, &mut rng);
    }
    judge(&format!("{name}, one read changed"), &histories);
}

fn judge(name: &str, histories: &[History]) {
    let register = Register::new(0).failed_cas(FailedCas::Observe);
    let mut checker = Linearizable::default();
    let (mut valid, mut invalid, mut unknown) = (0, 0, 0);
    let (mut worst, start) = (Duration::ZERO, Instant::now());
    for history in histories {
        let began = Instant::now();
        match checker.check(&register, history) {
            Verdict::Valid => valid += 1,
            Verdict::Invalid(_) => invalid += 1,
            Verdict::Unknown(_) => unknown += 1,
        }
        worst = worst.max(began.elapsed());
    }
    let total = start.elapsed();
    let mean = total / u32::try_from(histories.len()).unwrap_or(1);
    println!("{name:68} {valid:6} {invalid:6} {unknown:4} {mean:>10.1?} {worst:>10.1?} {total:>10.1?}");
}
