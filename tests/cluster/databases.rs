//! Looking into the databases of nodes that are down.

use std::path::Path;

use quorate::{
    ring::NodeId,
    storage::{Committer, Engine, FjallEngine, FjallOptions, Row, Space, State, Write, read_hints, recover},
};

/// Removes what is kept for `target`, as if it had been lost. Says how much that was.
pub(crate) fn forget_hints(db: &Path, target: NodeId) -> usize {
    let engine = open(db);
    let mut committer = Committer::new(&recover(&engine).expect("a sound directory"));
    let page = read_hints(&engine, target, None, usize::MAX).expect("readable hints");
    let forget = |(row, state): (Row, State)| Write::Unhint { target, row, given: Some(state.version()) };
    let writes: Vec<_> = page.hints.into_iter().map(forget).collect();
    assert!(committer.run(&engine, &writes).iter().all(Result::is_ok));
    writes.len()
}

pub(crate) fn records(db: &Path) -> usize {
    let all = std::ops::Bound::Unbounded;
    open(db).scan(Space::Data, all, all, usize::MAX, usize::MAX).expect("readable records").len()
}

fn open(db: &Path) -> FjallEngine {
    FjallEngine::open(db, &FjallOptions::default()).expect("the database of a node that is down")
}
