//! Random schedules: messages lost, doubled and reordered, partitions, crashes that forget what was not synced, lost
//! disks, members that come and go, changes asked for twice. Every schedule is a number: it can be run again.

use std::{collections::BTreeMap, sync::Arc};

use quorate_ring::{Consistency, NodeId, TableKind};

use super::{
    oracle::Verdict,
    world::{World, first_life, founded, founding, light},
};
use crate::membership::map::{
    Change, ChangeId, ClusterMap, MapMutant, MapRecord, NewTable, Settings, TableOptions,
};

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    fn chance(&mut self, per_mille: usize) -> bool {
        self.below(1_000) < per_mille
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// How often what happens in one schedule.
struct Weather {
    steps: usize,
    loss: usize,
    doubling: usize,
    /// Per mille of the steps, one after the other: see [`Explorer::step`].
    odds: [usize; 9],
    /// Whether the newest letter tends to arrive first.
    is_stack: bool,
    /// How often a crashed process is started at once.
    quick_start: usize,
}

impl Weather {
    fn draw(random: &mut Random) -> Self {
        let calm = |random: &mut Random, most: usize| if random.chance(300) { 0 } else { random.below(most) };
        Self {
            steps: 60 + random.below(240),
            loss: calm(random, 200),
            doubling: calm(random, 100),
            odds: [
                120 + random.below(200), // sync
                5 + random.below(40),    // a change
                calm(random, 20),        // a change asked for again
                calm(random, 15),        // nobody waits any longer
                5 + random.below(50),    // resume
                calm(random, 25),        // crash or restart
                calm(random, 6),         // wipe
                calm(random, 12),        // partition or heal
                calm(random, 20),        // gossip
            ],
            is_stack: random.chance(200),
            quick_start: 500,
        }
    }

    /// Nothing but two proposers at odds, with an acceptor between them that restarts.
    fn duel(random: &mut Random) -> Self {
        let odds = [500, 0, 0, 0, random.below(40), 50 + random.below(50), 0, 0, 0];
        Self { steps: 60 + random.below(60), loss: 0, doubling: 0, odds, is_stack: false, quick_start: 1_000 }
    }

    fn is_duel(&self) -> bool {
        self.quick_start == 1_000
    }
}

struct Explorer {
    world: World,
    random: Random,
    weather: Weather,
    asked: Vec<(ChangeId, Change)>,
}

/// The maps that schedules begin with, made once.
struct Beginnings(Vec<(Arc<ClusterMap>, Arc<ClusterMap>)>);

impl Beginnings {
    fn new() -> Self {
        let begin = |founders| {
            let first = founding(founders);
            (first.clone(), founded(&first))
        };
        Self((1..=5).map(begin).collect())
    }
}

impl Explorer {
    fn new(seed: u64, beginnings: &Beginnings, mutant: Option<MapMutant>) -> Result<Self, String> {
        let mut random = Random(seed.wrapping_mul(0xd6e8_feb8_6659_fd93));
        let founders = random.pick(&[1, 2, 3, 3, 3, 3, 3, 4, 5]);
        let is_duel = random.chance(200);
        let (founding, founded) = &beginnings.0[if is_duel { 2 } else { founders - 1 }];
        let beginning = if !is_duel && random.chance(120) { founding } else { founded };
        let weather = if is_duel { Weather::duel(&mut random) } else { Weather::draw(&mut random) };
        let world = World::new(beginning, mutant)?;
        let mut explorer = Self { world, random, weather, asked: Vec::new() };
        if is_duel {
            explorer.world.letters.clear();
            explorer.ask(NodeId(1))?;
            explorer.ask(NodeId(3))?;
        }
        Ok(explorer)
    }

    fn run(&mut self) -> Verdict {
        for _ in 0..self.weather.steps {
            self.step()?;
        }
        self.world.oracle.finish()
    }

    fn step(&mut self) -> Verdict {
        let mut roll = self.random.below(1_000);
        let mut what = self.weather.odds.len();
        for (at, odds) in self.weather.odds.iter().enumerate() {
            if roll < *odds {
                what = at;
                break;
            }
            roll -= odds;
        }
        let id = self.any_node();
        match what {
            0 => self.world.sync(id),
            1 => self.ask(id),
            2 => self.ask_again(id),
            3 => self.expire(id),
            4 => self.world.act(id, |keeper, effects| keeper.resume(effects)),
            5 => self.toggle(id),
            // One founder never loses its disk: without any, nothing is left of the cluster.
            6 if id != NodeId(1) => {
                self.world.wipe(id);
                self.world.start(id)
            }
            7 => {
                self.partition();
                Ok(())
            }
            8 => self.gossip(id),
            _ => self.deliver(),
        }
    }

    fn any_node(&mut self) -> NodeId {
        let at = self.random.below(self.world.nodes.len());
        self.world.nodes.keys().copied().nth(at).expect("below the number of nodes")
    }

    fn deliver(&mut self) -> Verdict {
        let count = self.world.letters.len();
        if count == 0 {
            let id = self.any_node();
            return self.world.sync(id);
        }
        let at = if self.weather.is_stack {
            count - 1 - self.random.below(count.min(3))
        } else {
            self.random.below(count)
        };
        let letter = self.world.letters.swap_remove(at);
        if self.random.chance(self.weather.loss) {
            return Ok(());
        }
        if self.random.chance(self.weather.doubling) {
            let message = letter.message.clone();
            self.world.letters.push(super::world::Letter { message, ..letter });
        }
        self.world.deliver(letter)
    }

    fn ask(&mut self, at: NodeId) -> Verdict {
        let change = self.any_change(at);
        let id = self.world.change_id(at);
        self.asked.push((id, change.clone()));
        self.world.propose(at, id, &change)
    }

    fn ask_again(&mut self, at: NodeId) -> Verdict {
        if self.asked.is_empty() {
            return Ok(());
        }
        let (id, change) = self.asked[self.random.below(self.asked.len())].clone();
        self.world.propose(at, id, &change)
    }

    fn expire(&mut self, at: NodeId) -> Verdict {
        if self.asked.is_empty() {
            return Ok(());
        }
        let (id, _) = self.asked[self.random.below(self.asked.len())];
        self.world.act(at, |keeper, effects| keeper.expire(id, effects))
    }

    fn any_change(&mut self, at: NodeId) -> Change {
        let name = self.random.pick(&["a", "b"]).to_owned();
        let options = TableOptions {
            read_consistency: self.random.pick(&[Consistency::One, Consistency::Quorum]),
            write_consistency: Consistency::Quorum,
        };
        match self.random.below(12) {
            0..=2 => {
                Change::CreateTable(NewTable { name, kind: TableKind::Siblings, replication: 1, options })
            }
            3 => Change::AlterTable {
                name,
                read_consistency: Some(options.read_consistency),
                write_consistency: None,
            },
            4..=5 => Change::DropTable { name },
            6 => Change::TruncateTable { name },
            7 => Change::Settings(Settings::new([(name, "1".to_owned())]).expect("within bounds")),
            8 | 9 if self.world.nodes.len() < 7 => {
                let newest = self.world.nodes[&at].keeper.as_ref().map(|keeper| keeper.newest());
                let next = newest.map_or(NodeId(9), |map| map.ring().layout().next_id);
                Change::Join { node: light(next.0), incarnation: first_life(next) }
            }
            _ => Change::Remove { node: self.any_node() },
        }
    }

    fn toggle(&mut self, id: NodeId) -> Verdict {
        let id = if self.weather.is_duel() { NodeId(2) } else { id };
        if self.world.nodes[&id].keeper.is_some() {
            self.world.crash(id);
            if !self.random.chance(self.weather.quick_start) {
                return Ok(());
            }
        }
        self.world.start(id)
    }

    fn partition(&mut self) {
        let heals = self.random.chance(500);
        for node in self.world.nodes.values_mut() {
            node.side = if heals { 0 } else { self.random.below(2) as u8 };
        }
    }

    fn gossip(&mut self, id: NodeId) -> Verdict {
        let peer = self.any_node();
        let Some(epoch) = self.world.nodes[&peer].keeper.as_ref().map(|keeper| keeper.newest().epoch())
        else {
            return Ok(());
        };
        if peer == id {
            return self.world.act(id, |keeper, effects| keeper.ask(effects));
        }
        self.world.act(id, |keeper, effects| keeper.hear_epoch(peer, epoch, effects))
    }

    /// Everything works again: all members come to the same map, and every change comes to an end.
    fn heal(&mut self) -> Verdict {
        let ids: Vec<_> = self.world.nodes.keys().copied().collect();
        for id in &ids {
            self.world.node(*id).side = 0;
            self.world.start(*id)?;
        }
        for turn in 0..60 {
            self.settle_down()?;
            if self.is_at_rest() {
                return self.world.oracle.finish();
            }
            let ids: Vec<_> = self.world.nodes.keys().copied().collect();
            let id = ids[turn % ids.len()];
            self.world.act(id, |keeper, effects| keeper.resume(effects))?;
            self.world.act(id, |keeper, effects| keeper.ask(effects))?;
        }
        if self.can_decide() { Err("the cluster did not come to rest".to_owned()) } else { Ok(()) }
    }

    fn settle_down(&mut self) -> Verdict {
        loop {
            let busy: Vec<_> =
                self.world.nodes.keys().copied().filter(|id| self.world.has_unsynced(*id)).collect();
            for id in &busy {
                self.world.sync(*id)?;
            }
            match self.world.letters.pop() {
                Some(letter) => self.world.deliver(letter)?,
                None if busy.is_empty() => return Ok(()),
                None => {}
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        let Some(newest) = self.world.oracle.newest() else { return false };
        let is_done = |id: NodeId| {
            let keeper = self.world.keeper(id);
            keeper.newest().epoch() == newest.epoch() && keeper.serves() && !keeper.wants_round()
        };
        newest.members().all(is_done) && self.world.oracle.open().is_empty()
    }

    /// Whether enough is left of the members of the newest map that anybody still knows.
    fn can_decide(&self) -> bool {
        let keepers = self.world.nodes.values().filter_map(|node| node.keeper.as_ref());
        let Some(newest) = keepers.map(|keeper| keeper.newest()).max_by_key(|map| map.epoch()) else {
            return false;
        };
        let lives: BTreeMap<_, _> =
            self.world.nodes.iter().map(|(id, node)| (*id, node.incarnation)).collect();
        let voters = newest.members().filter(|id| newest.names(*id, lives[id])).count();
        voters >= newest.electorate().needed()
    }
}

/// The same, with the story of what happened.
fn tell(seed: u64, beginnings: &Beginnings, mutant: Option<MapMutant>) -> String {
    let Ok(mut explorer) = Explorer::new(seed, beginnings, mutant) else { return String::new() };
    explorer.world.trace = Some(Vec::new());
    let verdict = explorer.run().and_then(|()| if mutant.is_none() { explorer.heal() } else { Ok(()) });
    format!("{}\n{verdict:?}", explorer.world.trace.unwrap_or_default().join("\n"))
}

/// Runs one schedule; what went wrong, if anything did.
fn run(seed: u64, beginnings: &Beginnings, mutant: Option<MapMutant>) -> Verdict {
    let mut explorer = Explorer::new(seed, beginnings, mutant)?;
    explorer.run()?;
    if mutant.is_none() && seed.is_multiple_of(4) {
        explorer.heal()?;
    }
    Ok(())
}

/// `MAP_FIRST` and `MAP_SCHEDULES` say which schedules are run.
#[test]
fn no_schedule_breaks_the_rules() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (first, count) = (number("MAP_FIRST").unwrap_or(0), number("MAP_SCHEDULES").unwrap_or(20_000));
    let beginnings = Beginnings::new();
    for seed in first..first + count {
        if let Err(why) = run(seed, &beginnings, None) {
            panic!("schedule {seed}: {why}\n{}", tell(seed, &beginnings, None));
        }
    }
}

#[test]
fn records_are_read_as_they_were_written() {
    let beginnings = Beginnings::new();
    for seed in 0..100 {
        let mut explorer = Explorer::new(seed, &beginnings, None).unwrap();
        explorer.run().unwrap();
        for record in explorer.world.nodes.values().filter_map(|node| node.disk.as_ref()) {
            let bytes = record.encode();
            assert_eq!(MapRecord::decode(&bytes).as_ref(), Ok(record));
            let cut = explorer.random.below(bytes.len());
            assert!(MapRecord::decode(&bytes[..cut]).is_err(), "cut off after {cut}");
            let _ = MapRecord::decode(&[&bytes[..cut], &[0xdd, 0xff, 0xff, 0xff, 0xff][..]].concat());
        }
    }
}

#[test]
fn every_mutant_is_caught() {
    let beginnings = Beginnings::new();
    let mut missed = Vec::new();
    for mutant in MapMutant::ALL {
        let caught =
            (0..100_000).find_map(|seed| run(seed, &beginnings, Some(mutant)).err().map(|why| (seed, why)));
        match caught {
            Some((seed, why)) => println!("{mutant:?}: schedule {seed}: {why}"),
            None => missed.push(mutant),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
