//! Requests of one connection that wait for their answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{sync::oneshot, time::Instant};

use crate::wire::{ClientMessage, RequestId};

/// An answer, or why none will come.
pub(super) type Answer = Result<ClientMessage, Lost>;

/// Why no answer will come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// For people.
    pub(super) reason: String,
    /// Whether the node ended its stream in order, having answered whatever it had begun: what it did not answer it did
    /// not begin.
    pub(super) in_order: bool,
}

/// The waiting requests. An id is a slot and the slot's generation, so that it is never used twice and a late
/// answer finds nobody, with a mask over them, so that ids of other connections are others: they are found in logs by them.
#[derive(Debug, Default)]
pub(super) struct Pending {
    mask: u64,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// How many wait, and since when nobody has heard anything.
    waiting: usize,
    silent_since: Option<Instant>,
    /// Why the connection is gone.
    lost: Option<String>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    waiter: Option<oneshot::Sender<Answer>>,
}

/// A place in the queue; dropping it gives the place up.
#[derive(Debug)]
pub(super) struct Ticket {
    pending: Arc<Pending>,
    /// What the request must carry.
    pub(super) id: RequestId,
    /// Where its answer arrives.
    pub(super) answer: oneshot::Receiver<Answer>,
}

impl Pending {
    /// Nobody waits yet; `mask` is drawn at random.
    pub(super) fn new(mask: u64) -> Arc<Self> {
        Arc::new(Self { mask, slots: Mutex::default() })
    }

    /// A place for one more request.
    ///
    /// # Errors
    /// Why the connection is gone.
    pub(super) fn register(self: &Arc<Self>) -> Result<Ticket, String> {
        let (waiter, answer) = oneshot::channel();
        let mut slots = self.lock();
        if let Some(reason) = &slots.lost {
            return Err(reason.clone());
        }
        let index = slots.free.pop().unwrap_or(slots.slots.len() as u32);
        if index as usize == slots.slots.len() {
            slots.slots.push(Slot::default());
        }
        let slot = &mut slots.slots[index as usize];
        slot.waiter = Some(waiter);
        let id = RequestId(self.mask ^ (u64::from(slot.generation) << 32 | u64::from(index)));
        slots.waiting += 1;
        slots.silent_since.get_or_insert_with(Instant::now);
        drop(slots);
        Ok(Ticket { pending: self.clone(), id, answer })
    }

    /// Hands an answer to whoever waits for it; nobody may.
    pub(super) fn complete(&self, id: RequestId, message: ClientMessage) {
        let mut slots = self.lock();
        let waiter = slots.take(id.0 ^ self.mask);
        slots.silent_since = (slots.waiting > 0).then(Instant::now);
        drop(slots);
        if let Some(waiter) = waiter {
            // The waiter may have gone in this moment.
            let _ = waiter.send(Ok(message));
        }
    }

    /// Since when requests wait without an answer to any of them; none while nobody waits.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        self.lock().silent_since
    }

    /// The connection is gone: everyone who waits learns it, and so does everyone who comes.
    pub(super) fn lose(&self, lost: &Lost) {
        let mut slots = self.lock();
        slots.lost.get_or_insert_with(|| lost.reason.clone());
        let waiters: Vec<_> = slots.slots.iter_mut().filter_map(|slot| slot.waiter.take()).collect();
        drop(slots);
        for waiter in waiters {
            let _ = waiter.send(Err(lost.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// Takes the waiter at a place, a slot and its generation, and frees the slot.
    fn take(&mut self, place: u64) -> Option<oneshot::Sender<Answer>> {
        let (generation, index) = ((place >> 32) as u32, place as u32);
        let slot = self.slots.get_mut(index as usize).filter(|slot| slot.generation == generation)?;
        let waiter = slot.waiter.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(index);
        self.waiting -= 1;
        if self.waiting == 0 {
            self.silent_since = None;
        }
        Some(waiter)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.pending.lock().take(self.id.0 ^ self.pending.mask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ListTables, Tables};

    fn tables() -> ClientMessage {
        Tables { tables: Vec::new() }.into()
    }

    #[test]
    fn an_answer_finds_its_request_and_a_late_one_nobody() {
        let pending = Pending::new(0x1234_5678_9abc_def0);
        let mut first = pending.register().expect("a place");
        let second = pending.register().expect("a place");
        assert_ne!(first.id, second.id);
        pending.complete(first.id, tables());
        assert_eq!(first.answer.try_recv(), Ok(Ok(tables())));

        let gone = second.id;
        drop(second);
        let mut reused = pending.register().expect("a place");
        assert_ne!(reused.id, gone, "an id is never used twice");
        pending.complete(gone, ListTables {}.into());
        pending.complete(RequestId(u64::MAX), ListTables {}.into());
        assert!(reused.answer.try_recv().is_err(), "the late answer was taken for another's");
        assert!(pending.lock().slots.len() <= 2, "dropped requests free their slots");
    }

    #[test]
    fn silence_lasts_from_the_first_that_waits_to_any_answer() {
        let pending = Arc::new(Pending::default());
        assert!(pending.silent_since().is_none());
        let first = pending.register().expect("a place");
        let since = pending.silent_since().expect("somebody waits");
        let second = pending.register().expect("a place");
        assert_eq!(pending.silent_since(), Some(since), "the second changes nothing");
        pending.complete(first.id, tables());
        assert!(pending.silent_since().is_some_and(|now| now >= since), "an answer begins it anew");
        drop(second);
        assert!(pending.silent_since().is_none(), "nobody waits any more");
        drop(first);
    }

    #[test]
    fn a_lost_connection_tells_everyone() {
        let pending = Arc::new(Pending::default());
        let mut waiting = pending.register().expect("a place");
        let lost = |reason: &str| Lost { reason: reason.to_owned(), in_order: false };
        pending.lose(&lost("cut"));
        pending.lose(&lost("cut again"));
        assert_eq!(waiting.answer.try_recv(), Ok(Err(lost("cut"))));
        assert_eq!(pending.register().err().as_deref(), Some("cut"));
    }
}
