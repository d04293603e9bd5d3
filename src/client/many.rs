//! Many keys at once: set options, then await.

use std::{
    collections::VecDeque,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use quorate_ring::Consistency;
use tokio::{task::JoinSet, time::Instant};

use super::{
    Get, Put, Raw, ReadError, TableHandle, View, WriteError, Written,
    errors::{CallError, Cause},
    profile::{Options, call_options},
};

/// Reads of many keys about to be sent, a bounded number at a time. Each is a read for itself, routed to the replicas of its
/// key; one that fails takes none of the others with it. A key that is named twice is read twice.
///
/// Dropping the future ends what is under way.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct GetMany<V = Raw> {
    table: TableHandle,
    keys: Vec<Bytes>,
    view: V,
    monotone: bool,
    options: Options,
    /// When all of it must be done, if it is part of something else.
    deadline: Option<Instant>,
    at_once: usize,
}

impl<V: View> GetMany<V> {
    pub(super) fn new(table: TableHandle, keys: Vec<Bytes>, view: V) -> Self {
        Self {
            table,
            keys,
            view,
            monotone: false,
            options: Options::default(),
            deadline: None,
            at_once: AT_ONCE,
        }
    }

    call_options! {
        consistency: "How many replicas must agree on each key. By default the table's level for reads.",
        timeout: "How long each key may take, retries included, from when it is sent."
    }

    /// Settles for less than linearizable: see [`Get::monotone`](super::Get::monotone).
    pub fn monotone(mut self) -> Self {
        self.monotone = true;
        self
    }

    /// How many are under way at a time, at least 1. By default 64.
    pub fn at_once(mut self, reads: usize) -> Self {
        self.at_once = reads;
        self
    }

    /// Gives each key what is left until `deadline` when it is sent.
    pub(crate) fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    async fn send(self) -> Vec<(Bytes, Result<V::Read, ReadError>)> {
        let Self { table, keys, view, monotone, options, deadline, at_once } = self;
        let gets = keys.iter().map(|key| {
            let mut get = Get::new(table.clone(), key.clone(), view.clone());
            get.options = options.clone();
            if monotone { get.monotone() } else { get }
        });
        let send = |get: Get<V>| -> Call<V::Read, ReadError> {
            Box::pin(async move {
                match deadline {
                    Some(deadline) => get.timeout(deadline.saturating_duration_since(Instant::now())).await,
                    None => get.await,
                }
            })
        };
        let ended = || CallError::not_applied(Cause::TimedOut).into();
        let reads = side_by_side(gets.map(send).collect(), at_once, ended).await;
        keys.into_iter().zip(reads).collect()
    }
}

impl<V: View> IntoFuture for GetMany<V> {
    type Output = Vec<(Bytes, Result<V::Read, ReadError>)>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Writes of many keys about to be sent, a bounded number at a time. Each is a write for itself: there is no order among
/// them, none undoes another, and each says what became of it. They are no transaction.
///
/// Dropping the future ends what is under way; writes that were sent by then may have been applied.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct PutMany {
    table: TableHandle,
    /// Keys, and the value of each or why there is none.
    pairs: Vec<(Bytes, Result<Bytes, String>)>,
    ttl: Option<Duration>,
    options: Options,
    at_once: usize,
}

impl PutMany {
    pub(super) fn new(table: TableHandle, pairs: Vec<(Bytes, Result<Bytes, String>)>) -> Self {
        Self { table, pairs, ttl: None, options: Options::default(), at_once: AT_ONCE }
    }

    call_options! {
        consistency: "How many replicas must acknowledge each. By default the table's level for writes.",
        timeout: "How long each may take, retries included, from when it is sent."
    }

    /// How long the values stay: see [`Put::ttl`](super::Put::ttl).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Says that doing each twice is as good as once: see [`Put::idempotent`](super::Put::idempotent).
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.options.own.idempotent = Some(idempotent);
        self
    }

    /// How many are under way at a time, at least 1. By default 64.
    pub fn at_once(mut self, writes: usize) -> Self {
        self.at_once = writes;
        self
    }

    async fn send(self) -> Vec<(Bytes, Result<Written, WriteError>)> {
        let Self { table, pairs, ttl, options, at_once } = self;
        let (keys, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let puts = keys.iter().zip(values).map(|(key, value)| {
            let mut put = Put::new(table.clone(), key.clone(), value);
            put.options = options.clone();
            match ttl {
                Some(ttl) => put.ttl(ttl),
                None => put,
            }
        });
        let ended = || CallError::unknown(Cause::TimedOut).into();
        let written = side_by_side(puts.map(IntoFuture::into_future).collect(), at_once, ended).await;
        keys.into_iter().zip(written).collect()
    }
}

impl IntoFuture for PutMany {
    type Output = Vec<(Bytes, Result<Written, WriteError>)>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

type Call<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Carries out `calls`, `at_once` at a time, and gives their results in their order; `ended` for one whose runtime ended
/// before it did.
async fn side_by_side<T: Send + 'static, E: Send + 'static>(
    calls: VecDeque<Call<T, E>>,
    at_once: usize,
    ended: impl Fn() -> E,
) -> Vec<Result<T, E>> {
    let mut results: Vec<_> = calls.iter().map(|_| None).collect();
    let mut calls = calls.into_iter().enumerate();
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < at_once.max(1)
            && let Some((at, call)) = calls.next()
        {
            under_way.spawn(async move { (at, call.await) });
        }
        match under_way.join_next().await {
            Some(Ok((at, result))) => results[at] = Some(result),
            Some(Err(_)) => {}
            None => break,
        }
    }
    results.into_iter().map(|result| result.unwrap_or_else(|| Err(ended()))).collect()
}

/// What keeps a node busy and leaves room for others.
const AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn results_come_in_order_and_few_are_under_way() {
        let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let call = |n: usize| -> Call<usize, String> {
            let (under_way, most) = (under_way.clone(), most.clone());
            Box::pin(async move {
                most.fetch_max(under_way.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                // The later ones end first.
                for _ in n % 7..7 {
                    tokio::task::yield_now().await;
                }
                under_way.fetch_sub(1, Ordering::Relaxed);
                if n.is_multiple_of(5) { Err(format!("{n} failed")) } else { Ok(n) }
            })
        };
        let results = side_by_side((0..40).map(call).collect(), 4, || "ended".to_owned()).await;
        let expected: Vec<_> = (0..40_usize)
            .map(|n| if n.is_multiple_of(5) { Err(format!("{n} failed")) } else { Ok(n) })
            .collect();
        assert_eq!(results, expected);
        assert_eq!(most.load(Ordering::Relaxed), 4);
    }
}
