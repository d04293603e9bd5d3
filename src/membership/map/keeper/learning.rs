//! The learner's side: which maps are decided.

use std::{cmp::Ordering, sync::Arc};

use quorate_ring::{Actor, Epoch, Incarnation, NodeId};

use super::{Fork, MapEffect, MapKeeper, MapMessage, Other};
use crate::membership::{
    map::ClusterMap,
    synod::{Acceptor, Ballot},
};

impl MapKeeper {
    /// Takes note of a decided map. How its epoch compares with the newest known before; `None` if the two
    /// contradict each other.
    pub(super) fn learn(&mut self, map: &Arc<ClusterMap>, effects: &mut Vec<MapEffect>) -> Option<Ordering> {
        let (ours, theirs) = (self.newest.name(), map.name());
        let order = theirs.epoch.cmp(&ours.epoch);
        let follows = theirs.epoch == self.newest.slot();
        if (order == Ordering::Equal && ours != theirs)
            || (follows && map.parent() != Some(ours))
            || map.cluster() != self.newest.cluster()
        {
            effects.push(MapEffect::Alarm(Fork { ours, theirs }));
            return None;
        }
        if order == Ordering::Greater {
            self.adopt(map.clone(), effects);
        }
        Some(order)
    }

    /// Goes on with a newer decided map: the slot after it starts empty.
    pub(super) fn adopt(&mut self, map: Arc<ClusterMap>, effects: &mut Vec<MapEffect>) {
        self.newest = map;
        self.slot = Acceptor::default();
        self.seen = Ballot::ZERO;
        self.round = None;
        self.losses = 0;
        self.is_backing_off = false;
        if self.newest.life(self.own.node) == Some(self.own.incarnation) {
            self.named_at.get_or_insert(self.newest.next_table());
        }
        self.persist(effects);
        self.settle_applied(effects);
        if self.asked.is_none() {
            self.ask(effects);
        }
    }

    /// A map is durable.
    pub(super) fn install(&mut self, map: Arc<ClusterMap>, effects: &mut Vec<MapEffect>) {
        if self.installed.as_ref().is_none_or(|installed| installed.epoch() < map.epoch()) {
            self.installed = Some(map.clone());
            effects.push(MapEffect::Install(map));
        }
    }

    pub(super) fn hear_decided(&mut self, from: NodeId, map: Arc<ClusterMap>, effects: &mut Vec<MapEffect>) {
        if self.learn(&map, effects).is_some() {
            let (epoch, incarnation) = (self.newest.epoch(), self.own.incarnation);
            self.answer(from, MapMessage::Installed { epoch, incarnation }, effects);
        }
    }

    pub(super) fn fetch_from(&mut self, peer: NodeId, effects: &mut Vec<MapEffect>) {
        let (asker, known, incarnation) = (self.own.actor, self.newest.epoch(), self.own.incarnation);
        self.send(peer, MapMessage::Fetch { asker, known, incarnation }, effects);
    }

    /// The answer to [`fetch_from`](Self::fetch_from). Only a member that votes is believed to know the newest map:
    /// one that lost its disk knows nothing.
    pub(super) fn hear_answer(
        &mut self,
        from: NodeId,
        asker: Actor,
        map: Option<Arc<ClusterMap>>,
        epoch: Epoch,
        incarnation: Incarnation,
        effects: &mut Vec<MapEffect>,
    ) {
        self.hear_life(from, incarnation, Epoch(0));
        if map.is_some_and(|map| self.learn(&map, effects).is_none()) {
            return;
        }
        let is_member =
            from != self.own.node && self.newest.is_founded() && self.newest.names(from, incarnation);
        if asker == self.own.actor && is_member && self.asked.is_none() {
            self.asked = Some(epoch);
        }
    }

    pub(super) fn hear_life(&mut self, from: NodeId, incarnation: Incarnation, installed: Epoch) {
        let other = self.others.entry(from).or_insert(Other { incarnation, installed });
        let known = if other.incarnation == incarnation { other.installed } else { Epoch(0) };
        *other = Other { incarnation, installed: known.max(installed) };
    }
}
