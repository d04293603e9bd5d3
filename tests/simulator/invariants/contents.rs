//! One tag names one content, on every replica and for all time (rule V4).

use std::collections::BTreeMap;

use quorate::{ring::Tag, storage::State};

/// Digests of everything that was ever durable anywhere.
#[derive(Debug, Default)]
pub(crate) struct Contents(BTreeMap<Tag, u128>);

impl Contents {
    /// A replica holds `state`.
    pub(crate) fn seen(&mut self, state: &State) -> Result<(), String> {
        let digest = state.digest();
        if *self.0.entry(state.tag()).or_insert(digest) == digest {
            return Ok(());
        }
        Err(format!("contents: {} names two different contents", state.tag()))
    }
}
