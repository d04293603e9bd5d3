//! Known histories, and a slow obvious twin.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::RegisterAction::{self, Cas, Read, Write};
use super::model::{Call, Compiled, Machine, Model, State};
use super::{Counter, CounterAction, FailedCas, Limits, Linearizable, Register, Set, SetAction};
use crate::checker::{Undecided, Verdict};
use crate::generator::AtomicRegister;
use crate::history::{Operation, Outcome};

type Op = Operation<RegisterAction<u8>>;

fn judge(history: &[Op]) -> bool {
    let register = Register::new(0).failed_cas(FailedCas::Observe);
    let verdict = Linearizable::default().check(&register, history);
    assert!(verdict.is_valid() || verdict.is_invalid());
    verdict.is_valid()
}

#[test]
fn nothing_is_linearizable() {
    assert!(judge(&[]));
}

#[test]
fn a_read_sees_the_last_completed_write() {
    let write = Op::applied(0, 0, 1, Write(1));
    assert!(judge(&[write.clone(), Op::applied(1, 2, 3, Read(Some(1)))]));
    assert!(!judge(&[write.clone(), Op::applied(1, 2, 3, Read(Some(0)))]));
    assert!(judge(&[write, Op::applied(1, 1, 3, Read(Some(0)))]), "equal times are concurrent");
}

#[test]
fn an_unknown_write_may_appear_late_but_not_go_back() {
    let mut history = vec![
        Op::unknown(0, 0, Write(1)),
        Op::applied(1, 10, 11, Read(Some(0))),
        Op::applied(1, 20, 21, Read(Some(1))),
    ];
    assert!(judge(&history));
    history.push(Op::applied(1, 30, 31, Read(Some(0))));
    assert!(!judge(&history));
}

#[test]
fn a_refused_write_never_appears() {
    assert!(!judge(&[Op::not_applied(0, 0, 1, Write(1)), Op::applied(1, 2, 3, Read(Some(1)))]));
}

#[test]
fn a_refused_cas_saw_another_value_if_observed() {
    let history = [Op::not_applied(0, 0, 1, Cas { old: 0, new: 1 })];
    assert!(!judge(&history));
    assert!(Linearizable::default().check(&Register::new(0), &history).is_valid());
}

#[test]
fn the_counterexample_is_the_shortest_prefix() {
    let history = [
        Op::applied(0, 0, 1, Write(1)),
        Op::applied(0, 2, 3, Read(Some(1))),
        Op::applied(1, 4, 5, Read(Some(0))),
        Op::applied(1, 6, 7, Write(3)),
        Op::applied(1, 8, 9, Read(Some(2))),
    ];
    let verdict = Linearizable::default().check(&Register::new(0), &history);
    let super::super::Verdict::Invalid(found) = verdict else { panic!("{verdict}") };
    assert!(found.operations.iter().all(|&at| at <= 2), "{found}");
    assert!(found.operations.contains(&2), "{found}");
}

/// Tries every order of every subset that contains the acknowledged calls.
#[test]
fn the_counterexample_starts_where_the_trouble_does() {
    let mut history: Vec<Op> =
        (0..40).map(|at| Op::applied(0, 4 * at, 4 * at + 1, Write(at as u8 + 1))).collect();
    history.extend((0..40).map(|at| Op::applied(1, 4 * at + 2, 4 * at + 3, Read(Some(at as u8 + 1)))));
    history.push(Op::applied(2, 200, 201, Read(Some(39))));
    let Verdict::Invalid(found) = Linearizable::default().check(&Register::new(0), &history) else {
        panic!("a stale read");
    };
    assert_eq!(found.operations, [38, 39, 80], "the write, the one over it, and the read: {found}");
    assert!(found.reason.contains("none of them can be left out"), "{found}");
    let saw_another = [Op::not_applied(0, 0, 1, Cas { old: 0, new: 1 })];
    let register = Register::new(0).failed_cas(FailedCas::Observe);
    let Verdict::Invalid(found) = Linearizable::default().check(&register, &saw_another) else {
        panic!("it was 0");
    };
    assert!(found.reason.contains("reduced, not minimal"), "{found}");
}

/// Sums of many powers of two are all different: nothing can be pruned.
#[test]
fn a_hard_history_is_unknown_within_its_caps() {
    let adds = (0..40_u64).map(|n| Operation::applied(n, n, 1_000 + n, CounterAction::Add(1 << n)));
    let read = Operation::applied(99, 500, 1_001, CounterAction::Read(Some(-1)));
    let history: Vec<_> = adds.chain([read]).collect();
    let counter = Counter { initial: 0 };
    let memory = Limits { steps_max: u64::MAX, memory_bytes_max: 4 << 20 };
    let verdict = Linearizable::new(memory).check(&counter, &history);
    assert_eq!(verdict, Verdict::Unknown(Undecided::Memory(4 << 20)));
    let steps = Limits { steps_max: 100_000, ..Limits::default() };
    let verdict = Linearizable::new(steps).check(&counter, &history);
    assert_eq!(verdict, Verdict::Unknown(Undecided::Steps(100_000)));
    let mut polls = 0;
    let verdict = Linearizable::default().check_until(&counter, &history, &mut || {
        polls += 1;
        polls > 3
    });
    assert_eq!(verdict, Verdict::Unknown(Undecided::Stopped));
}

