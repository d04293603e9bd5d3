//! Histories as text: EDN, as Knossos and Elle read it, and JSON.

use super::edn;
use super::event::Event;

/// Why a history file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
}

/// Reads a history in EDN: one map for each event, or one vector of them. Comments, tags and unknown fields are
/// skipped.
///
/// # Errors
/// The first place that is not EDN or not an event.
pub fn read_edn(text: &[u8]) -> Result<Vec<Event>, ParseError> {
    let mut reader = edn::Reader::new(text);
    let mut events = Vec::new();
    reader.elements(&mut |line, value| {
        events.push(Event::from_map(&value).map_err(|problem| ParseError { line, problem })?);
        Ok(())
    })?;
    Ok(events)
}

/// A history in EDN, one event a line.
pub fn write_edn(events: &[Event]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

/// Reads a history in JSON: one object for each event, or one array of them.
///
/// # Errors
/// The first place that is not JSON or not an event.
pub fn read_json(text: &[u8]) -> Result<Vec<Event>, ParseError> {
    let is_array = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let events = if is_array {
        serde_json::from_slice(text)
    } else {
        serde_json::Deserializer::from_slice(text).into_iter().collect()
    };
    events.map_err(|error| ParseError { line: error.line().max(1), problem: error.to_string() })
}

/// A history in JSON: an array with one event a line.
///
/// # Errors
/// If a map in it has the same key twice under JSON's rules, or a key that is no string.
pub fn write_json(events: &[Event]) -> Result<String, serde_json::Error> {
    let lines: Vec<String> = events.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}
