//! How long a suspected member has to object.

use quorate_ring::{Duration, Instant, NodeId};

use crate::{config::Config, message::ACCUSERS_MAX};

/// log2(1) to log2(6) in thousandths. A table, so that every platform computes the same times.
const LOG2_THOUSANDTHS: [u32; ACCUSERS_MAX] = [0, 1_000, 1_585, 2_000, 2_322, 2_585];

/// A suspicion that this node holds.
#[derive(Clone, Debug)]
pub(crate) struct Suspicion {
    /// When it began here. Moves on by as long as this node was late.
    pub(crate) since: Instant,
    /// Who got no answer, ascending.
    accusers: Vec<NodeId>,
    /// Whether somebody says that the member is dead: no confirmation can say more.
    pub(crate) is_condemned: bool,
    /// Whether this node has asked the suspect itself and waits for the answer.
    pub(crate) is_called: bool,
    /// Of its timer.
    pub(crate) generation: u64,
}

impl Suspicion {
    pub(crate) fn new(since: Instant) -> Self {
        Self { since, accusers: Vec::new(), is_condemned: false, is_called: false, generation: 0 }
    }

    pub(crate) fn accusers(&self) -> &[NodeId] {
        &self.accusers
    }

    /// Adds an accuser; true if that is news. Beyond `confirmations + 1` none adds anything.
    pub(crate) fn confirm(&mut self, accuser: NodeId, confirmations: usize) -> bool {
        let limit = (confirmations + 1).min(ACCUSERS_MAX);
        match self.accusers.binary_search(&accuser) {
            Err(at) if self.accusers.len() < limit => {
                self.accusers.insert(at, accuser);
                true
            }
            _ => false,
        }
    }

    /// The time from its beginning to the last call, before this node's own health is taken into account.
    pub(crate) fn timeout(&self, config: &Config, members: usize) -> Duration {
        let confirmations = self.accusers.len().saturating_sub(1);
        // The suspect and this node confirm nothing.
        let expected = config.confirmations.min(members.saturating_sub(2));
        let confirmations = if self.is_condemned { expected } else { confirmations.min(expected) };
        timeout(config, members, expected, confirmations)
    }

    pub(crate) fn validate(&self) {
        assert!(self.accusers.is_sorted_by(|a, b| a < b) && self.accusers.len() <= ACCUSERS_MAX);
    }
}

/// `max - (max - min) log(confirmations + 1) / log(expected + 1)` (Lifeguard, section IV.B). Both bounds hold up to
/// 1,000 members and grow with the logarithm above, as the spreading of an objection does.
fn timeout(config: &Config, members: usize, expected: usize, confirmations: usize) -> Duration {
    let growth = members.max(1).ilog2().max(10);
    let (min, max) = (config.suspicion_min * growth / 10, config.suspicion_max * growth / 10);
    if confirmations >= expected {
        return min;
    }
    max - (max - min) * LOG2_THOUSANDTHS[confirmations] / LOG2_THOUSANDTHS[expected]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(suspicion: &Suspicion, members: usize) -> u128 {
        suspicion.timeout(&Config::lan(), members).as_millis()
    }

    #[test]
    fn confirmations_shorten_it() {
        let mut suspicion = Suspicion::new(Instant::ZERO);
        let mut times = Vec::new();
        for accuser in 1..=5 {
            suspicion.confirm(NodeId(accuser), 3);
            times.push(millis(&suspicion, 100));
        }
        assert_eq!(times, [10_000, 6_250, 4_056, 2_500, 2_500]);
        suspicion.validate();
    }

    #[test]
    fn an_accuser_counts_once() {
        let mut suspicion = Suspicion::new(Instant::ZERO);
        assert!(suspicion.confirm(NodeId(1), 3));
        assert!(!suspicion.confirm(NodeId(1), 3));
        assert_eq!(millis(&suspicion, 100), 10_000);
    }

    #[test]
    fn few_members_confirm_as_well_as_they_can() {
        let mut suspicion = Suspicion::new(Instant::ZERO);
        suspicion.confirm(NodeId(1), 3);
        assert_eq!(millis(&suspicion, 2), 2_500, "nobody else can confirm");
        assert_eq!(millis(&suspicion, 3), 10_000, "one other can");
        suspicion.confirm(NodeId(2), 3);
        assert_eq!(millis(&suspicion, 3), 2_500);
        assert_eq!(millis(&suspicion, 4), 5_268);
    }

    #[test]
    fn a_death_sentence_is_as_good_as_all_confirmations() {
        let mut suspicion = Suspicion::new(Instant::ZERO);
        suspicion.is_condemned = true;
        assert_eq!(millis(&suspicion, 1_000), 2_500);
        assert_eq!(millis(&suspicion, 4_096), 3_000);
    }
}
