//! Read, merge, write: a change that loses no concurrent one.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use quorate_ring::Consistency;
use tokio::time::Instant;

use super::{
    Put, Read, TableHandle, UpdateError, Written,
    profile::{Options, call_options},
};
use crate::wire::{Failure, Outcome};

/// Makes a value, or says why there is none, of what was read.
type Merge = Box<dyn FnMut(&Read) -> Result<Result<Bytes, String>, UpdateError> + Send>;

/// A change of a key about to be made: its values are read, merged by the caller's function, and the result is
/// written with the context of the read. It replaces exactly what was merged; values written meanwhile stay
/// beside it, for the next update to merge.
///
/// The function sees no value if the key is absent, one, or several concurrent ones. It may be called again
/// with newer values, at most [`Update::ATTEMPTS_MAX`] times in all, and only while nothing was written: an
/// update whose outcome is unknown is never repeated (rule Q10).
#[must_use = "nothing is sent before it is awaited"]
pub struct Update {
    table: TableHandle,
    key: Bytes,
    merge: Merge,
    ttl: Option<Duration>,
    options: Options,
}

impl Update {
    /// How often the values are read and merged at most.
    pub const ATTEMPTS_MAX: u32 = 5;

    pub(super) fn new(
        table: TableHandle,
        key: Bytes,
        merge: impl FnMut(&Read) -> Result<Result<Bytes, String>, UpdateError> + Send + 'static,
    ) -> Self {
        let merge = Box::new(merge);
        Self { table, key, merge, ttl: None, options: Options::default() }
    }

    call_options! {
        consistency: "How many replicas must answer the read, and acknowledge the write. By default the table's levels.",
        timeout: "How long it may take in all."
    }

    /// How long the merged value stays; see [`Put::ttl`](super::Put::ttl).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    async fn send(mut self) -> Result<Written, UpdateError> {
        let deadline = self.table.terms(&self.options.over(self.table.profile())).deadline;
        let mut attempt = 1;
        loop {
            match self.attempt(deadline).await {
                Err(error) if attempt < Self::ATTEMPTS_MAX && is_worth_another(&error) => attempt += 1,
                result => return result,
            }
        }
    }

    async fn attempt(&mut self, deadline: Instant) -> Result<Written, UpdateError> {
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut get = self.table.get(self.key.clone());
        get.options = self.options.clone();
        let read = get.timeout(left()).await?;
        let merged = (self.merge)(&read)?;
        let mut put = Put::new(self.table.clone(), self.key.clone(), merged).context(read.context());
        put.options = self.options.clone();
        // Merged twice is not as good as once, whatever a profile says of writes.
        let mut put = put.timeout(left()).idempotent(false);
        if let Some(ttl) = self.ttl {
            put = put.ttl(ttl);
        }
        Ok(put.await?)
    }
}

impl IntoFuture for Update {
    type Output = Result<Written, UpdateError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update").field("table", &self.table).field("key", &self.key).finish_non_exhaustive()
    }
}

/// Whether nothing was written and newer values may make the difference.
fn is_worth_another(error: &UpdateError) -> bool {
    error.outcome() == Outcome::NotApplied
        && matches!(
            error.failure(),
            Some(Failure::TooManySiblings { .. } | Failure::BadContext(_) | Failure::Contended { .. })
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{ReadError, WriteError};

    #[test]
    fn merges_again_only_if_nothing_was_written_and_the_values_are_stale() {
        let (receipt, request_id) = (None, None);
        let write = |failure, outcome| {
            UpdateError::from(WriteError::Failed { failure, outcome, receipt: None, request_id })
        };
        let too_many = || Failure::TooManySiblings { siblings: 64, context: Bytes::new() };
        let stale = || Failure::BadContext("of another key".to_owned());
        assert!(is_worth_another(&write(too_many(), Outcome::NotApplied)));
        assert!(is_worth_another(&write(stale(), Outcome::NotApplied)));
        assert!(!is_worth_another(&write(stale(), Outcome::Unknown)));
        assert!(!is_worth_another(&write(Failure::Recovering, Outcome::NotApplied)));
        let unknown = WriteError::TimedOut { outcome: Outcome::Unknown, request_id };
        assert!(!is_worth_another(&unknown.into()));

        let failure = Failure::Contended { rounds: 3 };
        let outcome = Outcome::NotApplied;
        let contended = UpdateError::from(ReadError::Failed { failure, outcome, receipt, request_id });
        assert!(is_worth_another(&contended));
        assert!(contended.to_string().ends_with("(not applied)"), "{contended}");
    }
}
