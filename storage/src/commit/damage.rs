//! What the step does about damaged records (rule S3).

use quorate_ring::Hlc;

use super::{Horizon, Slot, Stage, WriteError, WriteResult, Written, check_state};
use crate::{Row, Space, State, StoreTerms, VersionVector, quarantine, record};

impl Stage<'_> {
    /// Copies the record of `row` into the quarantine, if it is damaged and not there yet. From here on writes meet what
    /// is on the disk, those of this batch too: whoever asks for the quarantine counts on it that this replica takes no
    /// store before the record was restored.
    pub(super) fn quarantine(&mut self, row: &Row) -> WriteResult {
        let key = row.to_storage_key();
        if self.slots.get(&key).is_some_and(|slot| slot.dirty) {
            // The batch puts a sound record in its place.
            return Ok(Written::Sound);
        }
        self.slots.remove(&key);
        self.recent.forget(&key);
        let Some(found) = self.engine.get(Space::Data, &key)? else {
            return Ok(Written::Sound);
        };
        let Err(error) = record::decode(&key, found.clone()) else {
            return Ok(Written::Sound);
        };
        if self.engine.get(Space::Quarantine, &key)?.is_none() {
            quarantine::put(&mut self.batch, &key, found, &error);
        }
        Ok(Written::Quarantined(error))
    }

    /// Stores `state`; if the record of `row` is damaged, in its place. No state takes the place of a damaged record alone, of
    /// which the copy in quarantine stays: nobody else has what it held.
    pub(super) fn restore(&mut self, row: &Row, state: Option<&State>, clocks: Hlc) -> WriteResult {
        let horizon = Horizon { clocks, lead: None };
        self.recent.forget(&row.to_storage_key());
        match self.slot(row).map(drop) {
            Err(WriteError::Corrupt(_)) => {}
            Err(error) => return Err(error),
            Ok(()) => {
                let Some(state) = state else {
                    return Ok(Written::Sound);
                };
                let result = self.store(row, state, StoreTerms { horizon, report: false })?;
                self.release(row)?;
                return Ok(result);
            }
        }
        let held = state.map(|state| check_state(row, state)).transpose()?;
        // Nothing that was durable here is known any more, so nothing is taken for seen.
        let slot = Slot { state: state.cloned(), dirty: true, durable: VersionVector::new(), hash: None };
        self.slots.insert(row.to_storage_key(), slot);
        let Some(held) = held else {
            return Ok(Written::Sound);
        };
        self.batch.remove(Space::Quarantine, row.to_storage_key());
        self.hlc_bound = self.hlc_bound.max(horizon.seen(held.hlc));
        Ok(Written::Stored { held, more: None })
    }

    /// Takes `row` out of the quarantine, if it is there.
    fn release(&mut self, row: &Row) -> Result<(), WriteError> {
        let key = row.to_storage_key();
        if self.engine.get(Space::Quarantine, &key)?.is_some() {
            self.batch.remove(Space::Quarantine, key);
        }
        Ok(())
    }
}
