//! What the step does about damaged records (rule S3).

use bytes::Bytes;
use quorate_ring::Hlc;

use super::{Horizon, Slot, Stage, WriteError, WriteResult, Written, check_state};
use crate::{Merged, Row, Space, State, StoreTerms, VersionVector, copy, quarantine, record};

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
        self.look_again(&key);
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
        let key = row.to_storage_key();
        let known = self.recent.get(&key).map(|record| record.state.clone());
        self.look_again(&key);
        match self.slot(row).map(drop) {
            Err(WriteError::Corrupt(_)) => {}
            Err(error) => return Err(error),
            Ok(()) => {
                let Some(state) = state else {
                    return Ok(Written::Sound);
                };
                let result =
                    self.store(row, state, StoreTerms { horizon, copied: true, ..StoreTerms::default() })?;
                self.release(row)?;
                return Ok(result);
            }
        }
        // What a store has mended meanwhile, and rotted again, is known here alone.
        let state = match state {
            Some(state) => match copy(known.as_ref(), state)? {
                Merged::Incoming => Some(state.clone()),
                Merged::Joined(joined) => Some(joined),
                Merged::Held => known,
            },
            None => known,
        };
        let held = state.as_ref().map(|state| check_state(row, state)).transpose()?;
        // Nothing that was durable here is known any more, so nothing is taken for seen.
        let slot = Slot { state, dirty: true, durable: VersionVector::new(), hash: None };
        self.slots.insert(key.clone(), slot);
        let Some(held) = held else {
            return Ok(Written::Sound);
        };
        self.batch.remove(Space::Quarantine, key);
        self.hlc_bound = self.hlc_bound.max(horizon.seen(held.hlc));
        Ok(Written::Stored { held, more: None })
    }

    /// Has the next write of the key meet what is on the disk, unless this batch puts another record there.
    fn look_again(&mut self, key: &Bytes) {
        if self.slots.get(key).is_some_and(|slot| !slot.dirty) {
            self.slots.remove(key);
        }
        self.recent.forget(key);
    }

    /// A walk has met a damaged record under `key`, and has not counted it.
    pub(super) fn is_damaged(&mut self, key: &Bytes) {
        self.look_again(key);
        if let Some(slot) = self.slots.get_mut(key) {
            slot.hash = None;
        }
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
