//! Registers whose writes and reads carry version tags, in near-linear time.
//!
//! A tag names at most one write and tags are totally ordered, so the order of the tags is the linearization to
//! try: writes by tag, each followed by its reads. It stands if it never contradicts real time.

use std::fmt;

use super::linearizable::{Register, RegisterAction};
use super::{Counterexample, Linearizable, Verdict};
use crate::history::{Operation, Outcome};

/// What clients ask of a register with versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionAction<T> {
    /// A write and its tag; `None` if the client never learnt it.
    Write(Option<T>),
    /// A read and the tag it returned; `None` if nothing was written yet. A tombstone has a tag.
    Read(Option<T>),
}

impl<T: fmt::Debug> fmt::Display for VersionAction<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VersionAction::Write(Some(tag)) => write!(f, "write {tag:?}"),
            VersionAction::Write(None) => write!(f, "write"),
            VersionAction::Read(Some(tag)) => write!(f, "read {tag:?}"),
            VersionAction::Read(None) => write!(f, "read absent"),
        }
    }
}

/// Whether the history is linearizable: by the order of tags if that stands, otherwise by search.
pub fn check<T: Ord + fmt::Debug>(
    history: &[Operation<VersionAction<T>>],
    search: &mut Linearizable,
) -> Verdict {
    if in_order(history).is_valid() {
        return Verdict::Valid;
    }
    let untagged = |operation: &Operation<VersionAction<T>>| {
        operation.is_possible() && matches!(operation.action, VersionAction::Write(None))
    };
    let known: Vec<usize> = (0..history.len()).filter(|&at| !untagged(&history[at])).collect();
    let register: Vec<Operation<RegisterAction<Option<&T>>>> =
        known.iter().map(|&at| as_register(&history[at])).collect();
    let verdict = search.check(&Register::new(None), &register);
    match verdict {
        Verdict::Invalid(_) if known.len() < history.len() => in_order(history),
        Verdict::Invalid(found) => {
            Verdict::Invalid(Counterexample::new(found.rule, found.reason, history, found.operations))
        }
        other => other,
    }
}

/// Whether tags agree with real time, which is stricter than linearizability: a write completed before another
/// began has the smaller tag, reads never go back or ahead of their write, and no two writes share a tag.
pub fn in_order<T: Ord + fmt::Debug>(history: &[Operation<VersionAction<T>>]) -> Verdict {
    match Sweep::of(history).violation() {
        None => Verdict::Valid,
        Some((reason, positions)) => {
            Verdict::Invalid(Counterexample::new("versions", reason, history, positions))
        }
    }
}

fn as_register<T>(operation: &Operation<VersionAction<T>>) -> Operation<RegisterAction<Option<&T>>> {
    let &Operation { process, invoked, completed, outcome, ref action } = operation;
    let action = match action {
        VersionAction::Write(tag) => RegisterAction::Write(tag.as_ref()),
        VersionAction::Read(tag) => RegisterAction::Read(Some(tag.as_ref())),
    };
    Operation { process, invoked, completed, outcome, action }
}

/// The operations that constrain the order, by tag, each write before its reads.
struct Sweep<'a, T> {
    history: &'a [Operation<VersionAction<T>>],
    /// (tag, read?, position)
    order: Vec<(Option<&'a T>, bool, usize)>,
    /// The first invocation of a write that may have any tag.
    wildcard: Option<u64>,
}

impl<'a, T: Ord + fmt::Debug> Sweep<'a, T> {
    fn of(history: &'a [Operation<VersionAction<T>>]) -> Self {
        let mut order = Vec::with_capacity(history.len());
        let mut wildcard: Option<u64> = None;
        for (at, operation) in history.iter().enumerate() {
            match (&operation.action, operation.outcome) {
                (VersionAction::Read(tag), Outcome::Applied) => order.push((tag.as_ref(), true, at)),
                (VersionAction::Read(_), _) | (_, Outcome::NotApplied) => {}
                (VersionAction::Write(Some(tag)), _) => order.push((Some(tag), false, at)),
                (VersionAction::Write(None), _) => {
                    wildcard = Some(wildcard.map_or(operation.invoked, |at| at.min(operation.invoked)));
                }
            }
        }
        order.sort_unstable();
        Sweep { history, order, wildcard }
    }

