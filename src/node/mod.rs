//! The node: a pure state machine.
//!
//! A [`Node`] has no clock, no socket, no file and no thread. Its methods sort into
//! - events in: [`Node::handle`], with the time as an argument and the effects in a sink;
//! - when it wants to be called next: [`Node::next_timer`];
//! - looking only: [`Node::cluster_info`], [`Node::agreement_ages`], [`Node::readiness`], [`Node::is_idle`], [`Node::validate`].
//!
//! The same compiled node runs in production, driven by `runtime`, and in the simulator.

mod backup;
mod budget;
mod clock;
mod clock_offsets;
mod config;
mod effect;
mod healing;
mod held;
mod input;
mod machine;
mod map;
#[cfg(feature = "mutants")]
mod mutant;
mod peers;
mod readiness;
mod request_ids;
mod timers;
mod turn;

pub use backup::{BackupAsked, BackupOrder, BackupWork};
pub use budget::{Budget, Pace};
pub use clock::Clock;
pub use clock_offsets::ClockOffset;
pub use config::NodeConfig;
pub use effect::{Alarm, Effect, Effects, Observation};
pub use healing::Inspection;
pub use input::{ClientId, DiskOperation, DiskRequest, DiskResult, Input, Scan, Ticket};
pub use machine::Node;
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use readiness::Readiness;
pub use request_ids::RequestIds;
pub use timers::Timers;
pub use turn::Turn;

#[cfg(test)]
mod tests;
