//! Concurrent values that stand side by side until a later put covers them.
//!
//! A put with a context takes out exactly what the read that gave the context had seen; that is one step. A put
//! without one is two things: its coordinator asks a quorum what is visible, and then takes out that. In between
//! other puts may come in, and stay: two such puts at once leave both values. All that is certain is that it saw what
//! was visible to every quorum before it began: values whose puts were acknowledged by then, and values that an
//! answered read had returned. Of everything else it finds it may take out any part, because a quorum may have
//! seen a put that has not reached the others yet. So after such a put the object may be in one of several
//! states, until a read tells.

use std::fmt;

use super::model::{Call, Compiled, Model};
use super::set::{SetMachine, SetStep, number};
use crate::history::{Operation, Outcome};

/// A key of a `siblings` table, empty at first, at QUORUM or stronger: a put takes out what its context covers,
/// and adds its value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Siblings<V> {
    value: std::marker::PhantomData<V>,
}

/// What clients ask of a `siblings` table. Every put carries a value of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiblingAction<V> {
    /// A write, or a delete if `value` is `None`.
    Put {
        /// What is written.
        value: Option<V>,
        /// The values that its context covered. If `None`, the put supersedes what was visible when it was
        /// made (rule Q4).
        context: Option<Vec<V>>,
    },
    /// A read of all siblings; `None` if the answer is not known.
    Read(Option<Vec<V>>),
}

impl<V: fmt::Debug> fmt::Display for SiblingAction<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SiblingAction::Put { value, context } => {
                match value {
                    Some(value) => write!(f, "put {value:?}")?,
                    None => write!(f, "delete")?,
                }
                context.iter().try_for_each(|context| write!(f, " over {context:?}"))
            }
            SiblingAction::Read(Some(values)) => write!(f, "read {values:?}"),
            SiblingAction::Read(None) => write!(f, "read"),
        }
    }
}

impl<V> Siblings<V> {
    /// The model; it has no settings.
    pub fn new() -> Self {
        Siblings { value: std::marker::PhantomData }
    }
}

impl<V: Ord + fmt::Debug> Model for Siblings<V> {
    type Action = SiblingAction<V>;
    type Machine = SetMachine;

    fn compile(&self, history: &[Operation<SiblingAction<V>>]) -> Compiled<SetMachine> {
        let elements = elements(history);
        let blind = |operation: &Operation<_>| {
            matches!(operation.action, SiblingAction::Put { context: None, .. }) && operation.is_possible()
        };
        let mut machine = if history.iter().any(blind) {
            SetMachine::open(elements.len())
        } else {
            SetMachine::new(elements.len())
        };
        let mut calls = Vec::with_capacity(history.len());
        for (origin, operation) in history.iter().enumerate() {
            let number = |value: &V| number(&elements, value);
            let step = match (&operation.action, operation.outcome) {
                (SiblingAction::Read(Some(values)), Outcome::Applied) => {
                    SetStep::Read(machine.state_of_elements(values.iter().map(number)))
                }
                (SiblingAction::Put { value, context }, Outcome::Applied | Outcome::Unknown) => {
                    let add = value.as_ref().map(number);
                    match context {
                        Some(context) => {
                            let remove = machine.state_of_elements(context.iter().map(number));
                            SetStep::Change { add, remove }
                        }
                        None => {
                            let visible = visible_before(history, operation);
                            let remove = machine.state_of_elements(visible.map(number));
                            SetStep::Supersede { add, remove }
                        }
                    }
                }
                (SiblingAction::Read(_), _) | (_, Outcome::NotApplied) => continue,
            };
            let effective_by = operation.effective_by();
            calls.push(Call { step, invoked: operation.invoked, effective_by, origin });
        }
        Compiled { machine, calls }
    }
}

/// Values that every quorum knew of before `put` began: the clients were told so.
fn visible_before<'a, V>(
    history: &'a [Operation<SiblingAction<V>>],
    put: &'a Operation<SiblingAction<V>>,
) -> impl Iterator<Item = &'a V> {
    history.iter().filter(|told| told.precedes(put)).flat_map(|told| match &told.action {
        SiblingAction::Put { value, .. } => value.as_slice(),
        SiblingAction::Read(values) => values.as_deref().unwrap_or_default(),
    })
}

