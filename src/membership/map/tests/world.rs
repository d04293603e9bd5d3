//! A cluster of keepers with a network, disks and clients that do their worst.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use quorate_ring::{Actor, Epoch, Founder, Incarnation, NodeId};

use super::oracle::{Oracle, Verdict};
use crate::membership::map::{
    Change, ChangeId, ClusterMap, MapEffect, MapKeeper, MapMessage, MapMutant, MapRecord, MapTicket, Process,
};

/// A node: its disk, and its process if it runs.
pub(super) struct Node {
    pub(super) incarnation: Incarnation,
    pub(super) actor: Actor,
    pub(super) keeper: Option<MapKeeper>,
    /// What it starts from without a record.
    first: Arc<ClusterMap>,
    pub(super) disk: Option<MapRecord>,
    unsynced: VecDeque<(MapTicket, MapRecord)>,
    /// What the least informed of the others knew durably when the process started.
    floor: Epoch,
    /// Who can be reached: nodes of the same side.
    pub(super) side: u8,
}

pub(super) struct Letter {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) message: MapMessage,
}

pub(super) struct World {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) letters: Vec<Letter>,
    pub(super) oracle: Oracle,
    mutant: Option<MapMutant>,
    effects: Vec<MapEffect>,
    drawn: u64,
    /// One line per event, if wanted.
    pub(super) trace: Option<Vec<String>>,
}

/// The lightest founder: two tokens, so that maps are made fast.
pub(super) fn light(number: u32) -> Founder {
    Founder::new(format!("n{number}"), format!("h{number}:1")).with_weight(1)
}

pub(super) fn founding(founders: u32) -> Arc<ClusterMap> {
    Arc::new(ClusterMap::founding("c", &(1..=founders).map(light).collect::<Vec<_>>()).unwrap())
}

/// The map after the founders have met, each in its first life.
pub(super) fn founded(founding: &ClusterMap) -> Arc<ClusterMap> {
    let lives = founding.members().map(|node| (node, first_life(node))).collect();
    let id = ChangeId { since: Epoch(1), number: 0 };
    Arc::new(founding.apply(id, &Change::Found { lives }).unwrap())
}

pub(super) fn first_life(node: NodeId) -> Incarnation {
    Incarnation(u64::from(node.0) * 100)
}

impl World {
    /// Nodes that start with `map`, all of them up.
    pub(super) fn new(map: &Arc<ClusterMap>, mutant: Option<MapMutant>) -> Result<Self, String> {
        let mut world = Self {
            nodes: BTreeMap::new(),
            letters: Vec::new(),
            oracle: Oracle::begin(map),
            mutant,
            effects: Vec::new(),
            drawn: 0,
            trace: None,
        };
        for id in map.members() {
            world.add(id, first_life(id), map);
            if map.is_founded() {
                let record = MapRecord {
                    map: map.clone(),
                    promised: crate::membership::synod::Ballot::ZERO,
                    accepted: None,
                    named_at: Some(map.next_table()),
                };
                world.node(id).disk = Some(record);
            }
        }
        for id in map.members() {
            world.start(id)?;
        }
        Ok(world)
    }

