//! How a request for a round ends: what the client hears (rule Q12).

use bytes::Bytes;
use quorate_ring::NodeId;
use quorate_storage::Accepted;

use super::{Change, Ending, Proposer};
use crate::{
    coordinator::{
        operation::{Conclusion, Task},
        quorum::Places,
    },
    node::Turn,
    wire::{ComparedAndSet, Got, Receipt, VersionedValue, Written},
};

impl Proposer {
    /// What was chosen is known, and who holds it.
    pub(super) fn conclude(
        &self,
        task: &Task,
        turn: &Turn<'_>,
        content: Option<Accepted>,
        ending: Ending,
        holders: Places,
    ) -> Conclusion {
        let receipt = self.receipt(task, turn, content.as_ref(), ending, holders);
        let value = content.and_then(|accepted| {
            let (value, expires) = (accepted.content.value()?.clone(), accepted.content.expires());
            Some(VersionedValue { value, tag: accepted.write, expires })
        });
        let context = Bytes::new();
        Ok(match (&self.change, ending) {
            (Change::Nothing | Change::Again, _) => {
                Got { values: value.into_iter().collect(), context, receipt }.into()
            }
            (Change::Write(_), _) => Written { context, receipt }.into(),
            (Change::If(..), Ending::Applied(_)) => {
                ComparedAndSet { applied: true, found: None, receipt }.into()
            }
            (Change::If(..), _) => ComparedAndSet { applied: false, found: value, receipt }.into(),
        })
    }

    fn receipt(
        &self,
        task: &Task,
        turn: &Turn<'_>,
        content: Option<&Accepted>,
        ending: Ending,
        answered: Places,
    ) -> Receipt {
        let tag = match ending {
            Ending::Applied(sent) => Some(sent),
            Ending::Read | Ending::NotMet => content.map(|accepted| accepted.write),
        };
        let mut receipt = task.receipt(turn, answered, tag, false);
        receipt.rounds = self.round;
        if let Some(tracker) = self.tracker() {
            receipt.reports = self.record.reports(task, tracker);
        }
        if let Some((tracker, _)) = self.chosen() {
            let missing = task.plan.missing(turn, answered);
            let missing =
                missing.iter().filter(|place| !tracker.is_outstanding(*place) && !self.is_outbid(*place));
            receipt.hinted = missing.map(|place| task.plan.replicas[place]).collect::<Vec<NodeId>>();
        }
        receipt
    }
}
