//! What happened, as a number: equal for equal runs.

use std::collections::BTreeMap;

use bytes::Bytes;

/// A hash over everything that happens, in order, and the same in words if somebody wants to read it.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    /// Whether lines are kept.
    pub(crate) verbose: bool,
    pub(crate) lines: Vec<String>,
    /// The context that each connection was given last, if lines are kept.
    pub(crate) contexts: BTreeMap<u64, Bytes>,
}

impl Trace {
    /// Adds a number.
    pub(crate) fn add(&mut self, word: u64) {
        self.hash = (self.hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// Adds bytes.
    pub(crate) fn add_bytes(&mut self, bytes: &Bytes) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.add(word.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        }
        words.remainder().iter().for_each(|byte| self.add(u64::from(*byte)));
    }

    /// The hash so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Adds a line, if lines are kept.
    pub(crate) fn line(&mut self, line: impl FnOnce() -> String) {
        if self.verbose {
            self.lines.push(line());
        }
    }
}
