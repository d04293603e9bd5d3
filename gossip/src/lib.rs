//! Floor F1 of Quorate: what nodes tell each other about themselves without a leader.
//!
//! The words only, so far: a node's facts are versioned entries, of which the newer wins, so that it does not
//! matter by which way or how often one arrives. Entries are opaque here: the bridge between gossip and the
//! ring interprets them.

mod entry;

pub use entry::{Entry, EntryKey, Version};
