//! Making a cluster's certificates: its authority, its nodes', its clients'.
//!
//! They do not expire: what ends their use is a new authority. Whoever holds `ca.key` can make itself a node
//! or a client of the cluster; nodes do not need it.

mod authority;
mod files;

pub use authority::{Authority, CertsError, Issued};
pub use files::{Written, client, init, node};
