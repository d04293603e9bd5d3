//! The proposer's side: changes that wait, and the attempts to have them decided.

use std::sync::Arc;

use quorate_ring::{Epoch, Incarnation, NodeId};

#[cfg(feature = "mutants")]
use super::MapMutant;
use super::{MapEffect, MapKeeper, MapMessage, Outcome, Standing};
#[cfg(feature = "mutants")]
use crate::membership::synod::Electorate;
use crate::membership::{
    map::{Change, ChangeId, ClusterMap, Refused},
    synod::{Ballot, Progress, Proposer},
};

/// How many changes of clients may wait on one node.
pub(super) const WAITING_MAX: usize = 256;

/// How many changes a node may want for itself at a time.
pub(super) const OWN_CHANGES: usize = 1;

/// A change that is to be decided.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    id: ChangeId,
    change: Change,
    /// The last slot for which it was sent to be accepted.
    sent_in: Option<Epoch>,
    /// The attempt that was under way when it was asked for: its promises may be older than what the author has
    /// been told since, so it confirms nothing to the author.
    too_early: Option<Ballot>,
}

impl MapKeeper {
    pub(super) fn enqueue(&mut self, id: ChangeId, change: Change, effects: &mut Vec<MapEffect>) {
        let waiting = self.queue.len();
        if self.queue.iter().any(|pending| pending.id == id) {
            return;
        }
        if let Some(epoch) = self.newest.epoch_of(id)
            && self.remembers()
        {
            return settle(id, Outcome::Applied { epoch }, effects);
        }
        if waiting >= WAITING_MAX {
            return settle(id, Outcome::Overloaded { waiting }, effects);
        }
        #[cfg(feature = "mutants")]
        if self.mutant == Some(MapMutant::RefusesUnconfirmed)
            && let Err(reason) = self.newest.apply(id, &change)
        {
            return settle(id, Outcome::Refused { at: self.newest.epoch(), reason }, effects);
        }
        let too_early = self.round.as_ref().map(Proposer::ballot);
        self.queue.push_back(Pending { id, change, sent_in: None, too_early });
    }

    pub(super) fn give_up(&mut self, id: ChangeId, effects: &mut Vec<MapEffect>) {
        let Some(at) = self.queue.iter().position(|pending| pending.id == id) else {
            return;
        };
        let slot = self.newest.slot();
        let is_open = self.queue.remove(at).is_some_and(|pending| pending.sent_in == Some(slot));
        #[cfg(feature = "mutants")]
        let is_open = is_open && self.mutant != Some(MapMutant::UnknownIsNo);
        let outcome = if is_open { Outcome::Unknown { slot } } else { self.shortfall() };
        settle(id, outcome, effects);
        if !self.wants_round() && self.round.as_ref().is_some_and(|round| !round.has_proposed()) {
            self.round = None;
        }
    }

    fn shortfall(&self) -> Outcome {
        let electorate = self.electorate();
        let needed = electorate.needed();
        match &self.round {
            Some(round) => Outcome::Unreachable {
                needed,
                answered: round.votes().ayes(),
                silent: round.votes().silent().collect(),
            },
            None => Outcome::Unreachable { needed, answered: 0, silent: electorate.voters().collect() },
        }
    }

    /// Changes that the newest map holds are made, whoever had them decided.
    pub(super) fn settle_applied(&mut self, effects: &mut Vec<MapEffect>) {
        let newest = self.newest.clone();
        self.queue.retain(|pending| match newest.epoch_of(pending.id) {
            Some(epoch) => {
                settle(pending.id, Outcome::Applied { epoch }, effects);
                false
            }
            None => true,
        });
    }

    /// A founder that has heard of all others wants the cluster founded; a life that is not named wants to be.
    pub(super) fn mind_own_business(&mut self) {
        let (own, newest) = (self.own, self.newest.clone());
        let id = ChangeId { since: newest.epoch(), number: own.actor.0 };
        if self.queue.iter().any(|pending| pending.id == id) {
            return;
        }
        let change = match self.standing() {
            Standing::Founding => {
                let life = |node| match node == own.node {
                    true => Some((node, own.incarnation)),
                    false => self.others.get(&node).map(|other| (node, other.incarnation)),
                };
                #[cfg(feature = "mutants")]
                let life = |node| {
                    let made_up =
                        (self.mutant == Some(MapMutant::MajorityFounds)).then_some((node, Incarnation(0)));
                    life(node).or(made_up)
                };
                match newest.members().map(life).collect() {
                    Some(lives) => Change::Found { lives },
                    None => return,
                }
            }
            Standing::Unnamed => match newest.life(own.node) {
                Some(lost) => Change::Renew { node: own.node, lost, incarnation: own.incarnation },
                None => return,
            },
            Standing::Named | Standing::Replaced | Standing::Stranger => {
                return self.queue.retain(|pending| pending.id.number != own.actor.0);
            }
        };
        // What it wanted of an earlier map has been overtaken.
        self.queue.retain(|pending| pending.id.number != own.actor.0);
        self.queue.push_back(Pending { id, change, sent_in: None, too_early: None });
    }

    /// Makes an attempt under a ballot above all that were heard of.
    pub(super) fn begin_round(&mut self, effects: &mut Vec<MapEffect>) {
        let ballot = self.seen.above(self.own.actor);
        self.seen = ballot;
        let electorate = self.electorate();
        let voters: Vec<_> = electorate.voters().collect();
        self.round = Some(Proposer::new(ballot, electorate));
        for voter in voters {
            let parent = self.newest.clone();
            self.send(voter, MapMessage::Prepare { parent, ballot }, effects);
        }
    }

