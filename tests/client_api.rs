//! What the client promises.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[cfg(feature = "cli")]
#[path = "client_api/cluster.rs"]
mod cluster;
#[path = "client_api/observer.rs"]
mod observer;
#[cfg(feature = "cli")]
#[path = "client_api/profiles.rs"]
mod profiles;
#[cfg(feature = "cli")]
#[path = "client_api/resolve.rs"]
mod resolve;
#[cfg(feature = "cli")]
#[path = "client_api/typed.rs"]
mod typed;
