//! Probing: asking members whether they are there, with the help of others (SWIM, section 3.1).

use quorate_ring::{Instant, NodeId};

use super::Gossip;
use crate::{
    effect::Sink,
    life::{Claim, Life, MemberState, Refutation},
    message::Message,
    probe::{PROBES_MAX, Probe, RELAYS_MAX, Relay},
    timers::Timer,
};

impl Gossip {
    pub(super) fn probe_next(&mut self, now: Instant, sink: &mut dyn Sink) {
        self.timers.set(now + self.health.widened(self.config.probe_interval), Timer::Probe);
        let Some(target) = self.members.next_target(&mut self.random) else {
            return;
        };
        if self.probes.len() >= PROBES_MAX || self.probes.values().any(|probe| probe.target == target) {
            return;
        }
        let sequence = self.next_sequence();
        let ends = now + self.health.widened(self.config.probe_timeout);
        self.probes.insert(sequence, Probe::new(target, ends));
        self.timers.set(ends, Timer::Round(sequence));
        self.send(target, Message::Ping { sequence }, sink);
    }

    /// No answer in this round: ask again with the help of others, or give up.
    pub(super) fn end_round(&mut self, now: Instant, sequence: u32, sink: &mut dyn Sink) {
        let Some(mut probe) = self.probes.remove(&sequence) else {
            return;
        };
        if probe.round >= self.config.probe_rounds {
            return self.fail(now, &probe, sink);
        }
        let target = probe.target;
        let helpers = self.helpers_for(&probe);
        self.send(target, Message::Ping { sequence }, sink);
        for helper in helpers {
            probe.ask(helper);
            self.send(helper, Message::PingRequest { sequence, target }, sink);
        }
        probe.round += 1;
        probe.ends = now + self.health.widened(self.config.probe_timeout);
        self.timers.set(probe.ends, Timer::Round(sequence));
        self.probes.insert(sequence, probe);
    }

    /// Members that were not asked yet, and if they are too few, others once more: in a small cluster one lost request
    /// must not be the only one.
    fn helpers_for(&mut self, probe: &Probe) -> Vec<NodeId> {
        let count = self.config.helpers;
        let is_able = |claim: &Claim| claim.state == MemberState::Alive && claim.node != probe.target;
        let is_fresh = |claim: &Claim| is_able(claim) && !probe.asked().contains(&claim.node);
        let mut helpers = self.members.pick(count, &mut self.random, is_fresh);
        let is_left = |node: &&NodeId| self.members.find(**node).is_some_and(|member| is_able(&member.claim));
        let again = probe.asked().iter().filter(is_left).take(count - helpers.len());
        helpers.extend(again);
        helpers
    }

    fn fail(&mut self, now: Instant, probe: &Probe, sink: &mut dyn Sink) {
        if probe.is_own_fault_likely() {
            self.health.worsen(1);
        }
        self.accuse(now, probe.target, probe.nacks(), sink);
    }

    pub(super) fn receive_ack(&mut self, from: NodeId, sequence: u32, sink: &mut dyn Sink) {
        if self.probes.get(&sequence).is_some_and(|probe| probe.target == from) {
            self.succeed(sequence);
        } else if self.relays.get(&sequence).is_some_and(|relay| relay.target == from)
            && let Some(relay) = self.relays.remove(&sequence)
            && let Some(target) = self.members.find(from)
        {
            self.timers.cancel(relay.ends, Timer::Relay(sequence));
            let Claim { life, refutation, .. } = target.claim();
            self.send(relay.asker, Message::Relayed { sequence: relay.sequence, life, refutation }, sink);
        }
    }

    pub(super) fn receive_relayed(
        &mut self,
        now: Instant,
        from: NodeId,
        sequence: u32,
        (life, refutation): (Life, Refutation),
        sink: &mut dyn Sink,
    ) {
        let Some(probe) = self.probes.get(&sequence).filter(|probe| probe.asked().contains(&from)) else {
            return;
        };
        let claim = Claim::alive(probe.target, life, refutation);
        self.succeed(sequence);
        self.hear_claim(now, claim, &[], true, sink);
    }

    pub(super) fn receive_nack(&mut self, from: NodeId, sequence: u32) {
        if let Some(probe) = self.probes.get_mut(&sequence) {
            probe.nack(from);
        }
    }

    fn succeed(&mut self, sequence: u32) {
        if let Some(probe) = self.probes.remove(&sequence) {
            self.timers.cancel(probe.ends, Timer::Round(sequence));
            self.health.improve();
        }
    }

    /// Pings a member on another's behalf.
    pub(super) fn relay(
        &mut self,
        now: Instant,
        asker: NodeId,
        sequence: u32,
        target: NodeId,
        sink: &mut dyn Sink,
    ) {
        let is_known = target != self.own && self.members.find(target).is_some();
        if !is_known || self.is_leaving() || self.relays.len() >= RELAYS_MAX {
            return;
        }
        let own_sequence = self.next_sequence();
        // Not widened by this node's own health: the asker does not wait longer. What is left of the asker's round is
        // for the way back.
        let ends = now + self.config.probe_timeout * 3 / 5;
        self.relays.insert(own_sequence, Relay { asker, sequence, target, ends });
        self.timers.set(ends, Timer::Relay(own_sequence));
        self.send(target, Message::Ping { sequence: own_sequence }, sink);
    }

    pub(super) fn end_relay(&mut self, sequence: u32, sink: &mut dyn Sink) {
        if let Some(relay) = self.relays.remove(&sequence) {
            self.send(relay.asker, Message::Nack { sequence: relay.sequence }, sink);
        }
    }

    pub(super) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}
