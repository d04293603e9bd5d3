//! What holds of maps and of their keeping.

mod explore;
mod oracle;
mod scenes;
mod values;
mod world;
