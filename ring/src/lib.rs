//! Floor F0 of Quorate: identifiers, time words, tokens and placement. It knows nobody.
//!
//! Everything here is a pure value or a pure function. [`Instant`] and [`WallMicros`] are numbers that a
//! driver read from its clocks; nothing in this crate reads one.

mod consistency;
mod id;
mod table;
mod time;
mod token;
mod version;

pub use consistency::Consistency;
pub use id::{Actor, ClusterId, Epoch, Incarnation, NodeId, TableId};
pub use table::{Table, TableKind, UnknownTableKind};
pub use time::{Duration, Instant, Now, WallMicros};
pub use token::Token;
pub use version::{Hlc, Tag};
