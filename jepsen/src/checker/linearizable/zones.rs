//! A decision without search for registers whose values are written once each (Gibbons and Korach, "Testing
//! shared memories", 1997).
//!
//! A value made once is held for one unbroken period. That period reaches from the first completion to the
//! last invocation among the operations on the value, its *forward zone*, if these are in that order;
//! otherwise it needs no more than one instant of the *backward zone* between them. Values made once fit
//! together only if no two forward zones overlap and no backward zone lies within a forward one; without
//! compare-and-set that is also enough.

use super::model::Call;
use super::register::RegisterStep;

/// What is known of one value. `None` is before all time, `u64::MAX` after it.
#[derive(Clone, Copy)]
struct Zone {
    makers: u32,
    /// Whether an acknowledged operation is on this value.
    certain: bool,
    /// When the maker was invoked.
    made: Option<u64>,
    /// The first completion among operations on the value, and among those that observed it.
    completed: Option<u64>,
    observed: u64,
    /// The last invocation.
    invoked: Option<u64>,
}

const UNKNOWN: Zone = Zone {
    makers: 0,
    certain: false,
    made: None,
    completed: Some(u64::MAX),
    observed: u64::MAX,
    invoked: None,
};

/// Whether the calls have a linearization, if the zones of values made once can tell.
pub(super) fn decide(initial: u32, calls: &[Call<RegisterStep>]) -> Option<bool> {
    let zones = zones(initial, calls);
    let certain = || zones.iter().filter(|zone| zone.certain);
    if certain().any(|zone| zone.makers == 0) {
        return Some(false);
    }
    let once = || certain().filter(|zone| zone.makers == 1);
    if once().any(|zone| Some(zone.observed) < zone.made) {
        return Some(false);
    }
    let mut forward: Vec<_> = once().filter(|zone| zone.completed < zone.invoked).collect();
    forward.sort_unstable_by_key(|zone| zone.completed);
    if forward.windows(2).any(|pair| pair[1].completed < pair[0].invoked) {
        return Some(false);
    }
    let enclosed = |zone: &Zone| {
        let before = forward.partition_point(|other| other.completed < zone.invoked);
        before > 0 && zone.completed < forward[before - 1].invoked
    };
    if once().any(|zone| zone.completed >= zone.invoked && enclosed(zone)) {
        return Some(false);
    }
    let simple = calls.iter().all(|call| matches!(call.step, RegisterStep::Read(_) | RegisterStep::Write(_)));
    (simple && certain().all(|zone| zone.makers == 1)).then_some(true)
}

fn zones(initial: u32, calls: &[Call<RegisterStep>]) -> Vec<Zone> {
    let mut zones = Vec::with_capacity(calls.len() / 2 + 1);
    let start = Zone { makers: 1, completed: None, ..UNKNOWN };
    *zone(&mut zones, initial) = start;
    for call in calls {
        let (observes, makes) = match call.step {
            RegisterStep::Read(value) => (Some(value), None),
            RegisterStep::Write(value) => (None, Some(value)),
            RegisterStep::Cas(old, new) => (Some(old), Some(new)),
            RegisterStep::Not(_) => (None, None),
        };
        if let (Some(value), Some(at)) = (observes, call.effective_by) {
            let zone = zone(&mut zones, value);
            zone.observed = zone.observed.min(at);
            zone.include(call);
        }
        if let Some(value) = makes {
            let zone = zone(&mut zones, value);
            zone.makers += 1;
            zone.made = Some(call.invoked);
            zone.include(call);
        }
    }
    zones
}

impl Zone {
    fn include(&mut self, call: &Call<RegisterStep>) {
        self.certain |= call.effective_by.is_some();
        self.completed = self.completed.min(Some(call.effective_by.unwrap_or(u64::MAX)));
        self.invoked = self.invoked.max(Some(call.invoked));
    }
}

fn zone(zones: &mut Vec<Zone>, value: u32) -> &mut Zone {
    let at = value as usize;
    if zones.len() <= at {
        zones.resize(at + 1, UNKNOWN);
    }
    &mut zones[at]
}
