//! The network: one connection per pair of nodes, an ordered reliable stream each way.
//!
//! A connection that is lost takes with it whatever is under way; each side hears of it in its own time. A
//! direction that is blocked holds frames back, as retransmission does, until it is free again or the
//! connection is given up. Loss, duplication and reordering of single frames are drawn on top.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Event, agenda::Agenda};
use crate::{
    options::{MS, NetworkOptions, SECOND},
    random::Random,
};

/// All connections and directions.
#[derive(Debug)]
pub(crate) struct Network {
    nodes: usize,
    options: NetworkOptions,
    random: Random,
    datagrams: Random,
    calm: bool,
    /// Which directions take longer, and how many times as long.
    distances: Vec<u64>,
    connections: Vec<Connection>,
    directions: Vec<Direction>,
}

/// Between two nodes.
#[derive(Clone, Debug, Default)]
struct Connection {
    /// Which of the connections that these two had and will have.
    generation: u32,
    open: bool,
    dialling: bool,
}

/// From one node to another.
#[derive(Clone, Debug, Default)]
struct Direction {
    /// The connection on which the sender believes to be connected.
    believed: Option<u32>,
    /// When the last frame arrives: the next one arrives no earlier.
    last_arrival: u64,
    /// How many faults block it.
    blocks: u32,
    /// How often it was blocked before.
    blocked_before: u32,
    held: VecDeque<Bytes>,
}

impl Network {
    pub(crate) fn new(nodes: usize, seed: u64, options: NetworkOptions) -> Self {
        let topology = &mut Random::stream(seed, "topology");
        let mut distance = || if topology.chance(options.uneven) { topology.scale(2, 30) } else { 1 };
        Self {
            nodes,
            distances: (0..nodes * nodes).map(|_| distance()).collect(),
            options,
            random: Random::stream(seed, "network"),
            datagrams: Random::stream(seed, "datagrams"),
            calm: false,
            connections: vec![Connection::default(); nodes * nodes.saturating_sub(1) / 2],
            directions: vec![Direction::default(); nodes * nodes],
        }
    }

    /// Sends a frame on the connection that `from` believes to have; `once` if it must not be doubled, because the
    /// protocol relies on connections for that. Says whether it is.
    pub(crate) fn send(
        &mut self,
        now: u64,
        (from, to): (usize, usize),
        bytes: Bytes,
        once: bool,
        agenda: &mut Agenda<Event>,
    ) -> bool {
        let connection = &self.connections[pair(from, to)];
        let direction = &mut self.directions[from * self.nodes + to];
        if !connection.open || direction.believed != Some(connection.generation) {
            return false;
        }
        if self.random.chance(self.options.loss) {
            return false;
        }
        if direction.blocks > 0 {
            direction.held.push_back(bytes);
            return false;
        }
        let doubled = self.random.chance(self.options.duplication) && !once;
        if doubled {
            self.transmit(now, from, to, bytes.clone(), agenda);
        }
        self.transmit(now, from, to, bytes, agenda);
        doubled
    }

    /// Sends a datagram on the connection that `from` believes to have: it is lost where a frame would be held back, and
    /// keeps no order. What arrives late does so even if the connection is gone.
    pub(crate) fn send_datagram(
        &mut self,
        now: u64,
        (from, to): (usize, usize),
        packet: Bytes,
        agenda: &mut Agenda<Event>,
    ) {
        let connection = &self.connections[pair(from, to)];
        let direction = &self.directions[from * self.nodes + to];
        let connected = connection.open && direction.believed == Some(connection.generation);
        let blocked = direction.blocks > 0;
        // Of its own dice, as everything that gossip alone draws: it shifts nothing else.
        let dice = &mut self.datagrams;
        let (lost, doubled) = (dice.chance(self.options.loss), dice.chance(self.options.duplication));
        if !connected || blocked || lost {
            return;
        }
        for _ in 0..1 + u32::from(doubled) {
            let dice = &mut self.datagrams;
            let delay = dice.range(self.options.delay_min, self.options.delay_max);
            let delay = if dice.chance(self.options.slow) { delay * 10 } else { delay };
            let at = now + (delay * self.distances[from * self.nodes + to]).min(DELAY_MAX);
            let at = if self.calm { at.min(now + QUICK) } else { at };
            agenda.push(at, Event::Datagram { from, to, packet: packet.clone() });
        }
    }

    /// Whether a frame that was sent on connection `generation` still arrives: what was under way when a
    /// connection was lost does so until the receiver hears of the loss.
    pub(crate) fn arrives(&self, from: usize, to: usize, generation: u32) -> bool {
        self.directions[to * self.nodes + from].believed == Some(generation)
    }

    /// Blocks a direction.
    pub(crate) fn block(&mut self, now: u64, from: usize, to: usize, agenda: &mut Agenda<Event>) {
        let direction = &mut self.directions[from * self.nodes + to];
        direction.blocks += 1;
        if direction.blocks == 1 {
            direction.blocked_before += 1;
            let idle = Event::Idle { from, to, block: direction.blocked_before };
            agenda.push(now + self.options.idle_timeout, idle);
        }
    }

    /// Takes a block away.
    pub(crate) fn unblock(&mut self, now: u64, from: usize, to: usize, agenda: &mut Agenda<Event>) {
        let direction = &mut self.directions[from * self.nodes + to];
        direction.blocks -= 1;
        if direction.blocks == 0 {
            for bytes in std::mem::take(&mut direction.held) {
                self.transmit(now, from, to, bytes, agenda);
            }
            self.redial(now, from, to, agenda);
        }
    }

