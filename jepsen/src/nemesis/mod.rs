//! What goes wrong, and when.

mod carry_out;
mod partition;
mod plan;
mod show;
mod siege;
mod sync_failure;

use carry_out::{Strike, heal, strike};
pub(crate) use plan::{Nemesis, Parties, Planned, plan};
pub(crate) use siege::{STOPPED_ITSELF, Siege};
