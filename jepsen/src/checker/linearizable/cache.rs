//! The set of configurations the search has been in.

/// A set of equally long word sequences: open addressing over one arena, kept between histories.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    width: usize,
    words: Vec<u64>,
    /// Entry number plus one; zero is empty. The length is a power of two.
    table: Vec<u32>,
    entries: usize,
}

const TABLE_MIN: usize = 128;

impl Cache {
    /// Forgets everything; entries will be `width` words long.
    pub(super) fn reset(&mut self, width: usize) {
        self.width = width;
        self.words.clear();
        self.table.clear();
        self.table.resize(TABLE_MIN, 0);
        self.entries = 0;
    }

    /// Adds `key`, which is `width` words long. False if it was there already.
    pub(super) fn insert(&mut self, key: &[u64]) -> bool {
        debug_assert_eq!(key.len(), self.width);
        if 2 * (self.entries + 1) > self.table.len() {
            self.grow();
        }
        let slot = self.slot_of(key);
        if self.table[slot] != 0 {
            return false;
        }
        self.words.extend_from_slice(key);
        self.entries += 1;
        self.table[slot] = u32::try_from(self.entries).unwrap_or(u32::MAX);
        true
    }

    /// Memory in use, in bytes.
    pub(super) fn bytes(&self) -> usize {
        8 * self.words.len() + 4 * self.table.len()
    }

    /// The slot that holds `key`, or the empty one where it belongs.
    fn slot_of(&self, key: &[u64]) -> usize {
        let mask = self.table.len() - 1;
        let mut slot = hash(key) as usize & mask;
        while let Some(entry) = (self.table[slot] as usize).checked_sub(1) {
            if &self.words[entry * self.width..(entry + 1) * self.width] == key {
                break;
            }
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let length = 2 * self.table.len();
        self.table.clear();
        self.table.resize(length, 0);
        let mask = length - 1;
        for entry in 0..self.entries {
            let key = &self.words[entry * self.width..(entry + 1) * self.width];
            let mut slot = hash(key) as usize & mask;
            while self.table[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.table[slot] = u32::try_from(entry + 1).unwrap_or(u32::MAX);
        }
    }
}

/// Multiply and fold, word by word: fast, and spreads well enough for configurations.
fn hash(key: &[u64]) -> u64 {
    key.iter().fold(0x243f_6a88_85a3_08d3, |hash: u64, &word| {
        let mixed = u128::from(hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        (mixed as u64) ^ ((mixed >> 64) as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_each_key_once_while_it_grows() {
        let mut cache = Cache::default();
        for width in [1, 3] {
            cache.reset(width);
            let key = |n: u64| (0..width as u64).map(|i| n / 7 + i).collect::<Vec<_>>();
            for n in 0..7_000 {
                assert_eq!(cache.insert(&key(n)), n % 7 == 0, "{n}");
            }
            assert_eq!(cache.entries, 1_000);
        }
    }
}
