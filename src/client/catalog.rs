//! Questions about tables and the cluster, and making tables.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use quorate_ring::{Consistency, Table, TableKind};

use super::{
    CatalogError, Client, CreateTableError, Nature, TableHandle,
    errors::{CallError, Cause},
    routing::Route,
    session::Terms,
};
use crate::wire::{
    self, ClientMessage, ClusterInfo, DescribeCluster, DescribeNodes, Failure, ListTables, NodesDescribed,
};

impl Client {
    /// The table called `name`, to read and write it.
    ///
    /// ```no_run
    /// # async fn example(client: quorate::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let carts = client.table("carts").await?;
    /// carts.put("alice", "2 apples").await?;
    /// assert_eq!(carts.get("alice").await?.value()?.map(|v| &v[..]), Some(&b"2 apples"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Failure::UnknownTable`] if there is none, and what [`Client::tables`] gives.
    pub async fn table(&self, name: &str) -> Result<TableHandle, CatalogError> {
        let table = self.find_table(name).await?;
        Ok(TableHandle::new(self.clone(), table))
    }

    /// All tables, in the order of their names.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub async fn tables(&self) -> Result<Vec<Table>, CatalogError> {
        self.tables_by(&self.session().terms_within(None)).await
    }

    /// The same within `timeout`, if there is one.
    pub(crate) async fn tables_within(&self, timeout: Option<Duration>) -> Result<Vec<Table>, CatalogError> {
        self.tables_by(&self.session().terms_within(timeout)).await
    }

    /// The cluster as one of its nodes sees it.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub async fn cluster_info(&self) -> Result<ClusterInfo, CatalogError> {
        let terms = self.session().terms_within(None);
        match self.ask(DescribeCluster {}.into(), &terms).await? {
            (_, ClientMessage::ClusterInfo(info)) => Ok(info),
            (node, _) => Err(CallError::not_applied(Cause::UnexpectedAnswer { node }).into()),
        }
    }

    /// What one of the cluster's nodes knows of each of them: who answers, who reaches whom, and how each is. The node that
    /// answers is the one that the contact points led to; another one while it cannot be reached.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub async fn nodes(&self) -> Result<NodesDescribed, CatalogError> {
        let session = self.session();
        let (route, terms) = (Route::Node(session.contact()), session.terms_within(None));
        match session.request(DescribeNodes {}.into(), route, Nature::Read, &terms).await? {
            (_, ClientMessage::NodesDescribed(nodes)) => Ok(nodes),
            (node, _) => Err(CallError::not_applied(Cause::UnexpectedAnswer { node }).into()),
        }
    }

    /// Creates a table. More than half of the nodes must be up. An attempt whose outcome is unknown is repeated under the
    /// same name, so that the table is created once.
    ///
    /// ```no_run
    /// # async fn example(client: quorate::client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use quorate::client::{Consistency, TableKind};
    ///
    /// client.create_table("carts").await?; // siblings, on three nodes, read and written at QUORUM
    /// let readings = client.create_table("readings").kind(TableKind::Register).replication(3);
    /// readings.read_consistency(Consistency::One).write_consistency(Consistency::All).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_table(&self, name: impl Into<String>) -> CreateTable {
        let request = wire::CreateTable::new(self.session().change_name(), name, TableKind::default());
        CreateTable { client: self.clone(), request, timeout: None }
    }

    /// The definition of the table called `name`.
    pub(super) async fn find_table(&self, name: &str) -> Result<Table, CatalogError> {
        self.find_table_within(name, None).await
    }

    /// The same within `timeout`, if there is one.
    pub(crate) async fn find_table_within(
        &self,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<Table, CatalogError> {
        self.find_table_by(name, &self.session().terms_within(timeout)).await
    }

    /// The same, asked for on these terms.
    pub(super) async fn find_table_by(&self, name: &str, terms: &Terms) -> Result<Table, CatalogError> {
        let found = self.tables_by(terms).await?.into_iter().find(|table| table.name == name);
        let unknown = Failure::UnknownTable { name: name.to_owned() };
        found.ok_or_else(|| CallError::not_applied(Cause::Failed(unknown)).into())
    }

    async fn tables_by(&self, terms: &Terms) -> Result<Vec<Table>, CatalogError> {
        match self.ask(ListTables {}.into(), terms).await? {
            (_, ClientMessage::Tables(tables)) => Ok(tables.tables),
            (node, _) => Err(CallError::not_applied(Cause::UnexpectedAnswer { node }).into()),
        }
    }

    async fn ask(
        &self,
        message: ClientMessage,
        terms: &Terms,
    ) -> Result<(quorate_ring::NodeId, ClientMessage), CatalogError> {
        Ok(self.session().request(message, Route::Anyone, Nature::Read, terms).await?)
    }
}

/// A table about to be created: set what differs from the defaults, then await it.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct CreateTable {
    client: Client,
    request: wire::CreateTable,
    timeout: Option<Duration>,
}

impl CreateTable {
    /// How versions of a key merge. By default `siblings`.
    pub fn kind(mut self, kind: TableKind) -> Self {
        self.request.kind = kind;
        self
    }

    /// N, on how many nodes each key lives. By default 3, or the number of nodes if fewer.
    pub fn replication(mut self, replication: u8) -> Self {
        self.request.replication = Some(replication);
        self
    }

    /// The level of reads that name none. By default QUORUM; ANY is for writes only.
    pub fn read_consistency(mut self, consistency: Consistency) -> Self {
        self.request.read_consistency = consistency;
        self
    }

    /// The level of writes that name none. By default QUORUM; ANY is for `siblings` tables only.
    pub fn write_consistency(mut self, consistency: Consistency) -> Self {
        self.request.write_consistency = consistency;
        self
    }

    /// How long it may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    async fn send(self) -> Result<Table, CreateTableError> {
        let session = self.client.session();
        let terms = session.terms_within(self.timeout);
        let nature = Nature::Write { idempotent: true };
        match session.request(self.request.into(), Route::Anyone, nature, &terms).await? {
            (_, ClientMessage::TableCreated(created)) => Ok(created.table),
            (node, _) => Err(CallError::unknown(Cause::UnexpectedAnswer { node }).into()),
        }
    }
}

impl IntoFuture for CreateTable {
    type Output = Result<Table, CreateTableError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
