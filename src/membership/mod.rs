//! Who is in the cluster, who is up, and which tables there are.
//!
//! Until the cluster map is agreed on by its members, the founders' list is the map, connections say who is
//! up ([`Arrivals`]), and a table is created by all founders or by none ([`CreateTables`]). Whoever lost its
//! state since ([`Lives`]) is told of the tables that there are ([`TableNews`]).
//!
//! [`map`] and [`synod`] are what will take the place of the founders' list; no node uses them yet.

mod arrivals;
mod attempt;
mod catalog;
mod create_table;
mod lives;
mod news;
mod up_set;

pub use arrivals::{Arrival, Arrivals, remember};
pub use catalog::Catalog;
pub use create_table::CreateTables;
pub use lives::{Lives, Meeting};
pub use news::{TableNews, remember_tables_known, send_standing};
pub use up_set::UpSet;

pub mod map;
pub mod synod;
