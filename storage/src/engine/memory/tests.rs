use super::*;

const KEY: &[u8] = b"key";

fn batch(value: &'static str) -> Batch {
    let mut batch = Batch::new();
    batch.put(Space::Data, Bytes::from_static(KEY), Bytes::from(value));
    batch.put(Space::Data, Bytes::from(value), Bytes::from(value));
    batch
}

fn held(engine: &MemoryEngine) -> Option<Bytes> {
    engine.get(Space::Data, KEY).unwrap()
}

#[test]
fn a_batch_is_invisible_until_it_is_durable() {
    let engine = MemoryEngine::new();
    let id = engine.begin(&batch("a")).unwrap();
    assert_eq!(held(&engine), None);
    engine.finish(id).unwrap();
    assert_eq!(held(&engine), Some("a".into()));
    assert!(engine.finish(id).is_err());
}

#[test]
fn finishing_a_batch_finishes_those_before_it() {
    let engine = MemoryEngine::new();
    let _first = engine.begin(&batch("a")).unwrap();
    let second = engine.begin(&batch("b")).unwrap();
    engine.finish(second).unwrap();
    assert_eq!(held(&engine), Some("b".into()));
    assert_eq!(engine.get(Space::Data, b"a"), Ok(Some("a".into())));
}

#[test]
fn a_crash_keeps_a_prefix_of_what_was_pending() {
    for damage in [Kept::Lost, Kept::Torn] {
        let engine = MemoryEngine::new();
        engine.commit(&batch("durable")).unwrap();
        let first = engine.begin(&batch("a")).unwrap();
        let second = engine.begin(&batch("b")).unwrap();
        engine.begin(&batch("c")).unwrap();
        engine.crash(|id| if id == second { damage } else { Kept::Whole });
        assert_eq!(held(&engine), Some("a".into()));
        assert!(engine.finish(first).is_err());
        engine.crash(|_| unreachable!("nothing is pending any more"));
    }
}

#[test]
fn after_a_failed_sync_nothing_works_and_the_crash_decides() {
    for (kept, expected) in [(Kept::Lost, "a"), (Kept::Whole, "b")] {
        let engine = MemoryEngine::new();
        engine.commit(&batch("a")).unwrap();
        engine.fail_next_commit();
        assert!(matches!(engine.commit(&batch("b")), Err(EngineError::Io(_))));
        assert!(engine.get(Space::Data, KEY).is_err());
        assert!(engine.commit(&batch("c")).is_err());
        engine.crash(|_| kept);
        assert_eq!(held(&engine), Some(expected.into()));
        engine.commit(&batch("d")).unwrap();
    }
}

#[test]
fn a_full_disk_takes_nothing_and_serves_reads() {
    let engine = MemoryEngine::new();
    engine.commit(&batch("a")).unwrap();
    engine.set_full(true);
    assert_eq!(engine.commit(&batch("b")), Err(EngineError::Full));
    engine.crash(|_| Kept::Whole);
    assert_eq!(held(&engine), Some("a".into()));
    engine.set_full(false);
    assert_eq!(engine.commit(&batch("b")), Ok(()));
}

#[test]
fn a_directory_that_refuses_to_open_stays_so_until_it_is_wiped() {
    let engine = MemoryEngine::new();
    engine.commit(&batch("a")).unwrap();
    engine.refuse("a damaged journal");
    engine.crash(|_| Kept::Whole);
    assert!(matches!(engine.get(Space::Data, KEY), Err(EngineError::Lost(_))));
    engine.wipe();
    assert_eq!(held(&engine), None);
}

#[test]
fn a_backup_brings_back_the_past() {
    let engine = MemoryEngine::new();
    engine.commit(&batch("a")).unwrap();
    let image = engine.image();
    engine.commit(&batch("b")).unwrap();
    engine.begin(&batch("c")).unwrap();
    engine.restore(image.clone());
    engine.crash(|_| Kept::Whole);
    assert_eq!(engine.image(), image);
    assert_eq!(held(&engine), Some("a".into()));
}

#[test]
fn rot_flips_one_bit_of_one_record() {
    let engine = MemoryEngine::new();
    engine.commit(&batch("a")).unwrap();
    assert!(engine.flip_bit(Space::Data, KEY, 9));
    assert_eq!(held(&engine), Some("c".into()));
    assert_eq!(engine.get(Space::Data, b"a"), Ok(Some("a".into())));
    assert!(!engine.flip_bit(Space::Meta, KEY, 0));
}
