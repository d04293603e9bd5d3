//! Values as they stand in a history file.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A value of EDN, as far as histories use it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Absence.
    #[default]
    Nil,
    /// True or false.
    Bool(bool),
    /// A 64-bit integer.
    Integer(i64),
    /// A string.
    Text(String),
    /// A keyword, without its colon.
    Keyword(String),
    /// A vector or list.
    Vector(Vec<Value>),
    /// A set, in the order written.
    Set(Vec<Value>),
    /// A map, in the order written.
    Map(Vec<(Value, Value)>),
    /// Anything else, as written: floats, big integers, symbols, characters.
    Literal(String),
}

impl Value {
    /// The value of a keyword in a map.
    pub fn field(&self, name: &str) -> Option<&Value> {
        let Value::Map(pairs) = self else { return None };
        pairs.iter().find(|(key, _)| matches!(key, Value::Keyword(known) if known == name)).map(|(_, v)| v)
    }

    /// The two elements of a vector of two, such as `[key value]` or `[old new]`.
    pub fn pair(&self) -> Option<(&Value, &Value)> {
        match self {
            Value::Vector(items) => match items.as_slice() {
                [first, second] => Some((first, second)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// EDN too: counterexamples print values so.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// EDN.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => write!(f, "nil"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Text(text) => quote(f, text),
            Value::Keyword(name) => write!(f, ":{name}"),
            Value::Literal(text) => write!(f, "{text}"),
            Value::Vector(items) => between(f, "[", items, "]"),
            Value::Set(items) => between(f, "#{", items, "}"),
            Value::Map(pairs) => {
                write!(f, "{{")?;
                for (at, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key} {value}", if at == 0 { "" } else { ", " })?;
                }
                write!(f, "}}")
            }
        }
    }
}

fn between(f: &mut fmt::Formatter<'_>, open: &str, items: &[Value], close: &str) -> fmt::Result {
    write!(f, "{open}")?;
    for (at, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if at == 0 { "" } else { " " })?;
    }
    write!(f, "{close}")
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "\"")?;
    for character in text.chars() {
        match character {
            '"' => write!(f, "\\\"")?,
            '\\' => write!(f, "\\\\")?,
            '\n' => write!(f, "\\n")?,
            '\r' => write!(f, "\\r")?,
            '\t' => write!(f, "\\t")?,
            other => write!(f, "{other}")?,
        }
    }
    write!(f, "\"")
}

/// JSON has no keywords, sets or literals: keywords are strings with a colon in front, sets are arrays,
/// literals are strings, keys of maps are strings.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Nil => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_i64(*value),
            Value::Text(text) | Value::Literal(text) => serializer.serialize_str(text),
            Value::Keyword(name) => serializer.serialize_str(&format!(":{name}")),
            Value::Vector(items) | Value::Set(items) => {
                let mut array = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| array.serialize_element(item))?;
                array.end()
            }
            Value::Map(pairs) => {
                let mut object = serializer.serialize_map(Some(pairs.len()))?;
                for (key, value) in pairs {
                    match key {
                        Value::Text(text) => object.serialize_entry(text, value)?,
                        other => object.serialize_entry(&other.to_string(), value)?,
                    }
                }
                object.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FromJson)
    }
}

struct FromJson;

impl<'de> Visitor<'de> for FromJson {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::Literal(value.to_string()), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Literal(format!("{value:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text_or_keyword(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = array.next_element()? {
            items.push(item);
        }
        Ok(Value::Vector(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = object.next_entry::<String, Value>()? {
            pairs.push((text_or_keyword(&key), value));
        }
        Ok(Value::Map(pairs))
    }
}

fn text_or_keyword(text: &str) -> Value {
    match text.strip_prefix(':') {
        Some(name) if !name.is_empty() => Value::Keyword(name.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}
