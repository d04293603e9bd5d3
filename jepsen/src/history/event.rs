//! One line of a history file: an invocation or a completion.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::value::Value;

/// An invocation or a completion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the history.
    #[serde(default)]
    pub index: u64,
    /// Invocation, or which completion.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Who asked.
    pub process: Process,
    /// Nanoseconds since the test began.
    #[serde(default)]
    pub time: u64,
    /// The function asked for, such as `read`, without a colon.
    pub f: String,
    /// The key, where the history keeps it apart from the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// The argument or the answer.
    #[serde(default)]
    pub value: Value,
}

/// What an event says about its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The client asked.
    Invoke,
    /// It took effect.
    Ok,
    /// It did not and will not take effect.
    Fail,
    /// Nobody knows; also everything the nemesis does.
    Info,
}

/// Who issued an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// A client, single-threaded.
    Client(u64),
    /// Somebody else, such as the nemesis; checkers skip these.
    Named(String),
}

impl EventKind {
    /// The keyword's name.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Invoke => "invoke",
            EventKind::Ok => "ok",
            EventKind::Fail => "fail",
            EventKind::Info => "info",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [EventKind::Invoke, EventKind::Ok, EventKind::Fail, EventKind::Info]
            .into_iter()
            .find(|k| k.name() == name)
    }
}

impl Event {
    /// An event from a map with the fields `:type :process :f` and, where present, `:index :time :key :value`.
    ///
    /// # Errors
    /// What is missing or has the wrong form.
    pub(super) fn from_map(map: &Value) -> Result<Self, String> {
        let field = |name: &str| map.field(name).filter(|value| **value != Value::Nil);
        let kind = match field("type") {
            Some(Value::Keyword(name) | Value::Text(name)) => EventKind::of_name(name),
            _ => None,
        };
        let process = match field("process") {
            Some(Value::Integer(client)) => u64::try_from(*client).ok().map(Process::Client),
            Some(Value::Keyword(name) | Value::Text(name)) => Some(Process::Named(name.clone())),
            _ => None,
        };
        let f = match field("f") {
            Some(Value::Keyword(name) | Value::Text(name)) => Some(name.clone()),
            _ => None,
        };
        let number = |name: &str| match field(name) {
            None => Ok(0),
            Some(Value::Integer(number)) => Ok(u64::try_from(*number).unwrap_or(0)),
            Some(other) => Err(format!(":{name} is {other}, not an integer")),
        };
        Ok(Event {
            index: number("index")?,
            kind: kind.ok_or(":type is not one of :invoke :ok :fail :info")?,
            process: process.ok_or(":process is neither a client's number nor a name")?,
            time: number("time")?,
            f: f.ok_or(":f is not a keyword")?,
            key: map.field("key").cloned(),
            value: map.field("value").cloned().unwrap_or_default(),
        })
    }
}

/// EDN, on one line.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event { index, kind, process, time, f: function, key, value } = self;
        write!(f, "{{:index {index}, :type :{}, :process {process}, :time {time}, ", kind.name())?;
        write!(f, ":f {}, ", Value::Keyword(function.clone()))?;
        if let Some(key) = key {
            write!(f, ":key {key}, ")?;
        }
        write!(f, ":value {value}}}")
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Process::Client(client) => write!(f, "{client}"),
            Process::Named(name) => write!(f, ":{name}"),
        }
    }
}

impl Serialize for Process {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Process::Client(client) => serializer.serialize_u64(*client),
            Process::Named(name) => serializer.serialize_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for Process {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Integer(client) => u64::try_from(client).map(Process::Client).map_err(D::Error::custom),
            Value::Text(name) | Value::Keyword(name) => Ok(Process::Named(name)),
            _ => Err(D::Error::custom("process is neither a client's number nor a name")),
        }
    }
}