/// Every value of the history, sorted: a value's position is its number.
fn elements<V: Ord>(history: &[Operation<SiblingAction<V>>]) -> Vec<&V> {
    let mut elements: Vec<&V> = Vec::with_capacity(history.len());
    for operation in history {
        match &operation.action {
            SiblingAction::Put { value, context } => {
                elements.extend(value.iter().chain(context.iter().flatten()));
            }
            SiblingAction::Read(values) => elements.extend(values.iter().flatten()),
        }
    }
    elements.sort_unstable();
    elements.dedup();
    elements
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::SiblingAction::{Put, Read};
    use super::*;
    use crate::checker::Linearizable;
    use crate::checker::linearizable::tests::histories;

    type Op = Operation<SiblingAction<u8>>;

    fn put(at: u64, until: u64, value: u8, context: Option<&[u8]>) -> Op {
        Op::applied(0, at, until, Put { value: Some(value), context: context.map(<[u8]>::to_vec) })
    }

    fn read(at: u64, siblings: &[u8]) -> Op {
        Op::applied(1, at, at + 1, Read(Some(siblings.to_vec())))
    }

    fn judge(history: &[Op]) -> bool {
        let verdict = Linearizable::default().check(&Siblings::new(), history);
        assert_eq!(verdict.is_valid(), brute_force(history), "{verdict}");
        verdict.is_valid()
    }

    #[test]
    fn puts_without_context_that_overlap_may_leave_both_values_or_one() {
        let puts = [put(0, 4, 1, None), put(2, 6, 2, None)];
        for (siblings, expected) in
            [(&[1, 2][..], true), (&[1], true), (&[2], true), (&[], false), (&[1, 3], false)]
        {
            assert_eq!(
                judge(&[puts[0].clone(), puts[1].clone(), read(8, siblings)]),
                expected,
                "{siblings:?}"
            );
        }
    }

    #[test]
    fn a_put_without_context_takes_out_what_was_acknowledged_before() {
        let puts = [put(0, 1, 1, None), put(2, 3, 2, None)];
        assert!(judge(&[puts[0].clone(), puts[1].clone(), read(4, &[2])]));
        assert!(!judge(&[puts[0].clone(), puts[1].clone(), read(4, &[1, 2])]));
    }

    #[test]
    fn a_put_without_context_takes_out_what_was_read_before() {
        let unknown = Op::unknown(2, 0, Put { value: Some(1), context: Some(vec![]) });
        let history =
            |siblings: &[u8]| [unknown.clone(), read(1, &[1]), put(3, 4, 2, None), read(5, siblings)];
        assert!(judge(&history(&[2])));
        assert!(!judge(&history(&[1, 2])));
    }

    #[test]
    fn what_one_read_has_told_the_next_may_not_deny() {
        let puts = [put(0, 9, 1, None), put(0, 9, 2, None), read(10, &[1, 2])];
        let history = |siblings: &[u8]| [&puts[..], &[read(12, siblings)]].concat();
        assert!(judge(&history(&[1, 2])));
        assert!(!judge(&history(&[2])));
    }

    /// Tries every order of every subset that contains the acknowledged operations, and for each put without a
    /// context every set that it may have taken out.
    fn brute_force(history: &[Op]) -> bool {
        let left: Vec<&Op> = history.iter().filter(|operation| operation.is_possible()).collect();
        explore(history, &BTreeSet::new(), &left)
    }

    fn explore(history: &[Op], state: &BTreeSet<u8>, left: &[&Op]) -> bool {
        if left.iter().all(|operation| operation.effective_by().is_none()) {
            return true;
        }
        let bound = left.iter().filter_map(|operation| operation.effective_by()).min().unwrap_or(u64::MAX);
        (0..left.len()).any(|at| {
            let mut rest = left.to_vec();
            let operation = rest.swap_remove(at);
            operation.invoked <= bound
                && after(history, state, operation).iter().any(|state| explore(history, state, &rest))
        })
    }

    /// The states that `operation` may lead to.
    fn after(history: &[Op], state: &BTreeSet<u8>, operation: &Op) -> Vec<BTreeSet<u8>> {
        let (value, context) = match &operation.action {
            Read(Some(seen)) if operation.is_applied() => {
                let same = seen.iter().copied().collect::<BTreeSet<_>>() == *state;
                return if same { vec![state.clone()] } else { Vec::new() };
            }
            Read(_) => return vec![state.clone()],
            Put { value, context } => (value, context),
        };
        let certain: BTreeSet<u8> = match context {
            Some(context) => context.iter().copied().collect(),
            None => visible_before(history, operation).copied().collect(),
        };
        let kept: Vec<u8> = state.difference(&certain).copied().collect();
        let choices = if context.is_some() { 1 } else { 1_u32 << kept.len() };
        let chosen = |choice: u32| {
            let stays = kept.iter().enumerate().filter(|(at, _)| choice & (1 << at) == 0);
            stays.map(|(_, value)| *value).chain(*value).collect()
        };
        (0..choices).map(chosen).collect()
    }

    fn actions() -> impl Strategy<Value = SiblingAction<u8>> {
        let values = || prop::collection::btree_set(0..4_u8, 0..3).prop_map(|set| set.into_iter().collect());
        prop_oneof![
            3 => values().prop_map(|values| Read(Some(values))),
            2 => prop::option::weighted(0.8, 0..4_u8).prop_map(|value| Put { value, context: None }),
            2 => (prop::option::weighted(0.8, 0..4_u8), values())
                .prop_map(|(value, context)| Put { value, context: Some(context) }),
        ]
    }

    /// Some histories whose reads tell what a run of the operations in the order of their invocations leaves.
    fn plausible(mut history: Vec<Op>, salt: u64) -> Vec<Op> {
        let (mut state, mut salt) = (BTreeSet::new(), salt);
        history.sort_by_key(|operation| operation.invoked);
        for at in 0..history.len() {
            if let Read(seen) = &mut history[at].action {
                *seen = Some(state.iter().copied().collect());
            } else if history[at].is_possible() {
                let mut states = after(&history, &state, &history[at]);
                salt = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
                state = states.swap_remove((salt >> 32) as usize % states.len());
            }
        }
        history
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6_000))]

        #[test]
        fn agrees_with_brute_force(history in histories(actions(), 7)) {
            let verdict = Linearizable::default().check(&Siblings::new(), &history);
            prop_assert_eq!(verdict.is_valid(), brute_force(&history), "{}", verdict);
        }

        #[test]
        fn agrees_with_brute_force_on_plausible_histories(
            history in histories(actions(), 8), salt: u64, broken in 0..12_usize, value in 0..4_u8,
        ) {
            let mut history = plausible(history, salt);
            if let Some(Op { action: Read(Some(seen)), .. }) = history.get_mut(broken) {
                seen.retain(|known| *known != value);
            }
            let verdict = Linearizable::default().check(&Siblings::new(), &history);
            prop_assert_eq!(verdict.is_valid(), brute_force(&history), "{}", verdict);
        }
    }
}
