//! Who is in the cluster, who is up, and which tables there are.
//!
//! Until the cluster map is agreed on by its members, the founders' list is the map, connections say who is
//! up, and a table is created by all founders or by none ([`CreateTables`]).

mod attempt;
mod catalog;
mod create_table;
mod up_set;

pub use catalog::Catalog;
pub use create_table::CreateTables;
pub use up_set::UpSet;

pub mod map;
pub mod synod;
