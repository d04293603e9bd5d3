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
/// one before it is whole, or the directory refuses to open (rule S4): never is there half a batch.
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
    let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let (start, end) = (end(&before.1), end(&after));
    assert!(start < end);
    let mut opened = 0;
    for cut in (start..end).step_by(5) {
        let mut torn = after.clone();
        torn[cut..].fill(0);
        std::fs::write(&path, torn).unwrap();
        let open = || FjallEngine::open(directory.path(), &options());
        let engine = match std::panic::catch_unwind(open) {
            Ok(Ok(engine)) => engine,
            Ok(Err(EngineError::Refused(_))) => continue,
            Ok(Err(error)) => panic!("{error}"),
            // Builds with debug assertions stop at a value whose two lengths disagree.
            Err(_) => continue,
        };
        opened += 1;
        for space in Space::ALL {
            assert_eq!(engine.get(space, b"a"), Ok(Some(Bytes::from("first value"))), "cut at {cut}");
            assert_eq!(engine.get(space, b"b"), Ok(None), "cut at {cut}");
        }
    }
    assert!(opened > 0);
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
