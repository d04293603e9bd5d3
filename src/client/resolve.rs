//! Making one value of concurrent ones.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{Codec, DecodeError, Read, ScannedRow, TableHandle, TypedRead, TypedRow, TypedTable, Update};

/// Makes one value of two concurrent ones; of more it is made pair by pair, the oldest write first. Closures that do so
/// are resolvers too.
///
/// Two programs that resolve the same values should come to the same one, or they make new concurrent values.
///
/// ```
/// use std::collections::BTreeSet;
/// use quorate::client::{Latest, Resolve, Union};
///
/// let mut longer = |a: String, b: String| if a.len() < b.len() { b } else { a };
/// assert_eq!(longer.resolve("ab".to_owned(), "abc".to_owned()), "abc");
/// assert_eq!(Latest.resolve("first", "second"), "second");
/// assert_eq!(Union.resolve(BTreeSet::from([1, 2]), BTreeSet::from([2, 3])), BTreeSet::from([1, 2, 3]));
/// ```
pub trait Resolve<V> {
    /// The one value that `older` and `newer` come to. Which is which is by the clocks of the nodes that wrote them.
    fn resolve(&mut self, older: V, newer: V) -> V;
}

impl<V, F: FnMut(V, V) -> V> Resolve<V> for F {
    fn resolve(&mut self, older: V, newer: V) -> V {
        self(older, newer)
    }
}

/// Keeps the value that was written last by the nodes' clocks, as a `register` table would. The others are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latest;

/// Puts all that is in any of the values into one: sets, and maps, of which the value written last wins under each key.
/// What one writer has taken out and another had not is in it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Union;

impl<V> Resolve<V> for Latest {
    fn resolve(&mut self, _older: V, newer: V) -> V {
        newer
    }
}

impl<V: IntoIterator + Extend<V::Item>> Resolve<V> for Union {
    fn resolve(&mut self, mut older: V, newer: V) -> V {
        older.extend(newer);
        older
    }
}

/// What `resolver` makes of the values of a key; none of none.
fn resolve_all<V>(values: impl IntoIterator<Item = V>, resolver: &mut impl Resolve<V>) -> Option<V> {
    values.into_iter().reduce(|older, newer| resolver.resolve(older, newer))
}

impl TableHandle {
    /// Reads a key, has `resolver` make one value of concurrent ones, changes that, or `None` if the key is absent, and
    /// writes the result in their place (`siblings` and `cas` tables): see [`Update`].
    ///
    /// ```no_run
    /// # async fn example(client: quorate::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::collections::BTreeSet;
    /// use quorate::client::Union;
    ///
    /// let carts = client.table("carts").await?.typed::<BTreeSet<String>>();
    /// let add = |cart: Option<BTreeSet<_>>| {
    ///     let mut cart = cart.unwrap_or_default();
    ///     cart.insert("apples".to_owned());
    ///     cart
    /// };
    /// carts.update_with("alice", Union, add).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_with<V: Into<Bytes>>(
        &self,
        key: impl Into<Bytes>,
        mut resolver: impl Resolve<Bytes> + Send + 'static,
        mut change: impl FnMut(Option<Bytes>) -> V + Send + 'static,
    ) -> Update {
        self.update(key, move |values| change(resolve_all(values.iter().cloned(), &mut resolver)))
    }
}

impl<T: Serialize + DeserializeOwned + 'static, C: Codec> TypedTable<T, C> {
    /// Reads a key, has `resolver` make one value of concurrent ones, changes that, and writes the result: see
    /// [`TableHandle::update_with`].
    pub fn update_with(
        &self,
        key: impl Into<Bytes>,
        mut resolver: impl Resolve<T> + Send + 'static,
        mut change: impl FnMut(Option<T>) -> T + Send + 'static,
    ) -> Update {
        self.update(key, move |values| change(resolve_all(values, &mut resolver)))
    }
}

impl Read {
    /// The value, made by `resolver` if there are concurrent ones, or `None` if the key is absent. The cluster holds them
    /// all until one is written with the read's [context](Self::context).
    ///
    /// ```no_run
    /// # async fn example(carts: quorate::client::TableHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// use quorate::client::Latest;
    ///
    /// let read = carts.get("alice").await?;
    /// if let (Some(cart), true) = (read.resolved(Latest), read.is_conflicted()) {
    ///     carts.put("alice", cart).context(read.context()).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn resolved(&self, mut resolver: impl Resolve<Bytes>) -> Option<Bytes> {
        resolve_all(self.values().iter().cloned(), &mut resolver)
    }
}

impl ScannedRow {
    /// The value, made by `resolver` if there are concurrent ones: see [`Read::resolved`]. Never `None`.
    pub fn resolved(&self, mut resolver: impl Resolve<Bytes>) -> Option<Bytes> {
        resolve_all(self.values().iter().cloned(), &mut resolver)
    }
}

impl<T: DeserializeOwned, C: Codec> TypedRead<T, C> {
    /// The value, made by `resolver` if there are concurrent ones, or `None` if the key is absent: see
    /// [`Read::resolved`].
    ///
    /// # Errors
    /// [`DecodeError`] of the first value that is none of `T`.
    pub fn resolved(&self, mut resolver: impl Resolve<T>) -> Result<Option<T>, DecodeError> {
        Ok(resolve_all(self.values()?, &mut resolver))
    }
}

impl<T: DeserializeOwned, C: Codec> TypedRow<T, C> {
    /// The value, made by `resolver` if there are concurrent ones: see [`Read::resolved`]. Never `None`.
    ///
    /// # Errors
    /// [`DecodeError`] of the first value that is none of `T`.
    pub fn resolved(&self, mut resolver: impl Resolve<T>) -> Result<Option<T>, DecodeError> {
        Ok(resolve_all(self.values()?, &mut resolver))
    }
}
