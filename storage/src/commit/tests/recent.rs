//! A committer that remembers what it wrote does what one does that reads it back.

use super::*;
use crate::{DigestWork, Slicing};

/// What happens to a store.
#[derive(Clone, Debug)]
enum Step {
    Batch(Vec<(u8, State)>),
    Mint(u8, Vec<u8>),
    Quarantine(u8),
    Restore(u8, State),
    /// The next batch finds no room.
    Full,
    /// The process starts again.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => proptest::collection::vec((0_u8..4, written_registers()), 1..6).prop_map(Step::Batch),
        2 => (4_u8..6, proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(key, value)| Step::Mint(key, value)),
        1 => (0_u8..4).prop_map(Step::Quarantine),
        1 => (0_u8..4, written_registers()).prop_map(|(key, state)| Step::Restore(key, state)),
        1 => Just(Step::Full),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..25)
}

/// The store, and whether it has room.
struct Node {
    engine: MemoryEngine,
    committer: Committer,
    bytes_max: u64,
}

impl Node {
    fn new(bytes_max: u64) -> Self {
        let (engine, committer) = start();
        let mut node = Self { engine, committer: committer.remembering(bytes_max), bytes_max };
        node.keep_digests();
        node
    }

    fn keep_digests(&mut self) {
        let digests = Digests::load(&self.engine, Arc::new(Slicing::new(3, []))).unwrap();
        self.committer.keep(digests);
        let work = Write::Digest(DigestWork::Rebuild { records_max: 100 });
        for _ in 0..100 {
            self.run(std::slice::from_ref(&work));
        }
        assert!(self.committer.digests().dirty().is_empty());
    }

    fn restart(&mut self) {
        self.committer = Committer::new(&recover(&self.engine).unwrap()).remembering(self.bytes_max);
        self.keep_digests();
    }

    fn run(&mut self, writes: &[Write]) -> Vec<WriteResult> {
        self.committer.run(&self.engine, writes)
    }
}

fn mint(key: u8, hlc: u64, value: &[u8]) -> Write {
    let content = Content::Value(Bytes::copy_from_slice(value));
    let dot = Tag { hlc: Hlc(hlc), actor: Actor(7) };
    let horizon = Horizon { clocks: Hlc(u64::MAX), lead: None };
    Write::Mint { row: row(key), dot, seen: Seen::Durable, content, horizon }
}

proptest! {
    /// With room for all of it, for some, and for next to nothing: results, records and digests are the same.
    #[test]
    fn nobody_can_tell(steps in steps(), bytes_max in prop_oneof![Just(1_u64 << 20), Just(600), Just(1)]) {
        let (mut reading, mut remembering) = (Node::new(0), Node::new(bytes_max));
        let mut hlc = 1_000;
        for step in steps {
            let writes: Vec<Write> = match step {
                Step::Batch(stores) => stores.into_iter().map(|(key, state)| store(key, state)).collect(),
                Step::Mint(key, value) => {
                    hlc += 1;
                    vec![mint(key, hlc, &value), mint(key, hlc, &value)]
                }
                Step::Quarantine(key) => vec![Write::Quarantine { row: row(key) }],
                Step::Restore(key, state) => {
                    vec![Write::Restore { row: row(key), state: Some(state), clocks: Hlc(u64::MAX) }]
                }
                Step::Full => {
                    let lost = [store(0, state(900, "lost")), store(1, state(901, "lost"))];
                    for node in [&mut reading, &mut remembering] {
                        node.engine.set_full(true);
                        prop_assert!(node.run(&lost).iter().all(Result::is_err));
                        node.engine.set_full(false);
                    }
                    continue;
                }
                Step::Restart => {
                    reading.restart();
                    remembering.restart();
                    continue;
                }
            };
            prop_assert_eq!(reading.run(&writes), remembering.run(&writes));
            prop_assert_eq!(reading.engine.image(), remembering.engine.image());
            prop_assert_eq!(remembering.committer.digests().check(&remembering.engine), Ok(()));
        }
    }
}

/// A batch that found no room left nothing: a copy of it that another replica gives is not covered.
#[test]
fn what_found_no_room_is_not_held() {
    let (engine, committer) = start();
    let mut committer = committer.remembering(1 << 20);
    committer.run(&engine, &[store(1, state(5, "a"))]);
    engine.set_full(true);
    assert!(committer.run(&engine, &[store(1, state(6, "b"))])[0].is_err());
    engine.set_full(false);
    let stored = Written::Stored { held: state(6, "b").tag(), more: None };
    assert_eq!(committer.run(&engine, &[store(1, state(6, "b"))]), [Ok(stored)]);
    assert_eq!(read(&engine, &row(1)), Ok(Some(state(6, "b"))));
}

