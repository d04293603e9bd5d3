//! One operation from invocation to completion, as the checkers see it.

use std::fmt;

/// What the client knows about an operation's effect (rule Q10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It took effect between invocation and completion.
    Applied,
    /// It provably never takes effect.
    NotApplied,
    /// It may take effect at any time after its invocation, even after its completion, or never.
    Unknown,
}

/// A request and its outcome. `A` is what was asked, with the reply filled in.
///
/// Times are positions on one clock that every client shares: nanoseconds or event numbers. One operation
/// precedes another when its completion is strictly less than the other's invocation; equal means concurrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<A> {
    /// The single-threaded client that issued it.
    pub process: u64,
    /// When it was invoked.
    pub invoked: u64,
    /// When its reply came; `None` if none ever did.
    pub completed: Option<u64>,
    /// Whether it took effect.
    pub outcome: Outcome,
    /// What was asked and answered.
    pub action: A,
}

impl<A> Operation<A> {
    /// An acknowledged operation.
    pub fn applied(process: u64, invoked: u64, completed: u64, action: A) -> Self {
        Operation { process, invoked, completed: Some(completed), outcome: Outcome::Applied, action }
    }

    /// An operation refused without effect.
    pub fn not_applied(process: u64, invoked: u64, completed: u64, action: A) -> Self {
        Operation { process, invoked, completed: Some(completed), outcome: Outcome::NotApplied, action }
    }

    /// An operation that timed out, or was still running when the history ended.
    pub fn unknown(process: u64, invoked: u64, action: A) -> Self {
        Operation { process, invoked, completed: None, outcome: Outcome::Unknown, action }
    }

    /// Whether the client was told that it took effect.
    pub fn is_applied(&self) -> bool {
        self.outcome == Outcome::Applied
    }

    /// Whether it may have taken effect: applied or unknown.
    pub fn is_possible(&self) -> bool {
        self.outcome != Outcome::NotApplied
    }

    /// The instant by which its effect is certain: its completion if applied, otherwise never.
    pub fn effective_by(&self) -> Option<u64> {
        self.completed.filter(|_| self.is_applied())
    }

    /// Whether it was acknowledged strictly before `later` was invoked.
    pub fn precedes<B>(&self, later: &Operation<B>) -> bool {
        self.effective_by().is_some_and(|completed| completed < later.invoked)
    }
}

impl<A: fmt::Display> fmt::Display for Operation<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} [{} .. ", self.process, self.invoked)?;
        match self.completed {
            Some(completed) => write!(f, "{completed}]")?,
            None => write!(f, "never]")?,
        }
        write!(f, " {}", self.action)?;
        match self.outcome {
            Outcome::Applied => Ok(()),
            Outcome::NotApplied => write!(f, " (not applied)"),
            Outcome::Unknown => write!(f, " (unknown)"),
        }
    }
}
