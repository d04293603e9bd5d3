//! Measures the ring: balance, movement, cost of a look-up, memory. Prints the tables of `ring/DESIGN.md`.
//!
//! Run with `cargo bench -p quorate-ring`.

#![expect(clippy::print_stdout, reason = "a program whose purpose is to print")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{hint::black_box, time::Instant};

use quorate_ring::{Founder, Member, NodeId, Ring, RingError, Token, moves, token_of};

/// The replication factor whose balance is shown beside that of primary ownership.
const N: u8 = 3;

fn main() -> Result<(), RingError> {
    balance("Founding rings", &[3, 4, 5, 12, 100, 300, 1_000], found)?;
    balance("Rings grown from three founders, one join at a time", &[4, 5, 6, 8, 12, 24, 50, 100], grown)?;
    movement()?;
    look_up()
}

/// Balance and time to make rings of several sizes and shapes.
fn balance(
    title: &str,
    sizes: &[usize],
    make: impl Fn(&[Founder]) -> Result<Ring, RingError>,
) -> Result<(), RingError> {
    println!("\n{title}: share over fair share, greatest and least\n");
    println!("| nodes | racks | primary max | primary min | N=3 max | N=3 min | made in ms |");
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for &size in sizes {
        for racks in [1, 3, 5] {
            if racks > 1 && size < 2 * racks {
                continue;
            }
            let started = Instant::now();
            let ring = make(&founders(size, racks))?;
            let made_ms = started.elapsed().as_secs_f64() * 1e3;
            let primary = spread(&ring, &shares(&ring, 1), 1);
            let replicated = spread(&ring, &shares(&ring, N), N);
            println!(
                "| {size} | {racks} | {:.4} | {:.4} | {:.4} | {:.4} | {made_ms:.1} |",
                primary.1, primary.0, replicated.1, replicated.0
            );
        }
    }
    Ok(())
}

/// What one join and one leave move, and the balance after.
fn movement() -> Result<(), RingError> {
    println!(
        "\nOne node joins or leaves a founding ring: keys moved over the least possible, balance after\n"
    );
    println!(
        "| nodes | racks | change | primary moved | N=3 moved | primary max after | N=3 max after | ms |"
    );
    println!("|---:|---:|---|---:|---:|---:|---:|---:|");
    for size in [3, 4, 12, 100, 1_000] {
        for racks in [1, 3] {
            let old = found(&founders(size, racks))?;
            let joiner = Founder::new("newcomer", "newcomer:7000").in_rack("r0");
            let started = Instant::now();
            let joined = old.with_member(joiner)?;
            print_movement(size, racks, "join", &old, &joined, started);
            let started = Instant::now();
            let left = old.without_member(NodeId(1))?;
            print_movement(size, racks, "leave", &old, &left, started);
        }
    }
    Ok(())
}

fn print_movement(size: usize, racks: usize, change: &str, old: &Ring, new: &Ring, started: Instant) {
    let ms = started.elapsed().as_secs_f64() * 1e3;
    let greater = old.members().len().max(new.members().len()) as f64;
    let moved = |n: u8| {
        let gained = moves(old, new, n).into_iter().map(|m| m.range.fraction() * m.gained_by.len() as f64);
        gained.sum::<f64>() * greater / f64::from(n)
    };
    let max = |n: u8| spread(new, &shares(new, n), n).1;
    println!(
        "| {size} | {racks} | {change} | {:.4} | {:.4} | {:.4} | {:.4} | {ms:.1} |",
        moved(1),
        moved(N),
        max(1),
        max(N)
    );
}

/// Cost of a look-up at 1,000 nodes, and of the tables behind it.
fn look_up() -> Result<(), RingError> {
    let ring = found(&founders(1_000, 3))?;
    let circle_bytes = ring.heap_bytes();
    let started = Instant::now();
    ring.prepare(N);
    let prepared_ms = started.elapsed().as_secs_f64() * 1e3;
    println!("\n1,000 nodes x 150 tokens, 3 racks, N={N}\n");
    println!("circle with its index: {circle_bytes} bytes");
    println!(
        "table of replica sets: {} bytes, made in {prepared_ms:.1} ms",
        ring.heap_bytes() - circle_bytes
    );

    let tokens: Vec<_> = (0..1_u64 << 20).map(|i| token_of(&i.to_le_bytes())).collect();
    let keys: Vec<_> = (0..1_u64 << 20).map(|i| format!("user:{i:011}")).collect();
    println!("token to replicas: {:.1} ns", time_each(&tokens, |&token| ring.replicas(token, N)[0].0 as u64));
    let chained = |last: &mut u64, token: &Token| {
        let token = Token(token.0 ^ (*last & 1) as i64);
        *last = u64::from(ring.replicas(token, N)[0].0);
    };
    let mut last = 0;
    println!(
        "the same, each look-up waiting for the one before: {:.1} ns",
        time_each(&tokens, |token| {
            chained(&mut last, token);
            last
        })
    );
    println!("16-byte key to token: {:.1} ns", time_each(&keys, |key| token_of(key.as_bytes()).0 as u64));
    println!(
        "16-byte key to preference list: {:.1} ns",
        time_each(&keys, |key| {
            let list = ring.preference_list(token_of(key.as_bytes()), N);
            list.primaries().iter().map(|id| u64::from(id.0)).sum()
        })
    );
    Ok(())
}

/// Nanoseconds per item, the best of nine passes.
fn time_each<T>(items: &[T], mut look: impl FnMut(&T) -> u64) -> f64 {
    let passes = (0..9).map(|_| {
        let started = Instant::now();
        let sum = items.iter().fold(0_u64, |sum, item| sum.wrapping_add(look(item)));
        black_box(sum);
        started.elapsed().as_secs_f64() * 1e9 / items.len() as f64
    });
    passes.fold(f64::INFINITY, f64::min)
}

fn found(founders: &[Founder]) -> Result<Ring, RingError> {
    Ring::found("bench", founders)
}

fn grown(founders: &[Founder]) -> Result<Ring, RingError> {
    let (first, joiners) = founders.split_at(founders.len().min(3));
    joiners.iter().try_fold(found(first)?, |ring, joiner| ring.with_member(joiner.clone()))
}

fn founders(count: usize, racks: usize) -> Vec<Founder> {
    let node = |i| Founder::new(format!("node{i:04}"), format!("node{i:04}:7000"));
    (0..count).map(|i| node(i).in_rack(format!("r{}", i % racks))).collect()
}

/// Each member's share of the circle, all `n` replicas counted.
fn shares(ring: &Ring, n: u8) -> Vec<f64> {
    let mut shares = vec![0.0; ring.members().len()];
    for (range, replicas) in ring.ranges(n) {
        for id in replicas {
            if let Ok(at) = ring.members().binary_search_by_key(id, |member| member.id) {
                shares[at] += range.fraction();
            }
        }
    }
    shares
}

/// The least and the greatest share over the fair one, which is by weight.
fn spread(ring: &Ring, shares: &[f64], n: u8) -> (f64, f64) {
    let weight = |member: &Member| f64::from(member.weight);
    let weights: f64 = ring.members().iter().map(weight).sum();
    let copies = usize::from(n).min(ring.members().len()) as f64;
    let relative = ring.members().iter().zip(shares).map(|(m, share)| share * weights / (copies * weight(m)));
    relative.fold((f64::INFINITY, 0.0), |(min, max), share| (f64::min(min, share), f64::max(max, share)))
}
