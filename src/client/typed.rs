//! Tables whose values are of a type of the program's own.

use std::{borrow::Borrow, fmt};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Codec, ConcurrentValues, Context, DecodeError, Delete, Get, GetMany, MessagePack, Profile, Put, PutMany,
    Read, Receipt, Scan, ScannedRow, TableHandle, Typed, Update, VersionedValue,
};

/// A table whose values are all of type `T`. Cheap to clone. [`TableHandle::typed`] gives one.
///
/// Values are decoded when they are taken out of what was read, so one that cannot be decoded keeps nobody from its
/// [context](TypedRead::context) and its [bytes](TypedRead::raw).
pub struct TypedTable<T, C = MessagePack> {
    table: TableHandle,
    view: Typed<T, C>,
}

/// What was read of a key in a typed table.
pub struct TypedRead<T, C = MessagePack> {
    key: Bytes,
    read: Read,
    view: Typed<T, C>,
}

/// A key of a typed table and its values.
pub struct TypedRow<T, C = MessagePack> {
    row: ScannedRow,
    view: Typed<T, C>,
}

/// Why a key of a typed table has not the one value that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It has several.
    #[error(transparent)]
    Concurrent(#[from] ConcurrentValues),
    /// It is of another type.
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
}

impl TableHandle {
    /// The same table, with values of type `T` in the place of bytes, as [`MessagePack`].
    ///
    /// ```no_run
    /// # async fn example(client: quorate::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::collections::BTreeMap;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Default, Serialize, Deserialize)]
    /// struct Cart {
    ///     items: BTreeMap<String, u32>,
    ///     #[serde(default)] // added later: older carts have none
    ///     note: Option<String>,
    /// }
    ///
    /// let carts = client.table("carts").await?.typed::<Cart>();
    /// carts.put("alice", &Cart::default()).await?;
    /// let cart = carts.get("alice").await?.value()?.unwrap_or_default();
    /// println!("{} items", cart.items.len());
    ///
    /// // Sees every concurrent cart, and leaves one.
    /// carts
    ///     .update("alice", |carts| {
    ///         let mut items: BTreeMap<_, _> = carts.into_iter().flat_map(|cart| cart.items).collect();
    ///         items.insert("apples".to_owned(), 2);
    ///         Cart { items, note: None }
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn typed<T>(&self) -> TypedTable<T> {
        self.typed_with(MessagePack)
    }

    /// The same table, with values of type `T` in the place of bytes, as `codec` has it: see [`Codec`].
    pub fn typed_with<T, C: Codec>(&self, codec: C) -> TypedTable<T, C> {
        TypedTable { table: self.clone(), view: Typed::new(codec) }
    }
}

impl<T, C: Codec> TypedTable<T, C> {
    /// The same table, with requests that go by `profile`: see [`TableHandle::with_profile`].
    #[must_use = "it is another handle"]
    pub fn with_profile(&self, profile: &Profile) -> Self {
        Self { table: self.table.with_profile(profile), view: self.view.clone() }
    }

    /// The same table with bytes for values.
    pub fn raw(&self) -> &TableHandle {
        &self.table
    }

    /// Deletes a key.
    pub fn delete(&self, key: impl Into<Bytes>) -> Delete {
        self.table.delete(key)
    }

    pub(super) fn view(&self) -> &Typed<T, C> {
        &self.view
    }
}

impl<T: DeserializeOwned + 'static, C: Codec> TypedTable<T, C> {
    /// Reads a key.
    pub fn get(&self, key: impl Into<Bytes>) -> Get<Typed<T, C>> {
        Get::new(self.table.clone(), key.into(), self.view.clone())
    }

    /// Reads many keys side by side: see [`GetMany`].
    pub fn get_many<K: Into<Bytes>>(&self, keys: impl IntoIterator<Item = K>) -> GetMany<Typed<T, C>> {
        GetMany::new(self.table.clone(), keys.into_iter().map(Into::into).collect(), self.view.clone())
    }

    /// Reads the whole table in the order of its keys' tokens: see [`Scan`].
    pub fn scan(&self) -> Scan<Typed<T, C>> {
        Scan::new(self.table.clone(), self.view.clone())
    }
}

impl<T: Serialize, C: Codec> TypedTable<T, C> {
    /// Writes a key. A value that cannot be encoded makes the write fail before anything is sent.
    pub fn put(&self, key: impl Into<Bytes>, value: &T) -> Put {
        Put::new(self.table.clone(), key.into(), encode(self.view.codec(), value))
    }

    /// Writes many keys side by side, each for itself: see [`PutMany`].
    pub fn put_many<K: Into<Bytes>, V: Borrow<T>>(&self, pairs: impl IntoIterator<Item = (K, V)>) -> PutMany {
        let encode = |(key, value): (K, V)| (key.into(), encode(self.view.codec(), value.borrow()));
        PutMany::new(self.table.clone(), pairs.into_iter().map(encode).collect())
    }
}

