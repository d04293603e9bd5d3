//! The slow obvious twin of a state is the set of all writes known, each with what its writer had seen.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quorate_ring::{Actor, Hlc};

use super::*;
use crate::{Content, VersionVector, arbitrary::written, merge::join};

/// Every write ever acknowledged, with what its writer had seen.
type History = BTreeMap<Tag, BTreeSet<Tag>>;

/// A replica, and its twin.
#[derive(Clone, Debug)]
struct Replica {
    actor: Actor,
    state: Option<Siblings>,
    known: BTreeSet<Tag>,
}

/// What a reader took away: a context, and its twin.
type Context = (VersionVector, BTreeSet<Tag>);

#[derive(Clone, Debug)]
enum Step {
    /// A put at a replica, with the context of the read so many reads ago; blind if there was none.
    Put { at: usize, reads_ago: usize, clock: u64 },
    /// A put that has seen what the replica holds.
    PutSeen { at: usize, clock: u64 },
    /// A client reads.
    Read { at: usize },
    /// One replica's state reaches another.
    Send { from: usize, to: usize },
    /// A state sent long ago arrives late, or twice.
    Late { sent: usize, to: usize },
    /// The process restarts: a new actor on the old state.
    Restart { at: usize },
}

const REPLICAS: usize = 4;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = || 0..REPLICAS;
    let step = prop_oneof![
        4 => (at(), 0_usize..6, 0_u64..4)
            .prop_map(|(at, reads_ago, clock)| Step::Put { at, reads_ago, clock }),
        2 => (at(), 0_u64..4).prop_map(|(at, clock)| Step::PutSeen { at, clock }),
        4 => at().prop_map(|at| Step::Read { at }),
        5 => (at(), at()).prop_map(|(from, to)| Step::Send { from, to }),
        1 => (0_usize..40, at()).prop_map(|(sent, to)| Step::Late { sent, to }),
        1 => at().prop_map(|at| Step::Restart { at }),
    ];
    proptest::collection::vec(step, 1..60)
}

#[derive(Debug)]
struct World {
    replicas: Vec<Replica>,
    history: History,
    reads: Vec<Context>,
    sent: Vec<Replica>,
    actors: u64,
}

impl World {
    fn new() -> Self {
        let replica = |n| Replica { actor: Actor(n), state: None, known: BTreeSet::new() };
        let replicas = (0..REPLICAS as u64).map(replica).collect();
        Self {
            replicas,
            history: History::new(),
            reads: Vec::new(),
            sent: Vec::new(),
            actors: REPLICAS as u64,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Put { at, reads_ago, clock } => {
                let context = self.reads.iter().rev().nth(reads_ago).cloned().unwrap_or_default();
                self.put(at, context, clock);
            }
            Step::PutSeen { at, clock } => {
                let context = self.replicas[at].context();
                self.put(at, context, clock);
            }
            Step::Read { at } => self.reads.push(self.replicas[at].context()),
            Step::Send { from, to } => {
                self.sent.push(self.replicas[from].clone());
                let from = self.replicas[from].clone();
                self.replicas[to].receive(&from);
            }
            Step::Late { sent, to } => {
                if let Some(from) = self.sent.get(sent) {
                    self.replicas[to].receive(from);
                }
            }
            Step::Restart { at } => {
                self.replicas[at].actor = Actor(self.actors);
                self.actors += 1;
            }
        }
    }

    fn put(&mut self, at: usize, (context, seen): Context, clock: u64) {
        let replica = &mut self.replicas[at];
        let held = replica.state.as_ref().and_then(|held| held.vector().greatest());
        let above = held.max(context.greatest()).map_or(0, |above| above.hlc.0);
        let dot = Tag { hlc: Hlc(above + 1 + clock), actor: replica.actor };
        replica.state = Some(match &replica.state {
            Some(held) => held.written(dot, &context, written(dot)),
            None => Siblings::first(dot, &context, written(dot)),
        });
        replica.known.extend(&seen);
        replica.known.insert(dot);
        assert!(self.history.insert(dot, seen).is_none(), "a dot names one write");
    }
}

impl Replica {
    fn context(&self) -> Context {
        let vector = self.state.as_ref().map(|state| state.vector().clone());
        (vector.unwrap_or_default(), self.known.clone())
    }

    fn receive(&mut self, from: &Self) {
        let Some(incoming) = &from.state else { return };
        let held = self.state.clone().map(State::Siblings);
        let Some(State::Siblings(joined)) = join(held, &State::Siblings(incoming.clone())) else {
            unreachable!("siblings join to siblings")
        };
        self.state = Some(joined);
        self.known.extend(&from.known);
    }

