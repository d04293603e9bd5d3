//! Altering, dropping and truncating tables.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use quorate_ring::{Consistency, NodeId, Table};

use super::{
    ChangeTableError, Client, Nature,
    errors::{CallError, Cause},
    routing::Route,
};
use crate::wire::{self, ClientMessage};

impl Client {
    /// Gives the table called `name` other options. Options that are not named stay.
    ///
    /// ```no_run
    /// # async fn example(client: quorate::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use quorate::client::Consistency;
    ///
    /// client.alter_table("readings").read_consistency(Consistency::One).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn alter_table(&self, name: impl Into<String>) -> AlterTable {
        let (read_consistency, write_consistency) = (None, None);
        let change = self.session().change_name();
        let request = wire::AlterTable { change, name: name.into(), read_consistency, write_consistency };
        AlterTable { client: self.clone(), request, timeout: None }
    }

    /// Drops the table called `name` with all that is in it. Once that is done no read or write at QUORUM or above
    /// meets the table, whichever node is asked.
    ///
    /// # Errors
    /// See [`ChangeTableError`].
    pub async fn drop_table(&self, name: impl Into<String>) -> Result<(), ChangeTableError> {
        self.drop_table_within(name, None).await
    }

    /// The same within `timeout`, if there is one.
    pub(crate) async fn drop_table_within(
        &self,
        name: impl Into<String>,
        timeout: Option<Duration>,
    ) -> Result<(), ChangeTableError> {
        let request = wire::DropTable { change: self.session().change_name(), name: name.into() };
        self.change_table(request.into(), timeout).await.map(drop)
    }

    /// Drops all that is in the table called `name`. Once that is done no read at QUORUM or above finds what was
    /// there, whichever node is asked. Handles of the table go on with the empty one.
    ///
    /// # Errors
    /// See [`ChangeTableError`].
    pub async fn truncate_table(&self, name: impl Into<String>) -> Result<(), ChangeTableError> {
        self.truncate_table_within(name, None).await
    }

    /// The same within `timeout`, if there is one.
    pub(crate) async fn truncate_table_within(
        &self,
        name: impl Into<String>,
        timeout: Option<Duration>,
    ) -> Result<(), ChangeTableError> {
        let request = wire::TruncateTable { change: self.session().change_name(), name: name.into() };
        self.change_table(request.into(), timeout).await.map(drop)
    }

    /// The change is named, so an attempt whose outcome is unknown is repeated and still happens once.
    async fn change_table(
        &self,
        request: ClientMessage,
        timeout: Option<Duration>,
    ) -> Result<(NodeId, Option<Table>), ChangeTableError> {
        let session = self.session();
        let nature = Nature::Write { idempotent: true };
        match session.request(request, Route::Anyone, nature, &session.terms_within(timeout)).await? {
            (node, ClientMessage::TableChanged(changed)) => Ok((node, changed.table)),
            (node, _) => Err(CallError::unknown(Cause::UnexpectedAnswer { node }).into()),
        }
    }
}

/// A table about to be altered: set what changes, then await it.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct AlterTable {
    client: Client,
    request: wire::AlterTable,
    timeout: Option<Duration>,
}

impl AlterTable {
    /// The level of reads that name none. ANY is for writes only.
    pub fn read_consistency(mut self, consistency: Consistency) -> Self {
        self.request.read_consistency = Some(consistency);
        self
    }

    /// The level of writes that name none. ANY is for `siblings` tables only.
    pub fn write_consistency(mut self, consistency: Consistency) -> Self {
        self.request.write_consistency = Some(consistency);
        self
    }

    /// How long it may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn send(self) -> Result<Table, ChangeTableError> {
        let (node, changed) = self.client.change_table(self.request.into(), self.timeout).await?;
        changed.ok_or_else(|| CallError::unknown(Cause::UnexpectedAnswer { node }).into())
    }
}

impl IntoFuture for AlterTable {
    type Output = Result<Table, ChangeTableError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
