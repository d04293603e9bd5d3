//! Makers of histories.

mod atomic;

pub use atomic::{AtomicRegister, corrupt_read};
