//! What clients remember of keys of siblings: contexts, fresh and stale.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, Bytes};
use quorate::{
    ring::{Actor, Hlc},
    storage::{Row, VersionVector},
};

use crate::random::Random;

/// A context, and what the oracle reads in it.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) bytes: Bytes,
    pub(crate) vector: VersionVector,
}

/// The last contexts that a client was given of each key.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    contexts: BTreeMap<usize, VecDeque<Context>>,
    /// The last values that it was told of keys of a `cas` table.
    values: BTreeMap<usize, VecDeque<Option<u64>>>,
}

impl Memory {
    /// A client is given a context of `key`.
    pub(crate) fn given(&mut self, key: usize, context: Context) {
        let known = self.contexts.entry(key).or_default();
        known.truncate(REMEMBERED - 1);
        known.push_front(context);
    }

    /// A client is told what `key` holds.
    pub(crate) fn told(&mut self, key: usize, value: Option<u64>) {
        let known = self.values.entry(key).or_default();
        known.truncate(REMEMBERED - 1);
        known.push_front(value);
    }

    /// What a client expects `key` to hold: mostly what it was told last.
    pub(crate) fn expected(&self, key: usize, random: &mut Random) -> Option<u64> {
        let known = self.values.get(&key)?;
        known[if random.chance(200) { random.index(known.len()) } else { 0 }]
    }

    /// The last context of `key`, or any that is remembered.
    pub(crate) fn recall(&self, key: usize, random: &mut Random, stale: bool) -> Option<Context> {
        let known = self.contexts.get(&key)?;
        known.get(if stale { random.index(known.len()) } else { 0 }).cloned()
    }
}

/// What the bearer of a context of `row` has seen. An empty context says nothing.
pub(crate) fn context_vector(row: &Row, context: &Bytes) -> Result<VersionVector, String> {
    if context.is_empty() {
        return Ok(VersionVector::new());
    }
    if context.len() < HEAD_BYTES {
        return Err("a context is cut off".to_owned());
    }
    let mut head = context.slice(FORMAT_AND_CHECKSUM_BYTES..HEAD_BYTES);
    if (head.get_i64(), head.get_u32()) != (row.token.0, row.table.0) {
        return Err("a context is of another key".to_owned());
    }
    VersionVector::try_from(context_entries(context)).map_err(|error| error.to_string())
}

/// The entries of a context.
pub(crate) fn context_entries(context: &Bytes) -> Vec<(Actor, Hlc)> {
    let mut rest = context.clone();
    rest.advance(rest.len().min(HEAD_BYTES));
    let entry = || (rest.remaining() >= 16).then(|| (Actor(rest.get_u64()), Hlc(rest.get_u64())));
    std::iter::from_fn(entry).collect()
}

const FORMAT_AND_CHECKSUM_BYTES: usize = 5;
const HEAD_BYTES: usize = 17;
const REMEMBERED: usize = 6;
