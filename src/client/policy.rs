//! Whether a failed attempt is made again: a pure function of what failed.

use std::time::Duration;

use quorate_ring::NodeId;

use super::errors::{CallError, Cause};
use crate::wire::{Failure, Outcome};

/// What a request may do to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Nothing.
    Read,
    /// Something, once.
    Write {
        /// The caller says that doing it twice is as good as once.
        idempotent: bool,
    },
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Give the error to the caller.
    GiveUp,
    /// Try another node now.
    Elsewhere,
    /// Try again after a pause.
    After(Duration),
    /// Try again after a pause and some more, if not too many do.
    Later(Duration),
}

/// Which attempt failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    /// The node that was asked.
    pub(super) node: Option<NodeId>,
    /// Whether the node had less time than was left.
    pub(super) is_cut_short: bool,
}

/// What to do after the `attempt`-th attempt (from 1) failed, which had less time than was left if it `is_cut_short`.
/// An unknown write is repeated only if it was marked idempotent (rule Q10).
pub(super) fn judge(nature: Nature, attempt: u32, is_cut_short: bool, error: &CallError) -> Next {
    let harmless = match nature {
        Nature::Read => true,
        Nature::Write { idempotent } => error.outcome == Outcome::NotApplied || idempotent,
    };
    if !harmless || attempt >= ATTEMPTS_MAX || error.outcome == Outcome::Applied {
        return Next::GiveUp;
    }
    match &error.cause {
        Cause::Failed(Failure::Overloaded { retry_after_ms }) => {
            let pause = Duration::from_millis(u64::from(*retry_after_ms).max(1));
            Next::Later(pause * (1 << (attempt - 1).min(DOUBLINGS_MAX)))
        }
        Cause::ConnectionLost { .. } => Next::Elsewhere,
        Cause::Failed(failure) if failure.is_of_one_node() => Next::Elsewhere,
        Cause::Failed(Failure::ReplicasFailed { .. }) => Next::After(PAUSE * attempt),
        Cause::Failed(Failure::Timeout { .. }) | Cause::TimedOut | Cause::Full { .. } if is_cut_short => {
            Next::Elsewhere
        }
        Cause::Failed(_)
        | Cause::TimedOut
        | Cause::Unreachable { .. }
        | Cause::Full { .. }
        | Cause::UnexpectedAnswer { .. } => Next::GiveUp,
    }
}

/// Deadlines end most retries; this ends those of nodes that fail at once.
const ATTEMPTS_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);
/// A node that is overloaded still is given more time.
const DOUBLINGS_MAX: u32 = 6;

#[cfg(test)]
mod tests {
    use quorate_ring::Consistency;

    use super::*;

    const WRITE: Nature = Nature::Write { idempotent: false };
    const IDEMPOTENT: Nature = Nature::Write { idempotent: true };

    fn lost() -> Cause {
        Cause::ConnectionLost { node: NodeId(1), reason: "cut".to_owned() }
    }

    #[test]
    fn never_repeats_an_unknown_write_unless_it_is_idempotent() {
        let unknown = CallError::unknown(lost());
        assert_eq!(judge(WRITE, 1, false, &unknown), Next::GiveUp);
        assert_eq!(judge(IDEMPOTENT, 1, false, &unknown), Next::Elsewhere);
        assert_eq!(judge(Nature::Read, 1, false, &unknown), Next::Elsewhere);
        assert_eq!(judge(WRITE, 1, false, &CallError::not_applied(lost())), Next::Elsewhere);
    }

    #[test]
    fn waits_as_long_as_an_overloaded_node_asks() {
        let overloaded = CallError::not_applied(Cause::Failed(Failure::Overloaded { retry_after_ms: 7 }));
        assert_eq!(judge(WRITE, 1, false, &overloaded), Next::Later(Duration::from_millis(7)));
        assert_eq!(
            judge(WRITE, 3, false, &overloaded),
            Next::Later(Duration::from_millis(28)),
            "and longer each time"
        );
        assert_eq!(judge(WRITE, ATTEMPTS_MAX, false, &overloaded), Next::GiveUp);
    }

    #[test]
    fn asks_others_when_a_node_must_not_write() {
        for failure in [Failure::Recovering, Failure::ClockAhead { ahead_ms: 9 }, Failure::NotAReplica] {
            let refused = CallError::not_applied(Cause::Failed(failure.clone()));
            assert_eq!(judge(WRITE, 1, false, &refused), Next::Elsewhere);
            let unknown = CallError::unknown(Cause::Failed(failure));
            assert_eq!(judge(WRITE, 1, false, &unknown), Next::GiveUp);
        }
    }

    #[test]
    fn a_node_that_had_little_time_is_left_for_another() {
        let timeouts = [Cause::TimedOut, Cause::Failed(Failure::Timeout { required: 2, answered: 1 })];
        for cause in timeouts.into_iter().chain([Cause::Full { node: NodeId(1) }]) {
            let error = CallError::unknown(cause);
            assert_eq!(judge(Nature::Read, 1, true, &error), Next::Elsewhere);
            assert_eq!(judge(IDEMPOTENT, 1, true, &error), Next::Elsewhere);
            assert_eq!(judge(WRITE, 1, true, &error), Next::GiveUp);
            assert_eq!(judge(Nature::Read, 1, false, &error), Next::GiveUp, "no time is left");
        }
    }

    #[test]
    fn gives_definite_refusals_to_the_caller() {
        let consistency = Consistency::Quorum;
        for failure in [
            Failure::Unavailable { consistency, required: 2, alive: 1 },
            Failure::BadRequest("x".to_owned()),
            Failure::Timeout { required: 2, answered: 1 },
            Failure::BadContext("of another key".to_owned()),
            Failure::TooManySiblings { siblings: 64, context: "c".into() },
        ] {
            assert_eq!(
                judge(Nature::Read, 1, false, &CallError::not_applied(Cause::Failed(failure))),
                Next::GiveUp
            );
        }
    }
}
