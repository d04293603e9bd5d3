//! What clients asked for and what they were told.

mod operation;

pub use operation::{Operation, Outcome};
