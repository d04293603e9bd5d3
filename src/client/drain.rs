//! Telling a node to stop, and what one node by name sees.

use quorate_ring::NodeId;

use super::{
    CatalogError, Client, Nature,
    errors::{CallError, Cause},
    routing::Route,
};
use crate::wire::{ClientMessage, DescribeNodes, Drain, Draining, NodesDescribed};

impl Client {
    /// Tells a node to stop in order: it takes no requests of clients any more, ends those that are under way, gives away
    /// the hints that it keeps for nodes that it reaches, and ends its process. That takes as long as its `drain_timeout` at
    /// most, and begins with the answer. Clients go to other nodes and lose nothing. Asked again it says the same.
    ///
    /// Whatever supervises the process may start it again at once: tell that to stop it instead.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub async fn drain(&self, node: NodeId) -> Result<Draining, CatalogError> {
        let session = self.session();
        let terms = session.terms_within(None);
        let answer = session
            .request(Drain {}.into(), Route::Only(node), Nature::Write { idempotent: true }, &terms)
            .await?;
        match answer {
            (_, ClientMessage::Draining(draining)) => Ok(draining),
            (node, _) => Err(CallError::not_applied(Cause::UnexpectedAnswer { node }).into()),
        }
    }

    /// [`nodes`](Self::nodes), as `node` sees them: nobody else is asked.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub async fn nodes_seen_by(&self, node: NodeId) -> Result<NodesDescribed, CatalogError> {
        let session = self.session();
        let (route, terms) = (Route::Only(node), session.terms_within(None));
        match session.request(DescribeNodes {}.into(), route, Nature::Read, &terms).await? {
            (_, ClientMessage::NodesDescribed(nodes)) => Ok(nodes),
            (node, _) => Err(CallError::not_applied(Cause::UnexpectedAnswer { node }).into()),
        }
    }
}