impl<T: Serialize + DeserializeOwned + 'static, C: Codec> TypedTable<T, C> {
    /// Reads a key, merges its values, the oldest write first, and writes the result in their place (`siblings` and `cas`
    /// tables): see [`Update`]. Nothing is written if a value cannot be decoded.
    ///
    /// A counter in a `cas` table, which counts each call once:
    ///
    /// ```
    /// # #[cfg(feature = "mock")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use quorate::client::TableKind;
    /// # let client = quorate::client::Mock::new().client();
    /// # client.create_table("counters").kind(TableKind::Cas).await?;
    /// let counters = client.table("counters").await?.typed::<u64>();
    /// for _ in 0..3 {
    ///     counters.update("visits", |count| count.first().unwrap_or(&0) + 1).await?;
    /// }
    /// assert_eq!(counters.get("visits").await?.value()?, Some(3));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "mock"))]
    /// # fn main() {}
    /// ```
    pub fn update(
        &self,
        key: impl Into<Bytes>,
        mut merge: impl FnMut(Vec<T>) -> T + Send + 'static,
    ) -> Update {
        let (key, view) = (key.into(), self.view.clone());
        Update::new(self.table.clone(), key.clone(), move |read| {
            let values = view.decode(&key, read.versions())?;
            Ok(encode(view.codec(), &merge(values)))
        })
    }
}

impl<T: DeserializeOwned, C: Codec> TypedRead<T, C> {
    pub(super) fn new(key: Bytes, read: Read, view: Typed<T, C>) -> Self {
        Self { key, read, view }
    }

    /// Every concurrent value, the oldest write first: none if the key is absent, and never more than one in `register`
    /// and `cas` tables.
    ///
    /// # Errors
    /// [`DecodeError`] of the first one that is none of `T`.
    pub fn values(&self) -> Result<Vec<T>, DecodeError> {
        self.view.decode(&self.key, self.read.versions())
    }

    /// The value, or `None` if the key is absent.
    ///
    /// # Errors
    /// See [`ValueError`].
    pub fn value(&self) -> Result<Option<T>, ValueError> {
        self.read.value()?;
        Ok(self.values()?.pop())
    }
}

impl<T, C> TypedRead<T, C> {
    /// Whether there are concurrent values, for the caller to merge.
    pub fn is_conflicted(&self) -> bool {
        self.read.is_conflicted()
    }

    /// What a write that replaces these values must carry.
    pub fn context(&self) -> Context {
        self.read.context()
    }

    /// How the answer came about.
    pub fn receipt(&self) -> &Receipt {
        self.read.receipt()
    }

    /// The same with bytes for values.
    pub fn raw(&self) -> &Read {
        &self.read
    }
}

impl<T: DeserializeOwned, C: Codec> TypedRow<T, C> {
    pub(super) fn new(row: ScannedRow, view: Typed<T, C>) -> Self {
        Self { row, view }
    }

    /// Every concurrent value, the oldest write first, at least one, and never more in `register` and `cas` tables.
    ///
    /// # Errors
    /// [`DecodeError`] of the first one that is none of `T`.
    pub fn values(&self) -> Result<Vec<T>, DecodeError> {
        self.view.decode(self.row.key(), self.row.versions())
    }

    /// The value.
    ///
    /// # Errors
    /// See [`ValueError`].
    pub fn value(&self) -> Result<T, ValueError> {
        self.row.value()?;
        self.values()?.pop().ok_or(ConcurrentValues { count: 0 }.into())
    }
}

impl<T, C> TypedRow<T, C> {
    /// The key.
    pub fn key(&self) -> &Bytes {
        self.row.key()
    }

    /// Whether there are concurrent values, for the caller to merge.
    pub fn is_conflicted(&self) -> bool {
        self.row.is_conflicted()
    }

    /// What a write that replaces these values must carry.
    pub fn context(&self) -> Context {
        self.row.context()
    }

    /// The same with bytes for values.
    pub fn raw(&self) -> &ScannedRow {
        &self.row
    }
}

impl<T: DeserializeOwned, C: Codec> Typed<T, C> {
    pub(super) fn decode(&self, key: &Bytes, versions: &[VersionedValue]) -> Result<Vec<T>, DecodeError> {
        let decode = |(at, version): (usize, &VersionedValue)| {
            self.codec().decode(&version.value).map_err(|reason| DecodeError {
                key: key.clone(),
                at,
                siblings: versions.len(),
                tag: version.tag,
                reason: reason.to_string(),
            })
        };
        versions.iter().enumerate().map(decode).collect()
    }
}

/// The bytes of a value, or why it has none.
pub(super) fn encode<T: Serialize>(codec: &impl Codec, value: &T) -> Result<Bytes, String> {
    codec.encode(value).map_err(|reason| reason.to_string())
}

impl<T, C: Clone> Clone for TypedTable<T, C> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), view: self.view.clone() }
    }
}

impl<T, C: fmt::Debug> fmt::Debug for TypedTable<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedTable").field("table", &self.table).field("view", &self.view).finish()
    }
}

impl<T, C: fmt::Debug> fmt::Debug for TypedRead<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedRead").field("key", &self.key).field("read", &self.read).finish_non_exhaustive()
    }
}

impl<T, C: fmt::Debug> fmt::Debug for TypedRow<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedRow").field("row", &self.row).finish_non_exhaustive()
    }
}
