//! Writes that depend on what a key holds: requests of `cas` tables.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use quorate_ring::{Consistency, Table};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Codec, DecodeError, Nature, Raw, Receipt, TableHandle, Typed, TypedTable, VersionedValue, View,
    WriteError,
    errors::{CallError, Cause},
    profile::{Options, call_options},
    typed::encode,
};
use crate::wire::{self, ClientMessage, Condition};

/// What a key is to hold for a [`CompareAndSet`] to be carried out. Values become one by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected<V = Bytes> {
    /// Nothing.
    Absent,
    /// Some value, whichever.
    Present,
    /// This value.
    Value(V),
}

/// What a key is to hold after a [`CompareAndSet`]. Values become one by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum New<V = Bytes> {
    /// This value.
    Value(V),
    /// Nothing: the key is deleted.
    Absent,
}

impl<V: Into<Bytes>> From<V> for Expected {
    fn from(value: V) -> Self {
        Self::Value(value.into())
    }
}

impl<'v, T> From<&'v T> for Expected<&'v T> {
    fn from(value: &'v T) -> Self {
        Self::Value(value)
    }
}

impl<V: Into<Bytes>> From<V> for New {
    fn from(value: V) -> Self {
        Self::Value(value.into())
    }
}

impl<'v, T> From<&'v T> for New<&'v T> {
    fn from(value: &'v T) -> Self {
        Self::Value(value)
    }
}

/// A write about to be sent that is carried out if the key holds what is expected (`cas` tables). Of any number of them at the
/// same time that expect the same, one is carried out.
///
/// A condition that is not met is no error: [`ComparedAndSet::is_applied`] says so. If the request fails, its
/// [outcome](WriteError::outcome) says what is known, as of every write. One whose outcome is unknown is never repeated, whatever a
/// profile says: the second time it could find what it wrote the first time (rule C4).
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct CompareAndSet<V = Raw> {
    table: TableHandle,
    key: Bytes,
    view: V,
    /// Or why there is none.
    change: Result<(Condition, Option<Bytes>), String>,
    pub(super) options: Options,
}

impl<V: View> CompareAndSet<V> {
    pub(super) fn new(
        table: TableHandle,
        key: Bytes,
        view: V,
        change: Result<(Condition, Option<Bytes>), String>,
    ) -> Self {
        Self { table, key, view, change, options: Options::default() }
    }

    call_options! {
        consistency: "How many replicas must acknowledge: QUORUM or more. By default the table's level for writes, QUORUM
    unless its creation said otherwise.",
        timeout: "How long it may take, retries included."
    }

    async fn send(self) -> Result<V::Compared, WriteError> {
        let Self { table, key, view, change, options } = self;
        let (condition, value) = change.map_err(WriteError::unencodable)?;
        let profile = options.over(table.profile());
        let terms = table.terms(&profile);
        let message = |table: &Table| {
            let (key, condition, value) = (key.clone(), condition.clone(), value.clone());
            let consistency = profile.write_consistency.unwrap_or(table.write_consistency);
            wire::CompareAndSet { table: table.id, key, condition, value, consistency }.into()
        };
        let nature = Nature::Write { idempotent: false };
        match table.request(&key, nature, &terms, message).await? {
            (_, ClientMessage::ComparedAndSet(answer)) => Ok(view.compared(&key, ComparedAndSet { answer })),
            (node, _) => Err(CallError::unknown(Cause::UnexpectedAnswer { node }).into()),
        }
    }
}

impl<V: View> IntoFuture for CompareAndSet<V> {
    type Output = Result<V::Compared, WriteError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// What became of a [`CompareAndSet`]: it was applied, or the key held something else and nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it may not have been applied"]
pub struct ComparedAndSet {
    answer: wire::ComparedAndSet,
}

impl ComparedAndSet {
    /// Whether the key held what was expected, and the write is applied.
    pub fn is_applied(&self) -> bool {
        self.answer.applied
    }

    /// What the key held instead of what was expected; `None` if that was nothing, or the write is applied.
    pub fn found(&self) -> Option<&Bytes> {
        self.found_version().map(|version| &version.value)
    }

    /// The same with the write that made it.
    pub fn found_version(&self) -> Option<&VersionedValue> {
        self.answer.found.as_ref()
    }

    /// How the answer came about.
    pub fn receipt(&self) -> &Receipt {
        &self.answer.receipt
    }

    pub(super) fn into_answer(self) -> wire::ComparedAndSet {
        self.answer
    }
}

/// What became of a [`CompareAndSet`] in a typed table.
#[must_use = "it may not have been applied"]
pub struct TypedComparedAndSet<T, C> {
    key: Bytes,
    compared: ComparedAndSet,
    view: Typed<T, C>,
}

impl<T: DeserializeOwned, C: Codec> TypedComparedAndSet<T, C> {
    pub(super) fn new(key: Bytes, compared: ComparedAndSet, view: Typed<T, C>) -> Self {
        Self { key, compared, view }
    }

