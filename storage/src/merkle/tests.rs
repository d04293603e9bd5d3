//! Leaves are what is on the disk, whatever happens to it.

use std::sync::Arc;

use proptest::prelude::*;
use quorate_ring::{TableId, Token};

use super::*;
use crate::{
    Committer, Engine, Kept, MemoryEngine, Row, Space, State, Write, WriteError, Written,
    arbitrary::written_registers, recover,
};

#[derive(Clone, Debug)]
enum Happening {
    /// A batch, and whether its commit ends well.
    Batch(Vec<Write>, bool),
    /// A record rots.
    Rot(Row, usize),
    /// The process ends as it should.
    Stop,
    /// The process dies with a batch under way.
    Crash(Vec<Write>, bool),
    /// The next process has other cells.
    Reslice(bool),
}

fn rows() -> impl Strategy<Value = Row> {
    let token = prop_oneof![Just(i64::MIN), Just(i64::MAX), -3_i64..4, (-4_i64..4).prop_map(|n| n << 61)];
    (token, 1_u32..3, 0_u8..3)
        .prop_map(|(token, table, key)| Row::new(Token(token), TableId(table), vec![key]))
}

fn writes() -> impl Strategy<Value = Write> {
    let restore = |(row, state)| Write::Restore { row, state, clocks: quorate_ring::Hlc(u64::MAX) };
    let work = prop_oneof![
        3 => (1_usize..6).prop_map(|records_max| DigestWork::Rebuild { records_max }),
        2 => (prop::option::of(0_u32..40), 1_usize..6).prop_map(|(from, records_max)| DigestWork::Scrub { from, records_max }),
        2 => any::<bool>().prop_map(|all| DigestWork::Settle { all }),
    ];
    prop_oneof![
        6 => (rows(), written_registers()).prop_map(|(row, state)| Write::store(row, state)),
        1 => (rows(), proptest::option::of(written_registers())).prop_map(restore),
        1 => rows().prop_map(|row| Write::Quarantine { row }),
        4 => work.prop_map(Write::Digest),
    ]
}

fn happenings() -> impl Strategy<Value = Happening> {
    let batch = || proptest::collection::vec(writes(), 1..6);
    prop_oneof![
        12 => (batch(), prop_oneof![9 => Just(true), 1 => Just(false)]).prop_map(|(b, ok)| Happening::Batch(b, ok)),
        1 => (rows(), any::<usize>()).prop_map(|(row, bit)| Happening::Rot(row, bit)),
        1 => Just(Happening::Stop),
        1 => (batch(), any::<bool>()).prop_map(|(batch, kept)| Happening::Crash(batch, kept)),
        1 => any::<bool>().prop_map(Happening::Reslice),
    ]
}

fn slicing(fine: bool) -> Arc<Slicing> {
    Arc::new(if fine { Slicing::new(4, [Token(-2), Token(0), Token(1)]) } else { Slicing::new(3, []) })
}

/// Room for some of the records.
const REMEMBERED_BYTES: u64 = 700;

fn start(engine: &MemoryEngine, slicing: &Arc<Slicing>) -> Committer {
    let digests = Digests::load(engine, Arc::clone(slicing)).unwrap();
    let mut committer = Committer::new(&recover(engine).unwrap()).remembering(REMEMBERED_BYTES);
    committer.keep(digests);
    committer
}

fn run(committer: &mut Committer, engine: &MemoryEngine, writes: &[Write]) -> Vec<Walked> {
    let walked = |result| match result {
        Ok(Written::Digest(DigestAnswer::Walked(walked))) => Some(walked),
        Ok(_) | Err(WriteError::Corrupt(_) | WriteError::Engine(_)) => None,
        Err(error) => panic!("{error}"),
    };
    committer.run(engine, writes).into_iter().filter_map(walked).collect()
}

/// Walks until nothing is dirty.
fn rebuild(committer: &mut Committer, engine: &MemoryEngine) {
    let work = Write::Digest(DigestWork::Rebuild { records_max: 2 });
    for _ in 0..1_000 {
        if committer.digests().dirty().is_empty() {
            return;
        }
        committer.run(engine, std::slice::from_ref(&work));
    }
    panic!("the walk does not end");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn leaves_are_what_is_durable(happenings in proptest::collection::vec(happenings(), 1..40)) {
        let engine = MemoryEngine::new();
        let mut cells = slicing(true);
        let mut committer = start(&engine, &cells);
        let mut has_rotted = false;
        for happening in happenings {
            match happening {
                Happening::Batch(writes, ends_well) => {
                    engine.set_full(!ends_well);
                    for walked in run(&mut committer, &engine, &writes) {
                        prop_assert!(walked.wrong.is_empty(), "{walked:?}");
                        prop_assert!(has_rotted || walked.damaged.is_empty(), "{walked:?}");
                    }
                    engine.set_full(false);
                }
                Happening::Rot(row, bit) => {
                    has_rotted |= engine.flip_bit(Space::Data, &row.to_storage_key(), bit);
                }
                Happening::Stop => {
                    run(&mut committer, &engine, &[Write::Digest(DigestWork::Settle { all: true })]);
                    committer = start(&engine, &cells);
                }
                Happening::Crash(writes, kept) => {
                    let staged = committer.stage(&engine, &writes);
                    engine.begin(&staged.batch).unwrap();
                    engine.crash(|_| if kept { Kept::Whole } else { Kept::Torn });
                    committer = start(&engine, &cells);
                }
                Happening::Reslice(fine) => {
                    cells = slicing(fine);
                    committer = start(&engine, &cells);
                }
            }
            committer.digests().check(&engine).unwrap();
        }
        rebuild(&mut committer, &engine);
        committer.digests().check(&engine).unwrap();
    }
}

