use std::sync::Arc;

use super::*;
use crate::{Committer, Content, MetaWrite, Register, Row, State, Write, read, recover};
use quorate_ring::{Actor, Hlc, TableId, Tag, Token};

fn options() -> FjallOptions {
    FjallOptions { workers: 1, ..FjallOptions::default() }
}

fn put(key: &'static str, value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(Space::Data, Bytes::from(key), Bytes::copy_from_slice(value));
    batch.put(Space::Meta, Bytes::from(key), Bytes::copy_from_slice(value));
    batch
}

#[test]
fn a_second_open_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let first = FjallEngine::open(directory.path(), &options()).unwrap();
    let second = FjallEngine::open(directory.path(), &options()).err().unwrap();
    assert_eq!(second, EngineError::Locked(directory.path().display().to_string()));
    drop(first);
    assert!(FjallEngine::open(directory.path(), &options()).is_ok());
}

/// What fjall does by itself takes second place to what clients wait for.
#[test]
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "the test waits until a thread has its name")]
fn threads_of_fjall_yield_to_others() {
    use rustix::process::{Pid, getpriority_process};
    use std::{fs, thread, time::Duration};

    let directory = tempfile::tempdir().unwrap();
    let _engine = FjallEngine::open(directory.path(), &options()).unwrap();
    let own = getpriority_process(None).unwrap();
    // Of this engine, and of those of other tests.
    let of_fjall = || {
        let threads = fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap());
        let named = threads.filter(|thread| {
            // One that has ended meanwhile has none.
            let name = fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
            name.starts_with("fjall") || name.starts_with("quorate-free")
        });
        let ids = named.map(|thread| thread.file_name().to_str().unwrap().parse().unwrap());
        ids.filter_map(|id| getpriority_process(Pid::from_raw(id)).ok()).collect::<Vec<_>>()
    };
    let found = (0..1_000).find_map(|_| {
        let found = of_fjall();
        if found.len() < 2 {
            thread::sleep(Duration::from_millis(10));
        }
        (found.len() >= 2).then_some(found)
    });
    let found = found.expect("a worker, and the thread that frees");
    assert!(found.iter().all(|nice| *nice > own), "{found:?}, others {own}");
}

#[test]
fn options_out_of_range_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for options in [
        FjallOptions { journal_bytes_max: MIB, ..options() },
        FjallOptions { write_buffer_bytes: 0, ..options() },
        FjallOptions { workers: 0, ..options() },
    ] {
        let error = FjallEngine::open(directory.path(), &options).err().unwrap();
        assert!(matches!(error, EngineError::Refused(_)), "{error}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(FjallEngine::open(file.path().join("inside a file"), &options()).is_err());
}

/// A power cut may leave the last batch in part. Cut anywhere, that batch is gone from both spaces and the
/// one before it is whole: never is there half a batch, and what was acknowledged is not given up for it.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test damages files as a power cut would")]
fn a_torn_batch_is_gone_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let engine = FjallEngine::open(directory.path(), &options()).unwrap();
    engine.commit(&put("a", b"first value")).unwrap();
    let before = journal(directory.path());
    engine.commit(&put("b", b"second value")).unwrap();
    let (path, after) = journal(directory.path());
    drop(engine);
    let (start, end) = (content_len(&before.1), content_len(&after));
    assert!(start < end);
    for cut in (start..end).step_by(7) {
        let mut torn = after[..end + 4096].to_vec();
        torn[cut..].fill(0);
        std::fs::write(&path, torn).unwrap();
        let engine = FjallEngine::open(directory.path(), &options()).unwrap();
        for space in Space::ALL {
            let first = matches!(space, Space::Data | Space::Meta).then(|| Bytes::from("first value"));
            assert_eq!(engine.get(space, b"a"), Ok(first), "cut at {cut}");
            assert_eq!(engine.get(space, b"b"), Ok(None), "cut at {cut}");
        }
    }
}

