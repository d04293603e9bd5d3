//! What must hold whatever happens: one map per epoch, each a child of the one before; every acknowledged change in
//! it, once; none that was called impossible; and nobody serves by less than everybody else knew when it started.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_ring::{Actor, Epoch};

use crate::membership::map::{Change, ChangeId, ClusterMap, Fate, Outcome};

/// What went wrong.
pub(super) type Verdict = Result<(), String>;

/// One asking for a change, of one process.
#[derive(Debug)]
struct Attempt {
    process: Actor,
    /// The newest epoch that anybody had been told of when it was asked for.
    told: Epoch,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Open,
    Applied,
    NotApplied,
    Unknown(Epoch),
    /// The process is gone.
    Lost,
}

#[derive(Debug, Default)]
pub(super) struct Oracle {
    decided: BTreeMap<Epoch, Arc<ClusterMap>>,
    made: BTreeSet<ChangeId>,
    asked: BTreeMap<ChangeId, (Change, Vec<Attempt>)>,
    told: Epoch,
}

impl Oracle {
    /// `map` was decided before anything else happened, and so was its parent.
    pub(super) fn begin(map: &Arc<ClusterMap>) -> Self {
        let decided = BTreeMap::from([(map.epoch(), map.clone())]);
        Self { decided, made: map.change().into_iter().collect(), ..Self::default() }
    }

    /// Somebody takes `map` for decided. Whether that is news.
    pub(super) fn decided(&mut self, map: &Arc<ClusterMap>) -> Result<bool, String> {
        if let Some(known) = self.decided.get(&map.epoch()) {
            if Arc::ptr_eq(known, map) || known.name() == map.name() {
                return Ok(false);
            }
            return Err(format!("two maps: {} and {}", known.name(), map.name()));
        }
        if let Some(parent) = map.parent()
            && self.decided.get(&parent.epoch).map(|known| known.name()) != Some(parent)
        {
            return Err(format!("{} has a parent that was never decided", map.name()));
        }
        if let Some(id) = map.change()
            && !self.made.insert(id)
        {
            return Err(format!("{id} was made twice"));
        }
        self.decided.insert(map.epoch(), map.clone());
        Ok(true)
    }

    pub(super) fn newest(&self) -> Option<&Arc<ClusterMap>> {
        self.decided.last_key_value().map(|(_, map)| map)
    }

    pub(super) fn asked(&mut self, id: ChangeId, change: &Change, process: Actor) {
        let attempt = Attempt { process, told: self.told, end: End::Open };
        self.asked.entry(id).or_insert_with(|| (change.clone(), Vec::new())).1.push(attempt);
    }

    pub(super) fn settled(&mut self, id: ChangeId, process: Actor, outcome: &Outcome) -> Verdict {
        let Some((change, attempts)) = self.asked.get_mut(&id) else {
            return Ok(());
        };
        for attempt in attempts.iter_mut().filter(|a| a.process == process && a.end == End::Open) {
            attempt.end = match outcome {
                Outcome::Applied { epoch } => {
                    if self.decided.get(epoch).and_then(|map| map.change()) != Some(id) {
                        return Err(format!("{id} was acknowledged for {epoch}, which holds another change"));
                    }
                    self.told = self.told.max(*epoch);
                    End::Applied
                }
                Outcome::Refused { at, reason } => {
                    if *at < attempt.told {
                        return Err(format!(
                            "{id} was refused by {at} after {} was acknowledged",
                            attempt.told
                        ));
                    }
                    let said = self.decided.get(at).map(|map| map.apply(id, change));
                    if said != Some(Err(reason.clone())) {
                        return Err(format!("{id} was refused for no reason: {reason}"));
                    }
                    End::NotApplied
                }
                Outcome::Unknown { slot } => End::Unknown(*slot),
                Outcome::Unreachable { .. } | Outcome::Overloaded { .. } => End::NotApplied,
            };
        }
        Ok(())
    }

    pub(super) fn lost(&mut self, process: Actor) {
        for attempt in self.asked.values_mut().flat_map(|(_, attempts)| attempts) {
            if attempt.process == process && attempt.end == End::Open {
                attempt.end = End::Lost;
            }
        }
    }

    /// Changes that somebody still waits for.
    pub(super) fn open(&self) -> Vec<ChangeId> {
        let is_open = |(_, (_, attempts)): &(&ChangeId, &(Change, Vec<Attempt>))| {
            attempts.iter().any(|attempt| attempt.end == End::Open)
        };
        self.asked.iter().filter(is_open).map(|(id, _)| *id).collect()
    }

    /// What can be said at the end only: of every change that happened, somebody had reason to think so.
    pub(super) fn finish(&self) -> Verdict {
        let Some(newest) = self.newest() else {
            return Ok(());
        };
        for map in self.decided.values() {
            map.validate()?;
            let Some((id, (_, attempts))) = map.change().and_then(|id| self.asked.get_key_value(&id)) else {
                continue;
            };
            let may_be = |attempt: &Attempt| match attempt.end {
                End::Open | End::Applied | End::Lost => true,
                End::Unknown(slot) => slot == map.epoch(),
                End::NotApplied => false,
            };
            if !attempts.iter().any(may_be) {
                return Err(format!("{id} happened at {}, and everybody was told it did not", map.epoch()));
            }
        }
        for (id, (_, attempts)) in &self.asked {
            if let [Attempt { end: End::Unknown(slot), .. }] = attempts[..] {
                let truth = self.made.contains(id);
                match newest.fate(*id, slot) {
                    Fate::Applied(epoch) if truth && epoch == slot => {}
                    Fate::NotApplied if !truth => {}
                    Fate::Unknown if newest.epoch() < slot => {}
                    fate => return Err(format!("{id}, sent in {slot}: {fate:?} is not its fate")),
                }
            }
        }
        Ok(())
    }
}
