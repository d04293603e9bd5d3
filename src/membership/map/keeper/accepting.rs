//! The acceptor's side.

use std::{cmp::Ordering, sync::Arc};

use quorate_ring::NodeId;

#[cfg(feature = "mutants")]
use super::MapMutant;
use super::{MapEffect, MapKeeper, MapMessage, MapRecord, Vote};
use crate::membership::{
    map::ClusterMap,
    synod::{Ballot, Outbid},
};

impl MapKeeper {
    pub(super) fn prepare(
        &mut self,
        from: NodeId,
        parent: Arc<ClusterMap>,
        ballot: Ballot,
        effects: &mut Vec<MapEffect>,
    ) {
        let (slot, incarnation) = (parent.slot(), self.own.incarnation);
        #[cfg(feature = "mutants")]
        if self.mutant == Some(MapMutant::OldSlotAfresh) && parent.epoch() < self.newest.epoch() {
            let promised = MapMessage::Promised { slot, ballot, incarnation, accepted: None };
            return self.send(from, promised, effects);
        }
        if !self.votes_after(from, &parent, effects) {
            return;
        }
        match self.slot.prepare(ballot) {
            Ok(accepted) => {
                self.seen = self.seen.max(ballot);
                self.persist(effects);
                self.answer(from, MapMessage::Promised { slot, ballot, incarnation, accepted }, effects);
            }
            Err(Outbid { promised }) => {
                self.send(from, MapMessage::Outbid { slot, ballot, incarnation, promised }, effects);
            }
        }
    }

    pub(super) fn accept(
        &mut self,
        from: NodeId,
        parent: Arc<ClusterMap>,
        vote: Vote,
        effects: &mut Vec<MapEffect>,
    ) {
        let (slot, ballot, incarnation) = (parent.slot(), vote.ballot, self.own.incarnation);
        #[cfg(feature = "mutants")]
        if self.mutant == Some(MapMutant::OldSlotAfresh) && parent.epoch() < self.newest.epoch() {
            return self.send(from, MapMessage::Accepted { slot, ballot, incarnation }, effects);
        }
        if !self.votes_after(from, &parent, effects) {
            return;
        }
        #[cfg(feature = "mutants")]
        if self.mutant == Some(MapMutant::AcceptIgnoresPromise) {
            self.slot.accept_blindly(vote.clone());
        }
        let result = self.slot.accept(vote);
        #[cfg(feature = "mutants")]
        let result = if self.mutant == Some(MapMutant::AcceptIgnoresPromise) { Ok(()) } else { result };
        match result {
            Ok(()) => {
                self.seen = self.seen.max(ballot);
                self.persist(effects);
                self.answer(from, MapMessage::Accepted { slot, ballot, incarnation }, effects);
            }
            Err(Outbid { promised }) => {
                self.send(from, MapMessage::Outbid { slot, ballot, incarnation, promised }, effects);
            }
        }
    }

    /// Whether this acceptor has a voice in the slot after `parent`, which is decided. If it knows the outcome it
    /// says that instead; if it knew less, it knows `parent` now.
    fn votes_after(&mut self, from: NodeId, parent: &Arc<ClusterMap>, effects: &mut Vec<MapEffect>) -> bool {
        match self.learn(parent, effects) {
            None => return false,
            Some(Ordering::Less) => {
                let map = self.newest.clone();
                self.send(from, MapMessage::Decided { map }, effects);
                return false;
            }
            Some(Ordering::Equal | Ordering::Greater) => {}
        }
        self.counts(&self.newest, self.own.node, self.own.incarnation)
    }

    /// Writes everything down.
    pub(super) fn persist(&mut self, effects: &mut Vec<MapEffect>) {
        #[cfg(feature = "mutants")]
        let slot = match self.mutant {
            Some(MapMutant::PromiseForgotten) => &self.slot.without_promise(),
            _ => &self.slot,
        };
        #[cfg(not(feature = "mutants"))]
        let slot = &self.slot;
        let record = MapRecord {
            map: self.newest.clone(),
            promised: slot.promised(),
            accepted: slot.accepted().cloned(),
            named_at: self.named_at,
        };
        let ticket = self.journal.write(self.newest.clone());
        effects.push(MapEffect::Persist { ticket, record });
    }

    /// Sends an answer once everything that this keeper now holds is durable (rule C2).
    pub(super) fn answer(&mut self, to: NodeId, message: MapMessage, effects: &mut Vec<MapEffect>) {
        #[cfg(feature = "mutants")]
        if self.mutant == Some(MapMutant::AnswersUnsynced) {
            return self.send(to, message, effects);
        }
        if let Some((to, message)) = self.journal.hold(to, message) {
            self.send(to, message, effects);
        }
    }
}
