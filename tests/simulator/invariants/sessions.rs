//! At QUORUM and ALL a session never goes back: it reads its own writes, and its reads are monotonic.

use std::collections::BTreeMap;

use quorate::{node::ClientId, ring::Tag};
use quorate_jepsen::{
    checker::{Verdict, session, versions::VersionAction},
    history::Operation,
};

/// What each key's sessions were told, as versions.
#[derive(Debug, Default)]
pub(crate) struct Sessions(BTreeMap<usize, Vec<Operation<VersionAction<Tag>>>>);

impl Sessions {
    /// A read was answered.
    pub(crate) fn read(&mut self, client: ClientId, key: usize, invoked: u64, now: u64, tag: Option<Tag>) {
        self.push(client, key, invoked, now, VersionAction::Read(tag));
    }

    /// A write was acknowledged.
    pub(crate) fn wrote(&mut self, client: ClientId, key: usize, invoked: u64, now: u64, tag: Option<Tag>) {
        self.push(client, key, invoked, now, VersionAction::Write(tag));
    }

    /// Whether no session went back.
    pub(crate) fn check(&self) -> Result<(), String> {
        for history in self.0.values() {
            let verdict = session::read_your_writes(history).and(|| session::monotonic_reads(history));
            if let Verdict::Invalid(example) = verdict {
                return Err(format!("sessions: {example}"));
            }
        }
        Ok(())
    }

    fn push(&mut self, client: ClientId, key: usize, invoked: u64, now: u64, action: VersionAction<Tag>) {
        let history = self.0.entry(key).or_default();
        history.push(Operation::applied(client.0, invoked, now, action));
    }
}