    /// What is known here agrees with what is known there.
    fn check(&self, history: &History) -> Result<(), TestCaseError> {
        let superseded: BTreeSet<_> = self.known.iter().flat_map(|dot| &history[dot]).collect();
        let concurrent: Vec<_> = self.known.iter().filter(|dot| !superseded.contains(dot)).copied().collect();
        let kept = self.state.as_ref().map_or(&[][..], |state| state.siblings());
        prop_assert_eq!(kept.iter().map(|sibling| sibling.dot).collect::<Vec<_>>(), concurrent);
        prop_assert!(kept.iter().all(|sibling| sibling.content == written(sibling.dot)));
        let vector = self.context().0;
        for dot in history.keys() {
            prop_assert_eq!(vector.covers(*dot), self.known.contains(dot), "{}", dot);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Siblings are exactly the concurrent writes: none too many (no sibling explosion), none lost.
    #[test]
    fn siblings_are_exactly_the_concurrent_writes(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            for replica in &world.replicas {
                replica.check(&world.history)?;
            }
        }
        // Everyone hears of everything, and one more put has seen it all.
        let everything = world.replicas.clone();
        everything.iter().for_each(|from| world.replicas[0].receive(from));
        prop_assert!(world.history.keys().all(|dot| world.replicas[0].known.contains(dot)));
        world.replicas[0].check(&world.history)?;
        world.step(&Step::PutSeen { at: 0, clock: 0 });
        let last = world.replicas[0].state.clone();
        prop_assert_eq!(last.map(|state| state.siblings().len()), Some(1));
    }

    #[test]
    fn merging_is_commutative_associative_and_idempotent(steps in steps(), order in any::<u64>()) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        let states: Vec<_> =
            world.replicas.iter().filter_map(|replica| replica.state.clone().map(State::Siblings)).collect();
        prop_assume!(!states.is_empty());
        let forward = states.iter().fold(None, join);
        let mut shuffled = states.clone();
        shuffled.rotate_left(order as usize % states.len());
        shuffled.reverse();
        shuffled.extend(states.clone());
        prop_assert_eq!(shuffled.iter().fold(None, join), forward.clone());
        let (left, right) = states.split_at(order as usize % states.len());
        let grouped = right.iter().fold(None, join).map(|right| join(left.iter().fold(None, join), &right));
        prop_assert_eq!(grouped.flatten(), forward.clone());
        for state in &states {
            prop_assert_eq!(crate::merge(Some(state), state), Ok(Merged::Held));
            prop_assert_eq!(join(forward.clone(), state), forward.clone());
        }
    }

    /// What is reported as the work left is what is left: no more is written than differs.
    #[test]
    fn the_verdict_fits_the_join(steps in steps()) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        let states: Vec<_> = world.replicas.iter().filter_map(|replica| replica.state.clone()).collect();
        for (a, b) in states.iter().flat_map(|a| states.iter().map(move |b| (a, b))) {
            let verdict = merge(a, b).unwrap();
            let expected = match (a.vector().dominates(b.vector()), b.vector().dominates(a.vector())) {
                (true, _) => Merged::Held,
                (false, true) => Merged::Incoming,
                (false, false) => Merged::Joined(State::Siblings(a.join(b).unwrap())),
            };
            prop_assert_eq!(verdict, expected);
        }
    }
}

/// Rule V4: nobody picks one of two contents under one dot.
#[test]
fn one_dot_with_two_contents_is_an_alarm() {
    let dot = Tag { hlc: Hlc(5), actor: Actor(1) };
    let state = |text: &'static str| Siblings::first(dot, &VersionVector::new(), Content::Value(text.into()));
    assert_eq!(state("a").join(&state("b")), Err(dot));
    assert_eq!(merge(&state("a"), &state("b")), Err(MergeError::EqualTagDifferentBytes(dot)));
}

/// A state whose writes were all superseded elsewhere adds nothing and brings nothing back.
#[test]
fn what_was_superseded_does_not_come_back() {
    let dot = |hlc, actor| Tag { hlc: Hlc(hlc), actor: Actor(actor) };
    let old = Siblings::first(dot(1, 1), &VersionVector::new(), Content::Value("old".into()));
    let deleted = old.written(dot(2, 2), old.vector(), Content::Tombstone);
    assert_eq!(merge(&deleted, &old), Ok(Merged::Held));
    assert_eq!(merge(&old, &deleted), Ok(Merged::Incoming));
}
