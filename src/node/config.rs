//! Settings of one node's core.

use quorate_ring::{Actor, Duration, NodeId};

use crate::membership::map::Settings;

/// Settings of one node's core. Whoever makes one has checked the bounds.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Which member of the ring it is.
    pub node: NodeId,
    /// Which process: drawn at random at each start.
    pub actor: Actor,
    /// The cluster's name.
    pub cluster_name: String,
    /// What is set alike on all nodes, for the cluster map to say; empty to leave the map as it is.
    pub settings: Settings,
    /// The longest value it takes, in bytes; equal across the cluster.
    pub value_bytes_max: usize,
    /// The longest deadline that a client can ask for. Too short and slow disks fail requests; too long
    /// and requests to a dead replica hold their memory.
    pub request_timeout_max: Duration,
    /// How long the replicas asked first have at most before another one is asked. Reads learn how long each
    /// usually takes and wait no longer than that, as a budget allows. Too short and load doubles; too long and
    /// one slow replica shows in the latency.
    pub hedge_delay: Duration,
    /// How far apart the clocks of working nodes can be (rule V2). Too small and nodes refuse each other's
    /// writes; too large and a broken clock holds up the keys that it touched for so long. Equal across the
    /// cluster.
    pub max_clock_offset: Duration,
    /// The most that is kept for one node that is down, in bytes; beyond, hints are dropped (rule H2).
    pub hint_bytes_max: u64,
    /// How long a hint is kept. Longer outages are left to anti-entropy.
    pub hint_age_max: Duration,
    /// Timings of gossip. Too quick and a slow network looks like dead nodes, each of which costs a reconnection; too
    /// slow and requests wait for the dead.
    pub gossip: quorate_gossip::Config,
    /// Of so many reads below QUORUM one compares all replicas in the background (rule Q8); 0 for none. Many, and
    /// replicas that differ stay different until anti-entropy; few, and reads at ONE cost as much as at ALL.
    pub compare_one_in: u32,
    /// Requests of clients in flight; beyond, they are refused as overloaded. One peer forwards half of it at most.
    pub requests_max: usize,
    /// Requests of one client in flight; beyond, they are refused as overloaded.
    pub requests_per_client_max: usize,
    /// Requests of peers waiting for the disk; beyond, they are refused as overloaded. One peer has half of it at
    /// most.
    pub replica_requests_max: usize,
    /// What is remembered of this replica's durable states, in bytes, so that reads of keys that were read lately do not
    /// wait for the disk; 0 for nothing.
    pub state_cache_bytes: u64,
    /// A protocol mistake for the simulator to catch.
    #[cfg(feature = "mutants")]
    pub mutant: Option<super::Mutant>,
}

impl NodeConfig {
    /// Settings for production.
    pub fn new(node: NodeId, actor: Actor, cluster_name: impl Into<String>) -> Self {
        Self {
            node,
            actor,
            cluster_name: cluster_name.into(),
            settings: Settings::default(),
            value_bytes_max: crate::wire::VALUE_BYTES_MAX,
            request_timeout_max: Duration::from_secs(30),
            hedge_delay: Duration::from_millis(25),
            max_clock_offset: Duration::from_millis(500),
            hint_bytes_max: 256 * 1024 * 1024,
            hint_age_max: Duration::from_secs(3 * 3_600),
            gossip: quorate_gossip::Config::lan(),
            compare_one_in: 16,
            requests_max: 8_192,
            requests_per_client_max: 4_096,
            replica_requests_max: 16_384,
            state_cache_bytes: 64 * 1024 * 1024,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// How many of so many requests may be those of one peer (rule Q11): half, and one at least.
    pub fn share_of_peer(requests_max: usize) -> usize {
        requests_max.div_ceil(2)
    }
}
