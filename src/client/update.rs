//! Read, merge, write: a change that loses no concurrent one.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use quorate_ring::{Consistency, TableKind};
use tokio::time::{Instant, sleep_until};

use super::{
    Cause, CompareAndSet, Put, Raw, Read, TableHandle, UpdateError, WriteError, Written,
    backoff::Backoff,
    errors::CallError,
    profile::{Options, call_options},
};
use crate::wire::{self, Condition, Failure, Outcome};

/// Makes a value, or says why there is none, of what was read.
type Merge = Box<dyn FnMut(&Read) -> Result<Result<Bytes, String>, UpdateError> + Send>;

/// A change of a key about to be made: its values are read, merged by the caller's function, and the result is
/// written in their place.
///
/// In a `siblings` table it is written with the context of the read, and replaces exactly what was merged; values written
/// meanwhile stay beside it, for the next update to merge. In a `cas` table it is written if the key still holds what was
/// read; if not, the function is called with what it holds now, after a pause at random that grows each time.
///
/// The function sees no value if the key is absent, one, or several concurrent ones (never in a `cas` table). It may be
/// called again with newer values, at most [`Update::ATTEMPTS_MAX`] times in all, [`Update::COMPARISONS_MAX`] in a `cas`
/// table, within the time that the update may take, and only while nothing was written: an update whose outcome is unknown is
/// never repeated (rules Q10, C4).
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
    /// The same in a `cas` table, where others who change the key at the same time are in the way.
    pub const COMPARISONS_MAX: u32 = 50;

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

    /// How long the merged value stays; see [`Put::ttl`](super::Put::ttl). Not in `cas` tables, whose values do not expire.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    async fn send(mut self) -> Result<Written, UpdateError> {
        let deadline = self.table.terms(&self.options.over(self.table.profile())).deadline;
        if self.table.definition().kind == TableKind::Cas {
            return self.compare_and_set(deadline).await;
        }
        let mut attempt = 1;
        loop {
            match self.attempt(deadline).await {
                Err(error) if attempt < Self::ATTEMPTS_MAX && is_worth_another(&error) => attempt += 1,
                result => return result,
            }
        }
    }

    async fn attempt(&mut self, deadline: Instant) -> Result<Written, UpdateError> {
        let read = self.read(deadline).await?;
        let merged = (self.merge)(&read)?;
        let mut put = Put::new(self.table.clone(), self.key.clone(), merged).context(read.context());
        put.options = self.options.clone();
        // Merged twice is not as good as once, whatever a profile says of writes.
        let mut put = put.timeout(left(deadline)).idempotent(false);
        if let Some(ttl) = self.ttl {
            put = put.ttl(ttl);
        }
        Ok(put.await?)
    }

    async fn read(&mut self, deadline: Instant) -> Result<Read, UpdateError> {
        let mut get = self.table.get(self.key.clone());
        get.options = self.options.clone();
        Ok(get.timeout(left(deadline)).await?)
    }

    /// In a `cas` table. A comparison that fails tells what the key holds: it is not read again.
    async fn compare_and_set(mut self, deadline: Instant) -> Result<Written, UpdateError> {
        if self.ttl.is_some() {
            let cause = Cause::Failed(Failure::BadRequest(NO_TTL.to_owned()));
            return Err(WriteError::from(CallError::not_applied(cause)).into());
        }
        let (mut found, mut backoff, mut attempts) = (None, Backoff::of_changes(), 0);
        loop {
            attempts += 1;
            let error = match self.compare(found.take(), deadline).await {
                Ok(Compared::Applied(written)) => return Ok(written),
                Ok(Compared::Outrun(read)) => {
                    let receipt = Box::new(read.receipt().clone());
                    found = Some(read);
                    UpdateError::Outrun { attempts, receipt }
                }
                Err(error) if is_worth_another(&error) => error,
                Err(error) => return Err(error),
            };
            let next = Instant::now() + backoff.next(rand::random());
            if attempts == Self::COMPARISONS_MAX || next >= deadline {
                return Err(error);
            }
            sleep_until(next).await;
        }
    }

    /// Writes what is made of what the key was `found` to hold; if nobody knows that, it is read.
    async fn compare(&mut self, found: Option<Read>, deadline: Instant) -> Result<Compared, UpdateError> {
        let read = match found {
            Some(read) => read,
            None => self.read(deadline).await?,
        };
        let merged = (self.merge)(&read)?;
        let condition = read.values().first().cloned().map_or(Condition::Absent, Condition::Value);
        let change = merged.map(|value| (condition, Some(value)));
        let mut compare = CompareAndSet::new(self.table.clone(), self.key.clone(), Raw, change);
        compare.options = self.options.clone();
        let answer = compare.timeout(left(deadline)).await?.into_answer();
        let wire::ComparedAndSet { applied, found, receipt } = answer;
        let context = Bytes::new();
        Ok(match applied {
            true => Compared::Applied(Written::new(wire::Written { context, receipt })),
            false => {
                let values = found.into_iter().collect();
                Compared::Outrun(Read::new(wire::Got { values, context, receipt }))
            }
        })
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

/// What became of a value that was to take the place of the one it was made of.
enum Compared {
    /// It is written.
    Applied(Written),
    /// Somebody was quicker: this is what the key holds instead.
    Outrun(Read),
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Whether nothing was written and newer values may make the difference.
fn is_worth_another(error: &UpdateError) -> bool {
    error.outcome() == Outcome::NotApplied
        && matches!(
            error.failure(),
            Some(Failure::TooManySiblings { .. } | Failure::BadContext(_) | Failure::Contended { .. })
        )
}

pub(super) const NO_TTL: &str =
    "values of cas tables do not expire: a TTL is for siblings and register tables";

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
