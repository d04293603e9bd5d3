//! A founder that holds a table ready and has not heard how the attempt ended.
//!
//! The coordinator knows, for it alone decides: the founder asks it until it answers. Other founders are asked
//! only once the coordinator is known to have lost its state ([`Lives`](crate::membership::Lives)), and with it
//! the decision. Then a founder that heard the decision says so. If none did, one that never held the table ready
//! tells that nothing was decided; if all did, the table exists: the old coordinator may have told its client that
//! it does.
//!
//! No two founders settle such a doubt differently. A founder that says "ready" or "unknown" to another knows
//! of the coordinator's loss itself, and takes no word of the old process from then on. So had it heard a
//! refusal it would have said so, then as ever after, and whoever waits for the word of every founder hears it.
//! Nobody knows what a founder held ready that lost its own state too, so its "unknown" counts for nothing; what
//! it had passed on before, and is still under way to a third founder, is not seen. That takes two lost
//! directories within one doubt.

use std::collections::BTreeSet;

use quorate_ring::{Incarnation, NodeId, Tag};
use quorate_storage::TableStage;

use super::{CreateTables, reply, standing_of};
use crate::{
    membership::attempt::{Attempt, Phase},
    node::{Effect, Turn},
    wire::{Frame, Header, InquireTable, RequestId, TableStanding},
};

impl CreateTables {
    /// Asks about every doubt.
    pub(super) fn inquire(&mut self, turn: &mut Turn<'_>) {
        let doubts: Vec<_> = turn.catalog.in_doubt().filter(|a| !self.attempts.contains_key(a)).collect();
        for attempt in doubts {
            let Some((coordinator, life)) = self.doubt(turn, attempt) else {
                continue;
            };
            if coordinator == turn.config.node {
                self.settle_doubt(turn, attempt, TableStage::Refused { attempt });
                continue;
            }
            let asked: Vec<_> = if is_lost(turn, coordinator, life) {
                turn.peers().filter(|peer| *peer != coordinator).collect()
            } else {
                vec![coordinator]
            };
            let deadline = turn.now.mono + turn.config.request_timeout_max;
            let header = Header { id: RequestId(0), epoch: turn.ring.epoch(), deadline };
            for peer in asked {
                let message = InquireTable { attempt, coordinator, life }.into();
                turn.effects.push(Effect::ToPeer { peer, frame: Frame { header, message } });
            }
            self.settle_if_all_said(turn, attempt);
        }
    }

    /// A founder asks how an attempt stands here.
    pub(super) fn inquired(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        header: Header,
        inquiry: &InquireTable,
    ) {
        let InquireTable { attempt, coordinator, life } = *inquiry;
        let is_open = |a: &Attempt| !matches!(a.phase, Phase::Telling(_));
        if self.attempts.get(&attempt).is_some_and(is_open) || self.writing.contains_key(&attempt) {
            return reply(turn, from, header, attempt, TableStanding::Deciding);
        }
        let decides = coordinator == turn.config.node && life == turn.lives.own().incarnation;
        let standing = match turn.catalog.record_of(attempt) {
            Some(record) if matches!(record.stage, TableStage::Prepared { .. }) => {
                if decides {
                    self.settle_doubt(turn, attempt, TableStage::Refused { attempt });
                    return self.wait_for_write(attempt, from, header);
                }
                // Whoever does not know of the coordinator's loss may still hear its decision.
                let lost = is_lost(turn, coordinator, life);
                if lost { TableStanding::Prepared } else { TableStanding::Deciding }
            }
            Some(record) => standing_of(record),
            None if decides => TableStanding::Refused("it was never decided".to_owned()),
            None if is_lost(turn, coordinator, life) => TableStanding::Unknown,
            None => TableStanding::Deciding,
        };
        reply(turn, from, header, attempt, standing);
    }

    /// A founder says how an attempt stands with it that may be in doubt here.
    pub(super) fn heard_in_doubt(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        attempt: Tag,
        standing: TableStanding,
    ) {
        let Some((coordinator, life)) = self.doubt(turn, attempt) else {
            return;
        };
        match standing {
            TableStanding::Committed => self.settle_doubt(turn, attempt, TableStage::Committed { attempt }),
            TableStanding::Refused(_) => self.settle_doubt(turn, attempt, TableStage::Refused { attempt }),
            TableStanding::Unknown
                if is_lost(turn, coordinator, life) && !self.forgot(turn, attempt, from) =>
            {
                self.settle_doubt(turn, attempt, TableStage::Refused { attempt });
            }
            TableStanding::Prepared | TableStanding::Unknown if is_lost(turn, coordinator, life) => {
                self.doubts.entry(attempt).or_default().insert(from);
                self.settle_if_all_said(turn, attempt);
            }
            TableStanding::Prepared | TableStanding::Unknown | TableStanding::Deciding => {}
        }
    }

    /// The attempt's coordinator and its life, if the attempt is in doubt.
    fn doubt(&self, turn: &Turn<'_>, attempt: Tag) -> Option<(NodeId, Incarnation)> {
        match &turn.catalog.record_of(attempt)?.stage {
            TableStage::Prepared { coordinator, lives, .. } if !self.writing.contains_key(&attempt) => {
                Some((*coordinator, life_in(lives, *coordinator).unwrap_or(turn.lives.own().incarnation)))
            }
            _ => None,
        }
    }

    /// Whether a founder may have held the table ready and lost its state since.
    fn forgot(&self, turn: &Turn<'_>, attempt: Tag, founder: NodeId) -> bool {
        let then = match turn.catalog.record_of(attempt).map(|record| &record.stage) {
            Some(TableStage::Prepared { lives, .. }) => life_in(lives, founder),
            _ => None,
        };
        then.is_none() || then != turn.lives.incarnation(founder)
    }

    fn settle_if_all_said(&mut self, turn: &mut Turn<'_>, attempt: Tag) {
        let Some((coordinator, life)) = self.doubt(turn, attempt) else {
            return;
        };
        let said = self.doubts.get(&attempt).cloned().unwrap_or_default();
        let others: BTreeSet<_> = turn.peers().filter(|peer| *peer != coordinator).collect();
        if is_lost(turn, coordinator, life) && said.is_superset(&others) {
            self.settle_doubt(turn, attempt, TableStage::Committed { attempt });
        }
    }

    fn settle_doubt(&mut self, turn: &mut Turn<'_>, attempt: Tag, stage: TableStage) {
        self.doubts.remove(&attempt);
        if let Some(record) = turn.catalog.record_of(attempt).cloned() {
            self.write(turn, attempt, &record.table, stage);
        }
    }
}

fn life_in(lives: &[(NodeId, Incarnation)], node: NodeId) -> Option<Incarnation> {
    lives.iter().find(|(known, _)| *known == node).map(|(_, life)| *life)
}

/// Whether the coordinator's directory is another than the one that made the attempt.
fn is_lost(turn: &Turn<'_>, coordinator: NodeId, life: Incarnation) -> bool {
    let known = match coordinator == turn.config.node {
        true => Some(turn.lives.own().incarnation),
        false => turn.lives.incarnation(coordinator),
    };
    known.is_some_and(|known| known != life)
}
