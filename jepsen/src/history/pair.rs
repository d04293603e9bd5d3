//! From events to operations.

use std::collections::BTreeMap;

use super::event::{Event, EventKind, Process};
use super::operation::{Operation, Outcome};
use super::value::Value;

/// A request as a history file holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The function asked for, such as `read`.
    pub f: String,
    /// The key, if the history has several.
    pub key: Option<Value>,
    /// The argument.
    pub argument: Value,
    /// The answer; nil if there was none.
    pub answer: Value,
}

/// Where a history of several keys keeps the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeyPlace {
    /// In a field of its own, or nowhere.
    #[default]
    Field,
    /// In the value, which is `[key value]`.
    Value,
}

/// Why events do not make a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// A client asked again before it was answered.
    #[error("event {0}: process {1} already has an operation pending")]
    StillPending(usize, u64),
    /// A client was answered without asking.
    #[error("event {0}: process {1} has no operation pending")]
    NotPending(usize, u64),
    /// The value should be `[key value]`.
    #[error("event {0}: the value {1} is not [key value]")]
    NoKey(usize, Value),
}

/// Joins invocations with completions. Positions in the history serve as times, for they order events of equal
/// time as well. Events of the nemesis are skipped.
///
/// # Errors
/// If a client's events do not alternate, or a key is missing.
pub fn operations(events: &[Event], key_place: KeyPlace) -> Result<Vec<Operation<Request>>, PairError> {
    let mut operations: Vec<Operation<Request>> = Vec::with_capacity(events.len() / 2);
    let mut pending: BTreeMap<u64, usize> = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        let Process::Client(process) = event.process else { continue };
        let (key, value) = key_and_value(at, event, key_place)?;
        let outcome = match event.kind {
            EventKind::Invoke => {
                if pending.insert(process, operations.len()).is_some() {
                    return Err(PairError::StillPending(at, process));
                }
                let request = Request { f: event.f.clone(), key, argument: value, answer: Value::Nil };
                operations.push(Operation::unknown(process, at as u64, request));
                continue;
            }
            EventKind::Ok => Outcome::Applied,
            EventKind::Fail => Outcome::NotApplied,
            EventKind::Info => Outcome::Unknown,
        };
        let invoked = pending.remove(&process).and_then(|position| operations.get_mut(position));
        let operation = invoked.ok_or(PairError::NotPending(at, process))?;
        operation.completed = Some(at as u64);
        operation.outcome = outcome;
        operation.action.answer = value;
    }
    Ok(operations)
}

/// The operations of each key, in order. Those without a key are together under `None`.
pub fn by_key(operations: Vec<Operation<Request>>) -> BTreeMap<Option<Value>, Vec<Operation<Request>>> {
    let mut split: BTreeMap<Option<Value>, Vec<Operation<Request>>> = BTreeMap::new();
    for operation in operations {
        split.entry(operation.action.key.clone()).or_default().push(operation);
    }
    split
}

fn key_and_value(at: usize, event: &Event, key_place: KeyPlace) -> Result<(Option<Value>, Value), PairError> {
    match (key_place, event.value.pair()) {
        (KeyPlace::Field, _) => Ok((event.key.clone(), event.value.clone())),
        (KeyPlace::Value, Some((key, value))) => Ok((Some(key.clone()), value.clone())),
        (KeyPlace::Value, None) => Err(PairError::NoKey(at, event.value.clone())),
    }
}
