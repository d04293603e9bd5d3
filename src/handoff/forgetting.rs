//! What the disk is to forget: hints that their target holds, or that are of no use.

use std::collections::BTreeMap;

use quorate_ring::{Instant, NodeId};
use quorate_storage::{Row, Version, Write};

use super::HintTicket;
use crate::node::{DiskOperation, DiskRequest, Effect, Ticket, Turn};

/// Hints that are on their way from the disk, by target.
#[derive(Debug, Default)]
pub(super) struct Forgetting(BTreeMap<NodeId, usize>);

impl Forgetting {
    /// Has the disk forget a hint, if it is still of the version that was given; whichever it is if none is named.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_>, target: NodeId, row: Row, given: Option<Version>) {
        *self.0.entry(target).or_default() += 1;
        let operation = DiskOperation::Write(Write::Unhint { target, row, given });
        let ticket = Ticket::Hint(HintTicket::Forget(target));
        turn.effects.push(Effect::Disk(DiskRequest { ticket, deadline: Instant::NEVER, operation }));
    }

    /// The disk is done with one.
    pub(super) fn ended(&mut self, target: NodeId) {
        if let Some(count) = self.0.get_mut(&target) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&target);
            }
        }
    }

    /// Whether there are any.
    pub(super) fn is_any_of(&self, target: NodeId) -> bool {
        self.0.contains_key(&target)
    }
}
