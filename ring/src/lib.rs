//! Floor F0 of Quorate: identifiers, time words, tokens and placement. It knows nobody.
//!
//! Everything here is a pure value or a pure function. [`Instant`] and [`WallMicros`] are numbers that a
//! driver read from its clocks; nothing in this crate reads one.
//!
//! From key to nodes: [`token_of`] turns a key into a [`Token`], [`Ring::replicas`] a token into the nodes that
//! hold it, and [`Consistency`] says how many of those an operation waits for.

mod circle;
mod claim;
mod consistency;
mod endurance;
mod error;
mod id;
mod layout;
mod member;
mod partitioner;
mod placement;
mod preference;
mod ring;
mod table;
mod time;
mod token;
mod transition;
mod version;

pub use consistency::{Consistency, ConsistencyError, UnknownConsistency, overlaps, quorum};
pub use endurance::Endurance;
pub use error::RingError;
pub use id::{Actor, ClusterId, Epoch, Incarnation, NodeId, TableId};
pub use layout::Layout;
pub use member::{Founder, Member};
pub use partitioner::token_of;
pub use preference::PreferenceList;
pub use ring::Ring;
pub use table::{Table, TableKind, UnknownTableKind};
pub use time::{Duration, Instant, Now, WallMicros};
pub use token::{Token, TokenRange};
pub use transition::{Move, moves};
pub use version::{Hlc, Tag};
