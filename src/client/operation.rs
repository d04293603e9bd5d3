//! Reads and writes: set options, then await.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use quorate_ring::{Consistency, NodeId, Table};

use super::{
    Context, Nature, Raw, Read, ReadError, TableHandle, View, WriteError, Written,
    errors::{CallError, Cause},
    profile::{Options, call_options},
};
use crate::wire::{self, ClientMessage};

/// A read about to be sent.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Get<V = Raw> {
    table: TableHandle,
    key: Bytes,
    view: V,
    monotone: bool,
    pub(super) options: Options,
}

impl<V: View> Get<V> {
    pub(super) fn new(table: TableHandle, key: Bytes, view: V) -> Self {
        Self { table, key, view, monotone: false, options: Options::default() }
    }

    /// Settles for less than linearizable at QUORUM and ALL, and so never waits for a key that others keep
    /// writing: the read sees every write that was complete, and later reads never see older values, but two
    /// reads at the same time may disagree on the order of writes (rule Q5). The receipt says so.
    pub fn monotone(mut self) -> Self {
        self.monotone = true;
        self
    }

    call_options! {
        consistency: "How many replicas must agree: a level, or a number of them. By default the table's level for reads,
QUORUM unless its creation said otherwise.

```no_run
# async fn example(carts: quorate::client::TableHandle) -> Result<(), Box<dyn std::error::Error>> {
use quorate::client::Consistency;

carts.get(\"alice\").consistency(Consistency::One).await?;
carts.get(\"alice\").consistency(\"2\".parse()?).await?; // R = 2
# Ok(())
# }
```",
        timeout: "How long it may take, retries included."
    }

    async fn send(self) -> Result<V::Read, ReadError> {
        let Self { table, key, view, monotone, options } = self;
        let profile = options.over(table.profile());
        let terms = table.terms(&profile);
        let message = |table: &Table| {
            let consistency = profile.read_consistency.unwrap_or(table.read_consistency);
            wire::Get { table: table.id, key: key.clone(), consistency, monotone }.into()
        };
        match table.request(&key, Nature::Read, &terms, message).await? {
            (_, ClientMessage::Got(got)) => Ok(view.read(&key, Read::new(got))),
            (node, _) => Err(CallError::not_applied(Cause::UnexpectedAnswer { node }).into()),
        }
    }
}

impl<V: View> IntoFuture for Get<V> {
    type Output = Result<V::Read, ReadError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// What writes and deletes have in common.
#[derive(Clone, Debug, Default)]
struct WriteOptions {
    context: Option<Context>,
    sloppy: bool,
}

/// Declares a builder of a write: its setters, and how it becomes a future.
macro_rules! write_options {
    ($name:ident) => {
        impl $name {
            call_options! {
                consistency: "How many replicas must acknowledge: a level, or a number of them. By default the table's level
for writes, QUORUM unless its creation said otherwise.",
                timeout: "How long it may take, retries included."
            }

            /// Replaces exactly the values of the read that gave `context`; concurrent ones stay (`siblings`
            /// tables).
            pub fn context(mut self, context: impl Into<Context>) -> Self {
                self.write.context = Some(context.into());
                self
            }

            /// Lets other nodes stand in for replicas that are down, so that a minority still takes the write.
            /// It is kept beside concurrent ones and becomes visible when the replicas are back; until then
            /// reads at QUORUM may miss it (`siblings` tables only, rule Q2).
            pub fn sloppy(mut self, sloppy: bool) -> Self {
                self.write.sloppy = sloppy;
                self
            }

            /// Says that doing it twice is as good as once, so that an attempt whose outcome is unknown may
            /// be repeated. It may then take effect a second time, after writes of others; in a `siblings` table the
            /// value may stand there twice until it is replaced, unless the write has a context.
            pub fn idempotent(mut self, idempotent: bool) -> Self {
                self.options.own.idempotent = Some(idempotent);
                self
            }
        }

        impl IntoFuture for $name {
            type Output = Result<Written, WriteError>;
            type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.send())
            }
        }
    };
}

/// A write about to be sent.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Put {
    table: TableHandle,
    key: Bytes,
    /// Or why there is none.
    value: Result<Bytes, String>,
    ttl: Option<Duration>,
    write: WriteOptions,
    pub(super) options: Options,
}

write_options!(Put);

impl Put {
    pub(super) fn new(table: TableHandle, key: Bytes, value: Result<Bytes, String>) -> Self {
        Self { table, key, value, ttl: None, write: WriteOptions::default(), options: Options::default() }
    }

    /// How long the value stays, rounded up to milliseconds and at least one; then it is as good as deleted. By
    /// default it stays for good.
    ///
    /// ```no_run
    /// # async fn example(sessions: quorate::client::TableHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// sessions.put("alice", "logged in").ttl(Duration::from_secs(3600)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    async fn send(self) -> Result<Written, WriteError> {
        let Self { table, key, value, ttl, write, options } = self;
        let value = value.map_err(WriteError::unencodable)?;
        let profile = options.over(table.profile());
        let terms = table.terms(&profile);
        let WriteOptions { context, sloppy } = write;
        let context = context.map(Context::into_bytes);
        let ttl_ms = ttl.map(whole_ms);
        let message = |table: &Table| {
            let (key, value, context) = (key.clone(), value.clone(), context.clone());
            let consistency = profile.write_consistency.unwrap_or(table.write_consistency);
            wire::Put { table: table.id, key, value, consistency, context, ttl_ms, sloppy }.into()
        };
        written(table.request(&key, profile.write(), &terms, message).await?)
    }
}

/// A delete about to be sent.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Delete {
    table: TableHandle,
    key: Bytes,
    write: WriteOptions,
    options: Options,
}

write_options!(Delete);

impl Delete {
    pub(super) fn new(table: TableHandle, key: Bytes) -> Self {
        Self { table, key, write: WriteOptions::default(), options: Options::default() }
    }

    async fn send(self) -> Result<Written, WriteError> {
        let Self { table, key, write, options } = self;
        let profile = options.over(table.profile());
        let terms = table.terms(&profile);
        let WriteOptions { context, sloppy } = write;
        let context = context.map(Context::into_bytes);
        let message = |table: &Table| {
            let (key, context) = (key.clone(), context.clone());
            let consistency = profile.write_consistency.unwrap_or(table.write_consistency);
            wire::Delete { table: table.id, key, consistency, context, sloppy }.into()
        };
        written(table.request(&key, profile.write(), &terms, message).await?)
    }
}

fn written((node, answer): (NodeId, ClientMessage)) -> Result<Written, WriteError> {
    match answer {
        ClientMessage::Written(written) => Ok(Written::new(written)),
        _ => Err(CallError::unknown(Cause::UnexpectedAnswer { node }).into()),
    }
}

/// Milliseconds that are no shorter than `duration`, at least one.
fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_never_shorter_than_asked_for() {
        let ms = |nanos| whole_ms(Duration::from_nanos(nanos));
        assert_eq!([ms(0), ms(1), ms(1_000_000), ms(1_000_001)], [1, 1, 1, 2]);
        assert_eq!(whole_ms(Duration::MAX), u64::MAX);
    }
}