fn brute_force<M: Model>(model: &M, history: &[Operation<M::Action>]) -> bool {
    fn explore<M: Machine>(machine: &mut M, state: State, left: &[Call<M::Step>]) -> bool {
        let bound = left.iter().filter_map(|call| call.effective_by).min().unwrap_or(u64::MAX);
        if left.iter().all(|call| call.effective_by.is_none()) {
            return true;
        }
        (0..left.len()).any(|at| {
            let call = left[at];
            let mut rest = left.to_vec();
            rest.swap_remove(at);
            call.invoked <= bound
                && machine.apply(state, call.step).is_some_and(|after| explore(machine, after, &rest))
        })
    }
    let Compiled { mut machine, calls } = model.compile(history);
    let initial = machine.initial();
    explore(&mut machine, initial, &calls)
}

/// Histories with `action` of few values over a short time, so that most of them are interesting.
pub(crate) fn histories<A: Clone + std::fmt::Debug>(
    action: impl Strategy<Value = A>,
    length: usize,
) -> impl Strategy<Value = Vec<Operation<A>>> {
    let outcome = prop_oneof![
        6 => Just(Outcome::Applied), 2 => Just(Outcome::Unknown), 1 => Just(Outcome::NotApplied)
    ];
    let operation = (0..4_u64, 0..16_u64, 0..8_u64, outcome, action).prop_map(
        |(process, invoked, duration, outcome, action)| Operation {
            process,
            invoked,
            completed: Some(invoked + duration),
            outcome,
            action,
        },
    );
    prop::collection::vec(operation, 0..length)
}

fn register_action() -> impl Strategy<Value = RegisterAction<u8>> {
    prop_oneof![
        4 => (0..3_u8).prop_map(|value| Read(Some(value))),
        3 => (0..3_u8).prop_map(Write),
        1 => (0..3_u8, 0..3_u8).prop_map(|(old, new)| Cas { old, new }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn agrees_with_brute_force_on_registers(history in histories(register_action(), 9)) {
        for failed_cas in [FailedCas::Drop, FailedCas::Observe] {
            let register = Register::new(0).failed_cas(failed_cas);
            let verdict = Linearizable::default().check(&register, &history);
            prop_assert_eq!(verdict.is_valid(), brute_force(&register, &history), "{}", verdict);
        }
    }
}

fn own_values(mut history: Vec<Op>) -> Vec<Op> {
    let mut fresh = 0;
    for operation in &mut history {
        if let Write(value) = &mut operation.action {
            fresh += 1;
            *value = fresh;
        }
    }
    history
}

fn read_or_write() -> impl Strategy<Value = RegisterAction<u8>> {
    prop_oneof![(0..5_u8).prop_map(|value| Read(Some(value))), Just(Write(0))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_000))]

    #[test]
    fn agrees_with_brute_force_on_values_written_once(history in histories(read_or_write(), 9)) {
        let (register, history) = (Register::new(0), own_values(history));
        let verdict = Linearizable::default().check(&register, &history);
        prop_assert_eq!(verdict.is_valid(), brute_force(&register, &history), "{}", verdict);
    }

    #[test]
    fn a_counterexample_is_one_by_itself(history in histories(register_action(), 12)) {
        let register = Register::new(0).failed_cas(FailedCas::Observe);
        if let super::super::Verdict::Invalid(found) = Linearizable::default().check(&register, &history) {
            let few: Vec<Op> = found.operations.iter().map(|&at| history[at].clone()).collect();
            prop_assert!(!brute_force(&register, &few), "{}", found);
        }
    }

    #[test]
    fn an_atomic_register_is_linearizable(
        seed: u64, clients in 1..12_u64, operations in 0..80_usize, values in 0..5_u64,
        cas_percent in 0..40_u32, unknown_percent in 0..30_u32,
    ) {
        let shape = AtomicRegister {
            clients, operations, values, reads_percent: 50, cas_percent, unknown_percent,
        };
        let history = shape.run(&mut StdRng::seed_from_u64(seed));
        let register = Register::new(0).failed_cas(FailedCas::Observe);
        let verdict = Linearizable::default().check(&register, &history);
        prop_assert!(verdict.is_valid(), "{}", verdict);
    }
}