fn content_len(journal: &[u8]) -> usize {
    journal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// Rule S4: what is less than promised is lost, what is damaged is lost, and neither is opened.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test damages files")]
fn less_than_was_promised_counts_as_lost() {
    let directory = tempfile::tempdir().unwrap();
    let open = |promised| {
        let options = FjallOptions { sequence_promised: promised, ..options() };
        FjallEngine::open(directory.path(), &options)
    };
    let lost = |promised| matches!(open(promised).err(), Some(EngineError::Lost(_)));
    let engine = open(0).unwrap();
    let mut committer = Committer::new(&recover(&engine).unwrap());
    for bound in [10, 20, 30] {
        let results = committer.run(&engine, &[Write::Meta(MetaWrite::HlcBound(Hlc(bound)))]);
        assert!(results[0].is_ok());
    }
    drop(engine);
    let (path, whole) = journal(directory.path());
    let end = content_len(&whole);
    let bound = |engine: FjallEngine| recover(&engine).unwrap().hlc_bound;
    assert_eq!(bound(open(3).unwrap()), Hlc(30));
    assert!(lost(4));

    std::fs::write(&path, &whole[..end - 1]).unwrap();
    assert!(lost(3), "the last batch was promised");
    assert_eq!(std::fs::read(&path).unwrap(), &whole[..end - 1], "what is lost is left as it is");
    assert_eq!(bound(open(2).unwrap()), Hlc(20), "the last batch was not promised");

    let mut flipped = whole[..end].to_vec();
    flipped[end / 2] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    assert!(lost(0), "a whole batch follows");
    std::fs::remove_file(&path).unwrap();
    assert!(lost(3), "nothing is left of the journal");
}

/// Rule S5: the room on the disk is looked at before a batch is written.
#[test]
fn a_disk_with_too_little_room_refuses_writes_and_serves_reads() {
    let directory = tempfile::tempdir().unwrap();
    let engine = FjallEngine::open(directory.path(), &options()).unwrap();
    engine.commit(&put("a", b"value")).unwrap();
    drop(engine);
    let options = FjallOptions { disk_free_min: u64::MAX, ..options() };
    let engine = FjallEngine::open(directory.path(), &options).unwrap();
    engine.commit(&put("a", b"value")).unwrap();
    engine.enforce_bounds();
    assert_eq!(engine.commit(&put("b", b"value")), Err(EngineError::Full));
    assert_eq!(engine.get(Space::Data, b"a"), Ok(Some(Bytes::from("value"))));
    assert_eq!(engine.get(Space::Data, b"b"), Ok(None));
}

/// The one journal of a small database.
#[expect(clippy::disallowed_methods, reason = "the test looks at files as a power cut would leave them")]
fn journal(directory: &Path) -> (std::path::PathBuf, Vec<u8>) {
    let mut journals = Vec::new();
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "jnl") {
                journals.push(path);
            }
        }
    }
    let [path] = <[_; 1]>::try_from(journals).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn the_bound_on_disk_space_refuses_writes_and_serves_reads() {
    let directory = tempfile::tempdir().unwrap();
    let engine = FjallEngine::open(directory.path(), &options()).unwrap();
    engine.commit(&put("a", b"value")).unwrap();
    drop(engine);
    // A journal is made 64 MiB large and cut to what was used when it is opened again.
    let engine = FjallEngine::open(directory.path(), &options()).unwrap();
    let used = engine.stats().disk_bytes;
    drop(engine);
    let options = FjallOptions { disk_bytes_max: Some(used + MIB), ..options() };
    let engine = FjallEngine::open(directory.path(), &options).unwrap();
    engine.enforce_bounds();
    engine.commit(&put("b", b"value")).unwrap();
    assert_eq!(engine.commit(&put("c", &vec![7; 5 * MIB as usize])), Err(EngineError::Full));
    assert_eq!(engine.get(Space::Data, b"b"), Ok(Some(Bytes::from("value"))));
    assert_eq!(engine.get(Space::Data, b"c"), Ok(None));
}

#[test]
fn records_and_the_nodes_own_state_survive_a_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let row = Row::new(Token(-5), TableId(1), "key");
    let tag = Tag { hlc: Hlc(77), actor: Actor(1) };
    let state = State::Register(Register { tag, content: Content::Value(vec![9; 5000].into()) });
    let engine = FjallEngine::open(directory.path(), &options()).unwrap();
    let mut committer = Committer::new(&recover(&engine).unwrap());
    let writes = [Write::store(row.clone(), state.clone()), Write::Meta(MetaWrite::HlcBound(Hlc(50)))];
    assert!(committer.run(&engine, &writes).iter().all(Result::is_ok));
    drop(engine);
    let engine = FjallEngine::open(directory.path(), &options()).unwrap();
    assert_eq!(recover(&engine).unwrap().hlc_bound, Hlc(78));
    assert_eq!(read(&engine, &row), Ok(Some(state)));
}

#[test]
fn an_engine_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<FjallEngine>();
}

/// Whatever is written, flushed and compacted later: who began to read goes on with what there was.
#[test]
fn records_are_those_of_the_moment_they_were_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let options = FjallOptions { write_buffer_bytes: MIB, ..options() };
    let engine = FjallEngine::open(directory.path(), &options).unwrap();
    let write = |round: u8| {
        // Values on both sides of the threshold from which they are kept apart.
        for (first, len) in [(0, 100), (100, 5000)] {
            let mut batch = Batch::new();
            for n in first..first + 100_u32 {
                batch.put(
                    Space::Data,
                    Bytes::copy_from_slice(&n.to_be_bytes()),
                    Bytes::from(vec![round; len]),
                );
            }
            engine.commit(&batch).unwrap();
        }
    };
    (0..4).for_each(write);
    let mut records = engine.records(Space::Data).unwrap();
    let first = records.next().unwrap().unwrap();
    assert_eq!(first, (Bytes::from_static(&[0; 4]), Bytes::from(vec![3; 100])));
    (10..20).for_each(write);
    let mut gone = Batch::new();
    (0..200_u32).for_each(|n| gone.remove(Space::Data, Bytes::copy_from_slice(&n.to_be_bytes())));
    engine.commit(&gone).unwrap();
    engine.keyspace(Space::Data).rotate_memtable_and_wait().unwrap();
    engine.keyspace(Space::Data).major_compact().unwrap();
    assert_eq!(engine.records(Space::Data).unwrap().count(), 0);
    let rest: Vec<_> = records.map(Result::unwrap).collect();
    assert_eq!(rest.len(), 199);
    assert!(rest.iter().all(|(_, value)| value.iter().all(|byte| *byte == 3)));
}

/// fjall is not the only owner of a memtable, and whoever else is lets go of it, too.
#[test]
fn what_was_written_out_is_freed() {
    let directory = tempfile::tempdir().unwrap();
    let options = FjallOptions { write_buffer_bytes: MIB, ..options() };
    let engine = FjallEngine::open(directory.path(), &options).unwrap();
    engine.commit(&put("first", b"value")).unwrap();
    let first = Arc::downgrade(&engine.data.tree.active_memtable());
    assert!(first.strong_count() > 1, "fjall alone would free it under its lock");
    let value = vec![7; 64 * 1024];
    // Each 16 of these fill a memtable.
    let freed = (0..4_000).find(|_| {
        engine.commit(&put("next", &value)).unwrap();
        first.strong_count() == 0
    });
    assert!(freed.is_some(), "{} owners left", first.strong_count());
    assert_eq!(engine.get(Space::Data, b"first").unwrap().as_deref(), Some(&b"value"[..]));
}
