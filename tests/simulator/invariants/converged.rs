//! When every fault is over and every replica was asked, all replicas hold the same, and that has seen every write
//! that was ever acknowledged, at any level.

use quorate::storage::State;

use super::{
    Key,
    acknowledged::{covers, shown},
};
use crate::world::Process;

/// Whether the replicas of `key` know what its cell adds up to, and agree on it (rule A1).
pub(crate) fn check_digests(key: &Key, processes: &[Process]) -> Result<(), String> {
    let digests: Vec<_> = key.replicas.iter().map(|node| processes[*node].disk.digest(&key.row)).collect();
    match digests.first() {
        Some(Some(_)) if digests.windows(2).all(|pair| pair[0] == pair[1]) => Ok(()),
        _ => Err(format!("converged: digests around {:?} differ: {digests:?}", key.row.key)),
    }
}

/// Whether the replicas of `key` agree. One whose record is still damaged has no say: the run may have ended before it came back.
pub(crate) fn check(key: &Key, processes: &[Process]) -> Result<(), String> {
    if key.is_damaged() {
        return Ok(());
    }
    let states = key.replicas.iter().map(|node| processes[*node].disk.durable(&key.row));
    let states: Vec<_> = states.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let told = |state: Option<State>| Some(state?.told()?.as_message());
    let states: Vec<_> = states.into_iter().map(told).collect();
    if states.windows(2).any(|pair| pair[0] != pair[1]) {
        let versions = states.iter().map(|state| state.as_ref().map(State::version));
        let versions: Vec<_> = versions.map(|version| shown(version.as_ref())).collect();
        let versions = versions.join(", ");
        return Err(format!("converged: replicas of {:?} still differ: {versions}", key.row.key));
    }
    let version = states.first().and_then(|state| state.as_ref()).map(State::version);
    let lost =
        key.acknowledged_writes.iter().find(|tag| !version.as_ref().is_some_and(|held| covers(held, **tag)));
    match lost {
        Some(tag) => {
            Err(format!("converged: {tag} was acknowledged, and no replica of {:?} knows it", key.row.key))
        }
        None => Ok(()),
    }
}
