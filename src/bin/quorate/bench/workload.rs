//! What the clients do.

use std::fmt;

use clap::ValueEnum;
use rand::{Rng, RngExt};

use super::keys::Choice;

/// A mix of operations. Those of YCSB are the core workloads of Cooper et al., Benchmarking Cloud Serving Systems with
/// YCSB (2010).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Writes only
    Write,
    /// Reads only
    Read,
    /// Half reads, half writes
    Mixed,
    /// Half reads, half writes, of a few keys most of the time
    YcsbA,
    /// 95 % reads, 5 % writes, of a few keys most of the time
    YcsbB,
    /// Reads only, of a few keys most of the time
    YcsbC,
    /// 95 % reads, 5 % inserts; the latest keys are read most
    YcsbD,
    /// 95 % scans of up to 100 keys, 5 % inserts
    YcsbE,
    /// Half reads, half reads followed by a write with their context, of a few keys most of the time
    YcsbF,
}

/// One thing that a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    /// Reads a key.
    Read,
    /// Writes a key that there is.
    Write,
    /// Writes a key that there was not.
    Insert,
    /// Reads up to 100 keys in the order of their tokens.
    Scan,
    /// Reads a key and replaces what was read.
    Replace,
}

impl Workload {
    /// What is done, with the percentage of each.
    pub(super) fn mix(self) -> &'static [(Operation, u32)] {
        use Operation::{Insert, Read, Replace, Scan, Write};
        match self {
            Self::Write => &[(Write, 100)],
            Self::Read | Self::YcsbC => &[(Read, 100)],
            Self::Mixed | Self::YcsbA => &[(Read, 50), (Write, 50)],
            Self::YcsbB => &[(Read, 95), (Write, 5)],
            Self::YcsbD => &[(Read, 95), (Insert, 5)],
            Self::YcsbE => &[(Scan, 95), (Insert, 5)],
            Self::YcsbF => &[(Read, 50), (Replace, 50)],
        }
    }

    /// How keys are chosen, if nobody says otherwise.
    pub(super) fn choice(self) -> Choice {
        match self {
            Self::Write | Self::Read | Self::Mixed => Choice::Uniform,
            Self::YcsbD => Choice::Latest,
            _ => Choice::Zipfian,
        }
    }

    /// The next operation.
    pub(super) fn draw(self, random: &mut impl Rng) -> Operation {
        let mut left = random.random_range(0..100);
        for (operation, share) in self.mix() {
            if left < *share {
                return *operation;
            }
            left -= share;
        }
        unreachable!("shares make 100")
    }

    /// Whether it needs to know where pages of the table begin.
    pub(super) fn scans(self) -> bool {
        self.mix().iter().any(|(operation, _)| *operation == Operation::Scan)
    }
}

impl Operation {
    /// As a reader of the report calls many of them.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::Write => "writes",
            Self::Insert => "inserts",
            Self::Scan => "scans",
            Self::Replace => "replaces",
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn operations_come_as_often_as_the_mix_says() {
        for workload in Workload::value_variants() {
            assert_eq!(workload.mix().iter().map(|(_, share)| share).sum::<u32>(), 100, "{workload}");
            let (mut random, mut drawn) = (StdRng::seed_from_u64(7), BTreeMap::new());
            for _ in 0..10_000 {
                *drawn.entry(workload.draw(&mut random)).or_insert(0) += 1_u32;
            }
            assert_eq!(drawn.len(), workload.mix().len());
            for (operation, share) in workload.mix() {
                let off = drawn[operation].abs_diff(share * 100);
                assert!(off < 300, "{workload}: {} {}", drawn[operation], operation.name());
            }
        }
    }
}