fn set_action() -> impl Strategy<Value = SetAction<u8>> {
    prop_oneof![
        (0..4_u8).prop_map(SetAction::Add),
        prop::collection::btree_set(0..4_u8, 0..4)
            .prop_map(|values| SetAction::Read(Some(values.into_iter().collect()))),
    ]
}

fn counter_action() -> impl Strategy<Value = CounterAction> {
    prop_oneof![
        (-1..3_i64).prop_map(CounterAction::Add),
        (0..4_i64).prop_map(|value| CounterAction::Read(Some(value))),
    ]
}

/// The operations without an element: without its adds, and not in any read.
fn without(history: &[Operation<SetAction<u8>>], element: u8) -> Vec<Operation<SetAction<u8>>> {
    let kept = history.iter().filter(|operation| operation.action != SetAction::Add(element));
    kept.cloned()
        .map(|mut operation| {
            if let SetAction::Read(Some(values)) = &mut operation.action {
                values.retain(|value| *value != element);
            }
            operation
        })
        .collect()
}

#[test]
fn the_counterexample_of_a_set_has_only_what_matters() {
    let mut history: Vec<Operation<SetAction<u8>>> = (0..60)
        .map(|n| Operation::applied(0, 4 * u64::from(n), 4 * u64::from(n) + 1, SetAction::Add(n)))
        .collect();
    let read = |at, values: Vec<u8>| Operation::applied(1, at, at + 1, SetAction::Read(Some(values)));
    history.push(read(402, (0..60).collect()));
    history.push(read(404, (0..60).filter(|value| *value != 17).collect()));
    history.push(read(406, (0..60).collect()));
    let Verdict::Invalid(found) = Linearizable::default().check(&Set::default(), &history) else {
        panic!("a lost element");
    };
    assert_eq!(found.operations, [17, 61], "the add and the read without it: {found}");
    assert!(found.reason.contains("none of them can be left out"), "{found}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn nothing_can_be_left_out_of_a_sets_counterexample(history in histories(set_action(), 9)) {
        let set = Set::default();
        if let Verdict::Invalid(found) = Linearizable::default().check(&set, &history) {
            let mut few: Vec<_> = found.operations.iter().map(|&at| history[at].clone()).collect();
            // What is pending at the end of the shortest prefix is so in the counterexample.
            let end: u64 = found.reason.split(" at ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
            for operation in &mut few {
                if operation.completed.is_some_and(|at| at > end) {
                    operation.outcome = Outcome::Unknown;
                }
            }
            let is_added = |few: &[Operation<SetAction<u8>>], element| {
                few.iter().any(|operation| operation.action == SetAction::Add(element))
            };
            let ever_added = |element| history.iter().any(|operation| {
                operation.is_possible() && operation.invoked <= end && operation.action == SetAction::Add(element)
            });
            for element in 0..4 {
                if !is_added(&few, element) && ever_added(element) {
                    few = without(&few, element);
                }
            }
            prop_assert!(found.reason.contains("none of them can be left out"), "{}", found);
            prop_assert!(!brute_force(&set, &few), "{}", found);
            for element in (0..4).filter(|element| is_added(&few, *element)) {
                prop_assert!(brute_force(&set, &without(&few, element)), "{element} plays no part: {}", found);
            }
            for at in 0..few.len() {
                if let SetAction::Read(_) = few[at].action {
                    let mut fewer = few.clone();
                    fewer.remove(at);
                    prop_assert!(brute_force(&set, &fewer), "#{at} plays no part: {}", found);
                }
            }
        }
    }

    #[test]
    fn agrees_with_brute_force_on_sets(history in histories(set_action(), 7)) {
        let set = Set::default();
        let verdict = Linearizable::default().check(&set, &history);
        prop_assert_eq!(verdict.is_valid(), brute_force(&set, &history), "{}", verdict);
    }

    #[test]
    fn agrees_with_brute_force_on_elements_added_once(mut history in histories(set_action(), 8)) {
        let mut fresh = 0;
        for operation in &mut history {
            if let SetAction::Add(value) = &mut operation.action {
                *value = fresh;
                fresh += 1;
            }
        }
        for initial in [vec![], vec![3]] {
            let set = Set { initial };
            let verdict = Linearizable::default().check(&set, &history);
            prop_assert_eq!(verdict.is_valid(), brute_force(&set, &history), "{}", verdict);
        }
    }

    #[test]
    fn agrees_with_brute_force_on_counters(history in histories(counter_action(), 8)) {
        let counter = Counter::default();
        let verdict = Linearizable::default().check(&counter, &history);
        prop_assert_eq!(verdict.is_valid(), brute_force(&counter, &history), "{}", verdict);
    }
}
