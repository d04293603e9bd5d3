//! No acknowledged write is lost: judged by what is left when everything has settled.

use std::collections::BTreeSet;
use std::fmt;

use super::linearizable::{RegisterAction, SetAction};
use super::{Counterexample, Verdict};
use crate::history::Operation;

const RULE: &str = "durability";

/// Each final value of a register, one for each replica or quorum asked after the history, must be a possible
/// last write: one that no acknowledged write strictly follows.
pub fn register<V: Ord + fmt::Debug>(
    initial: &V,
    history: &[Operation<RegisterAction<V>>],
    finals: &[V],
) -> Verdict {
    // The acknowledged write that was invoked last: whatever completed before it is overwritten.
    let last = (0..history.len())
        .filter(|&at| history[at].is_applied() && made(&history[at].action).is_some())
        .max_by_key(|&at| history[at].invoked);
    for value in finals {
        let makers: Vec<usize> = (0..history.len())
            .filter(|&at| history[at].is_possible() && made(&history[at].action) == Some(value))
            .collect();
        if makers.is_empty() && value != initial {
            return lost(format!("{value:?} is left and was never written"), history, makers);
        }
        let follows = |last: &usize| makers.iter().all(|&at| history[at].precedes(&history[*last]));
        if let Some(last) = last.filter(follows) {
            let reason = format!("{value:?} is left although an acknowledged write follows it");
            return lost(reason, history, makers.into_iter().chain([last]).collect());
        }
    }
    Verdict::Valid
}

/// Each final read of a grow-only set, one for each replica or quorum asked after the history, must hold every
/// acknowledged element and none that was never added.
pub fn set<V: Ord + fmt::Debug>(
    initial: &[V],
    history: &[Operation<SetAction<V>>],
    finals: &[Vec<V>],
) -> Verdict {
    for left in finals {
        let mut unexplained: BTreeSet<&V> = left.iter().collect();
        if let Some(lost) = initial.iter().find(|value| !unexplained.contains(value)) {
            let reason = format!("{lost:?} was there from the start and is gone");
            return Verdict::Invalid(Counterexample::new(RULE, reason, history, Vec::new()));
        }
        let present = unexplained.clone();
        for value in initial {
            unexplained.remove(value);
        }
        for (at, operation) in history.iter().enumerate() {
            let SetAction::Add(value) = &operation.action else { continue };
            if operation.is_applied() && !present.contains(value) {
                return lost(format!("{value:?} was acknowledged and is gone"), history, vec![at]);
            }
            if operation.is_possible() {
                unexplained.remove(value);
            }
        }
        if let Some(value) = unexplained.first() {
            return lost(format!("{value:?} is left and was never added"), history, Vec::new());
        }
    }
    Verdict::Valid
}

fn lost<A: fmt::Display>(reason: String, history: &[Operation<A>], positions: Vec<usize>) -> Verdict {
    Verdict::Invalid(Counterexample::new(RULE, reason, history, positions))
}

/// The value an action leaves behind if it takes effect.
fn made<V>(action: &RegisterAction<V>) -> Option<&V> {
    match action {
        RegisterAction::Write(value) | RegisterAction::Cas { new: value, .. } => Some(value),
        RegisterAction::Read(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::checker::Linearizable;
    use crate::checker::linearizable::{Register, RegisterAction::*};
    use crate::generator::AtomicRegister;

    type Op = Operation<RegisterAction<u64>>;

    #[test]
    fn the_last_write_is_left() {
        let history = [
            Op::applied(0, 0, 1, Write(1)),
            Op::applied(0, 2, 5, Write(2)),
            Op::applied(1, 3, 6, Write(3)),
            Op::unknown(2, 0, Write(4)),
            Op::not_applied(2, 0, 1, Write(5)),
        ];
        for (value, expected) in
            [(0, false), (1, false), (2, true), (3, true), (4, true), (5, false), (6, false)]
        {
            assert_eq!(register(&0, &history, &[3, value]).is_valid(), expected, "{value}");
        }
        assert!(register(&0, &[], &[0]).is_valid());
        assert!(register(&0, &[], &[1]).is_invalid());
    }

    #[test]
    fn an_acknowledged_delete_is_not_undone() {
        let write = Operation::applied(0, 0, 1, Write(Some(1)));
        let delete = Operation::applied(0, 2, 3, Write(None));
        assert!(register(&None, &[write.clone(), delete], &[Some(1)]).is_invalid());
        assert!(register(&None, &[write], &[None]).is_invalid());
    }

    #[test]
    fn a_set_keeps_what_was_acknowledged() {
        let history = [
            Operation::applied(0, 0, 1, SetAction::Add(1)),
            Operation::unknown(0, 2, SetAction::Add(2)),
            Operation::not_applied(0, 3, 4, SetAction::Add(3)),
        ];
        let valid = |left: &[u8]| set(&[0], &history, &[left.to_vec()]).is_valid();
        assert!(valid(&[0, 1]) && valid(&[2, 1, 0]));
        assert!(!valid(&[0, 2]) && !valid(&[1]) && !valid(&[0, 1, 3]) && !valid(&[0, 1, 9]));
    }

    proptest! {
        /// A final value is refused only if a read of it after everything else would not be linearizable.
        #[test]
        fn is_sound(seed: u64, value in 0..6_u64) {
            let shape = AtomicRegister {
                clients: 3, operations: 10, values: 5, reads_percent: 0, cas_percent: 0, unknown_percent: 10,
            };
            let mut history = shape.run(&mut StdRng::seed_from_u64(seed));
            let verdict = register(&0, &history, &[value]);
            history.push(Op::applied(99, 1_000, 1_001, Read(Some(value))));
            let read = Linearizable::default().check(&Register::new(0), &history);
            prop_assert_eq!(verdict.is_valid(), read.is_valid(), "{}", verdict);
        }
    }
}