    /// What the key held instead of what was expected; `None` if that was nothing, or the write is applied.
    ///
    /// # Errors
    /// [`DecodeError`] if it is none of `T`.
    pub fn found(&self) -> Result<Option<T>, DecodeError> {
        let found = self.view.decode(&self.key, self.compared.answer.found.as_slice())?;
        Ok(found.into_iter().next())
    }
}

impl<T, C> TypedComparedAndSet<T, C> {
    /// Whether the key held what was expected, and the write is applied.
    pub fn is_applied(&self) -> bool {
        self.compared.is_applied()
    }

    /// How the answer came about.
    pub fn receipt(&self) -> &Receipt {
        self.compared.receipt()
    }

    /// The same with bytes for values.
    pub fn raw(&self) -> &ComparedAndSet {
        &self.compared
    }
}

impl<T, C: fmt::Debug> fmt::Debug for TypedComparedAndSet<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedComparedAndSet").field("compared", &self.compared).finish_non_exhaustive()
    }
}

impl TableHandle {
    /// Writes a key, or deletes it, if it holds what is expected (`cas` tables): see [`CompareAndSet`].
    ///
    /// A lock, which one of those who want it gets:
    ///
    /// ```
    /// # #[cfg(feature = "mock")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use quorate::client::TableKind;
    /// # let client = quorate::client::Mock::new().client();
    /// # client.create_table("locks").kind(TableKind::Cas).await?;
    /// # let locks = client.table("locks").await?;
    /// use quorate::client::{Expected, New};
    ///
    /// let mine = locks.compare_and_set("nightly job", Expected::Absent, "worker 7").await?;
    /// assert!(mine.is_applied());
    ///
    /// let late = locks.compare_and_set("nightly job", Expected::Absent, "worker 8").await?;
    /// assert!(!late.is_applied());
    /// assert_eq!(late.found().map(|holder| &holder[..]), Some(&b"worker 7"[..]));
    ///
    /// // Whoever holds it gives it back, and nobody else does.
    /// let freed = locks.compare_and_set("nightly job", "worker 7", New::Absent).await?;
    /// assert!(freed.is_applied());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "mock"))]
    /// # fn main() {}
    /// ```
    ///
    /// If the outcome of the request is unknown, it may take the lock now or later: that a read finds nothing does not mean
    /// that nothing comes. Whoever writes a name that nobody else uses asks for the lock once more: the request is applied
    /// then, or finds its own name, or another one.
    pub fn compare_and_set(
        &self,
        key: impl Into<Bytes>,
        expected: impl Into<Expected>,
        new: impl Into<New>,
    ) -> CompareAndSet {
        let condition = match expected.into() {
            Expected::Absent => Condition::Absent,
            Expected::Present => Condition::Present,
            Expected::Value(value) => Condition::Value(value),
        };
        let value = match new.into() {
            New::Value(value) => Some(value),
            New::Absent => None,
        };
        CompareAndSet::new(self.clone(), key.into(), Raw, Ok((condition, value)))
    }
}

impl<T: Serialize + DeserializeOwned + 'static, C: Codec> TypedTable<T, C> {
    /// Writes a key, or deletes it, if it holds what is expected: see [`TableHandle::compare_and_set`].
    ///
    /// What is compared are bytes: the codec must make the same of the same value each time, which it does not of a `HashMap`.
    /// [`TypedTable::update`] goes by the bytes that were read.
    ///
    /// ```no_run
    /// # async fn example(client: quorate::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let leases = client.table("leases").await?.typed::<(String, u64)>();
    /// let (old, new) = (("worker 7".to_owned(), 41), ("worker 8".to_owned(), 42));
    /// let compared = leases.compare_and_set("nightly job", &old, &new).await?;
    /// if !compared.is_applied() {
    ///     println!("it is held by {:?}", compared.found()?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn compare_and_set<'v>(
        &self,
        key: impl Into<Bytes>,
        expected: impl Into<Expected<&'v T>>,
        new: impl Into<New<&'v T>>,
    ) -> CompareAndSet<Typed<T, C>> {
        let (table, view) = (self.raw().clone(), self.view().clone());
        let encoded = |value| encode(view.codec(), value);
        let condition = match expected.into() {
            Expected::Absent => Ok(Condition::Absent),
            Expected::Present => Ok(Condition::Present),
            Expected::Value(value) => encoded(value).map(Condition::Value),
        };
        let value = match new.into() {
            New::Value(value) => encoded(value).map(Some),
            New::Absent => Ok(None),
        };
        let change = condition.and_then(|condition| Ok((condition, value?)));
        CompareAndSet::new(table, key.into(), view, change)
    }
}
