//! Floor F1 of Quorate: what nodes tell each other about themselves without a leader.
//!
//! [`Gossip`] finds out which nodes answer, and spreads versioned facts about them, [`Entry`]s. It is a pure state
//! machine: no clock, no socket, no thread, no randomness but its seed. `PROTOCOL.md` beside this crate explains the
//! protocol; the rooms are:
//!
//! | room | holds |
//! |---|---|
//! | `machine` | [`Gossip`]: probing, judging, spreading, exchanging |
//! | `life`, `entry`, `message` | the words: lives and claims, facts, messages |
//! | `codec` | packets as bytes |
//! | `members`, `facts`, `rumors`, `suspicion`, `probe`, `health`, `timers` | the parts of a core's state |
//! | `config` | timings, with presets |

mod codec;
mod config;
mod effect;
mod entry;
mod facts;
mod health;
mod life;
mod machine;
mod members;
mod message;
mod probe;
mod random;
mod rumors;
mod suspicion;
mod timers;

pub use codec::{DATAGRAM_BYTES_MAX, DecodeError, FORMAT_VERSION, STREAM_BYTES_MAX, decode, encode};
pub use config::{Config, ConfigError};
pub use effect::{Effect, Event, Input, Sink};
pub use entry::{
    ENTRIES_PER_NODE_MAX, Entry, EntryError, EntryKey, SUBJECT_BYTES_MAX, VALUE_BYTES_MAX, Version,
};
pub use life::{Claim, Life, MemberState, REFUTATION_MAX, Refutation};
pub use machine::Gossip;
pub use members::{MEMBERS_MAX, Member};
pub use message::{ACCUSERS_MAX, BUCKETS, EntrySet, Head, Message, News, Packet};
