//! Guarantees within one client's session, for registers whose operations carry version tags.

use std::collections::BTreeMap;
use std::fmt;

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
