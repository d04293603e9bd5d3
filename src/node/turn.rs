//! What surrounds one step of the node.

use std::{collections::BTreeSet, sync::Arc};

use quorate_ring::{Epoch, NodeId, Now, Ring};
use quorate_storage::{Recovered, Row};

use super::{Budget, Clock, Effects, NodeConfig};
use crate::{
    coordinator::{Crowded, Health},
    handoff::{Hint, OwnAnswer},
    membership::{Catalog, Lives, UpSet},
    replica::{Conflicts, Deferrals, StateCache},
};

/// What the rooms of a node share between steps.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) config: NodeConfig,
    pub(super) ring: Arc<Ring>,
    pub(super) up: UpSet,
    pub(super) lives: Lives,
    pub(super) catalog: Catalog,
    /// Whether this node acts as a member (rule M1).
    pub(super) serves: bool,
    pub(super) clock: Clock,
    pub(super) deferrals: Deferrals,
    pub(super) cache: StateCache,
    pub(super) conflicts: Conflicts,
    pub(super) crowded: Crowded,
    pub(super) hints: Vec<Hint>,
    pub(super) damaged: Vec<Row>,
    pub(super) quarantine: BTreeSet<Row>,
    pub(super) own_answers: Vec<OwnAnswer>,
    pub(super) health: Health,
    pub(super) budget: Budget,
}

impl Surroundings {
    pub(super) fn new(config: NodeConfig, ring: Arc<Ring>, recovered: Recovered) -> Self {
        #[cfg_attr(not(feature = "mutants"), expect(unused_mut, reason = "only a mutant changes it"))]
        let mut clock = Clock::resume(recovered.hlc_bound, config.actor, config.max_clock_offset);
        #[cfg(feature = "mutants")]
        if config.mutant == Some(super::Mutant::ClockAlone) {
            clock.forget_all_but_the_wall();
        }
        #[cfg(feature = "mutants")]
        if config.mutant == Some(super::Mutant::AheadAccepted) {
            clock.accept_all();
        }
        let up = UpSet::new(config.node);
        let lives = Lives::new(recovered.life(config.actor), recovered.peers);
        let catalog = Catalog::new(recovered.recoveries);
        Self {
            up,
            lives,
            catalog,
            serves: false,
            clock,
            deferrals: Deferrals::default(),
            cache: StateCache::new(config.state_cache_bytes),
            conflicts: Conflicts::default(),
            crowded: Crowded::default(),
            hints: Vec::new(),
            // What an earlier process did not get back in time.
            damaged: recovered.quarantined,
            quarantine: BTreeSet::new(),
            own_answers: Vec::new(),
            health: Health::default(),
            budget: Budget::default(),
            ring,
            config,
        }
    }

    /// Begins a step.
    pub(super) fn turn<'a>(&'a mut self, now: Now, effects: &'a mut Effects) -> Turn<'a> {
        Turn {
            now,
            config: &self.config,
            ring: &self.ring,
            up: &self.up,
            lives: &mut self.lives,
            epoch: self.catalog.epoch(),
            serves: self.serves,
            catalog: &self.catalog,
            clock: &mut self.clock,
            deferrals: &mut self.deferrals,
            cache: &mut self.cache,
            conflicts: &mut self.conflicts,
            crowded: &mut self.crowded,
            hints: &mut self.hints,
            damaged: &mut self.damaged,
            quarantine: &mut self.quarantine,
            own_answers: &mut self.own_answers,
            health: &mut self.health,
            budget: &mut self.budget,
            effects,
        }
    }
}

/// The time, the facts and the sink that the rooms of a node share while one event happens.
#[derive(Debug)]
pub struct Turn<'a> {
    /// What the clocks show.
    pub now: Now,
    /// This node's settings.
    pub config: &'a NodeConfig,
    /// Who owns what.
    pub ring: &'a Ring,
    /// Who can be reached.
    pub up: &'a UpSet,
    /// Which process of each member was met last.
    pub lives: &'a mut Lives,
    /// The epoch of the cluster map in use here: what this node's frames carry (rule M5).
    pub epoch: Epoch,
    /// Whether this node acts as a member (rule M1).
    pub serves: bool,
    /// Which tables there are.
    pub catalog: &'a Catalog,
    /// Where tags come from.
    pub clock: &'a mut Clock,
    /// Which keys' new writes wait a moment (rule Q5).
    pub deferrals: &'a mut Deferrals,
    /// What this replica holds durably of keys that were read lately.
    pub cache: &'a mut StateCache,
    /// Keys of which this replica may not tell what it holds (rule V4).
    pub conflicts: &'a mut Conflicts,
    /// Which keys have too many concurrent values (rule V6).
    pub crowded: &'a mut Crowded,
    /// Hints that the coordinator wants kept (rule H1).
    pub hints: &'a mut Vec<Hint>,
    /// Keys whose records were found damaged (rule S3).
    pub damaged: &'a mut Vec<Row>,
    /// Those of them that are to be restored: this node is no replica of them until then.
    pub quarantine: &'a mut BTreeSet<Row>,
    /// What this node's own replica and handoff say to its coordinator, without another thread.
    pub own_answers: &'a mut Vec<OwnAnswer>,
    /// How quickly replicas answer (rules Q1, Q9).
    pub health: &'a mut Health,
    /// How much is done beside requests of clients.
    pub budget: &'a mut Budget,
    /// Where effects go.
    pub effects: &'a mut Effects,
}

impl<'a> Turn<'a> {
    /// Every member but this node.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> + use<'a> {
        let own = self.config.node;
        let ring: &'a Ring = self.ring;
        ring.members().iter().map(|member| member.id).filter(move |id| *id != own)
    }
}
