//! The cluster map: who is a member, which tokens each owns, which tables there are, and what all nodes have set
//! alike, at an epoch (rule M1).
//!
//! - [`ClusterMap`] is a value that never changes. [`ClusterMap::apply`] makes the map of the next epoch from a
//!   [`Change`], or says why not: a pure function, so that a change can be tried again on whatever map won.
//! - [`MapKeeper`] decides which map follows: one synod per epoch among the members of the map before it. It is
//!   the only place that makes a map the cluster's.
//!
//! A change is named by a [`ChangeId`], and the map remembers the last names, so a change that is sent twice
//! happens once.

mod apply;
mod change;
mod cluster_map;
mod codec;
mod history;
mod keeper;
mod refused;
mod settings;

pub use change::{Change, ChangeId, NewTable, TableOptions};
pub use cluster_map::{ClusterMap, Fate, MapDigest, MapName};
pub use codec::{MAP_BYTES_MAX, MapError};
pub use history::History;
#[cfg(feature = "mutants")]
pub use keeper::MapMutant;
pub use keeper::{
    Fork, MapEffect, MapKeeper, MapMessage, MapRecord, MapTicket, Outcome, Process, Standing, Vote,
};
pub use refused::Refused;
pub use settings::Settings;

#[cfg(test)]
mod tests;
