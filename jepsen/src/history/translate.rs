//! From requests as files hold them to what the models understand.

use super::operation::{Operation, Outcome};
use super::pair::Request;
use super::value::Value;
use crate::checker::linearizable::{CounterAction, RegisterAction, SetAction};

/// What a read that returned nil says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NilRead {
    /// Nothing: the answer is not known.
    #[default]
    Unknown,
    /// The register was empty.
    Absent,
}

/// A request that a model does not understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event}: {problem}")]
pub struct TranslateError {
    /// Position of the invocation in the history.
    pub event: u64,
    /// What is wrong with it.
    pub problem: String,
}

/// Requests of a register: `read`, `write`, `delete` (a write of nil), `cas` with `[old new]`.
///
/// # Errors
/// At the first request that is none of these.
pub fn register(
    operations: &[Operation<Request>],
    nil_read: NilRead,
) -> Result<Vec<Operation<RegisterAction<Value>>>, TranslateError> {
    translate(operations, |request, outcome| match request.f.as_str() {
        "read" | "r" => {
            let known =
                outcome == Outcome::Applied && (nil_read == NilRead::Absent || request.answer != Value::Nil);
            Ok(RegisterAction::Read(known.then(|| request.answer.clone())))
        }
        "write" | "w" => Ok(RegisterAction::Write(request.argument.clone())),
        "delete" => Ok(RegisterAction::Write(Value::Nil)),
        "cas" => match request.argument.pair() {
            Some((old, new)) => Ok(RegisterAction::Cas { old: old.clone(), new: new.clone() }),
            None => Err(format!("cas of {}, not of [old new]", request.argument)),
        },
        other => Err(format!("a register has no :{other}")),
    })
}

/// Requests of a set: `add` of an element, `read` of all.
///
/// # Errors
/// At the first request that is none of these.
pub fn set(operations: &[Operation<Request>]) -> Result<Vec<Operation<SetAction<Value>>>, TranslateError> {
    translate(operations, |request, outcome| match request.f.as_str() {
        "add" => Ok(SetAction::Add(request.argument.clone())),
        "read" | "r" => match &request.answer {
            _ if outcome != Outcome::Applied => Ok(SetAction::Read(None)),
            Value::Vector(items) | Value::Set(items) => Ok(SetAction::Read(Some(items.clone()))),
            Value::Nil => Ok(SetAction::Read(None)),
            other => Err(format!("a set was read as {other}")),
        },
        other => Err(format!("a set has no :{other}")),
    })
}

/// Requests of a counter: `add` of an integer, `increment`, `decrement`, `read`.
///
/// # Errors
/// At the first request that is none of these.
pub fn counter(operations: &[Operation<Request>]) -> Result<Vec<Operation<CounterAction>>, TranslateError> {
    translate(operations, |request, outcome| match (request.f.as_str(), &request.argument, &request.answer) {
        ("add" | "increment" | "inc", Value::Integer(delta), _) => Ok(CounterAction::Add(*delta)),
        ("increment" | "inc", Value::Nil, _) => Ok(CounterAction::Add(1)),
        ("decrement" | "dec", Value::Nil, _) => Ok(CounterAction::Add(-1)),
        ("decrement" | "dec", Value::Integer(delta), _) => Ok(CounterAction::Add(delta.wrapping_neg())),
        ("read" | "r", _, Value::Integer(value)) if outcome == Outcome::Applied => {
            Ok(CounterAction::Read(Some(*value)))
        }
        ("read" | "r", _, Value::Nil) => Ok(CounterAction::Read(None)),
        ("read" | "r", ..) if outcome != Outcome::Applied => Ok(CounterAction::Read(None)),
        (f, argument, answer) => Err(format!("a counter has no :{f} of {argument} answered {answer}")),
    })
}

fn translate<A>(
    operations: &[Operation<Request>],
    mut action: impl FnMut(&Request, Outcome) -> Result<A, String>,
) -> Result<Vec<Operation<A>>, TranslateError> {
    let one = |operation: &Operation<Request>| {
        let Operation { process, invoked, completed, outcome, action: ref request } = *operation;
        match action(request, outcome) {
            Ok(action) => Ok(Operation { process, invoked, completed, outcome, action }),
            Err(problem) => Err(TranslateError { event: invoked, problem }),
        }
    };
    operations.iter().map(one).collect()
}
