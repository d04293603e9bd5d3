//! What nodes count, where it says something that can be judged.

use quorate::node::Observation;

use super::World;
use crate::{invariants::Agreement, options::time};

impl World {
    /// A node counts something.
    pub(super) fn observed(&mut self, number: usize, observation: &Observation) {
        match observation {
            Observation::Member { node, state } => {
                self.trace.line(|| format!("{} n{} holds {node} {state}", time(self.now), number + 1));
            }
            Observation::Agreed { peer, table, set, since } => {
                let at = self.processes[number].clock.when(*since);
                let nodes = (number, peer.0 as usize - 1);
                self.oracle.agreed(Agreement { nodes, table: *table, set: *set, at }, &self.ring);
            }
            _ => {}
        }
    }
}
