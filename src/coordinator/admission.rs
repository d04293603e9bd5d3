//! How many requests a node takes at a time (rule Q11).

use std::collections::BTreeMap;

use crate::{
    node::{ClientId, NodeConfig},
    wire::Failure,
};

/// Counts requests under way, in all and per client. Full means refused at once, never queued.
#[derive(Debug, Default)]
pub(super) struct Admission {
    in_flight: usize,
    per_client: BTreeMap<ClientId, usize>,
}

impl Admission {
    /// Takes a request in, or says when to come back.
    pub(super) fn admit(&mut self, config: &NodeConfig, client: ClientId) -> Result<(), Failure> {
        let of_client = self.per_client.entry(client).or_default();
        if self.in_flight >= config.requests_max || *of_client >= config.requests_per_client_max {
            return Err(Failure::Overloaded { retry_after_ms: RETRY_AFTER_MS });
        }
        self.in_flight += 1;
        *of_client += 1;
        Ok(())
    }

    /// A request ended.
    pub(super) fn release(&mut self, client: ClientId) {
        self.in_flight -= 1;
        if let Some(of_client) = self.per_client.get_mut(&client) {
            *of_client = of_client.saturating_sub(1);
        }
    }

    /// A client left; what it left under way still counts in all.
    pub(super) fn client_gone(&mut self, client: ClientId) {
        self.per_client.remove(&client);
    }

    /// Requests under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }
}

/// A few batches of the commit thread.
const RETRY_AFTER_MS: u32 = 20;