    /// Whether an answer is to the present attempt and from a life that has a vote.
    pub(super) fn is_answer(
        &self,
        from: NodeId,
        slot: Epoch,
        ballot: Ballot,
        incarnation: Incarnation,
    ) -> bool {
        #[cfg(feature = "mutants")]
        if matches!(self.mutant, Some(MapMutant::NewSetDecides | MapMutant::UnionDecides))
            && !self.newest.is_member(from)
        {
            return slot == self.newest.slot()
                && self.round.as_ref().is_some_and(|round| round.ballot() == ballot);
        }
        slot == self.newest.slot()
            && self.round.as_ref().is_some_and(|round| round.ballot() == ballot)
            && self.counts(&self.newest, from, incarnation)
    }

    /// Counts an answer and does what follows.
    pub(super) fn advance(
        &mut self,
        effects: &mut Vec<MapEffect>,
        count: impl FnOnce(&mut Proposer<NodeId, Arc<ClusterMap>>) -> Progress<Arc<ClusterMap>>,
    ) {
        let Some(round) = &mut self.round else {
            return;
        };
        match count(round) {
            Progress::Wait => {}
            Progress::Prepared { found } => match self.choose_value(found, effects) {
                Some(value) => self.put_to_vote(value, effects),
                None => self.round = None,
            },
            Progress::Chosen(map) => self.decided(map, effects),
            Progress::Lost { rival } => {
                self.seen = self.seen.max(rival);
                self.round = None;
                self.losses += 1;
                self.is_backing_off = true;
                effects.push(MapEffect::BackOff { losses: self.losses });
            }
        }
    }

    /// What is to be voted on: what was found; else the first own change that fits the map, which a majority has
    /// just confirmed as the newest; else what only this acceptor accepted, to have the doubt ended.
    fn choose_value(
        &mut self,
        found: Option<Arc<ClusterMap>>,
        effects: &mut Vec<MapEffect>,
    ) -> Option<Arc<ClusterMap>> {
        #[cfg(feature = "mutants")]
        if let Some(built) = self.build_on(found.as_ref()) {
            return Some(built);
        }
        if found.is_some() {
            return found;
        }
        let attempt = self.round.as_ref().map(Proposer::ballot);
        while let Some(pending) = self.queue.front_mut() {
            let id = pending.id;
            #[cfg(not(feature = "mutants"))]
            let next = self.newest.apply(id, &pending.change);
            #[cfg(feature = "mutants")]
            let next = match self.mutant {
                Some(MapMutant::RepeatsApplied) => self.newest.apply_anew(id, &pending.change),
                _ => self.newest.apply(id, &pending.change),
            };
            let reason = match next {
                Ok(map) => {
                    pending.sent_in = Some(self.newest.slot());
                    return Some(Arc::new(map));
                }
                Err(_) if pending.too_early == attempt => break,
                Err(reason) => reason,
            };
            self.queue.pop_front();
            let outcome = match reason {
                Refused::Repeated { epoch } => Outcome::Applied { epoch },
                reason => Outcome::Refused { at: self.newest.epoch(), reason },
            };
            settle(id, outcome, effects);
        }
        self.slot.accepted().map(|vote| vote.value.clone())
    }

    fn put_to_vote(&mut self, value: Arc<ClusterMap>, effects: &mut Vec<MapEffect>) {
        let Some(round) = &mut self.round else {
            return;
        };
        let vote = round.propose(value);
        let voters: Vec<_> = round.votes().electorate().voters().collect();
        for voter in voters {
            let (parent, vote) = (self.newest.clone(), vote.clone());
            self.send(voter, MapMessage::Accept { parent, vote }, effects);
        }
    }

    /// The attempt succeeded: tells the members of both maps.
    fn decided(&mut self, map: Arc<ClusterMap>, effects: &mut Vec<MapEffect>) {
        let mut told = self.peers();
        self.adopt(map.clone(), effects);
        told.extend(self.peers());
        told.sort_unstable();
        told.dedup();
        for peer in told {
            self.send(peer, MapMessage::Decided { map: map.clone() }, effects);
        }
    }

    fn remembers(&self) -> bool {
        #[cfg(feature = "mutants")]
        if self.mutant == Some(MapMutant::RepeatsApplied) {
            return false;
        }
        true
    }
}

#[cfg(feature = "mutants")]
impl MapKeeper {
    pub(super) fn mutated_electorate(&self) -> Option<Electorate<NodeId>> {
        let of_next = |mutant| {
            let pending =
                self.queue.front().filter(|_| self.mutant == Some(mutant) && self.newest.is_founded())?;
            self.newest.apply(pending.id, &pending.change).ok()
        };
        if let Some(next) = of_next(MapMutant::NewSetDecides) {
            return Some(next.electorate());
        }
        if let Some(next) = of_next(MapMutant::UnionDecides) {
            return Some(Electorate::majority(self.newest.members().chain(next.members())));
        }
        match self.mutant? {
            MapMutant::MinorityDecides if self.newest.is_founded() => {
                Some(self.newest.electorate().minority())
            }
            MapMutant::MajorityFounds => Some(Electorate::majority(self.newest.members())),
            _ => None,
        }
    }

    fn build_on(&mut self, found: Option<&Arc<ClusterMap>>) -> Option<Arc<ClusterMap>> {
        let found = found.filter(|_| self.mutant == Some(MapMutant::BuildsOnAccepted))?;
        let pending = self.queue.front_mut()?;
        let map = found.apply(pending.id, &pending.change).ok()?;
        pending.sent_in = Some(self.newest.slot());
        Some(Arc::new(map))
    }
}

fn settle(id: ChangeId, outcome: Outcome, effects: &mut Vec<MapEffect>) {
    effects.push(MapEffect::Settled { id, outcome });
}
