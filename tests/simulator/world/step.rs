//! One step of a node: an input, and what the node wants done after it.

use quorate::{
    node::{Alarm, DiskOperation, DiskRequest, Effect, Input},
    storage::Write,
    wire::{Frame, PeerMessage},
};

use super::{
    Event, World,
    frames::{destination, encoded},
};
use crate::{
    options::{SECOND, time},
    random::Random,
};

impl World {
    /// Lets one input happen to a node, and sees to what follows.
    pub(crate) fn input(&mut self, number: usize, input: Input) {
        let process = &mut self.processes[number];
        let Some(node) = &mut process.node else {
            return;
        };
        let mut effects = std::mem::take(&mut self.effects);
        self.traffic.step(&input);
        node.handle(process.clock.now(self.now), input, &mut effects);
        if self.events.is_multiple_of(self.options.validate_one_in) {
            node.validate();
        }
        let carried =
            process.clock.carried_along(self.now, self.options.clock_tolerance, node.clock_reading());
        let stale = node.serves_by().filter(|epoch| *epoch < process.floor);
        let timer = node.next_timer().map(|instant| process.clock.when(instant).max(self.now));
        if let Some(at) = timer.filter(|at| *at < process.timer) {
            process.timer = at;
            self.agenda.push(at, Event::Timer { node: number, life: process.life });
        }
        let life = process.life;
        if process.crash_midway.is_some() {
            let mut shuffled: Vec<_> = effects.drain().collect();
            let salt = self.events;
            shuffled.sort_by_key(|effect| Random::numbered(salt, "order", destination(effect)).next());
            shuffled.into_iter().for_each(|effect| effects.push(effect));
        }
        if let Some(epoch) = stale {
            self.fail(format!(
                "tables: n{} serves by {epoch}, and all others knew more when it started",
                number + 1
            ));
        }
        if let Some(why) = carried {
            self.fail(format!("n{}'s {why}", number + 1));
        }
        for effect in effects.drain() {
            if self.processes[number].life == life {
                self.carry_out(number, effect);
            }
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, number: usize, effect: Effect) {
        match &effect {
            Effect::ToPeer { frame: Frame { message: PeerMessage::Store(store), .. }, .. } => {
                self.oracle.sent((store.table, &store.key), &store.state);
                self.forget(number, store);
            }
            Effect::ToPeer { frame: Frame { message: PeerMessage::KeepHint(keep), .. }, .. } => {
                self.oracle.sent((keep.table, &keep.key), &keep.state);
            }
            Effect::Disk(DiskRequest {
                operation: DiskOperation::Write(Write::Hint { row, state, .. }),
                ..
            }) => {
                self.oracle.sent((row.table, &row.key), state);
            }
            _ => {}
        }
        let process = &mut self.processes[number];
        let now = process.clock.now(self.now).mono;
        match effect {
            Effect::ToPeer { peer, frame } => {
                self.send(number, peer.0 as usize - 1, &frame, now);
                self.sent(number);
            }
            Effect::Gossip { peer, packet } => {
                let to = peer.0 as usize - 1;
                self.traffic.datagram(packet.len());
                self.network.send_datagram(self.now, (number, to), packet, &mut self.agenda);
            }
            Effect::ToClient { client, frame } => {
                let at = self.now + self.network.client_delay();
                if !self.network.loses_client() {
                    let bytes = encoded(&frame, now);
                    self.traffic.with_client(bytes.len());
                    self.agenda.push(at, Event::Answer { client, bytes });
                }
            }
            Effect::Disk(request) => {
                if let Some((delay, event)) = process.disk.request(request) {
                    let life = process.life;
                    self.agenda.push(self.now + delay, Event::Disk { node: number, life, event });
                }
            }
            Effect::Alarm(Alarm::ManySiblings { .. }) => {}
            Effect::Alarm(Alarm::DamagedRecord { .. }) if self.oracle.was_damaged(number) => {}
            Effect::Alarm(Alarm::ClockAhead { .. }) if self.clocks_are_apart() => {}
            Effect::Alarm(Alarm::RolledBack { .. } | Alarm::RecoveryStuck { .. }) => {}
            Effect::Alarm(alarm) => self.fail(format!("n{} raises {alarm:?}", number + 1)),
            Effect::Halt(why) => {
                self.trace.line(|| format!("{} n{} halts: {why}", time(self.now), number + 1));
                let back = if self.healed { SECOND } else { self.options.request_timeout };
                self.crash(number, self.now + back);
            }
            Effect::Disconnect(peer) => {
                self.network.disconnect(self.now, number, peer.0 as usize - 1, &mut self.agenda);
            }
            // No client of this world asks for it.
            Effect::Drain => {}
            Effect::Abandon(why) => {
                self.trace.line(|| format!("{} n{} gives its disk up: {why}", time(self.now), number + 1));
                self.replace_disk(number, self.now + self.options.request_timeout, None);
            }
            Effect::Observe(observation) => self.observed(number, &observation),
        }
    }
}
