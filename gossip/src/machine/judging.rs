//! Judging: what to hold of members, and what to say to accusations (SWIM, section 4.2; Lifeguard, section IV).

use quorate_ring::{Duration, Instant, NodeId};

use super::Gossip;
use crate::{
    effect::{Effect, Event, Sink},
    life::{Claim, Life, MemberState, REFUTATION_MAX},
    message::Message,
    rumors::Topic,
    suspicion::Suspicion,
    timers::Timer,
};

/// Bad local health prolongs a suspicion this many times at most: a node that lost all its peers at once must find
/// out in bounded time.
const SUSPICION_WIDENING_MAX: u32 = 3;

impl Gossip {
    /// Takes in a claim. What is known already, or is older, changes nothing.
    pub(super) fn hear_claim(
        &mut self,
        now: Instant,
        claim: Claim,
        accusers: &[NodeId],
        is_news: bool,
        sink: &mut dyn Sink,
    ) {
        if claim.node == self.own {
            return self.defend(now, claim, sink);
        }
        if self.forgotten.contains(&claim.node) {
            return;
        }
        let Some(held) = self.members.find(claim.node).map(|member| member.claim) else {
            return self.meet(now, claim, accusers, is_news, sink);
        };
        if claim.is_of_same_word(&held) && claim.state == MemberState::Suspect && held.state == claim.state {
            self.confirm(now, claim.node, accusers);
        } else if claim.precedence() <= held.precedence() {
            // Old.
        } else if claim.state == MemberState::Dead && held.state < MemberState::Dead {
            self.condemn(now, claim, sink);
        } else {
            self.adopt(now, claim, is_news, sink);
            self.confirm(now, claim.node, accusers);
        }
    }

    /// A claim about a node that is new here.
    fn meet(&mut self, now: Instant, claim: Claim, accusers: &[NodeId], is_news: bool, sink: &mut dyn Sink) {
        let is_gone = claim.state >= MemberState::Dead;
        let first = if is_gone { claim } else { claim.with_state(MemberState::Alive) };
        if !self.members.insert(first, &mut self.random) {
            return;
        }
        if claim.state == MemberState::Dead {
            self.absent.insert(claim.node);
        } else {
            self.absent.remove(&claim.node);
        }
        if is_news {
            self.tell(now, Topic::Claim(claim.node));
        }
        if !is_gone {
            sink.push(Effect::Event(Event::MemberUp { node: claim.node, life: claim.life }));
            self.arm_spread(now);
        }
        if claim.state == MemberState::Suspect {
            self.hear_claim(now, claim, accusers, is_news, sink);
        }
    }

    /// Holds a claim from now on.
    fn adopt(&mut self, now: Instant, claim: Claim, is_news: bool, sink: &mut dyn Sink) {
        let Claim { node, life, .. } = claim;
        let replace = |member: &mut crate::members::Member| std::mem::replace(&mut member.claim, claim);
        let Some(old) = self.members.edit(node, &mut self.random, replace) else {
            return;
        };
        self.suspicions.remove(&node);
        self.absent.remove(&node);
        match claim.state {
            MemberState::Alive | MemberState::Left => {}
            MemberState::Suspect => {
                self.suspicions.insert(node, Suspicion::new(now));
                self.arm_judge(now, node);
            }
            MemberState::Dead => drop(self.absent.insert(node)),
        }
        if is_news || claim.state != MemberState::Alive {
            self.tell(now, Topic::Claim(node));
        }
        if old.state != claim.state || (old.life != life && claim.state < MemberState::Dead) {
            sink.push(Effect::Event(match claim.state {
                MemberState::Alive => Event::MemberUp { node, life },
                MemberState::Suspect => Event::MemberSuspect { node, life },
                MemberState::Dead => Event::MemberDown { node, life },
                MemberState::Left => Event::MemberLeft { node, life },
            }));
        }
    }

    /// Others call a member dead that is not dead here. Whoever was cut off would say the same of everybody, so it
    /// counts as a suspicion with all its confirmations: the member has time to object, and this node asks it itself.
    fn condemn(&mut self, now: Instant, claim: Claim, sink: &mut dyn Sink) {
        let suspect = claim.with_state(MemberState::Suspect);
        if self.members.find(claim.node).is_some_and(|member| member.claim != suspect) {
            self.adopt(now, suspect, true, sink);
        }
        if let Some(suspicion) = self.suspicions.get_mut(&claim.node)
            && !suspicion.is_condemned
        {
            suspicion.is_condemned = true;
            self.arm_judge(now, claim.node);
        }
    }

    /// This node's own probe of a member failed, and those of `witnesses` on its behalf.
    pub(super) fn accuse(&mut self, now: Instant, node: NodeId, witnesses: &[NodeId], sink: &mut dyn Sink) {
        let Some(held) = self.members.find(node).map(|member| member.claim) else {
            return;
        };
        if held.state == MemberState::Alive {
            self.adopt(now, held.with_state(MemberState::Suspect), true, sink);
        }
        self.confirm(now, node, &[self.own]);
        self.confirm(now, node, witnesses);
        if held.state == MemberState::Alive {
            // The suspect hears of it first (Lifeguard's buddy system, section IV.C): every message to it says so.
            let sequence = self.next_sequence();
            self.send(node, Message::Ping { sequence }, sink);
        }
    }

