//! Concurrent values: none is lost, none comes back, and only truly concurrent ones stand side by side.

use std::collections::BTreeMap;
use std::fmt;

use super::linearizable::SiblingAction;
use super::{Counterexample, Undecided, Verdict};
use crate::history::{Operation, Outcome};

/// Judges the history of one key, at QUORUM or stronger, by every acknowledged read:
///
/// * each sibling was put, and stands there once;
/// * no sibling is covered by another, or by a put acknowledged before the read began: so there are never more
///   of them than concurrent puts;
/// * each put acknowledged before the read is there, unless some put that may have taken effect covers it.
///
/// Unknown if a value was put twice, for then its origin cannot be told.
pub fn check<V: Ord + fmt::Debug>(history: &[Operation<SiblingAction<V>>]) -> Verdict {
    let puts = match Puts::of(history) {
        Ok(puts) => puts,
        Err(twice) => return Verdict::Unknown(Undecided::Ambiguous(twice)),
    };
    for (at, read) in history.iter().enumerate() {
        if let (SiblingAction::Read(Some(siblings)), Outcome::Applied) = (&read.action, read.outcome)
            && let Some((reason, mut positions)) = puts.violation(read, siblings)
        {
            positions.push(at);
            return Verdict::Invalid(Counterexample::new("siblings", reason, history, positions));
        }
    }
    Verdict::Valid
}

/// The puts that may have taken effect.
struct Puts<'a, V> {
    history: &'a [Operation<SiblingAction<V>>],
    positions: Vec<usize>,
    by_value: BTreeMap<&'a V, usize>,
}

type Violation = Option<(String, Vec<usize>)>;

impl<'a, V: Ord + fmt::Debug> Puts<'a, V> {
    /// The position of a value's second put if it has one.
    fn of(history: &'a [Operation<SiblingAction<V>>]) -> Result<Self, usize> {
        let mut puts = Puts { history, positions: Vec::new(), by_value: BTreeMap::new() };
        for (at, operation) in history.iter().enumerate().filter(|(_, operation)| operation.is_possible()) {
            let SiblingAction::Put { value, .. } = &operation.action else { continue };
            puts.positions.push(at);
            if let Some(value) = value
                && puts.by_value.insert(value, at).is_some()
            {
                return Err(at);
            }
        }
        Ok(puts)
    }

    fn violation(&self, read: &Operation<SiblingAction<V>>, siblings: &[V]) -> Violation {
        let mut seen = Vec::with_capacity(siblings.len());
        for value in siblings {
            match self.by_value.get(value) {
                Some(&at) if read.precedes(&self.history[at]) => {
                    return Some((format!("{value:?} is read before it is put"), vec![at]));
                }
                Some(&at) if seen.contains(&at) => {
                    return Some((format!("{value:?} is read twice"), vec![at]));
                }
                Some(&at) => seen.push(at),
                None => return Some((format!("{value:?} is read and was never put"), Vec::new())),
            }
        }
        self.revenant(read, &seen).or_else(|| self.loss(read, &seen))
    }

    /// A sibling that something visible to the read has overwritten.
    fn revenant(&self, read: &Operation<SiblingAction<V>>, seen: &[usize]) -> Violation {
        let acknowledged = self.positions.iter().copied().filter(|&at| self.history[at].precedes(read));
        let mut visible: Vec<usize> = acknowledged.chain(seen.iter().copied()).collect();
        let mut reached = vec![false; self.history.len()];
        while let Some(by) = visible.pop() {
            for over in self.covered(by) {
                if seen.contains(&over) {
                    let reason = "a sibling is read although a visible put overwrote it".to_owned();
                    return Some((reason, vec![over, by]));
                }
                if !std::mem::replace(&mut reached[over], true) {
                    visible.push(over);
                }
            }
        }
        None
    }