fn remembers_a_damaged_record() -> (MemoryEngine, Committer) {
    let (engine, committer) = start();
    let mut committer = committer.remembering(1 << 20);
    committer.run(&engine, &[store(1, state(5, "a"))]);
    assert!(engine.flip_bit(Space::Data, &row(1).to_storage_key(), 99));
    (engine, committer)
}

/// What is known to have been written there is merged with, and all of it is written again.
#[test]
fn a_store_mends_a_record_that_rotted_unseen() {
    let (engine, mut committer) = remembers_a_damaged_record();
    assert!(committer.run(&engine, &[store(1, state(6, "b"))])[0].is_ok());
    assert_eq!(read(&engine, &row(1)), Ok(Some(state(6, "b"))));
    assert_eq!(committer.run(&engine, &[Write::Quarantine { row: row(1) }]), [Ok(Written::Sound)]);
}

/// Whoever asks for the quarantine restores the record from what others hold: what this replica acknowledges
/// after it would be lost (rule S3), also if it was acknowledged before in the same batch.
#[test]
fn nothing_is_acknowledged_from_memory_once_the_damage_is_known() {
    let (engine, mut committer) = remembers_a_damaged_record();
    let known = store(1, state(5, "a"));
    let results = committer.run(&engine, &[known.clone(), Write::Quarantine { row: row(1) }, known.clone()]);
    assert!(matches!(results[0], Ok(Written::Covered { .. })), "asked for before: {results:?}");
    assert!(matches!(results[1], Ok(Written::Quarantined(_))), "{results:?}");
    assert!(matches!(results[2], Err(WriteError::Corrupt(_))), "{results:?}");
    assert!(matches!(committer.run(&engine, &[known])[0], Err(WriteError::Corrupt(_))));
}

/// What was acknowledged since the quarantine, because a store had mended the record, and has rotted again: nothing of it
/// is lost to what other replicas held, and the damaged record does not stay because of what was covered in the same batch.
#[test]
fn a_restore_brings_together_what_it_remembers_and_what_others_hold() {
    let restored = |others: Option<State>, before: &[Write]| {
        let (engine, mut committer) = remembers_a_damaged_record();
        let restore = Write::Restore { row: row(1), state: others, clocks: Hlc(u64::MAX) };
        let results = committer.run(&engine, &[before, &[restore]].concat());
        assert!(matches!(results.last(), Some(Ok(Written::Stored { .. }))), "{results:?}");
        read(&engine, &row(1)).unwrap().expect("it is there")
    };
    let covered = [store(1, state(4, "covered"))];
    for before in [&[][..], &covered] {
        assert_eq!(restored(Some(state(4, "older")), before), state(5, "a"));
        assert_eq!(restored(Some(state(6, "newer")), before), state(6, "newer"));
        assert_eq!(restored(None, before), state(5, "a"));
    }
}

/// A walk leaves a damaged record out of the leaf, so nothing takes it out once more (rule A1).
#[test]
fn a_store_over_a_record_that_a_walk_found_damaged_leaves_the_digests_right() {
    let walk = || Write::Digest(DigestWork::Rebuild { records_max: 100 });
    let next = || store(1, state(6, "b"));
    for batches in [vec![vec![walk()], vec![next()]], vec![vec![walk(), next()]], vec![vec![next(), walk()]]]
    {
        let (engine, committer) = start();
        let mut committer = committer.remembering(1 << 20);
        committer.keep(Digests::load(&engine, Arc::new(Slicing::new(3, []))).unwrap());
        committer.run(&engine, &[store(1, state(5, "a"))]);
        assert!(engine.flip_bit(Space::Data, &row(1).to_storage_key(), 99));
        for batch in batches {
            committer.run(&engine, &batch);
        }
        let restore = Write::Restore { row: row(1), state: Some(state(6, "b")), clocks: Hlc(u64::MAX) };
        committer.run(&engine, &[restore]);
        for _ in 0..10 {
            committer.run(&engine, &[walk()]);
        }
        assert!(committer.digests().dirty().is_empty());
        assert_eq!(committer.digests().check(&engine), Ok(()));
    }
}