    /// A direction has been blocked for the idle timeout; gives the connection up if it still is.
    pub(crate) fn idle(&mut self, now: u64, from: usize, to: usize, block: u32, agenda: &mut Agenda<Event>) {
        let direction = &self.directions[from * self.nodes + to];
        if direction.blocks > 0 && direction.blocked_before == block {
            self.reset(now, from, to, agenda);
        }
    }

    /// `node` closes its connection to `peer`, and knows it at once.
    pub(crate) fn disconnect(&mut self, now: u64, node: usize, peer: usize, agenda: &mut Agenda<Event>) {
        if let Some(generation) = self.directions[node * self.nodes + peer].believed {
            agenda.push(now, Event::PeerDown { node, peer, generation });
        }
        self.reset(now, node, peer, agenda);
    }

    /// The connection between two nodes is lost.
    pub(crate) fn reset(&mut self, now: u64, a: usize, b: usize, agenda: &mut Agenda<Event>) {
        let connection = &mut self.connections[pair(a, b)];
        if !connection.open {
            return;
        }
        let generation = connection.generation;
        connection.open = false;
        connection.generation += 1;
        for (node, peer) in [(a, b), (b, a)] {
            let direction = &mut self.directions[node * self.nodes + peer];
            direction.held.clear();
            if direction.believed == Some(generation) {
                let notice = if self.random.chance(700) {
                    self.random.range(0, self.options.delay_max)
                } else {
                    self.random.range(0, self.options.idle_timeout)
                };
                agenda.push(now + notice, Event::PeerDown { node, peer, generation });
            }
        }
        self.redial(now, a, b, agenda);
    }

    /// Dials, if nothing is in the way, after the usual delay.
    pub(crate) fn redial(&mut self, now: u64, a: usize, b: usize, agenda: &mut Agenda<Event>) {
        let connection = &mut self.connections[pair(a, b)];
        if !connection.open && !connection.dialling {
            connection.dialling = true;
            agenda.push(now + self.random.range(0, self.options.redial_delay), Event::Dial { a, b });
        }
    }

    /// A dial has come through: opens the connection if `reachable` and nothing blocks it.
    pub(crate) fn dial(&mut self, now: u64, a: usize, b: usize, reachable: bool, agenda: &mut Agenda<Event>) {
        let blocked =
            self.directions[a * self.nodes + b].blocks > 0 || self.directions[b * self.nodes + a].blocks > 0;
        let connection = &mut self.connections[pair(a, b)];
        connection.dialling = false;
        if blocked || !reachable || connection.open {
            return;
        }
        connection.open = true;
        let generation = connection.generation;
        for (node, peer) in [(a, b), (b, a)] {
            let at = now + self.random.range(self.options.delay_min, self.options.delay_max);
            self.directions[peer * self.nodes + node].last_arrival = at;
            agenda.push(at, Event::PeerUp { node, peer, generation });
        }
    }

    /// `node` learns that a connection is open. `None` if it is lost already; else whether the node still
    /// believed in an earlier one.
    pub(crate) fn believe(&mut self, node: usize, peer: usize, generation: u32) -> Option<bool> {
        let connection = &self.connections[pair(node, peer)];
        if !connection.open || connection.generation != generation {
            return None;
        }
        let direction = &mut self.directions[node * self.nodes + peer];
        Some(direction.believed.replace(generation).is_some())
    }

    /// `node` learns that a connection is lost; whether it believed in it.
    pub(crate) fn disbelieve(&mut self, node: usize, peer: usize, generation: u32) -> bool {
        let direction = &mut self.directions[node * self.nodes + peer];
        direction.believed.take_if(|believed| *believed == generation).is_some()
    }

    /// A process is gone: it believes nothing any more, and its connections are lost.
    pub(crate) fn process_gone(&mut self, now: u64, node: usize, agenda: &mut Agenda<Event>) {
        for peer in (0..self.nodes).filter(|peer| *peer != node) {
            self.directions[node * self.nodes + peer].believed = None;
            self.reset(now, node, peer, agenda);
        }
    }

    /// The time between a client and a node.
    pub(crate) fn client_delay(&mut self) -> u64 {
        self.delay()
    }

    /// Whether what a client sends or is sent gets lost.
    pub(crate) fn loses_client(&mut self) -> bool {
        self.random.chance(self.options.client_loss)
    }

    /// From now on frames are neither lost nor doubled nor overtaken, and datagrams as quick as the hastiest gossip
    /// expects.
    pub(crate) fn calm_down(&mut self) {
        self.calm = true;
        let options = &mut self.options;
        (options.loss, options.duplication, options.reordering, options.client_loss) = (0, 0, 0, 0);
    }

    fn transmit(&mut self, now: u64, from: usize, to: usize, bytes: Bytes, agenda: &mut Agenda<Event>) {
        let delay = self.delay() * self.distances[from * self.nodes + to];
        let arrival = now + delay.min(DELAY_MAX);
        let overtakes = self.random.chance(self.options.reordering);
        let generation = self.connections[pair(from, to)].generation;
        let direction = &mut self.directions[from * self.nodes + to];
        let at = if overtakes { arrival } else { arrival.max(direction.last_arrival) };
        direction.last_arrival = direction.last_arrival.max(at);
        agenda.push(at, Event::Frame { from, to, generation, bytes });
    }

    fn delay(&mut self) -> u64 {
        let delay = self.random.range(self.options.delay_min, self.options.delay_max);
        if self.random.chance(self.options.slow) { delay * 10 } else { delay }
    }
}

/// What the hastiest gossip takes for a usual delay.
const QUICK: u64 = 4 * MS;
/// No frame takes longer, however far and slow: whatever waits for all would wait for ever.
const DELAY_MAX: u64 = SECOND;

/// The place of an unordered pair.
fn pair(a: usize, b: usize) -> usize {
    let (low, high) = (a.min(b), a.max(b));
    high * (high - 1) / 2 + low
}
