//! When every fault is over and every replica was asked, all replicas hold the same.

use super::Key;
use crate::world::Process;

/// Whether the replicas of `key` agree. One whose record is damaged has no say: nothing refetches it yet.
pub(crate) fn check(key: &Key, processes: &[Process]) -> Result<(), String> {
    if key.is_damaged() {
        return Ok(());
    }
    let states = key.replicas.iter().map(|node| processes[*node].disk.durable(&key.row));
    let states: Vec<_> = states.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if states.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok(());
    }
    let tags: Vec<_> =
        states.iter().map(|state| state.as_ref().map(|state| state.tag().to_string())).collect();
    Err(format!("converged: replicas of {:?} still differ: {tags:?}", key.row.key))
}
