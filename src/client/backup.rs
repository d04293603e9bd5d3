//! Having a node write a backup.

use quorate_ring::NodeId;

use super::{
    CatalogError, Client,
    errors::{CallError, Cause},
    policy::Nature,
    routing::Route,
};
use crate::wire::{BackUp, BackupDescribed, ClientMessage, DescribeBackup};

impl Client {
    /// Has a node write a backup of what it holds at this moment, called `name`, on its own disk. It is written beside other
    /// work, at `bytes_per_s` at most, and takes long: see [`backup_status`](Self::backup_status). One is written at a time;
    /// asked again for the one that is under way, the node says how far it is. A name that was used is refused.
    ///
    /// What is in it is what this one node holds. A write that QUORUM acknowledged is in at least one of the backups of
    /// M - Q + 1 nodes, of M members.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub async fn back_up(
        &self,
        node: NodeId,
        name: impl Into<String>,
        bytes_per_s: Option<u64>,
    ) -> Result<BackupDescribed, CatalogError> {
        self.ask_about_backup(node, BackUp { name: name.into(), bytes_per_s }.into()).await
    }

    /// How far a node's backup is: the one that is under way, or was last.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub async fn backup_status(&self, node: NodeId) -> Result<BackupDescribed, CatalogError> {
        self.ask_about_backup(node, DescribeBackup {}.into()).await
    }

    async fn ask_about_backup(
        &self,
        node: NodeId,
        question: ClientMessage,
    ) -> Result<BackupDescribed, CatalogError> {
        let session = self.session();
        let terms = session.terms_within(None);
        match session.request(question, Route::Only(node), Nature::Write { idempotent: true }, &terms).await?
        {
            (_, ClientMessage::BackupDescribed(described)) => Ok(described),
            (node, _) => Err(CallError::not_applied(Cause::UnexpectedAnswer { node }).into()),
        }
    }
}