    /// An acknowledged value that is gone and that nothing can have overwritten.
    fn loss(&self, read: &Operation<SiblingAction<V>>, seen: &[usize]) -> Violation {
        let lost = self.by_value.iter().find(|&(value, &at)| {
            let put = &self.history[at];
            put.precedes(read)
                && !seen.contains(&at)
                && !self.positions.iter().any(|&by| by != at && self.may_cover(by, value, put, read))
        });
        lost.map(|(value, &at)| (format!("{value:?} was acknowledged and is gone"), vec![at]))
    }

    /// The puts that the put at `by` certainly overwrote.
    fn covered(&self, by: usize) -> impl Iterator<Item = usize> {
        let put = &self.history[by];
        let context = match &put.action {
            SiblingAction::Put { context, .. } => context.as_ref(),
            SiblingAction::Read(_) => None,
        };
        let named = context.into_iter().flatten().filter_map(|value| self.by_value.get(value).copied());
        let earlier = self
            .positions
            .iter()
            .copied()
            .filter(move |&at| context.is_none() && self.history[at].precedes(put));
        named.chain(earlier)
    }

    /// Whether the put at `by` may have overwritten `value`, put by `put`, before `read` ended.
    fn may_cover(
        &self,
        by: usize,
        value: &V,
        put: &Operation<SiblingAction<V>>,
        read: &Operation<SiblingAction<V>>,
    ) -> bool {
        let cover = &self.history[by];
        let SiblingAction::Put { context, .. } = &cover.action else { return false };
        let covers = match context {
            Some(context) => context.contains(value),
            None => !cover.precedes(put),
        };
        covers && !read.precedes(cover)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{Rng, RngExt, SeedableRng};

    use super::*;
    use crate::checker::Linearizable;
    use crate::checker::linearizable::Siblings;

    type Op = Operation<SiblingAction<u8>>;

    fn put(at: u64, value: u8, context: Option<&[u8]>) -> Op {
        let context = context.map(<[u8]>::to_vec);
        Op::applied(0, at, at + 1, SiblingAction::Put { value: Some(value), context })
    }

    fn read(at: u64, siblings: &[u8]) -> Op {
        Op::applied(1, at, at + 1, SiblingAction::Read(Some(siblings.to_vec())))
    }

    #[test]
    fn concurrent_puts_both_survive() {
        let puts = [put(0, 1, Some(&[])), put(0, 2, Some(&[]))];
        for (siblings, expected) in [
            (&[1, 2][..], true),
            (&[2, 1], true),
            (&[1], false),
            (&[], false),
            (&[1, 2, 2], false),
            (&[1, 2, 3], false),
        ] {
            let history = [puts[0].clone(), puts[1].clone(), read(4, siblings)];
            assert_eq!(check(&history).is_valid(), expected, "{siblings:?}");
        }
    }

    #[test]
    fn what_a_context_covers_is_gone() {
        let history = |siblings| [put(0, 1, None), put(2, 2, Some(&[1])), read(4, siblings)];
        assert!(check(&history(&[2])).is_valid());
        assert!(check(&history(&[1, 2])).is_invalid());
        assert!(check(&history(&[1])).is_invalid());
    }

    #[test]
    fn what_was_covered_long_ago_does_not_come_back() {
        let history = |siblings| {
            let middle = Op::unknown(2, 2, SiblingAction::Put { value: Some(2), context: Some(vec![1]) });
            [put(0, 1, None), middle, put(4, 3, Some(&[2])), read(6, siblings)]
        };
        assert!(check(&history(&[3])).is_valid());
        assert!(check(&history(&[1, 3])).is_invalid());
    }

    #[test]
    fn a_put_without_context_replaces_what_it_follows() {
        let history = |siblings| [put(0, 1, None), put(2, 2, None), read(4, siblings)];
        assert!(check(&history(&[2])).is_valid());
        assert!(check(&history(&[1, 2])).is_invalid(), "not concurrent");
        assert!(check(&[put(0, 1, None), put(0, 2, None), read(4, &[1, 2])]).is_valid());
        assert!(check(&[put(0, 1, None), put(0, 2, None), read(4, &[2])]).is_valid());
    }

    #[test]
    fn a_delete_covers_and_an_unknown_put_may() {
        let delete = SiblingAction::Put { value: None, context: Some(vec![1]) };
        let applied = [put(0, 1, None), Op::applied(0, 2, 3, delete.clone()), read(4, &[])];
        assert!(check(&applied).is_valid());
        let unknown = |siblings| [put(0, 1, None), Op::unknown(0, 2, delete.clone()), read(4, siblings)];
        assert!(check(&unknown(&[])).is_valid() && check(&unknown(&[1])).is_valid());
        let refused = [put(0, 1, None), Op::not_applied(0, 2, 3, delete.clone()), read(4, &[])];
        assert!(check(&refused).is_invalid());
    }

    #[test]
    fn a_value_put_twice_cannot_be_judged() {
        assert_eq!(check(&[put(0, 1, None), put(2, 1, None)]), Verdict::Unknown(Undecided::Ambiguous(1)));
    }

    /// A real key under concurrent clients that put over what they read last, or over what was there at some time
    /// since they began.
    fn atomic(rng: &mut impl Rng, operations: usize) -> Vec<Op> {
        let (mut live, mut contexts): (Vec<u8>, [Vec<u8>; 3]) = Default::default();
        let mut past = vec![(0, live.clone())];
        let (mut history, mut busy_until) = (Vec::new(), [0; 3]);
        for at in 0..operations {
            let process = rng.random_range(0..3_usize);
            // The effect is at 10 * at, in that order; the intervals around overlap.
            let now = 10 * at as u64 + 20;
            let invoked = rng.random_range(now - 20..=now).max(busy_until[process]);
            let completed = now + rng.random_range(0..20);
            busy_until[process] = completed + 1;
            if invoked > now {
                continue;
            }
            let action = if rng.random_bool(0.5) {
                contexts[process] = live.clone();
                SiblingAction::Read(Some(live.clone()))
            } else {
                let context = rng.random_bool(0.6).then(|| contexts[process].clone());
                let seen_at = rng.random_range(invoked..=now);
                let visible = past.iter().rfind(|(since, _)| *since <= seen_at).map(|(_, live)| live.clone());
                let seen = context.clone().or(visible).unwrap_or_default();
                live.retain(|value| !seen.contains(value));
                live.push(at as u8);
                past.push((now, live.clone()));
                SiblingAction::Put { value: Some(at as u8), context }
            };
            let mut operation = Op::applied(process as u64, invoked, completed, action);
            if rng.random_bool(0.1) {
                operation.outcome = Outcome::Unknown;
            }
            history.push(operation);
        }
        history
    }

    /// Whether a put carries `value` in its context. That tells that the value was there before, which this check uses
    /// and the search does not: a read that takes it for newer is refused by this one alone, and rightly.
    fn is_in_a_context(history: &[Op], value: u8) -> bool {
        history.iter().any(|op| match &op.action {
            SiblingAction::Put { context: Some(context), .. } => context.contains(&value),
            _ => false,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn refuses_only_what_the_search_refuses(seed: u64, damage: bool) {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut history = atomic(&mut rng, 16);
            if damage && !history.is_empty() {
                let at = rng.random_range(0..history.len());
                let other = rng.random_range(0..16);
                let is_known = is_in_a_context(&history, other);
                if let SiblingAction::Read(Some(siblings)) = &mut history[at].action {
                    siblings.pop();
                    siblings.retain(|value| *value != other);
                    if !is_known {
                        siblings.push(other);
                    }
                }
            }
            let searched = Linearizable::default().check(&Siblings::new(), &history);
            let checked = check(&history);
            prop_assert!(damage || searched.is_valid(), "{}", searched);
            prop_assert!(checked.is_valid() || searched.is_invalid(), "{}", checked);
        }
    }
}
