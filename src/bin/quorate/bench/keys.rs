//! Which key an operation is about.

use clap::ValueEnum;
use quorate::units::grouped;
use rand::{Rng, RngExt, distr::Distribution};
use rand_distr::Zipf;

use crate::Failure;

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// Every key as often as any other
    Uniform,
    /// A few keys most of the time, scattered over the ring
    Zipfian,
    /// Those that were inserted last most of the time
    Latest,
}

/// Draws the numbers of keys, from 0.
#[derive(Clone, Debug)]
pub(super) struct Chooser {
    choice: Choice,
    ranks: Zipf<f64>,
}

impl Chooser {
    /// Of `keys` keys, of which there may be more later.
    pub(super) fn new(choice: Choice, keys: u64) -> Result<Self, Failure> {
        let ranks = Zipf::new(keys as f64, SKEW);
        let ranks = ranks.map_err(|error| Failure::usage(format_args!("{} keys: {error}", grouped(keys))))?;
        Ok(Self { choice, ranks })
    }

    /// One of the `keys` keys that there are, at least one.
    pub(super) fn choose(&self, keys: u64, random: &mut impl Rng) -> u64 {
        match self.choice {
            Choice::Uniform => random.random_range(0..keys),
            // Ranks in the order of numbers would make neighbours hot; the YCSB paper scatters them, too.
            Choice::Zipfian => scattered(self.rank(random)) % keys,
            Choice::Latest => (keys - 1).saturating_sub(self.rank(random)),
        }
    }

    /// How often drawn: 0 most often.
    fn rank(&self, random: &mut impl Rng) -> u64 {
        self.ranks.sample(random) as u64 - 1
    }
}

/// A number without pattern for each: the finisher of splitmix64 (Steele, Lea and Flood, 2014).
pub(super) fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The exponent of the Zipf distribution that YCSB draws keys from.
const SKEW: f64 = 0.99;

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    /// How often each of 1,000 keys is chosen in 100,000 draws.
    fn drawn(choice: Choice) -> Vec<u32> {
        let (chooser, mut random) = (Chooser::new(choice, 1_000).unwrap(), StdRng::seed_from_u64(1));
        let mut times = vec![0; 1_000];
        for _ in 0..100_000 {
            times[chooser.choose(1_000, &mut random) as usize] += 1;
        }
        times
    }

    #[test]
    fn keys_are_chosen_as_often_as_the_choice_says() {
        let uniform = drawn(Choice::Uniform);
        assert!(uniform.iter().all(|times| (50..160).contains(times)), "{uniform:?}");
        // With an exponent of 0.99 the first of 1,000 ranks has a share of 0.132, the second half of that.
        let latest = drawn(Choice::Latest);
        assert!((12_000..14_500).contains(&latest[999]), "{}", latest[999]);
        assert!((6_000..7_500).contains(&latest[998]), "{}", latest[998]);
        let zipfian = drawn(Choice::Zipfian);
        let hottest = zipfian.iter().max().unwrap();
        assert!((12_000..15_000).contains(hottest), "{hottest}");
        assert!(zipfian[0] < *hottest && zipfian[999] < *hottest, "scattered");
    }

    #[test]
    fn keys_that_were_inserted_meanwhile_are_chosen_too() {
        let (chooser, mut random) = (Chooser::new(Choice::Latest, 10).unwrap(), StdRng::seed_from_u64(1));
        let mut random_keys = (0..1_000).map(|_| chooser.choose(20, &mut random));
        assert!(random_keys.any(|key| key == 19));
        assert!(random_keys.all(|key| (10..20).contains(&key)));
    }
}
