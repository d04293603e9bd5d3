//! What was deleted stays deleted.

use std::fmt;

use super::linearizable::RegisterAction;
use super::{Counterexample, Verdict};
use crate::history::Operation;

type Op<V> = Operation<RegisterAction<Option<V>>>;

/// A value whose every write was acknowledged before an acknowledged delete began is not read after that delete.
/// A delete is a write of `None`. Reads taken when everything has settled may simply be part of the history.
pub fn check<V: Ord + fmt::Debug>(history: &[Op<V>]) -> Verdict {
    let deletes = Deletes::of(history);
    let mut makers: Vec<(&V, usize)> = (0..history.len())
        .filter(|&at| history[at].is_possible())
        .filter_map(|at| made(&history[at]).map(|value| (value, at)))
        .collect();
    makers.sort_unstable();
    for (at, read) in history.iter().enumerate().filter(|(_, operation)| operation.is_applied()) {
        let RegisterAction::Read(Some(Some(value))) = &read.action else { continue };
        let from = makers.partition_point(|maker| maker.0 < value);
        let writes = makers[from..].iter().take_while(|maker| maker.0 == value);
        let last = writes.max_by_key(|maker| history[maker.1].effective_by().unwrap_or(u64::MAX));
        let Some((&(_, write), end)) = last.and_then(|last| Some((last, history[last.1].effective_by()?)))
        else {
            continue;
        };
        if let Some(delete) = deletes.first_completed_after(end).filter(|&by| history[by].precedes(read)) {
            let reason = format!("{value:?} is back after it was deleted");
            return Verdict::Invalid(Counterexample::new(
                "deletes",
                reason,
                history,
                vec![write, delete, at],
            ));
        }
    }
    Verdict::Valid
}

/// The acknowledged deletes by invocation, each with the one that completed first among it and the later ones.
struct Deletes {
    order: Vec<(u64, usize)>,
}

impl Deletes {
    fn of<V>(history: &[Op<V>]) -> Self {
        let is_delete = |operation: &Op<V>| {
            operation.is_applied() && matches!(operation.action, RegisterAction::Write(None))
        };
        let mut order: Vec<(u64, usize)> = (0..history.len())
            .filter(|&at| is_delete(&history[at]))
            .map(|at| (history[at].invoked, at))
            .collect();
        order.sort_unstable();
        for later in (1..order.len()).rev() {
            let (this, next) = (order[later - 1].1, order[later].1);
            if history[next].completed < history[this].completed {
                order[later - 1].1 = next;
            }
        }
        Deletes { order }
    }

    /// Of the deletes invoked after `time`, the one that completed first.
    fn first_completed_after(&self, time: u64) -> Option<usize> {
        self.order.get(self.order.partition_point(|&(invoked, _)| invoked <= time)).map(|&(_, at)| at)
    }
}

/// The value an operation would leave behind.
fn made<V>(operation: &Op<V>) -> Option<&V> {
    match &operation.action {
        RegisterAction::Write(value) | RegisterAction::Cas { new: value, .. } => value.as_ref(),
        RegisterAction::Read(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checker::Linearizable;
    use crate::checker::linearizable::tests::histories;
    use crate::checker::linearizable::{Register, RegisterAction::*};

    fn applied(at: u64, action: RegisterAction<Option<u8>>) -> Op<u8> {
        Operation::applied(0, at, at + 1, action)
    }

    #[test]
    fn a_deleted_value_does_not_come_back() {
        let (write, delete) = (applied(0, Write(Some(1))), applied(2, Write(None)));
        let read = applied(4, Read(Some(Some(1))));
        assert!(check(&[write.clone(), delete.clone(), read.clone()]).is_invalid());
        assert!(check(&[write.clone(), read.clone()]).is_valid());
        let late = Operation::unknown(1, 0, Write(Some(1)));
        assert!(
            check(&[write.clone(), late, delete.clone(), read.clone()]).is_valid(),
            "written again, perhaps"
        );
        let again = applied(3, Write(Some(1)));
        assert!(check(&[write.clone(), delete, again, read.clone()]).is_valid());
        let unsure = Operation::unknown(0, 2, Write(None));
        assert!(check(&[write, unsure, read]).is_valid());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn agrees_with_the_rule_itself(history in histories(
            prop_oneof![
                prop::option::of(0..3_u8).prop_map(Write),
                prop::option::of(0..3_u8).prop_map(|value| Read(Some(value))),
            ], 12,
        )) {
            let back = history.iter().any(|read| {
                let Read(Some(Some(value))) = &read.action else { return false };
                let writes = || history.iter().filter(|w| w.is_possible() && w.action == Write(Some(*value)));
                read.is_applied() && writes().next().is_some() && history.iter().any(|delete| {
                    delete.is_applied() && delete.action == Write(None)
                        && delete.precedes(read) && writes().all(|write| write.precedes(delete))
                })
            });
            let verdict = check(&history);
            prop_assert_eq!(verdict.is_invalid(), back, "{}", verdict);
            if back {
                prop_assert!(Linearizable::default().check(&Register::new(None), &history).is_invalid());
            }
        }
    }
}
