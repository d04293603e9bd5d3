//! Who is in the cluster, who is up, and which tables there are.
//!
//! The members decide the cluster map, with the tables in it, one epoch after the other ([`map`], [`synod`]);
//! [`Agreement`] is what keeps that going on a live node, and [`Catalog`] what requests are judged by. Connections
//! say who is up ([`Arrivals`]), and whoever is up says how far it has come since it started ([`Standings`]). Who lost
//! its state since ([`Lives`]) counts as another. Gossip ([`Detector`]) tells who answers nobody any more, and what each
//! node says of itself.

mod agreement;
mod arrivals;
mod catalog;
mod detector;
mod lives;
mod standings;
mod up_set;

pub use agreement::Agreement;
pub use arrivals::{Arrival, Arrivals, remember};
pub use catalog::{Catalog, CatalogNews};
pub use detector::{Detector, News};
pub use lives::{Lives, Meeting};
pub use standings::{Standings, send_standing};
pub use up_set::UpSet;

pub mod map;
pub mod synod;
