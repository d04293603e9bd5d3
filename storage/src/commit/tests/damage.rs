//! Damaged records (rule S3): never overwritten by chance, never absent, restored on purpose.

use super::*;
use crate::{Quarantined, ReadError, quarantined};

/// A row whose record was damaged after it was acknowledged.
fn damaged() -> (MemoryEngine, Committer) {
    let (engine, mut committer) = start();
    committer.run(&engine, &[store(1, state(5, "acknowledged")), store(2, state(5, "sound"))]);
    assert!(engine.flip_bit(Space::Data, &row(1).to_storage_key(), 99));
    (engine, committer)
}

fn quarantine(key: u8) -> Write {
    Write::Quarantine { row: row(key) }
}

fn restore(key: u8, state: State) -> Write {
    Write::Restore { row: row(key), state: Some(state), clocks: Hlc(u64::MAX) }
}

fn is_corrupt(engine: &MemoryEngine) -> bool {
    matches!(read(engine, &row(1)), Err(ReadError::Corrupt(_)))
}

#[test]
fn a_quarantined_row_goes_on_answering_corrupt() {
    let (engine, mut committer) = damaged();
    let results = committer.run(&engine, &[quarantine(1), quarantine(2), quarantine(3)]);
    let Ok(Written::Quarantined(error)) = &results[0] else { panic!("{results:?}") };
    assert_eq!(results[1..], [Ok(Written::Sound), Ok(Written::Sound)]);
    let record = engine.get(Space::Data, &row(1).to_storage_key()).unwrap().expect("it is still there");
    let listed = Quarantined { row: row(1), reason: error.to_string(), record };
    assert_eq!(quarantined(&engine, None, 10), Ok(vec![listed]));
    assert!(is_corrupt(&engine));
    let results = committer.run(&engine, &[store(1, state(9, "newer"))]);
    assert!(matches!(results[0], Err(WriteError::Corrupt(_))), "one store is not what was acknowledged");
    let before = committer.sequence();
    assert_eq!(committer.run(&engine, &[quarantine(1)]), [Ok(Written::Quarantined(error.clone()))]);
    assert_eq!(committer.sequence(), before, "once is enough");
}

#[test]
fn a_restored_row_holds_what_its_peers_held() {
    for noticed in [true, false] {
        let (engine, mut committer) = damaged();
        if noticed {
            committer.run(&engine, &[quarantine(1)]);
        }
        let held = state(40, "peers").tag();
        let results = committer.run(&engine, &[restore(1, state(40, "peers")), store(1, state(41, "next"))]);
        assert_eq!(results[0], Ok(Written::Stored { held, more: None }));
        assert!(results[1].is_ok(), "what follows meets the restored state");
        assert_eq!(read(&engine, &row(1)), Ok(Some(state(41, "next"))));
        assert_eq!(quarantined(&engine, None, 10), Ok(vec![]));
        assert_eq!(recover(&engine).unwrap().hlc_bound, Hlc(42));
    }
}

/// Absence takes the place of a damaged record, never of a sound one; the copy in quarantine stays.
#[test]
fn nothing_takes_the_place_of_a_record_that_nobody_else_has() {
    let (engine, mut committer) = damaged();
    let nothing = |key| Write::Restore { row: row(key), state: None, clocks: Hlc(u64::MAX) };
    committer.run(&engine, &[quarantine(1)]);
    let results = committer.run(&engine, &[nothing(1), nothing(2), nothing(3)]);
    assert_eq!(results, [Ok(Written::Sound), Ok(Written::Sound), Ok(Written::Sound)]);
    assert_eq!(read(&engine, &row(1)), Ok(None));
    assert_eq!(read(&engine, &row(2)), Ok(Some(state(5, "sound"))));
    assert_eq!(quarantined(&engine, None, 10).unwrap().len(), 1);
    assert!(
        committer.run(&engine, &[store(1, state(3, "older"))])[0].is_ok(),
        "a hint brings its value back"
    );
    assert_eq!(read(&engine, &row(1)), Ok(Some(state(3, "older"))));

    let (engine, mut committer) = damaged();
    let results = committer.run(&engine, &[nothing(1), store(1, state(3, "older"))]);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(read(&engine, &row(1)), Ok(Some(state(3, "older"))), "in one batch, too");
}

/// A restore that comes late, or to a row that was never damaged, is a merge like any other.
#[test]
fn a_sound_row_loses_nothing_to_a_restore() {
    let (engine, mut committer) = damaged();
    let covered = Ok(Written::Covered { held: state(5, "").tag(), more: None });
    assert_eq!(committer.run(&engine, &[restore(2, state(3, "old"))]), [covered]);
    assert_eq!(read(&engine, &row(2)), Ok(Some(state(5, "sound"))));
    let conflict = committer.run(&engine, &[restore(2, state(5, "other"))]);
    assert_eq!(conflict, [Err(MergeError::EqualTagDifferentBytes(state(5, "").tag()).into())]);
    assert!(committer.run(&engine, &[restore(3, state(3, "absent"))])[0].is_ok());
    assert_eq!(read(&engine, &row(3)), Ok(Some(state(3, "absent"))));
    let end = Tag { hlc: Hlc(u64::MAX), actor: Actor(1) };
    let end = State::Register(Register { tag: end, content: Content::Tombstone });
    assert!(matches!(committer.run(&engine, &[restore(1, end)])[0], Err(WriteError::TagOutOfRange(_))));
    assert!(is_corrupt(&engine));
}

#[test]
fn a_row_that_turns_out_sound_leaves_the_quarantine_with_its_restore() {
    let (engine, mut committer) = damaged();
    committer.run(&engine, &[quarantine(1)]);
    engine.flip_bit(Space::Data, &row(1).to_storage_key(), 99);
    assert_eq!(quarantined(&engine, None, 10).unwrap().len(), 1);
    assert!(committer.run(&engine, &[restore(1, state(3, "old"))])[0].is_ok());
    assert_eq!(read(&engine, &row(1)), Ok(Some(state(5, "acknowledged"))));
    assert_eq!(quarantined(&engine, None, 10), Ok(vec![]));
}

#[test]
fn the_quarantine_is_listed_in_pieces() {
    let (engine, mut committer) = start();
    for key in 0..5 {
        committer.run(&engine, &[store(key, state(5, "v"))]);
        engine.flip_bit(Space::Data, &row(key).to_storage_key(), 80);
    }
    let writes: Vec<_> = (0..5).map(quarantine).collect();
    committer.run(&engine, &writes);
    let rows = |listed: Result<Vec<Quarantined>, EngineError>| {
        listed.unwrap().into_iter().map(|entry| entry.row).collect::<Vec<_>>()
    };
    assert_eq!(rows(quarantined(&engine, None, 2)), [row(0), row(1)]);
    assert_eq!(rows(quarantined(&engine, Some(&row(1)), 9)), [row(2), row(3), row(4)]);
    engine.flip_bit(Space::Quarantine, &row(4).to_storage_key(), 80);
    let last = quarantined(&engine, Some(&row(3)), 9).unwrap();
    assert!(last[0].reason.contains("checksum") && last[0].record.is_empty());
    assert_eq!(last[0].row, row(4), "it is still to be restored");
}