fn state(hlc: u64) -> State {
    let tag = quorate_ring::Tag { hlc: quorate_ring::Hlc(hlc), actor: quorate_ring::Actor(1) };
    State::Register(crate::Register { tag, content: crate::Content::Tombstone })
}

fn row(token: i64) -> Row {
    Row::new(Token(token), TableId(1), vec![1])
}

#[test]
fn after_a_clean_stop_nothing_that_holds_records_is_dirty() {
    let engine = MemoryEngine::new();
    let cells = Arc::new(Slicing::new(12, []));
    let mut committer = start(&engine, &cells);
    rebuild(&mut committer, &engine);
    committer.run(&engine, &[Write::store(row(5), state(1)), Write::store(row(5 << 58), state(2))]);
    let before = committer.digests().digest(TableId(1), 0..cells.cells());
    assert!(before.is_some_and(|digest| digest != 0));
    committer.run(&engine, &[Write::Digest(DigestWork::Settle { all: true })]);
    let mut committer = start(&engine, &cells);
    for token in [5, 5 << 58] {
        assert!(!committer.digests().dirty().contains(cells.cell(Token(token))));
    }
    // After a kill, what was written to since is dirty, and nothing else.
    committer.run(&engine, &[Write::store(row(5), state(3))]);
    let mut committer = start(&engine, &cells);
    assert!(committer.digests().dirty().contains(cells.cell(Token(5))));
    assert!(!committer.digests().dirty().contains(cells.cell(Token(5 << 58))));
    rebuild(&mut committer, &engine);
    assert_ne!(committer.digests().digest(TableId(1), 0..cells.cells()), before);
}

#[test]
fn quiet_pages_are_written_down_and_busy_ones_are_not() {
    let engine = MemoryEngine::new();
    let cells = Arc::new(Slicing::new(12, []));
    let mut committer = start(&engine, &cells);
    rebuild(&mut committer, &engine);
    let settle = Write::Digest(DigestWork::Settle { all: false });
    let pages = || {
        let all = std::ops::Bound::Unbounded;
        engine.scan(Space::Digests, all, all, 100, usize::MAX).unwrap().len()
    };
    committer.run(&engine, &[Write::store(row(5), state(1)), settle.clone()]);
    assert_eq!(pages(), 0, "just written to");
    committer.run(&engine, &[Write::store(row(5), state(2))]);
    committer.run(&engine, std::slice::from_ref(&settle));
    assert_eq!(pages(), 0, "written to since the last time");
    committer.run(&engine, std::slice::from_ref(&settle));
    assert_eq!(pages(), 1);
    let sequence = committer.sequence();
    committer.run(&engine, &[settle]);
    assert_eq!(committer.sequence(), sequence, "once is enough");
    committer.run(&engine, &[Write::store(row(5), state(3))]);
    assert_eq!(pages(), 0, "and gone with the next write");
}

#[test]
fn a_scrub_finds_rot_and_goes_round() {
    let engine = MemoryEngine::new();
    let cells = Arc::new(Slicing::new(8, []));
    let mut committer = start(&engine, &cells);
    rebuild(&mut committer, &engine);
    let rows: Vec<_> = (0..20).map(|n| row(n << 58)).collect();
    let stores: Vec<_> = rows.iter().map(|row| Write::store(row.clone(), state(1))).collect();
    committer.run(&engine, &stores);
    assert!(engine.flip_bit(Space::Data, &rows[7].to_storage_key(), 60));
    let mut from = Some(cells.cell(Token(3 << 58)));
    let (mut damaged, mut rounds) = (Vec::new(), vec![0]);
    for _ in 0..40 {
        let scrub = Write::Digest(DigestWork::Scrub { from: from.take(), records_max: 3 });
        for walked in run(&mut committer, &engine, std::slice::from_ref(&scrub)) {
            assert!(walked.wrong.is_empty(), "{:?}", walked.wrong);
            *rounds.last_mut().unwrap() += walked.records;
            damaged.extend(walked.damaged);
            if walked.next.is_none() {
                rounds.push(0);
            }
        }
    }
    assert!(damaged.contains(&rows[7]) && damaged.iter().all(|row| *row == rows[7]), "{damaged:?}");
    assert!(rounds[0] < 20, "the first round begins in the middle: {rounds:?}");
    assert_eq!(rounds[1..3], [20, 20], "the others see everything");
}

/// A scrub has seen a record of its cell when that is damaged; then the cell, which was dirty, is rebuilt without it.
#[test]
fn a_record_damaged_between_scrub_and_rebuild_is_no_wrong_digest() {
    let engine = MemoryEngine::new();
    let cells = Arc::new(Slicing::new(8, []));
    let mut committer = start(&engine, &cells);
    committer.run(&engine, &[Write::store(row(5), state(1))]);
    let scrub = |from| Write::Digest(DigestWork::Scrub { from, records_max: 1 });
    let first = cells.cell(Token(5));
    let seen: usize = run(&mut committer, &engine, &[scrub(Some(first))]).iter().map(|w| w.records).sum();
    assert_eq!(seen, 1);
    assert!(engine.flip_bit(Space::Data, &row(5).to_storage_key(), 60));
    rebuild(&mut committer, &engine);
    for _ in 0..4 {
        for walked in run(&mut committer, &engine, &[scrub(None)]) {
            assert!(walked.wrong.is_empty(), "{:?}", walked.wrong);
        }
    }
}
