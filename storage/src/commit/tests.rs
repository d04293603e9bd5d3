mod damage;
mod mint;
mod recent;
mod terms;

use proptest::prelude::*;
use quorate_ring::{Actor, TableId, TableKind, Token, WallMicros};

use super::*;
use crate::{
    Content, HlcClock, Kept, MemoryEngine, Register,
    arbitrary::{contents, tags, written_registers},
    read, recover,
};

fn row(key: u8) -> Row {
    Row::new(Token(i64::from(key) - 2), TableId(1), vec![key])
}

fn state(hlc: u64, value: &str) -> State {
    let tag = Tag { hlc: Hlc(hlc), actor: Actor(1) };
    State::Register(Register { tag, content: Content::Value(Bytes::from(value.to_owned())) })
}

fn store(key: u8, state: State) -> Write {
    Write::store(row(key), state)
}

fn start() -> (MemoryEngine, Committer) {
    (MemoryEngine::new(), Committer::new(&Recovered::default()))
}

/// The slow obvious twin: each write is merged and made durable alone.
fn one_by_one(held: &mut BTreeMap<Row, State>, row: &Row, state: &State) -> WriteResult {
    let present = held.get(row);
    if let Some(present) = present.filter(|present| present.tag() >= state.tag()) {
        return if present.tag() == state.tag() && present != state {
            Err(MergeError::EqualTagDifferentBytes(state.tag()).into())
        } else {
            Ok(Written::Covered { held: present.tag(), more: None })
        };
    }
    held.insert(row.clone(), state.clone());
    Ok(Written::Stored { held: state.tag(), more: None })
}

proptest! {
    #[test]
    fn a_batch_does_what_its_writes_do_one_by_one(
        batches in proptest::collection::vec(
            proptest::collection::vec((0_u8..4, prop_oneof![
                6 => written_registers(),
                1 => (tags(), contents())
                    .prop_map(|(tag, content)| State::Register(Register { tag, content })),
            ]), 0..12),
            1..6,
        ),
    ) {
        let (engine, mut committer) = start();
        let mut twin = BTreeMap::new();
        for batch in batches {
            let expected: Vec<_> =
                batch.iter().map(|(key, state)| one_by_one(&mut twin, &row(*key), state)).collect();
            let writes: Vec<_> = batch.into_iter().map(|(key, state)| store(key, state)).collect();
            prop_assert_eq!(committer.run(&engine, &writes), expected);
            for (row, state) in &twin {
                let held = read(&engine, row).unwrap();
                prop_assert_eq!(held.as_ref(), Some(state));
                prop_assert!(recover(&engine).unwrap().hlc_bound > state.tag().hlc);
            }
        }
    }

    /// Rule V1 and the promise of ONE: whatever a crash leaves, the clock of the next process is above
    /// every tag that is still held, and everything acknowledged is still held.
    #[test]
    fn after_a_crash_the_clock_is_above_every_tag_held(
        batches in proptest::collection::vec(proptest::collection::vec((0_u8..3, 0_u64..50), 1..5), 1..6),
        finished in 0_usize..6,
        kept in prop_oneof![Just(Kept::Lost), Just(Kept::Whole), Just(Kept::Torn)],
    ) {
        let (engine, mut committer) = start();
        let mut acknowledged = Vec::new();
        for (n, batch) in batches.into_iter().enumerate() {
            let writes: Vec<_> = batch
                .into_iter()
                .map(|(key, hlc)| store(key, state(hlc, &hlc.to_string())))
                .collect();
            let staged = committer.stage(&engine, &writes);
            let id = engine.begin(&staged.batch).unwrap();
            if n >= finished {
                engine.crash(|_| kept);
                break;
            }
            engine.finish(id).unwrap();
            acknowledged.extend(committer.committed(staged));
        }
        let mut clock = HlcClock::resume(recover(&engine).unwrap().hlc_bound);
        clock.reserved(Hlc(1 << 40));
        let reading = clock.tick(WallMicros(0)).unwrap();
        for result in acknowledged {
            let (Written::Stored { held, .. } | Written::Covered { held, .. }) = result.unwrap() else { continue };
            prop_assert!(reading > held.hlc);
        }
        for key in 0..3 {
            let held = read(&engine, &row(key)).unwrap();
            prop_assert!(held.is_none_or(|held| reading > held.tag().hlc));
        }
    }
}

#[test]
fn stores_of_one_key_become_one_record_and_each_gets_its_result() {
    let (engine, mut committer) = start();
    let writes = [store(1, state(5, "a")), store(1, state(9, "b")), store(1, state(7, "c"))];
    let staged = committer.stage(&engine, &writes);
    assert_eq!(staged.batch.len(), 3, "the record, the clock's bound and the batch's number");
    engine.commit(&staged.batch).unwrap();
    let tag = |hlc| state(hlc, "").tag();
    let expected = [
        Ok(Written::Stored { held: tag(5), more: None }),
        Ok(Written::Stored { held: tag(9), more: None }),
        Ok(Written::Covered { held: tag(9), more: None }),
    ];
    assert_eq!(committer.committed(staged), expected);
    assert_eq!(read(&engine, &row(1)), Ok(Some(state(9, "b"))));
}

