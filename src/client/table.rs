//! A table to read and write.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use quorate_ring::Table;
use tokio::time::{Instant, timeout_at};

use super::{
    Client, Delete, Get, GetMany, Nature, Profile, Put, PutMany, Raw, Scan, Update,
    errors::{CallError, Cause},
    known::Known,
    routing::Route,
    session::Terms,
};
use crate::wire::{ClientMessage, Failure};

/// A table of a cluster. Cheap to clone. If the table is dropped and created again, the handle finds the new
/// one.
#[derive(Clone, Debug)]
pub struct TableHandle {
    client: Client,
    table: Arc<RwLock<Table>>,
    profile: Profile,
    name: Arc<str>,
}

impl TableHandle {
    pub(super) fn new(client: Client, table: Table) -> Self {
        let profile = client.session().profile().clone();
        let name = table.name.as_str().into();
        Self { client, table: Arc::new(RwLock::new(table)), profile, name }
    }

    /// The handle of a table that is shared with others, for requests that go by `profile`.
    pub(super) fn known(client: Client, known: Known, profile: &Profile) -> Self {
        let Known { name, table, .. } = known;
        let profile = profile.over(client.session().profile());
        Self { client, table, profile, name }
    }

    /// The table as it was last seen.
    pub fn definition(&self) -> Table {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same table, with requests that go by `profile` in what they do not say themselves. What the profile does not
    /// say stays as it is for this handle.
    #[must_use = "it is another handle"]
    pub fn with_profile(&self, profile: &Profile) -> Self {
        Self { profile: profile.over(&self.profile), ..self.clone() }
    }

    /// Reads a key.
    pub fn get(&self, key: impl Into<Bytes>) -> Get {
        Get::new(self.clone(), key.into(), Raw)
    }

    /// Writes a key.
    pub fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Put {
        Put::new(self.clone(), key.into(), Ok(value.into()))
    }

    /// Reads the whole table in the order of its keys' tokens: see [`Scan`].
    ///
    /// ```no_run
    /// # async fn example(carts: quorate::client::TableHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut scan = carts.scan();
    /// while let Some(row) = scan.next().await? {
    ///     println!("{:?} has {} values", row.key(), row.values().len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn scan(&self) -> Scan {
        Scan::new(self.clone(), Raw)
    }

    /// Reads many keys side by side; the answers come in the order of the keys: see [`GetMany`].
    ///
    /// ```no_run
    /// # async fn example(carts: quorate::client::TableHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// for (key, read) in carts.get_many(["alice", "bob"]).await {
    ///     println!("{key:?}: {:?}", read?.values());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_many<K: Into<Bytes>>(&self, keys: impl IntoIterator<Item = K>) -> GetMany {
        GetMany::new(self.clone(), keys.into_iter().map(Into::into).collect(), Raw)
    }

    /// Writes many keys side by side, each for itself; what became of each comes in their order: see [`PutMany`].
    ///
    /// ```no_run
    /// # async fn example(carts: quorate::client::TableHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// use quorate::client::Outcome;
    ///
    /// let mut again = Vec::new();
    /// for (key, written) in carts.put_many([("alice", "2 apples"), ("bob", "a pear")]).await {
    ///     match written {
    ///         Ok(_) => {}
    ///         Err(error) if error.outcome() == Outcome::NotApplied => again.push(key),
    ///         Err(error) => return Err(error.into()), // it may have been written
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_many<K: Into<Bytes>, V: Into<Bytes>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> PutMany {
        let pair = |(key, value): (K, V)| (key.into(), Ok(value.into()));
        PutMany::new(self.clone(), pairs.into_iter().map(pair).collect())
    }

    /// Reads a key, merges its values and writes the result in their place (`siblings` and `cas` tables): see [`Update`].
    ///
    /// ```no_run
    /// # async fn example(carts: quorate::client::TableHandle) -> Result<(), Box<dyn std::error::Error>> {
    /// // A cart is a list of lines; the union of all siblings, and one more.
    /// carts
    ///     .update("alice", |values| {
    ///         let lines = values.iter().flat_map(|value| value.split(|byte| *byte == b'\n'));
    ///         let mut lines: std::collections::BTreeSet<&[u8]> = lines.collect();
    ///         lines.insert(b"apples");
    ///         lines.into_iter().collect::<Vec<_>>().join(&b'\n')
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn update<V: Into<Bytes>>(
        &self,
        key: impl Into<Bytes>,
        mut merge: impl FnMut(&[Bytes]) -> V + Send + 'static,
    ) -> Update {
        Update::new(self.clone(), key.into(), move |read| Ok(Ok(merge(read.values()).into())))
    }

    /// Deletes a key.
    pub fn delete(&self, key: impl Into<Bytes>) -> Delete {
        Delete::new(self.clone(), key.into())
    }

    /// What requests go by that say nothing themselves.
    pub(super) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// When a request that goes by the handle's profile alone must be done if it starts now.
    pub(crate) fn deadline(&self) -> Instant {
        self.terms(&self.profile).deadline
    }

    /// The terms of a request that starts now.
    pub(super) fn terms(&self, profile: &Profile) -> Terms {
        let mut terms = self.client.session().terms(profile);
        terms.table = Some(self.name.clone());
        terms
    }

    /// Carries out a request about `key`. If the node does not know the table's id any more, the id is looked
    /// up once more: such a request was not applied.
    pub(super) async fn request(
        &self,
        key: &[u8],
        nature: Nature,
        terms: &Terms,
        message: impl Fn(&Table) -> ClientMessage,
    ) -> Result<(quorate_ring::NodeId, ClientMessage), CallError> {
        self.request_by(|table| Route::Key(key, table.replication), nature, terms, message).await
    }

    /// The same about what `route` leads to.
    pub(super) async fn request_by<'k>(
        &self,
        route: impl Fn(&Table) -> Route<'k>,
        nature: Nature,
        terms: &Terms,
        message: impl Fn(&Table) -> ClientMessage,
    ) -> Result<(quorate_ring::NodeId, ClientMessage), CallError> {
        let send = async || {
            let (message, route) = {
                let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
                (message(&table), route(&table))
            };
            self.client.session().request(message, route, nature, terms).await
        };
        match send().await {
            Err(error) if error.is_unknown_table() => {
                if self.refresh(terms).await {
                    send().await
                } else {
                    Err(self.named(error))
                }
            }
            result => result,
        }
    }

    /// Looks the table up again; whether it has another id now.
    async fn refresh(&self, terms: &Terms) -> bool {
        let old = self.definition();
        let found = timeout_at(terms.deadline, self.client.find_table(&old.name)).await;
        let Ok(Ok(new)) = found else { return false };
        let changed = new.id != old.id;
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = new;
        changed
    }

    /// Nodes know a table that is gone by its id only; people know its name.
    fn named(&self, mut error: CallError) -> CallError {
        if let Cause::Failed(Failure::UnknownTable { name }) = &mut error.cause {
            *name = self.definition().name;
        }
        error
    }
}
