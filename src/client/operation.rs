//! Reads and writes: set options, then await.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use quorate_ring::{Consistency, NodeId};

use super::{
    Context, Read, ReadError, TableHandle, WriteError, Written,
    errors::{CallError, Cause},
    policy::Nature,
};
use crate::wire::{self, ClientMessage};

/// A read about to be sent.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Get {
    table: TableHandle,
    key: Bytes,
    consistency: Consistency,
    timeout: Option<Duration>,
}

impl Get {
    pub(super) fn new(table: TableHandle, key: Bytes) -> Self {
        Self { table, key, consistency: Consistency::default(), timeout: None }
    }

    /// How many replicas must agree. By default QUORUM.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// How long it may take, retries included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn send(self) -> Result<Read, ReadError> {
        let Self { table, key, consistency, timeout } = self;
        let deadline = table.client().session().deadline(timeout);
        let message = |table: &quorate_ring::Table| wire::Get::new(table.id, key.clone(), consistency).into();
        match table.request(&key, Nature::Read, deadline, message).await? {
            (_, ClientMessage::Got(got)) => Ok(Read::new(got)),
            (node, _) => Err(CallError::not_applied(Cause::UnexpectedAnswer { node }).into()),
        }
    }
}

impl IntoFuture for Get {
    type Output = Result<Read, ReadError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// What writes and deletes have in common.
#[derive(Clone, Debug)]
struct Options {
    consistency: Consistency,
    timeout: Option<Duration>,
    context: Option<Context>,
    idempotent: bool,
}

impl Options {
    const fn new() -> Self {
        Self { consistency: Consistency::Quorum, timeout: None, context: None, idempotent: false }
    }
}

/// Declares a builder of a write: its setters, and how it becomes a future.
macro_rules! write_options {
    ($name:ident) => {
        impl $name {
            /// How many replicas must acknowledge. By default QUORUM.
            pub fn consistency(mut self, consistency: Consistency) -> Self {
                self.options.consistency = consistency;
                self
            }

            /// How long it may take, retries included.
            pub fn timeout(mut self, timeout: Duration) -> Self {
                self.options.timeout = Some(timeout);
                self
            }

            /// Replaces exactly the values of the read that gave `context`; concurrent ones stay (`siblings`
            /// tables).
            pub fn context(mut self, context: impl Into<Context>) -> Self {
                self.options.context = Some(context.into());
                self
            }

            /// Says that doing it twice is as good as once, so that an attempt whose outcome is unknown may
            /// be repeated. It may then take effect a second time, after writes of others.
            pub fn idempotent(mut self, idempotent: bool) -> Self {
                self.options.idempotent = idempotent;
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
    value: Bytes,
    options: Options,
}

write_options!(Put);

impl Put {
    pub(super) fn new(table: TableHandle, key: Bytes, value: Bytes) -> Self {
        Self { table, key, value, options: Options::new() }
    }

    async fn send(self) -> Result<Written, WriteError> {
        let Self { table, key, value, options } = self;
        let Options { consistency, timeout, context, idempotent } = options;
        let deadline = table.client().session().deadline(timeout);
        let context = context.map(Context::into_bytes);
        let message = |table: &quorate_ring::Table| {
            let (key, value, context) = (key.clone(), value.clone(), context.clone());
            wire::Put { table: table.id, key, value, consistency, context, ttl_ms: None, sloppy: false }
                .into()
        };
        written(table.request(&key, Nature::Write { idempotent }, deadline, message).await?)
    }
}

/// A delete about to be sent.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Delete {
    table: TableHandle,
    key: Bytes,
    options: Options,
}

write_options!(Delete);

impl Delete {
    pub(super) fn new(table: TableHandle, key: Bytes) -> Self {
        Self { table, key, options: Options::new() }
    }

    async fn send(self) -> Result<Written, WriteError> {
        let Self { table, key, options } = self;
        let Options { consistency, timeout, context, idempotent } = options;
        let deadline = table.client().session().deadline(timeout);
        let context = context.map(Context::into_bytes);
        let message = |table: &quorate_ring::Table| {
            let (key, context) = (key.clone(), context.clone());
            wire::Delete { table: table.id, key, consistency, context, sloppy: false }.into()
        };
        written(table.request(&key, Nature::Write { idempotent }, deadline, message).await?)
    }
}

fn written((node, answer): (NodeId, ClientMessage)) -> Result<Written, WriteError> {
    match answer {
        ClientMessage::Written(written) => Ok(Written::new(written)),
        _ => Err(CallError::unknown(Cause::UnexpectedAnswer { node }).into()),
    }
}