    pub(super) fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("tests name nodes that are there")
    }

    pub(super) fn keeper(&self, id: NodeId) -> &MapKeeper {
        self.nodes[&id].keeper.as_ref().expect("tests look at nodes that are up")
    }

    fn add(&mut self, id: NodeId, incarnation: Incarnation, first: &Arc<ClusterMap>) {
        let node = Node {
            incarnation,
            actor: Actor(0),
            keeper: None,
            first: first.clone(),
            disk: None,
            unsynced: VecDeque::new(),
            floor: Epoch(0),
            side: 0,
        };
        self.nodes.insert(id, node);
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    pub(super) fn start(&mut self, id: NodeId) -> Verdict {
        if self.nodes[&id].keeper.is_some() {
            return Ok(());
        }
        let durable = |(other, node): (&NodeId, &Node)| {
            let map = &node.disk.as_ref()?.map;
            let knows = *other != id && map.is_founded() && map.names(*other, node.incarnation);
            knows.then(|| map.epoch())
        };
        let floor = self.nodes.iter().filter_map(durable).min().unwrap_or(Epoch(0));
        let (actor, mutant) = (Actor(self.draw()), self.mutant);
        let node = self.node(id);
        (node.actor, node.floor) = (actor, floor);
        let own = Process { node: id, incarnation: node.incarnation, actor };
        let keeper =
            MapKeeper::new(own, node.first.clone(), node.disk.clone()).map_err(|fork| fork.to_string())?;
        node.keeper = Some(keeper.with_mutant(mutant));
        self.note(|| format!("{id} starts"));
        self.act(id, |keeper, effects| keeper.start(effects))
    }

    /// The process dies, and with it what its disk was not done with.
    pub(super) fn crash(&mut self, id: NodeId) {
        let node = self.node(id);
        if node.keeper.take().is_some() {
            node.unsynced.clear();
            let actor = node.actor;
            self.oracle.lost(actor);
            self.note(|| format!("{id} crashes"));
        }
    }

    /// The disk is lost, too.
    pub(super) fn wipe(&mut self, id: NodeId) {
        self.crash(id);
        let node = self.node(id);
        node.disk = None;
        node.incarnation.0 += 1;
        self.note(|| format!("{id} loses its disk"));
    }

    pub(super) fn propose(&mut self, at: NodeId, id: ChangeId, change: &Change) -> Verdict {
        let node = &self.nodes[&at];
        if node.keeper.is_none() {
            return Ok(());
        }
        self.oracle.asked(id, change, node.actor);
        self.note(|| format!("{at} is asked to {}", name(change)));
        let change = change.clone();
        self.act(at, |keeper, effects| keeper.propose(id, change, effects))
    }

    /// A name for a change that `at` is asked for first.
    pub(super) fn change_id(&mut self, at: NodeId) -> ChangeId {
        let since = self.nodes[&at].keeper.as_ref().map_or(Epoch(1), |keeper| keeper.newest().epoch());
        ChangeId { since, number: (1 << 32) + self.draw() }
    }

    /// The disk is done with the first write.
    pub(super) fn sync(&mut self, id: NodeId) -> Verdict {
        let node = self.node(id);
        let Some((ticket, record)) = node.unsynced.pop_front() else {
            return Ok(());
        };
        node.disk = Some(record);
        self.act(id, |keeper, effects| keeper.persisted(ticket, effects))
    }

    pub(super) fn has_unsynced(&self, id: NodeId) -> bool {
        !self.nodes[&id].unsynced.is_empty()
    }

    /// The letter arrives, if its addressee is up and on the same side.
    pub(super) fn deliver(&mut self, letter: Letter) -> Verdict {
        let Letter { from, to, message } = letter;
        let Some(receiver) = self.nodes.get(&to) else {
            return Ok(());
        };
        if self.nodes.get(&from).is_some_and(|sender| sender.side != receiver.side) {
            return Ok(());
        }
        if receiver.keeper.is_some() {
            self.note(|| format!("{from} > {to} {}", render(&message)));
        }
        self.act(to, |keeper, effects| keeper.handle(from, message, effects))
    }

    /// Lets something happen to a keeper, carries out what it wants, and looks at the result.
    pub(super) fn act(
        &mut self,
        id: NodeId,
        event: impl FnOnce(&mut MapKeeper, &mut Vec<MapEffect>),
    ) -> Verdict {
        let mut effects = std::mem::take(&mut self.effects);
        let is_sound = self.mutant.is_none();
        let node = self.node(id);
        let Some(keeper) = &mut node.keeper else {
            self.effects = effects;
            return Ok(());
        };
        event(keeper, &mut effects);
        if is_sound {
            keeper.validate();
        }
        let (newest, actor) = (keeper.newest().clone(), node.actor);
        if keeper.serves() && keeper.map().is_none_or(|map| map.epoch() < node.floor) {
            return Err(format!(
                "{id} serves by less than {}, which all others knew when it started",
                node.floor
            ));
        }
        if self.oracle.decided(&newest)? {
            self.welcome(&newest)?;
        }
        for effect in effects.drain(..) {
            match effect {
                MapEffect::Send { to, message } => self.post(id, to, message),
                MapEffect::Persist { ticket, record } => self.node(id).unsynced.push_back((ticket, record)),
                MapEffect::Settled { id: change, outcome } => {
                    self.note(|| format!("{id} says: {outcome}"));
                    self.oracle.settled(change, actor, &outcome)?;
                }
                MapEffect::Alarm(fork) => return Err(fork.to_string()),
                MapEffect::Install(map) => self.note(|| format!("{id} installs {}", map.epoch())),
                MapEffect::BackOff { .. } => {}
            }
        }
        self.effects = effects;
        Ok(())
    }

    fn post(&mut self, from: NodeId, to: NodeId, message: MapMessage) {
        if !self.nodes.contains_key(&to) {
            // Two of the mutants ask nodes that are not members yet. Each proposer has its own newcomer in mind,
            // which nobody else has asked.
            let (slot, ballot, incarnation) = match &message {
                MapMessage::Prepare { parent, ballot } => (parent.slot(), *ballot, first_life(to)),
                MapMessage::Accept { parent, vote } => (parent.slot(), vote.ballot, first_life(to)),
                _ => return,
            };
            let answer = match message {
                MapMessage::Prepare { .. } => {
                    MapMessage::Promised { slot, ballot, incarnation, accepted: None }
                }
                _ => MapMessage::Accepted { slot, ballot, incarnation },
            };
            return self.letters.push(Letter { from: to, to: from, message: answer });
        }
        self.letters.push(Letter { from, to, message });
    }

    /// Starts the members that `map` is the first to name.
    fn welcome(&mut self, map: &Arc<ClusterMap>) -> Verdict {
        for id in map.members() {
            if !self.nodes.contains_key(&id) {
                self.add(id, first_life(id), map);
                let effects = std::mem::take(&mut self.effects);
                self.start(id)?;
                self.effects = effects;
            }
        }
        Ok(())
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }
}

