//! A running node: its thread and loop, its disk threads, its start and its stop.
//!
//! A node's driver is one thread with a single-threaded runtime: QUIC, the connections and the loop that
//! steps the [`Node`](crate::node::Node). Beside it a commit thread turns everything that waits into one
//! storage batch and one fsync, and a read thread reads. A backup is written by a thread of its own. Several nodes may live in one process.

#[cfg(feature = "cli")]
mod admin;
mod backup;
#[cfg(feature = "cli")]
mod demo;
mod directory;
mod disk;
mod driver;
mod error;
mod faults;
mod handle;
mod mark;
mod metrics;
mod report;
mod requests;
#[cfg(feature = "cli")]
mod serve;
mod settings;

#[cfg(feature = "cli")]
pub use demo::{DemoCluster, DemoError, demo_cluster};
pub use error::{RunError, StartError};
pub use handle::{Await, NodeHandle};
#[cfg(feature = "cli")]
pub use serve::{ServeError, serve};
pub use settings::{ClusterSettings, LogFormat, NetworkProfile, ProcessSettings, RunConfig};

#[cfg(test)]
#[cfg(feature = "cli")]
mod tests;
