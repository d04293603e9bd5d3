//! The events of a history in real-time order, from which operations are taken out and put back.

use super::model::Call;

/// An operation by its position among the calls.
pub(super) type Index = u32;

const NONE: u32 = u32::MAX;

/// A doubly linked list of invocations and completions. The operations that may come next in a linearization
/// are those invoked before the first completion still in the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    /// Scratch for sorting: (time, completion?, operation).
    events: Vec<(u64, bool, Index)>,
    /// Neighbours by event; event 0 is the head, and the list ends there too.
    next: Vec<u32>,
    previous: Vec<u32>,
    /// The operation of each event, and whether the event is its completion.
    owner: Vec<(Index, bool)>,
    invoked_at: Vec<u32>,
    completed_at: Vec<u32>,
    /// A number for each operation that no operation pending at the same time shares.
    slots: Vec<u32>,
    slots_free: Vec<u32>,
    slot_count: u32,
}

/// Where a walk along the list stands.
pub(super) enum Event {
    /// An operation that may come next.
    Invocation(Index),
    /// The first completion left: later operations may not come next.
    Completion(u32),
    /// No completion is left.
    End,
}

impl Timeline {
    /// Starts over with these calls. At equal times invocations come first: equal means concurrent.
    pub(super) fn reset<S>(&mut self, calls: &[Call<S>]) {
        self.events.clear();
        for (index, call) in (0..).zip(calls) {
            self.events.push((call.invoked, false, index));
            if let Some(at) = call.effective_by {
                self.events.push((at.max(call.invoked), true, index));
            }
        }
        self.events.sort_unstable();
        self.link();
        self.number(calls.len());
    }

    /// The first event's number, where every walk starts.
    pub(super) fn first(&self) -> u32 {
        self.next[0]
    }

    /// What stands at a place of the list.
    pub(super) fn event(&self, place: u32) -> Event {
        if place == 0 {
            return Event::End;
        }
        match self.owner[place as usize] {
            (index, false) => Event::Invocation(index),
            (_, true) => Event::Completion(place),
        }
    }

    /// The place after this one.
    pub(super) fn after(&self, place: u32) -> u32 {
        self.next[place as usize]
    }

    /// Takes an operation out: it has been linearized.
    pub(super) fn remove(&mut self, index: Index) {
        self.unlink(self.invoked_at[index as usize]);
        if self.completed_at[index as usize] != NONE {
            self.unlink(self.completed_at[index as usize]);
        }
    }

    /// Puts back the operation that was taken out last.
    pub(super) fn restore(&mut self, index: Index) {
        if self.completed_at[index as usize] != NONE {
            self.relink(self.completed_at[index as usize]);
        }
        self.relink(self.invoked_at[index as usize]);
    }

    /// The operation's number among those pending with it.
    pub(super) fn slot(&self, index: Index) -> u32 {
        self.slots[index as usize]
    }

    /// One more than the greatest slot in use.
    pub(super) fn slot_count(&self) -> u32 {
        self.slot_count
    }

    /// An operation's place in the order of completions; operations without one come last.
    pub(super) fn deadline(&self, index: Index) -> u32 {
        self.completed_at[index as usize]
    }

    fn link(&mut self) {
        let length = self.events.len() as u32 + 1;
        self.next.clear();
        self.next.extend((1..length).chain([0]));
        self.previous.clear();
        self.previous.extend([length - 1].into_iter().chain(0..length - 1));
        self.owner.clear();
        self.owner.push((NONE, false));
        self.owner.extend(self.events.iter().map(|&(_, completion, index)| (index, completion)));
    }

    fn number(&mut self, calls: usize) {
        self.invoked_at.clear();
        self.invoked_at.resize(calls, NONE);
        self.completed_at.clear();
        self.completed_at.resize(calls, NONE);
        self.slots.clear();
        self.slots.resize(calls, NONE);
        self.slots_free.clear();
        self.slot_count = 0;
        for (place, &(_, completion, index)) in (1..).zip(&self.events) {
            let index = index as usize;
            if completion {
                self.completed_at[index] = place;
                self.slots_free.push(self.slots[index]);
            } else {
                self.invoked_at[index] = place;
                self.slots[index] = self.slots_free.pop().unwrap_or_else(|| {
                    self.slot_count += 1;
                    self.slot_count - 1
                });
            }
        }
    }

    fn unlink(&mut self, place: u32) {
        let (next, previous) = (self.next[place as usize], self.previous[place as usize]);
        self.next[previous as usize] = next;
        self.previous[next as usize] = previous;
    }

    fn relink(&mut self, place: u32) {
        let (next, previous) = (self.next[place as usize], self.previous[place as usize]);
        self.next[previous as usize] = place;
        self.previous[next as usize] = place;
    }
}