    fn violation(&self) -> Option<(String, Vec<usize>)> {
        // The operation of a smaller tag that was invoked last.
        let mut latest: Option<usize> = None;
        for group in self.order.chunk_by(|a, b| a.0 == b.0) {
            let tag = group[0].0;
            let writes = group.iter().take_while(|entry| !entry.1).count();
            if writes > 1 {
                return Some((format!("two writes have the tag {tag:?}"), vec![group[0].2, group[1].2]));
            }
            if writes == 1 && group.len() == 1 && !self.history[group[0].2].is_applied() {
                continue;
            }
            for &(_, is_read, at) in group {
                let operation = &self.history[at];
                if let Some(last) = latest.filter(|&last| operation.precedes(&self.history[last])) {
                    return Some(("a later operation has the smaller tag".to_owned(), vec![at, last]));
                }
                if is_read && writes == 1 && operation.precedes(&self.history[group[0].2]) {
                    return Some(("a read precedes its write".to_owned(), vec![at, group[0].2]));
                }
                let guessed =
                    self.wildcard.is_some_and(|from| operation.completed.is_some_and(|end| from <= end));
                if is_read && writes == 0 && tag.is_some() && !guessed {
                    return Some((format!("the tag {tag:?} was read but never written"), vec![at]));
                }
            }
            let invoked = |at: &usize| self.history[*at].invoked;
            latest = latest.into_iter().chain(group.iter().map(|entry| entry.2)).max_by_key(invoked);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::VersionAction::{Read, Write};
    use super::*;
    use crate::checker::linearizable::tests::histories;

    type Op = Operation<VersionAction<u8>>;

    #[test]
    fn a_later_write_has_the_greater_tag() {
        let write = |at, tag| Op::applied(0, at, at + 1, Write(Some(tag)));
        assert!(in_order(&[write(0, 1), write(2, 2)]).is_valid());
        let swapped = [write(0, 2), write(2, 1)];
        assert!(in_order(&swapped).is_invalid());
        assert!(check(&swapped, &mut Linearizable::default()).is_valid(), "another order explains it");
        assert!(in_order(&[write(0, 1), write(0, 1)]).is_invalid());
    }

    #[test]
    fn reads_never_go_back_and_never_invent() {
        let write = |at, tag| Op::applied(0, at, at + 1, Write(Some(tag)));
        let read = |at, tag| Op::applied(1, at, at + 1, Read(tag));
        let bad = [
            vec![write(0, 1), read(2, None)],
            vec![write(0, 1), write(2, 2), read(4, Some(1))],
            vec![read(0, Some(1)), write(2, 1)],
            vec![read(0, Some(1))],
            vec![Op::unknown(0, 0, Write(Some(1))), read(1, Some(1)), read(3, None)],
        ];
        for history in bad {
            assert!(check(&history, &mut Linearizable::default()).is_invalid(), "{history:?}");
        }
    }

    #[test]
    fn a_write_of_unknown_tag_explains_a_read() {
        let history = [Op::unknown(0, 0, Write(None)), Op::applied(1, 2, 3, Read(Some(7)))];
        assert!(check(&history, &mut Linearizable::default()).is_valid());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn agrees_with_the_search(history in histories(
            prop_oneof![(0..6_u8).prop_map(|tag| Write(Some(tag))), (0..6_u8).prop_map(|tag| Read(Some(tag)))], 9,
        )) {
            let register: Vec<_> = history.iter().map(as_register).collect();
            let searched = Linearizable::default().check(&Register::new(None), &register);
            if in_order(&history).is_valid() {
                prop_assert!(searched.is_valid(), "{}", searched);
            }
            let checked = check(&history, &mut Linearizable::default());
            prop_assert_eq!(checked.is_valid(), searched.is_valid(), "{}", checked);
        }
    }
}
