//! At QUORUM and ALL any two reads of a key of siblings have seen one more than the other, or the same: their answers
//! are states on one line (rule Q5). With the order in time that `real_time` holds, and states that are right by
//! `causality`, this makes such keys linearizable; `linearizable_siblings` finds out the same from values alone.

use quorate::storage::VersionVector;

use super::acknowledged::shown_vector;

/// What reads of one key had seen, from least to most.
#[derive(Debug, Default)]
pub(crate) struct OneOrder(Vec<VersionVector>);

impl OneOrder {
    /// A read was answered.
    pub(crate) fn read(&mut self, vector: &VersionVector) -> Result<(), String> {
        let place = self.0.partition_point(|known| vector.dominates(known));
        if place > 0 && self.0[place - 1] == *vector {
            return Ok(());
        }
        match self.0.get(place) {
            Some(next) if !next.dominates(vector) => Err(format!(
                "one order: a read saw {}, another {}: neither has seen all of the other's",
                shown_vector(vector),
                shown_vector(next)
            )),
            _ => {
                self.0.insert(place, vector.clone());
                Ok(())
            }
        }
    }
}
