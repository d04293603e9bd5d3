//! Quorate: a leaderless key-value store whose QUORUM is linearizable.
//!
//! With the feature `client` alone this crate is the client SDK; with `server` it also holds the node, and
//! with `cli` what the `quorate` program is made of.

#[cfg(any(feature = "cli", test))]
pub mod certs;
pub mod client;
#[cfg(feature = "cli")]
pub mod config;
#[cfg(feature = "server")]
pub mod coordinator;
pub mod cql;
#[cfg(feature = "server")]
pub mod handoff;
#[cfg(feature = "server")]
pub mod membership;
#[cfg(feature = "server")]
pub mod node;
#[cfg(feature = "server")]
pub mod recovery;
#[cfg(feature = "server")]
pub mod repair;
#[cfg(feature = "server")]
pub mod replica;
#[cfg(feature = "server")]
pub mod runtime;
#[cfg(feature = "cli")]
pub mod shell;
pub mod transport;
pub mod units;
pub mod wire;

pub use quorate_ring as ring;
#[cfg(feature = "server")]
pub use quorate_storage as storage;