#[test]
fn a_covered_write_costs_no_sync() {
    let (engine, mut committer) = start();
    assert!(committer.run(&engine, &[store(1, state(9, "b"))])[0].is_ok());
    engine.fail_next_commit();
    let held = state(9, "b").tag();
    assert_eq!(
        committer.run(&engine, &[store(1, state(3, "a"))]),
        [Ok(Written::Covered { held, more: None })]
    );
}

/// Rule S4: batches are numbered without a gap; what is not committed takes no number.
#[test]
fn durable_batches_are_numbered() {
    let (engine, mut committer) = start();
    let held = |engine: &MemoryEngine| recover(engine).unwrap().sequence;
    committer.run(&engine, &[store(1, state(5, "a")), store(2, state(5, "a"))]);
    committer.run(&engine, &[store(1, state(5, "a"))]);
    assert_eq!((committer.sequence(), held(&engine)), (1, 1), "what is covered is no batch");
    engine.set_full(true);
    committer.run(&engine, &[store(1, state(6, "b"))]);
    engine.set_full(false);
    committer.run(&engine, &[store(1, state(7, "c"))]);
    assert_eq!((committer.sequence(), held(&engine)), (2, 2));
    assert_eq!(Committer::new(&recover(&engine).unwrap()).sequence(), 2);
}

#[test]
fn the_bound_of_the_clock_never_goes_down() {
    let (engine, mut committer) = start();
    let bound = |hlc| Write::Meta(MetaWrite::HlcBound(Hlc(hlc)));
    assert_eq!(committer.run(&engine, &[bound(100), bound(40)]), [Ok(Written::Meta), Ok(Written::Meta)]);
    committer.run(&engine, &[bound(60), store(1, state(70, "below the bound"))]);
    assert_eq!(recover(&engine).unwrap().hlc_bound, Hlc(100));
    committer.run(&engine, &[store(1, state(100, "at the bound"))]);
    assert_eq!(recover(&engine).unwrap().hlc_bound, Hlc(101));
    assert_eq!(committer.hlc_bound(), Hlc(101));
}

#[test]
fn one_bad_write_does_not_harm_its_neighbours() {
    let (engine, mut committer) = start();
    committer.run(&engine, &[store(1, state(5, "a")), store(2, state(5, "a"))]);
    engine.flip_bit(Space::Data, &row(2).to_storage_key(), 77);
    let long = Row::new(Token(0), TableId(1), vec![0; Row::KEY_BYTES_MAX + 1]);
    let end = Tag { hlc: Hlc(u64::MAX), actor: Actor(1) };
    let writes = [
        store(1, state(5, "b")),
        store(2, state(6, "b")),
        Write::store(long, state(1, "")),
        store(3, State::Register(Register { tag: end, content: Content::Tombstone })),
        store(3, state(6, "c")),
    ];
    let results = committer.run(&engine, &writes);
    assert_eq!(results[0], Err(MergeError::EqualTagDifferentBytes(state(5, "").tag()).into()));
    assert!(matches!(results[1], Err(WriteError::Corrupt(_))));
    assert!(matches!(results[2], Err(WriteError::TooLarge { .. })));
    assert_eq!(results[3], Err(WriteError::TagOutOfRange(end)));
    assert_eq!(results[4], Ok(Written::Stored { held: state(6, "").tag(), more: None }));
    assert!(matches!(read(&engine, &row(2)), Err(crate::ReadError::Corrupt(_))));
    assert_eq!(read(&engine, &row(3)), Ok(Some(state(6, "c"))));
}

#[test]
fn a_full_disk_refuses_definitely_and_a_failed_one_is_fatal() {
    let (engine, mut committer) = start();
    committer.run(&engine, &[store(1, state(5, "a"))]);
    engine.set_full(true);
    let writes = [store(1, state(6, "b")), store(1, state(5, "a"))];
    assert_eq!(
        committer.run(&engine, &writes),
        [Err(EngineError::Full.into()), Err(EngineError::Full.into())]
    );
    assert_eq!(read(&engine, &row(1)), Ok(Some(state(5, "a"))));
    assert_eq!(committer.hlc_bound(), Hlc(6));
    engine.set_full(false);
    engine.fail_next_commit();
    let results = committer.run(&engine, &writes[..1]);
    assert!(matches!(&results[0], Err(WriteError::Engine(error)) if error.is_fatal()));
    assert!(read(&engine, &row(1)).is_err());
}

#[test]
fn what_the_merge_says_of_kinds_reaches_the_writer() {
    let error = MergeError::KindMismatch { held: TableKind::Register, incoming: TableKind::Cas };
    assert_eq!(
        WriteError::from(error).to_string(),
        "a state of kind 'cas' cannot be merged into one of kind 'register'"
    );
}
