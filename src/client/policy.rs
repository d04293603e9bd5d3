//! Whether a failed attempt is made again: pure functions of what failed.

use std::{fmt, time::Duration};

use super::Cause;
use crate::wire::{Failure, Outcome};

/// Decides whether a request is tried again after an attempt failed. A pure function: it waits for nothing and asks
/// nobody. Give it to a [`Profile`](super::Profile::retries); the default is [`DefaultRetries`].
///
/// Whatever it decides, an attempt that may have been applied is not repeated unless the write was marked
/// [idempotent](super::Put::idempotent): of such a failure a policy is not even asked (rule Q10). Nor is it after the
/// deadline, or after 100 attempts; and retries of what was overloaded are limited to a tenth of all requests, so that
/// a cluster with too much to do is not given more.
///
/// ```no_run
/// # async fn example(carts: quorate::client::TableHandle) -> Result<(), Box<dyn std::error::Error>> {
/// use quorate::client::{Cause, DefaultRetries, FailedAttempt, Profile, Retry, RetryPolicy};
///
/// /// As usual, but never waits for nodes that are overloaded.
/// #[derive(Debug)]
/// struct Impatient;
///
/// impl RetryPolicy for Impatient {
///     fn decide(&self, failed: &FailedAttempt<'_>) -> Retry {
///         match DefaultRetries.decide(failed) {
///             Retry::After(_) => Retry::GiveUp,
///             decision => decision,
///         }
///     }
/// }
///
/// carts.with_profile(&Profile::new().retries(Impatient)).get("alice").await?;
/// # Ok(())
/// # }
/// ```
pub trait RetryPolicy: fmt::Debug + Send + Sync + 'static {
    /// What to do after an attempt has failed.
    fn decide(&self, failed: &FailedAttempt<'_>) -> Retry;
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Give the error to the caller.
    GiveUp,
    /// Ask another node now; the same one if there is no other.
    Elsewhere,
    /// Ask another node after a pause. It is stretched at random, to twice its length at most, so that those who were
    /// turned away together do not come back together.
    After(Duration),
}

/// What a request may do to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Nothing.
    Read,
    /// Something, once.
    Write {
        /// The caller says that doing it twice is as good as once.
        idempotent: bool,
    },
}

/// An attempt that failed, of a request that has time left.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FailedAttempt<'a> {
    /// Which it was, from 1.
    pub number: u32,
    /// What the request may do to the data.
    pub nature: Nature,
    /// Why it failed.
    pub cause: &'a Cause,
    /// What is known of its effect; always [`Outcome::NotApplied`] for a read.
    pub outcome: Outcome,
    /// Whether the node had less time than the request has: the [profile's](super::Profile::attempt_timeout).
    pub is_cut_short: bool,
}

/// The usual judgement: another node is asked where one was lost, refused, or took longer than its share of the time; what
/// failed on too many replicas, and what was overloaded, comes again after a pause. Definite refusals go to the caller. At
/// most 10 attempts.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultRetries;

/// Gives every failure to the caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRetries;

impl RetryPolicy for DefaultRetries {
    fn decide(&self, failed: &FailedAttempt<'_>) -> Retry {
        if failed.number >= ATTEMPTS {
            return Retry::GiveUp;
        }
        match failed.cause {
            Cause::Failed(Failure::Overloaded { retry_after_ms }) => {
                let pause = Duration::from_millis(u64::from(*retry_after_ms).max(1));
                Retry::After(pause * (1 << (failed.number - 1).min(DOUBLINGS_MAX)))
            }
            Cause::ConnectionLost { .. } => Retry::Elsewhere,
            Cause::Failed(failure) if failure.is_of_one_node() => Retry::Elsewhere,
            Cause::Failed(Failure::ReplicasFailed { .. }) => Retry::After(PAUSE * failed.number),
            Cause::Failed(Failure::Timeout { .. }) | Cause::TimedOut | Cause::TooManyInFlight { .. }
                if failed.is_cut_short =>
            {
                Retry::Elsewhere
            }
            Cause::Failed(_)
            | Cause::TimedOut
            | Cause::Unreachable { .. }
            | Cause::TooManyInFlight { .. }
            | Cause::UnexpectedAnswer { .. } => Retry::GiveUp,
        }
    }
}

impl RetryPolicy for NoRetries {
    fn decide(&self, _failed: &FailedAttempt<'_>) -> Retry {
        Retry::GiveUp
    }
}

impl FailedAttempt<'_> {
    /// Whether doing it once more does no harm (rule Q10).
    fn may_be_repeated(&self) -> bool {
        match (self.outcome, self.nature) {
            (Outcome::NotApplied, _) => true,
            (Outcome::Unknown, Nature::Write { idempotent }) => idempotent,
            (Outcome::Unknown, Nature::Read) | (Outcome::Applied, _) => false,
        }
    }

    /// Whether the cluster has too much to do.
    pub(super) fn is_overload(&self) -> bool {
        matches!(self.cause, Cause::Failed(Failure::Overloaded { .. }))
    }
}

/// What `policy` decides, where it may decide at all.
pub(super) fn judge(policy: &dyn RetryPolicy, failed: &FailedAttempt<'_>) -> Retry {
    if failed.may_be_repeated() && failed.number < ATTEMPTS_MAX {
        policy.decide(failed)
    } else {
        Retry::GiveUp
    }
}

/// Deadlines end most retries; this ends those of nodes that fail at once.
const ATTEMPTS: u32 = 10;
/// The same for policies that never give up.
const ATTEMPTS_MAX: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);
/// A node that is overloaded still is given more time.
const DOUBLINGS_MAX: u32 = 6;

