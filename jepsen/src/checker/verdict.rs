//! What a checker answers, and the evidence when it answers no.

use std::fmt;

use crate::history::Operation;

/// A checker's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The history keeps the rule.
    Valid,
    /// The history breaks the rule, and this shows it.
    Invalid(Counterexample),
    /// Not decided within the limits: neither a pass nor a failure.
    Unknown(Undecided),
}

/// Why a checker gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// The search reached its cap on steps.
    Steps(u64),
    /// The search reached its cap on memory, in bytes.
    Memory(usize),
    /// The caller's closure asked to stop.
    Stopped,
    /// The operation at this position repeats a value that must be unique.
    Ambiguous(usize),
}

/// The operations that cannot be reconciled, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// The rule that is broken, in a few words.
    pub rule: &'static str,
    /// What is wrong, in a sentence.
    pub reason: String,
    /// Positions of the operations concerned in the slice that was judged, ascending.
    pub operations: Vec<usize>,
    /// The same operations, for a human.
    pub lines: Vec<String>,
}

impl Verdict {
    /// Whether the history was found to keep the rule.
    pub fn is_valid(&self) -> bool {
        matches!(self, Verdict::Valid)
    }

    /// Whether the history was found to break the rule.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Verdict::Invalid(_))
    }

    /// This verdict, or `other`'s if this one is better: invalid outweighs unknown, unknown outweighs valid.
    pub fn and(self, other: impl FnOnce() -> Verdict) -> Verdict {
        match self {
            Verdict::Valid => other(),
            Verdict::Invalid(_) => self,
            Verdict::Unknown(_) => match other() {
                Verdict::Invalid(found) => Verdict::Invalid(found),
                Verdict::Valid | Verdict::Unknown(_) => self,
            },
        }
    }
}

impl Counterexample {
    /// Evidence made of the operations at `positions` in `history`.
    pub fn new<A: fmt::Display>(
        rule: &'static str,
        reason: String,
        history: &[Operation<A>],
        mut positions: Vec<usize>,
    ) -> Self {
        positions.sort_unstable();
        positions.dedup();
        let lines = positions.iter().filter_map(|&at| history.get(at)).map(Operation::to_string).collect();
        Counterexample { rule, reason, operations: positions, lines }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Valid => write!(f, "valid"),
            Verdict::Invalid(counterexample) => write!(f, "invalid: {counterexample}"),
            Verdict::Unknown(undecided) => write!(f, "unknown: {undecided}"),
        }
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.reason)?;
        for (at, line) in self.operations.iter().zip(&self.lines) {
            write!(f, "\n  #{at} {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Undecided::Steps(steps) => write!(f, "no answer within {steps} steps"),
            Undecided::Memory(bytes) => write!(f, "no answer within {bytes} bytes of memory"),
            Undecided::Stopped => write!(f, "stopped by the caller"),
            Undecided::Ambiguous(at) => write!(f, "operation #{at} repeats a value that must be unique"),
        }
    }
}
