//! What clients asked for and what they were told: in files, event by event, and as operations.

mod edn;
mod event;
mod file;
mod operation;
mod pair;
mod translate;
mod value;

pub use event::{Event, EventKind, Process};
pub use file::{ParseError, read_edn, read_json, write_edn, write_json};
pub use operation::{Operation, Outcome};
pub use pair::{KeyPlace, PairError, Request, by_key, operations};
pub use translate::{NilRead, TranslateError, counter, register, set};
pub use value::Value;

#[cfg(test)]
mod tests;