fn name(change: &Change) -> String {
    match change {
        Change::CreateTable(table) => format!("create {}", table.name),
        Change::DropTable { name } => format!("drop {name}"),
        Change::TruncateTable { name } => format!("truncate {name}"),
        Change::Join { node, .. } => format!("take in {}", node.name),
        Change::Remove { node } => format!("remove {node}"),
        other => format!("{other:?}"),
    }
}

fn render(message: &MapMessage) -> String {
    let value = |map: &ClusterMap| match map.change() {
        Some(id) => format!("{} ({:x})", map.epoch(), id.number & 0xffff_ffff),
        None => map.epoch().to_string(),
    };
    let attempt =
        |ballot: &crate::membership::synod::Ballot| format!("b{}.{}", ballot.round, ballot.proposer.0);
    match message {
        MapMessage::Prepare { parent, ballot } => format!("prepare {} {}", parent.slot(), attempt(ballot)),
        MapMessage::Promised { slot, ballot, accepted: None, .. } => {
            format!("promised {slot} {}", attempt(ballot))
        }
        MapMessage::Promised { slot, ballot, accepted: Some(vote), .. } => {
            format!("promised {slot} {}, accepted {}", attempt(ballot), value(&vote.value))
        }
        MapMessage::Accept { vote, .. } => format!("accept {} {}", value(&vote.value), attempt(&vote.ballot)),
        MapMessage::Accepted { slot, ballot, .. } => format!("accepted {slot} {}", attempt(ballot)),
        MapMessage::Outbid { slot, ballot, promised, .. } => {
            format!("outbid {slot} {} by {}", attempt(ballot), attempt(promised))
        }
        MapMessage::Decided { map } => format!("decided {}", value(map)),
        MapMessage::Fetch { known, .. } => format!("fetch, knows {known}"),
        MapMessage::Fetched { map: Some(map), .. } => format!("fetched {}", value(map)),
        MapMessage::Fetched { map: None, epoch, .. } => format!("fetched nothing above {epoch}"),
        MapMessage::Installed { epoch, .. } => format!("installed {epoch}"),
    }
}
