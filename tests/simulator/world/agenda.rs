//! What is to happen, in the order of (time, sequence).

use std::{cmp::Reverse, collections::BinaryHeap};

/// A heap of events. Events of one instant happen in the order in which they were planned.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    /// Time, sequence, place in `events`.
    order: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<E>>,
    free: Vec<usize>,
    sequence: u64,
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self { order: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), sequence: 0 }
    }
}

impl<E> Agenda<E> {
    /// Plans an event.
    pub(crate) fn push(&mut self, at: u64, event: E) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.order.push(Reverse((at, self.sequence, place)));
        self.sequence += 1;
    }

    /// When the next event happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.order.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next event.
    pub(crate) fn pop(&mut self) -> Option<(u64, E)> {
        let Reverse((at, _, place)) = self.order.pop()?;
        self.free.push(place);
        self.events[place].take().map(|event| (at, event))
    }
}
