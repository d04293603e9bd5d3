//! How often requests that were turned away are tried again: a share of all requests, so that those who are
//! overloaded are not asked many times for each thing that is wanted.

use std::sync::atomic::{AtomicU32, Ordering};

/// What all requests of a session share.
#[derive(Debug)]
pub(super) struct RetryBudget {
    /// In tenths of a request.
    saved: AtomicU32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { saved: AtomicU32::new(SAVED_MAX) }
    }
}

impl RetryBudget {
    /// A request begins: the budget grows.
    pub(super) fn earn(&self) {
        self.change(|saved| (saved < SAVED_MAX).then_some(saved + EARNED));
    }

    /// Whether there is room for trying once more; if so, it is taken.
    pub(super) fn spend(&self) -> bool {
        self.change(|saved| saved.checked_sub(COST))
    }

    fn change(&self, to: impl FnMut(u32) -> Option<u32>) -> bool {
        self.saved.try_update(Ordering::Relaxed, Ordering::Relaxed, to).is_ok()
    }
}

/// One in ten requests may be tried once more ...
const EARNED: u32 = 1;
const COST: u32 = 10;
/// ... and so many at once.
const SAVED_MAX: u32 = 256 * COST;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_tried_again_and_some_at_once() {
        let budget = RetryBudget::default();
        let mut spent = 0;
        for _ in 0..10_000 {
            budget.earn();
            spent += u32::from(budget.spend());
        }
        assert!((1_000..=1_256).contains(&spent), "{spent} of 10,000");
    }
}
