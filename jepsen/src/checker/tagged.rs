//! Registers whose receipts told version tags: judged by the order of the tags, near-linear, before any search.
//!
//! Tags alone say nothing of values. So each tag must belong to one value first, told alike by its write and by all of
//! its reads; then the order of the tags is an order of the values, and [`versions::in_order`] says whether it keeps
//! to real time. Where any of this does not hold the history may still be linearizable: that is for the search.

use std::collections::BTreeMap;
use std::fmt;

use super::linearizable::RegisterAction;
use super::versions::{self, VersionAction};
use super::{Counterexample, Verdict};
use crate::history::{Operation, Outcome};

/// Whether the order of the tags shows that the history is linearizable; false says nothing. `tags` has the tag of
/// each operation as far as its client learnt it; a read of `initial` without a tag found the register untouched.
pub fn is_linearizable<V: Ord, T: Ord + Copy + fmt::Debug>(
    initial: &V,
    history: &[Operation<RegisterAction<V>>],
    tags: &[Option<T>],
) -> bool {
    versions_of(initial, history, tags).is_some_and(|versions| versions::in_order(&versions).is_valid())
}

/// Whether tags and values tell the same story: every tag belongs to one value, and what was read is `initial` or was
/// written by something that may have taken effect before the read was over.
pub fn are_alike<V: Ord + fmt::Debug, T: Ord + fmt::Debug>(
    initial: &V,
    history: &[Operation<RegisterAction<V>>],
    tags: &[Option<T>],
) -> Verdict {
    let wrong = |reason, positions| {
        Verdict::Invalid(Counterexample::new("one version, one value", reason, history, positions))
    };
    let mut first_written: BTreeMap<&V, u64> = BTreeMap::new();
    for operation in history.iter().filter(|operation| operation.is_possible()) {
        if let RegisterAction::Write(value) | RegisterAction::Cas { new: value, .. } = &operation.action {
            let first = first_written.entry(value).or_insert(operation.invoked);
            *first = operation.invoked.min(*first);
        }
    }
    let mut value_of: BTreeMap<&T, (&V, usize)> = BTreeMap::new();
    for (at, (operation, tag)) in history.iter().zip(tags).enumerate() {
        let (RegisterAction::Read(Some(value)) | RegisterAction::Write(value), true) =
            (&operation.action, operation.is_applied())
        else {
            continue;
        };
        let is_read = matches!(operation.action, RegisterAction::Read(_));
        let is_written = first_written
            .get(value)
            .is_some_and(|first| operation.completed.is_none_or(|completed| *first <= completed));
        if is_read && !is_written && value != initial {
            return wrong(format!("{value:?} was read, and nobody had written it"), vec![at]);
        }
        let Some(tag) = tag else { continue };
        let (known, by) = *value_of.entry(tag).or_insert((value, at));
        if known != value {
            return wrong(
                format!("the version {tag:?} has the values {known:?} and {value:?}"),
                vec![by, at],
            );
        }
    }
    Verdict::Valid
}

/// The same history in versions; `None` where tags and values do not fit together.
fn versions_of<V: Ord, T: Ord + Copy>(
    initial: &V,
    history: &[Operation<RegisterAction<V>>],
    tags: &[Option<T>],
) -> Option<Vec<Operation<VersionAction<T>>>> {
    let mut value_of: BTreeMap<T, &V> = BTreeMap::new();
    let mut written: BTreeMap<T, usize> = BTreeMap::new();
    let mut versions = Vec::with_capacity(history.len());
    let mut lost: BTreeMap<&V, Vec<usize>> = BTreeMap::new();
    for (at, (operation, tag)) in history.iter().zip(tags).enumerate() {
        let action = match (&operation.action, operation.outcome, tag) {
            (RegisterAction::Cas { .. }, ..) | (RegisterAction::Write(_), Outcome::Applied, None) => {
                return None;
            }
            (_, Outcome::NotApplied, _)
            | (RegisterAction::Read(None), ..)
            | (RegisterAction::Read(_), Outcome::Unknown, _) => continue,
            (RegisterAction::Write(value), Outcome::Unknown, _) => {
                lost.entry(value).or_default().push(at);
                continue;
            }
            (RegisterAction::Write(value), Outcome::Applied, Some(tag)) => {
                written.insert(*tag, at);
                is_alike(&mut value_of, *tag, value)?;
                VersionAction::Write(Some(*tag))
            }
            (RegisterAction::Read(Some(value)), Outcome::Applied, Some(tag)) => {
                is_alike(&mut value_of, *tag, value)?;
                VersionAction::Read(Some(*tag))
            }
            (RegisterAction::Read(Some(value)), Outcome::Applied, None) if value == initial => {
                VersionAction::Read(None)
            }
            (RegisterAction::Read(Some(_)), Outcome::Applied, None) => return None,
        };
        versions.push(as_version(operation, action));
    }
    // A tag that was read and that no acknowledged write has is that of a write whose client never learnt it.
    for (tag, value) in value_of.iter().filter(|(tag, _)| !written.contains_key(tag)) {
        let [write] = lost.remove(value)?[..] else { return None };
        versions.push(as_version(&history[write], VersionAction::Write(Some(*tag))));
    }
    Some(versions)
}

