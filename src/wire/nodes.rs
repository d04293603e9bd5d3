//! What nodes say of themselves and of each other: the answer to who asks how the cluster is.

use quorate_ring::{Epoch, Incarnation, NodeId};
use serde::{Deserialize, Serialize};

use super::ClusterInfo;

/// Asks a node what it knows of every member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeNodes {}

/// The answer to [`DescribeNodes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodesDescribed {
    /// The cluster as the node that answers sees it.
    pub cluster: ClusterInfo,
    /// Every member, by its id, the node that answers among them.
    pub nodes: Vec<NodeStatus>,
}

/// What one node knows of a member, itself included. What the member says of itself is as old as the gossip that carried
/// it; what was not heard is `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The member.
    pub node: NodeId,
    /// What gossip says of it.
    pub verdict: Verdict,
    /// Whether the node that answers is connected to it, and uses it.
    pub connected: bool,
    /// What it says of itself for as long as its process runs.
    pub about: Option<About>,
    /// How far it has come, in its own words.
    pub progress: Option<Progress>,
    /// Whom it has not reached for some seconds although gossip hears of them, in its own words; the first 64.
    pub unreachable: Option<Vec<NodeId>>,
    /// How it is, in its own words.
    pub vitals: Option<Vitals>,
}

/// What gossip holds of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It was never heard of.
    Unheard,
    /// It answers.
    Alive,
    /// Probes of it failed; it has time to object.
    Suspect,
    /// It did not object in time.
    Dead,
    /// It said goodbye.
    Left,
}

/// What a node says of itself for as long as its process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The address at which it expects to be found.
    pub address: String,
    /// Its rack.
    pub rack: String,
    /// Which life of its disk.
    pub incarnation: Incarnation,
    /// How often processes have started on that disk, this one counted.
    pub starts: u64,
    /// The program's version.
    pub version: String,
}

/// How far a node has come since it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The cluster map that it goes by.
    pub epoch: Epoch,
    /// Whether it acts as a member (rule M1).
    pub serves: bool,
    /// How many tables it recovers (rule R7).
    pub recovering: u64,
}

/// How a node is. Refreshed every five seconds, more seldom in clusters of more than 25 nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// Requests of clients per second, of late.
    pub requests_per_s: u64,
    /// Hints that it keeps for other nodes.
    pub hints: u64,
    /// How many seconds ago it was last found to hold the same as those peers that it reaches, all of them counted; none
    /// before it was, since its process started.
    pub agreed_ago_s: Option<u64>,
    /// Bytes of its data directory, journals included.
    pub disk_used: u64,
    /// Bytes free on its file system.
    pub disk_free: u64,
}

/// Asks a node to stop in order: to take no requests of clients any more, to end those that are under way, to give away the
/// hints that it can, and to end its process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {}

/// The answer to [`Drain`]: it does so from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// The node.
    pub node: NodeId,
    /// Hints that it keeps for nodes that it reaches: they are given away before it stops, if there is time.
    pub hints: u64,
}
