//! A write of siblings supersedes what its writer had seen, no more and no less: what the context of the request
//! covers, or, at QUORUM and ALL without one, at least all that any client was told of before (rule Q4).

use std::collections::BTreeMap;

use quorate::{
    ring::Tag,
    storage::{Version, VersionVector},
};

use super::{
    acknowledged::{has_seen, shown, shown_vector},
    causality::Causality,
};

/// What writers had seen of one key, by the values that they write.
#[derive(Debug, Default)]
pub(crate) struct Superseded(BTreeMap<u64, Intent>);

/// What a writer had seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Intent {
    /// The context of the request.
    pub(crate) context: Option<VersionVector>,
    /// What clients had been told when it was made, where its level promises anything.
    pub(crate) told: Option<Version>,
}

impl Superseded {
    /// A client asks for `value` to be written.
    pub(crate) fn asked(&mut self, value: u64, intent: Intent) {
        self.0.insert(value, intent);
    }

    /// A write is made that supersedes what `seen` covers.
    pub(crate) fn minted(
        &self,
        dot: Tag,
        value: Option<u64>,
        seen: &VersionVector,
        causality: &Causality,
    ) -> Result<(), String> {
        match value.map(|value| self.0.get(&value).ok_or(value)) {
            None => Ok(()),
            Some(Err(value)) => Err(format!("superseded: nobody asked to write {value}")),
            Some(Ok(intent)) => intent.check(dot, seen, causality),
        }
    }
}

impl Intent {
    /// Whether a write that supersedes what `seen` covers is as intended.
    pub(crate) fn check(&self, dot: Tag, seen: &VersionVector, causality: &Causality) -> Result<(), String> {
        if let Some(context) = &self.context {
            let wrong = |known: &Tag| context.covers(*known) != seen.covers(*known);
            return match causality.writes().find(wrong) {
                Some(other) if context.covers(other) => {
                    Err(format!("superseded: {dot} leaves {other}, which its context covers"))
                }
                Some(other) => {
                    Err(format!("superseded: {dot} replaces {other}, which its context does not cover"))
                }
                None => Ok(()),
            };
        }
        if has_seen(Some(&Version::Vector(seen.clone())), self.told.as_ref()) {
            return Ok(());
        }
        let (seen, told) = (shown_vector(seen), shown(self.told.as_ref()));
        Err(format!(
            "superseded: {dot} has seen {seen}, and clients were told of {told} before it was asked for"
        ))
    }
}