/// Notes the value of a tag; `None` if it has another one.
fn is_alike<'a, V: Ord, T: Ord>(value_of: &mut BTreeMap<T, &'a V>, tag: T, value: &'a V) -> Option<()> {
    (*value_of.entry(tag).or_insert(value) == value).then_some(())
}

fn as_version<V, T>(
    operation: &Operation<RegisterAction<V>>,
    action: VersionAction<T>,
) -> Operation<VersionAction<T>> {
    let &Operation { process, invoked, completed, outcome, .. } = operation;
    Operation { process, invoked, completed, outcome, action }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::checker::Linearizable;
    use crate::checker::linearizable::{Register, RegisterAction::*};
    use crate::generator::{AtomicRegister, corrupt_read};

    type Op = Operation<RegisterAction<u64>>;

    /// Values in the order in which the register took them are tags.
    fn tags(history: &[Op], order: &[u64]) -> Vec<Option<usize>> {
        let place = |value: &u64| order.iter().position(|known| known == value);
        let tag = |operation: &Op| match &operation.action {
            Write(value) | Read(Some(value)) if operation.is_applied() => place(value),
            _ => None,
        };
        history.iter().map(tag).collect()
    }

    #[test]
    fn a_tag_must_belong_to_one_value() {
        let write = Op::applied(0, 0, 1, Write(1));
        let read = |value| Op::applied(1, 2, 3, Read(Some(value)));
        assert!(is_linearizable(&0, &[write.clone(), read(1)], &[Some(5), Some(5)]));
        assert!(!is_linearizable(&0, &[write.clone(), read(2)], &[Some(5), Some(5)]), "one tag, two values");
        assert!(
            !is_linearizable(&0, &[write.clone(), read(1)], &[Some(5), Some(6)]),
            "a tag that nobody wrote"
        );
        assert!(!is_linearizable(&0, &[write, read(0)], &[Some(5), None]), "the register was touched");
    }

    #[test]
    fn tags_and_values_tell_the_same_story() {
        let write = Op::applied(0, 4, 5, Write(1));
        let read = |value| Op::applied(1, 2, 6, Read(Some(value)));
        let judge = |read: Op, tag: Option<u8>| are_alike(&0, &[write.clone(), read], &[Some(5), tag]);
        assert!(judge(read(1), Some(5)).is_valid() && judge(read(0), None).is_valid());
        assert!(judge(read(0), Some(5)).is_invalid(), "one tag, two values");
        assert!(judge(read(7), Some(8)).is_invalid(), "nobody wrote it");
        assert!(judge(Op::applied(1, 2, 3, Read(Some(1))), Some(5)).is_invalid(), "not yet written");
        let refused = [Op::not_applied(0, 0, 1, Write(1)), read(1)];
        assert!(are_alike(&0, &refused, &[None, Some(5)]).is_invalid(), "it was refused");
    }

    #[test]
    fn a_read_tells_the_tag_of_a_lost_write() {
        let lost = Op::unknown(0, 0, Write(1));
        let reads = [Op::applied(1, 2, 3, Read(Some(1))), Op::applied(1, 4, 5, Read(Some(1)))];
        let history = [lost.clone(), reads[0].clone(), reads[1].clone()];
        assert!(is_linearizable(&0, &history, &[None, Some(7), Some(7)]));
        let late = Op::unknown(0, 9, Write(1));
        assert!(
            !is_linearizable(&0, &[late, reads[0].clone()], &[None, Some(7)]),
            "read before it was written"
        );
        let two = [lost.clone(), lost, reads[0].clone()];
        assert!(!is_linearizable(&0, &two, &[None, None, Some(7)]), "whose it is, only a search can tell");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        /// Whatever it accepts the search accepts, whether the history is a real one or was tampered with.
        #[test]
        fn accepts_nothing_that_the_search_refuses(seed: u64, tampered: bool, order in Just((0..60).collect::<Vec<u64>>()).prop_shuffle()) {
            let shape = AtomicRegister {
                clients: 4, operations: 24, values: 0, reads_percent: 50, cas_percent: 0, unknown_percent: 10,
            };
            let mut rng = StdRng::seed_from_u64(seed);
            let mut history = shape.run(&mut rng);
            if tampered {
                corrupt_read(&mut history, &mut rng);
            }
            let search = Linearizable::default().check(&Register::new(0), &history);
            if is_linearizable(&0, &history, &tags(&history, &order)) {
                prop_assert!(search.is_valid(), "{}", search);
            }
        }
    }
}
