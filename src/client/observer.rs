//! Telling a program what its client does.

use std::{fmt, time::Duration};

use quorate_ring::{Consistency, NodeId};
use tokio::time::Instant;

use super::{Cause, Outcome, errors::CallError};
use crate::wire::ClientMessage;

/// Hears of every request and of each of its attempts as it ends, for metrics and logs of the program's own. It is called
/// in the task that makes the request: it should count and return. Without an observer nothing is measured. One whose future
/// is dropped is not told of.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering::Relaxed}};
/// use quorate::client::{Client, Ended, Observer};
///
/// #[derive(Debug, Default)]
/// struct Counts {
///     requests: AtomicU64,
///     failed: AtomicU64,
///     micros: AtomicU64,
///     retries: AtomicU64,
/// }
///
/// impl Observer for Counts {
///     fn request(&self, ended: &Ended<'_>) {
///         self.requests.fetch_add(1, Relaxed);
///         self.failed.fetch_add(u64::from(ended.cause.is_some()), Relaxed);
///         self.micros.fetch_add(ended.latency.as_micros() as u64, Relaxed);
///     }
///
///     fn attempt(&self, ended: &Ended<'_>) {
///         self.retries.fetch_add(u64::from(ended.attempts > 1), Relaxed);
///     }
/// }
///
/// let counts = Arc::new(Counts::default());
/// let builder = Client::builder().observer(counts.clone());
/// ```
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// A request has ended, whatever number of attempts it took.
    fn request(&self, ended: &Ended<'_>) {
        let _ = ended;
    }

    /// One attempt of a request has ended.
    fn attempt(&self, ended: &Ended<'_>) {
        let _ = ended;
    }
}

/// A request, or one attempt of it, that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Ended<'a> {
    /// What was asked for.
    pub operation: Operation,
    /// The table that it was about, if it was about one.
    pub table: Option<&'a str>,
    /// The level, if the operation has one.
    pub consistency: Option<Consistency>,
    /// The node that was asked, the last one of a request; none if there was none to be reached.
    pub node: Option<NodeId>,
    /// Of an attempt, which it was, from 1; of a request, how many there were.
    pub attempts: u32,
    /// How long it took, pauses between attempts included.
    pub latency: Duration,
    /// Why it failed; none if it did not.
    pub cause: Option<&'a Cause>,
    /// What is known of its effect: [`Outcome::Applied`] if it did not fail, a read too.
    pub outcome: Outcome,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A read of a key, each one of a `get_many`.
    Get,
    /// A write of a key, each one of a `put_many`.
    Put,
    /// A delete of a key.
    Delete,
    /// A write that depends on what the key holds. It has not failed if the condition was not met.
    CompareAndSet,
    /// A page of a scan.
    Scan,
    /// Creating, altering, dropping or truncating a table.
    ChangeTable,
    /// A question about tables, nodes or the cluster, or an order to a node.
    Admin,
}

impl Operation {
    /// Its name for labels: `get`, `put`, `delete`, `compare_and_set`, `scan`, `change_table` or `admin`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::CompareAndSet => "compare_and_set",
            Self::Scan => "scan",
            Self::ChangeTable => "change_table",
            Self::Admin => "admin",
        }
    }
}

impl<O: Observer> Observer for std::sync::Arc<O> {
    fn request(&self, ended: &Ended<'_>) {
        (**self).request(ended);
    }

    fn attempt(&self, ended: &Ended<'_>) {
        (**self).attempt(ended);
    }
}

/// A request that is observed.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    observer: &'a dyn Observer,
    operation: Operation,
    table: Option<&'a str>,
    consistency: Option<Consistency>,
    began: Instant,
    attempt_began: Instant,
}

impl<'a> Watch<'a> {
    /// `message` is about to be sent, about the table of this name if it does not say so itself.
    pub(super) fn begin(
        observer: &'a dyn Observer,
        message: &'a ClientMessage,
        table: Option<&'a str>,
    ) -> Self {
        let (operation, consistency, named) = match message {
            ClientMessage::Get(get) => (Operation::Get, Some(get.consistency), None),
            ClientMessage::Put(put) => (Operation::Put, Some(put.consistency), None),
            ClientMessage::Delete(delete) => (Operation::Delete, Some(delete.consistency), None),
            ClientMessage::CompareAndSet(compare) => {
                (Operation::CompareAndSet, Some(compare.consistency), None)
            }
            ClientMessage::Scan(scan) => (Operation::Scan, Some(scan.consistency), None),
            ClientMessage::CreateTable(create) => (Operation::ChangeTable, None, Some(&create.name)),
            ClientMessage::AlterTable(alter) => (Operation::ChangeTable, None, Some(&alter.name)),
            ClientMessage::DropTable(drop) => (Operation::ChangeTable, None, Some(&drop.name)),
            ClientMessage::TruncateTable(truncate) => (Operation::ChangeTable, None, Some(&truncate.name)),
            _ => (Operation::Admin, None, None),
        };
        let (table, now) = (table.or(named.map(String::as_str)), Instant::now());
        Self { observer, operation, table, consistency, began: now, attempt_began: now }
    }

    /// Another attempt begins.
    pub(super) fn attempt_begins(&mut self) {
        self.attempt_began = Instant::now();
    }

    /// The last attempt, and the request with it, has got its answer.
    pub(super) fn succeeded(&self, attempts: u32, node: NodeId) {
        self.observer.attempt(&self.ended(attempts, Some(node), None, self.attempt_began));
        self.observer.request(&self.ended(attempts, Some(node), None, self.began));
    }

    /// The attempt has failed.
    pub(super) fn attempt_failed(&self, attempts: u32, node: Option<NodeId>, error: &CallError) {
        self.observer.attempt(&self.ended(attempts, node, Some(error), self.attempt_began));
    }

    /// The request has failed.
    pub(super) fn request_failed(&self, attempts: u32, node: Option<NodeId>, error: &CallError) {
        self.observer.request(&self.ended(attempts, node, Some(error), self.began));
    }

    fn ended<'e>(
        &'e self,
        attempts: u32,
        node: Option<NodeId>,
        error: Option<&'e CallError>,
        began: Instant,
    ) -> Ended<'e> {
        let Self { operation, table, consistency, .. } = *self;
        let (cause, outcome) = (error.map(|error| &error.cause), error.map(|error| error.outcome));
        let (latency, outcome) = (began.elapsed(), outcome.unwrap_or(Outcome::Applied));
        Ended { operation, table, consistency, node, attempts, latency, cause, outcome }
    }
}
