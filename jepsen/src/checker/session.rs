//! Guarantees within one client's session, by the version tags that its operations carry, and by their values.

use std::collections::BTreeMap;
use std::fmt;

use super::linearizable::RegisterAction;
use super::versions::VersionAction;
use super::{Counterexample, Verdict};
use crate::history::Operation;

/// Read your writes: a client's read returns at least the tag of its own last acknowledged write.
pub fn read_your_writes<T: Ord + fmt::Debug>(history: &[Operation<VersionAction<T>>]) -> Verdict {
    never_back(history, "read your writes", |action| matches!(action, VersionAction::Write(_)))
}

/// Monotonic reads: a client's read returns at least the tag of its own last read.
pub fn monotonic_reads<T: Ord + fmt::Debug>(history: &[Operation<VersionAction<T>>]) -> Verdict {
    never_back(history, "monotonic reads", |action| matches!(action, VersionAction::Read(_)))
}

/// Read your writes by the values alone, each of which is written once: after an acknowledged write of its own a client
/// reads neither `initial` nor a value that it had written before. What others wrote may be newer or older.
pub fn read_your_own_values<V: Ord + fmt::Debug>(
    initial: &V,
    history: &[Operation<RegisterAction<V>>],
) -> Verdict {
    let mut order: Vec<usize> = (0..history.len()).filter(|&at| history[at].is_applied()).collect();
    order.sort_by_key(|&at| history[at].invoked);
    let mut last: BTreeMap<u64, usize> = BTreeMap::new();
    let mut overwritten: BTreeMap<(u64, &V), usize> = BTreeMap::new();
    for at in order {
        let Operation { process, action, .. } = &history[at];
        match action {
            RegisterAction::Write(_) => {
                if let Some(before) = last.insert(*process, at)
                    && let RegisterAction::Write(value) = &history[before].action
                {
                    overwritten.insert((*process, value), before);
                }
            }
            RegisterAction::Read(Some(value)) => {
                let Some(&own) = last.get(process) else { continue };
                let before = overwritten.get(&(*process, value)).copied();
                if before.is_some() || value == initial {
                    let reason = format!("{value:?} was read after an own write that followed it");
                    let positions = before.into_iter().chain([own, at]).collect();
                    return Verdict::Invalid(Counterexample::new(
                        "read your writes",
                        reason,
                        history,
                        positions,
                    ));
                }
            }
            RegisterAction::Read(None) | RegisterAction::Cas { .. } => {}
        }
    }
    Verdict::Valid
}

/// No read returns a smaller tag than an earlier operation of the same process that `binds`.
fn never_back<T: Ord + fmt::Debug>(
    history: &[Operation<VersionAction<T>>],
    rule: &'static str,
    binds: impl Fn(&VersionAction<T>) -> bool,
) -> Verdict {
    let mut order: Vec<usize> = (0..history.len()).filter(|&at| history[at].is_applied()).collect();
    order.sort_by_key(|&at| history[at].invoked);
    let tag = |at: usize| match &history[at].action {
        VersionAction::Write(tag) | VersionAction::Read(tag) => tag.as_ref(),
    };
    let mut greatest: BTreeMap<u64, usize> = BTreeMap::new();
    for at in order {
        let operation = &history[at];
        let known = greatest.get(&operation.process).copied();
        let is_read = matches!(operation.action, VersionAction::Read(_));
        if let Some(known) = known.filter(|&known| is_read && tag(at) < tag(known)) {
            let reason = format!("{:?} was read after {:?}", tag(at), tag(known));
            return Verdict::Invalid(Counterexample::new(rule, reason, history, vec![known, at]));
        }
        if binds(&operation.action) && known.is_none_or(|known| tag(known) <= tag(at)) {
            greatest.insert(operation.process, at);
        }
    }
    Verdict::Valid
}

#[cfg(test)]
mod tests {
    use super::VersionAction::{Read, Write};
    use super::*;

    type Op = Operation<VersionAction<u8>>;

    #[test]
    fn a_client_sees_its_own_writes() {
        let history =
            |reader| [Op::applied(0, 0, 1, Write(Some(2))), Op::applied(reader, 2, 3, Read(Some(1)))];
        assert!(read_your_writes(&history(0)).is_invalid());
        assert!(read_your_writes(&history(1)).is_valid(), "another client may lag");
        assert!(monotonic_reads(&history(0)).is_valid());
        let unknown = [Op::unknown(0, 0, Write(Some(2))), Op::applied(0, 2, 3, Read(None))];
        assert!(read_your_writes(&unknown).is_valid());
    }

    #[test]
    fn a_client_sees_its_own_values() {
        use RegisterAction::{Read, Write};
        let judge = |reader, value| {
            read_your_own_values(
                &0,
                &[
                    Operation::applied(0, 0, 1, Write(1)),
                    Operation::applied(0, 2, 3, Write(2)),
                    Operation::applied(reader, 4, 5, Read(Some(value))),
                ],
            )
        };
        for value in [0, 1] {
            assert!(judge(0, value).is_invalid(), "{value}");
            assert!(judge(1, value).is_valid(), "another client may lag");
        }
        assert!(judge(0, 2).is_valid() && judge(0, 3).is_valid());
    }

    #[test]
    fn a_clients_reads_never_go_back() {
        let read = |process, at, tag| Op::applied(process, at, at + 1, Read(tag));
        assert!(monotonic_reads(&[read(0, 0, Some(1)), read(0, 2, Some(1)), read(0, 4, Some(2))]).is_valid());
        assert!(
            monotonic_reads(&[read(0, 4, None), read(0, 0, Some(1))]).is_invalid(),
            "any order of the slice"
        );
        assert!(monotonic_reads(&[read(0, 0, Some(1)), read(1, 4, None)]).is_valid());
    }
}
