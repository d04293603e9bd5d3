//! Whom to ask, and what it means if somebody does not answer.

use std::collections::BTreeMap;

use quorate::{
    client::{Client, FromEach},
    ring::NodeId,
    shell::gone,
};

use crate::Failure;

/// Who is there in the eyes of the node that the client came to: the others are not asked, and so not waited for.
pub(crate) struct Presence {
    pub(crate) there: Vec<NodeId>,
    /// Each with why it is not there.
    gone: BTreeMap<NodeId, &'static str>,
}

impl Presence {
    /// As it is now.
    pub(crate) async fn of_all(client: &Client) -> Result<Self, Failure> {
        let described = client.nodes().await.map_err(Failure::request)?;
        let gone: BTreeMap<_, _> =
            described.nodes.iter().filter_map(|status| Some((status.node, gone(status)?))).collect();
        let nodes = described.nodes.iter().map(|status| status.node);
        Ok(Self { there: nodes.filter(|node| !gone.contains_key(node)).collect(), gone })
    }

    /// The same of `nodes` alone.
    pub(crate) async fn of(client: &Client, nodes: &[NodeId]) -> Result<Self, Failure> {
        let mut presence = Self::of_all(client).await?;
        presence.there.retain(|node| nodes.contains(node));
        presence.gone.retain(|node, _| nodes.contains(node));
        Ok(presence)
    }

    /// What was printed is not everything if somebody did not answer: scripts must not take it for that.
    pub(crate) fn all_answered<T>(&self, answers: &FromEach<T>) -> Result<(), Failure> {
        let gone = self.gone.iter().map(|(node, why)| format!("{node} {why}"));
        let silent =
            answers.iter().filter_map(|(node, answer)| Some(format!("{node}: {}", answer.as_ref().err()?)));
        let missing: Vec<_> = gone.chain(silent).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Failure::request(format_args!("not every node has answered: {}", missing.join("; "))))
    }
}