#[cfg(test)]
mod tests {
    use quorate_ring::{Consistency, NodeId};

    use super::*;

    const WRITE: Nature = Nature::Write { idempotent: false };
    const IDEMPOTENT: Nature = Nature::Write { idempotent: true };

    /// Never gives up.
    #[derive(Debug)]
    struct Stubborn;

    impl RetryPolicy for Stubborn {
        fn decide(&self, _failed: &FailedAttempt<'_>) -> Retry {
            Retry::Elsewhere
        }
    }

    fn lost() -> Cause {
        Cause::ConnectionLost { node: NodeId(1), reason: "cut".to_owned() }
    }

    fn overloaded() -> Cause {
        Cause::Failed(Failure::Overloaded { retry_after_ms: 7 })
    }

    fn failed(nature: Nature, cause: &Cause, outcome: Outcome) -> FailedAttempt<'_> {
        FailedAttempt { number: 1, nature, cause, outcome, is_cut_short: false }
    }

    fn decided(nature: Nature, cause: &Cause, outcome: Outcome) -> Retry {
        judge(&DefaultRetries, &failed(nature, cause, outcome))
    }

    #[test]
    fn no_policy_repeats_an_unknown_write_unless_it_is_idempotent() {
        let causes = [
            lost(),
            overloaded(),
            Cause::TimedOut,
            Cause::Unreachable { reason: "nobody".to_owned() },
            Cause::TooManyInFlight { node: NodeId(1) },
            Cause::UnexpectedAnswer { node: NodeId(1) },
            Cause::Failed(Failure::Recovering),
        ];
        for cause in &causes {
            let stubborn = |nature, outcome| judge(&Stubborn, &failed(nature, cause, outcome));
            assert_eq!(stubborn(WRITE, Outcome::Unknown), Retry::GiveUp, "rule Q10: {cause}");
            assert_eq!(stubborn(WRITE, Outcome::Applied), Retry::GiveUp);
            assert_eq!(stubborn(IDEMPOTENT, Outcome::Applied), Retry::GiveUp, "it is done");
            assert_eq!(stubborn(IDEMPOTENT, Outcome::Unknown), Retry::Elsewhere);
            assert_eq!(stubborn(WRITE, Outcome::NotApplied), Retry::Elsewhere);
            assert_eq!(stubborn(Nature::Read, Outcome::NotApplied), Retry::Elsewhere);
            assert_eq!(judge(&NoRetries, &failed(Nature::Read, cause, Outcome::NotApplied)), Retry::GiveUp);
        }
        assert_eq!(decided(WRITE, &lost(), Outcome::Unknown), Retry::GiveUp);
        assert_eq!(decided(IDEMPOTENT, &lost(), Outcome::Unknown), Retry::Elsewhere);
        assert_eq!(decided(WRITE, &lost(), Outcome::NotApplied), Retry::Elsewhere);
    }

    #[test]
    fn no_policy_goes_on_for_ever() {
        let cause = lost();
        let last = |number| FailedAttempt { number, ..failed(Nature::Read, &cause, Outcome::NotApplied) };
        assert_eq!(judge(&Stubborn, &last(ATTEMPTS_MAX - 1)), Retry::Elsewhere);
        assert_eq!(judge(&Stubborn, &last(ATTEMPTS_MAX)), Retry::GiveUp);
    }

    #[test]
    fn waits_as_long_as_an_overloaded_node_asks() {
        let cause = overloaded();
        let nth = |number| FailedAttempt { number, ..failed(WRITE, &cause, Outcome::NotApplied) };
        let millis = Duration::from_millis;
        assert_eq!(judge(&DefaultRetries, &nth(1)), Retry::After(millis(7)));
        assert_eq!(judge(&DefaultRetries, &nth(3)), Retry::After(millis(28)), "and longer each time");
        assert_eq!(judge(&DefaultRetries, &nth(ATTEMPTS)), Retry::GiveUp);
    }

    #[test]
    fn asks_others_when_a_node_must_not_write() {
        for failure in [Failure::Recovering, Failure::ClockAhead { ahead_ms: 9 }, Failure::NotAReplica] {
            let cause = Cause::Failed(failure);
            assert_eq!(decided(WRITE, &cause, Outcome::NotApplied), Retry::Elsewhere);
            assert_eq!(decided(WRITE, &cause, Outcome::Unknown), Retry::GiveUp);
        }
    }

    #[test]
    fn a_node_that_had_little_time_is_left_for_another() {
        let timeouts = [Cause::TimedOut, Cause::Failed(Failure::Timeout { required: 2, answered: 1 })];
        for cause in timeouts.into_iter().chain([Cause::TooManyInFlight { node: NodeId(1) }]) {
            let short =
                |nature, outcome| FailedAttempt { is_cut_short: true, ..failed(nature, &cause, outcome) };
            let decided_short = |nature, outcome| judge(&DefaultRetries, &short(nature, outcome));
            assert_eq!(decided_short(Nature::Read, Outcome::NotApplied), Retry::Elsewhere);
            assert_eq!(decided_short(IDEMPOTENT, Outcome::Unknown), Retry::Elsewhere);
            assert_eq!(decided_short(WRITE, Outcome::Unknown), Retry::GiveUp);
            assert_eq!(decided(Nature::Read, &cause, Outcome::NotApplied), Retry::GiveUp, "no time is left");
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
            let cause = Cause::Failed(failure);
            assert_eq!(decided(Nature::Read, &cause, Outcome::NotApplied), Retry::GiveUp);
        }
    }
}
