//! What goes wrong, and when.

mod carry_out;
mod partition;
mod plan;
mod show;
mod siege;

use carry_out::{Strike, heal, strike};
pub(crate) use plan::{Nemesis, Parties, Planned, plan};
pub(crate) use siege::Siege;
