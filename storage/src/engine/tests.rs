//! The two engines are each other's twin.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(Space, u8, Option<Vec<u8>>)>),
    Get(Space, u8),
    Scan(Space, Bound<u8>, Bound<u8>, usize, usize),
    Reopen,
}

fn spaces() -> impl Strategy<Value = Space> {
    prop_oneof![3 => Just(Space::Data), 1 => Just(Space::Meta)]
}

fn bounds() -> impl Strategy<Value = Bound<u8>> {
    prop_oneof![
        1 => Just(Bound::Unbounded),
        3 => (0_u8..8).prop_map(Bound::Included),
        3 => (0_u8..8).prop_map(Bound::Excluded),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // On both sides of the threshold from which fjall keeps values apart.
    let value = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => any::<u8>().prop_map(|byte| vec![byte; 3000]),
    ];
    let write = (spaces(), 0_u8..8, proptest::option::weighted(0.8, value));
    let step = prop_oneof![
        4 => proptest::collection::vec(write, 0..6).prop_map(Step::Commit),
        4 => (spaces(), 0_u8..8).prop_map(|(space, key)| Step::Get(space, key)),
        3 => (spaces(), bounds(), bounds(), 0_usize..10, prop_oneof![0_usize..200, Just(usize::MAX)])
            .prop_map(|(space, from, to, limit, bytes)| Step::Scan(space, from, to, limit, bytes)),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..30)
}

fn batch(writes: &[(Space, u8, Option<Vec<u8>>)]) -> Batch {
    let mut batch = Batch::new();
    for (space, key, value) in writes {
        let key = Bytes::copy_from_slice(&[*key]);
        match value {
            Some(value) => batch.put(*space, key, Bytes::copy_from_slice(value)),
            None => batch.remove(*space, key),
        }
    }
    batch
}

fn bytes(bound: &Bound<u8>) -> Bound<&[u8]> {
    bound.as_ref().map(std::slice::from_ref)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_fjall_agree(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        let options = FjallOptions { workers: 1, ..FjallOptions::default() };
        let memory = MemoryEngine::new();
        let mut fjall = FjallEngine::open(directory.path(), &options).unwrap();
        for step in steps {
            match step {
                Step::Commit(writes) => {
                    let batch = batch(&writes);
                    prop_assert_eq!(memory.commit(&batch), Ok(()));
                    prop_assert_eq!(fjall.commit(&batch), Ok(()));
                }
                Step::Get(space, key) => {
                    prop_assert_eq!(memory.get(space, &[key]), fjall.get(space, &[key]));
                }
                Step::Scan(space, from, to, limit, most) => {
                    let found = memory.scan(space, bytes(&from), bytes(&to), limit, most);
                    prop_assert_eq!(found, fjall.scan(space, bytes(&from), bytes(&to), limit, most));
                    let all = |engine: &dyn Engine| engine.records(space).unwrap().collect::<Vec<_>>();
                    prop_assert_eq!(all(&memory), all(&fjall));
                }
                Step::Reopen => {
                    memory.crash(|_| Kept::Lost);
                    drop(fjall);
                    fjall = FjallEngine::open(directory.path(), &options).unwrap();
                }
            }
        }
    }
}
