//! How many requests a node takes at a time (rule Q11).

use std::collections::BTreeMap;

use super::operation::Origin;
use crate::{node::NodeConfig, wire::Failure};

/// Counts requests under way, in all and per client or forwarding peer. Full means refused at once, never queued.
#[derive(Debug, Default)]
pub(super) struct Admission {
    in_flight: usize,
    per_origin: BTreeMap<Origin, usize>,
}

impl Admission {
    /// Takes a request in, or says when to come back.
    pub(super) fn admit(&mut self, config: &NodeConfig, origin: Origin) -> Result<(), Failure> {
        let of_origin = self.per_origin.entry(origin).or_default();
        let most = match origin {
            Origin::Client(_) => config.requests_per_client_max,
            // A peer stands for all of its clients.
            Origin::Peer(_) => config.requests_max,
        };
        if self.in_flight >= config.requests_max || *of_origin >= most {
            return Err(Failure::Overloaded { retry_after_ms: RETRY_AFTER_MS });
        }
        self.in_flight += 1;
        *of_origin += 1;
        Ok(())
    }

    /// A request ended.
    pub(super) fn release(&mut self, origin: Origin) {
        self.in_flight -= 1;
        if let Some(of_origin) = self.per_origin.get_mut(&origin) {
            *of_origin = of_origin.saturating_sub(1);
        }
    }

    /// A client or peer left; what it left under way still counts in all.
    pub(super) fn gone(&mut self, origin: Origin) {
        self.per_origin.remove(&origin);
    }

    /// Requests under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }
}

/// A few batches of the commit thread.
const RETRY_AFTER_MS: u32 = 20;
