//! A node's settings: from a file, from the environment, from flags; the later wins over the earlier.
//!
//! ```toml
//! # Equal on every node.
//! cluster = "shop"
//! founders = [
//!     "n1=10.0.0.1:7000",
//!     "n2=10.0.0.2:7000",
//!     { name = "n3", address = "10.0.0.3:7000", rack = "west", weight = 200 },
//! ]
//!
//! # This node's own.
//! node = "n1"
//! data_dir = "/var/lib/quorate"
//! tls = { ca = "ca.crt", cert = "n1.crt", key = "n1.key" }
//! cache_bytes = "256MiB"
//! ```
//!
//! Relative paths in a file start at the file's directory.

mod draft;
mod file;
mod founders;
mod load;
mod overrides;
mod preset;
mod setting;

pub use founders::parse_founder;
pub use load::{Mistake, Mistakes, load, render};
pub use overrides::Overrides;