    /// Counts accusers of a suspect. More of them are news, and bring its judgement forward.
    fn confirm(&mut self, now: Instant, node: NodeId, accusers: &[NodeId]) {
        let confirmations = self.config.confirmations;
        let Some(suspicion) = self.suspicions.get_mut(&node) else {
            return;
        };
        let suits = |accuser: &&NodeId| **accuser != node;
        let is_more =
            accusers.iter().filter(suits).filter(|accuser| suspicion.confirm(**accuser, confirmations));
        if is_more.count() > 0 {
            self.tell(now, Topic::Claim(node));
            self.arm_judge(now, node);
        }
    }

    /// Looks at a suspicion as soon as its time may be over; nothing to do once the last call was made.
    fn arm_judge(&mut self, now: Instant, node: NodeId) {
        let members = self.members.active();
        if let Some(suspicion) = self.suspicions.get(&node)
            && !suspicion.is_called
        {
            let at = suspicion.since + suspicion.timeout(&self.config, members);
            self.set_judge(at.max(now), node);
        }
    }

    fn set_judge(&mut self, at: Instant, node: NodeId) {
        let is_leaving = self.is_leaving();
        if let Some(suspicion) = self.suspicions.get_mut(&node).filter(|_| !is_leaving) {
            self.generation += 1;
            suspicion.generation = self.generation;
            self.timers.set(at, Timer::Judge(node, self.generation));
        }
    }

    /// A suspicion may have run its time: call the suspect, and if that was done, call it dead.
    pub(super) fn judge(&mut self, now: Instant, node: NodeId, generation: u64, sink: &mut dyn Sink) {
        let members = self.members.active();
        let Some(suspicion) = self.suspicions.get_mut(&node).filter(|s| s.generation == generation) else {
            return;
        };
        if suspicion.is_called {
            if let Some(member) = self.members.find(node) {
                self.adopt(now, member.claim.with_state(MemberState::Dead), true, sink);
            }
            return;
        }
        let timeout = suspicion.timeout(&self.config, members);
        let end = suspicion.since + self.health.widened_at_most(timeout, SUSPICION_WIDENING_MAX);
        if end > now {
            // This node is not well. It may be better soon, so it looks again before the widened time is over.
            let again = end.min(now + self.config.probe_interval);
            return self.set_judge(again, node);
        }
        suspicion.is_called = true;
        self.set_judge(now + self.health.widened(self.config.probe_timeout), node);
        let sequence = self.next_sequence();
        self.send(node, Message::Ping { sequence }, sink);
    }

    /// Gives a suspect the time back in which this node did not listen.
    pub(super) fn prolong(&mut self, now: Instant, node: NodeId, late: Duration) {
        if let Some(suspicion) = self.suspicions.get_mut(&node) {
            suspicion.since = suspicion.since + late;
            suspicion.is_called = false;
            self.arm_judge(now, node);
        }
    }

    /// Somebody claims something of this node.
    fn defend(&mut self, now: Instant, claim: Claim, sink: &mut dyn Sink) {
        let own = self.members.own();
        let is_foreign = claim.life > own.life
            || (claim.life == own.life
                && claim.refutation > own.refutation
                && claim.state == MemberState::Alive);
        if is_foreign || claim.refutation >= REFUTATION_MAX {
            return self.raise_life(now, claim.life, sink);
        }
        let is_accusation =
            claim.life == own.life && claim.refutation >= own.refutation && claim.state != MemberState::Alive;
        if !is_accusation || self.is_leaving() {
            return;
        }
        let refutation = claim.refutation + 1;
        self.members.edit(self.own, &mut self.random, |member| member.claim.refutation = refutation);
        self.health.worsen(1);
        self.tell(now, Topic::Claim(self.own));
        sink.push(Effect::Event(Event::Refuted { refutation }));
    }

    /// Takes a life above `above`, which some other process of this node left behind, and makes all entries anew.
    pub(super) fn raise_life(&mut self, now: Instant, above: Life, sink: &mut dyn Sink) {
        let life = self.members.own().life.max(above).next();
        if life == self.members.own().life {
            return; // the last one there is
        }
        self.rumors.remove_node(self.own);
        self.members.edit(self.own, &mut self.random, |member| {
            (member.claim.life, member.claim.refutation) = (life, 0);
            member.facts.reborn(life);
        });
        self.tell(now, Topic::Claim(self.own));
        for number in 1..=self.own_member().facts.watermark() {
            self.tell(now, Topic::Entry(self.own, number));
        }
        sink.push(Effect::Event(Event::LifeRaised { life }));
    }
}
