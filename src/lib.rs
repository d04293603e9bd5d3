//! Quorate: a leaderless key-value store whose QUORUM is linearizable.
//!
//! Every node is a peer: any node takes any request. Keys sit on a consistent-hash ring, each on N nodes, and every request
//! says how many of them must answer. **Programs begin at [`client`]**, which is a guide to the SDK.
//!
//! | feature | adds |
//! |---|---|
//! | `client` | the SDK alone: no storage, no gossip, no command line |
//! | `mock` | a cluster in memory, for tests of programs that use the SDK |
//! | `server` | the node, its storage and its driver |
//! | `cli` | what the `quorate` program is made of |
//!
//! The default is all of it but `mock`. Programs that only talk to a cluster want
//! `quorate = { default-features = false, features = ["client"] }`.

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
