//! What the client promises: against real nodes, and against the mock, which is all there is with the feature `client` alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "client_api/cas.rs"]
mod cas;
#[cfg(feature = "cli")]
#[path = "client_api/cluster.rs"]
mod cluster;
#[path = "client_api/mock.rs"]
mod mock;
#[path = "client_api/observer.rs"]
mod observer;
#[cfg(feature = "cli")]
#[path = "client_api/profiles.rs"]
mod profiles;
#[path = "client_api/readme.rs"]
mod readme;
#[cfg(feature = "cli")]
#[path = "client_api/reconnect.rs"]
mod reconnect;
#[cfg(feature = "cli")]
#[path = "client_api/resolve.rs"]
mod resolve;
#[path = "client_api/semantics.rs"]
mod semantics;
#[path = "client_api/statements.rs"]
mod statements;
#[path = "client_api/streams.rs"]
mod streams;
#[cfg(feature = "cli")]
#[path = "client_api/typed.rs"]
mod typed;
