//! Quorate's witnesses: histories of what clients saw, and checkers that judge them.
//!
//! The same checkers judge the deterministic simulator's histories and those of real processes, so they hold
//! no clock, no thread and no file: time is part of a history, a time cap is a closure of the caller.

pub mod checker;
pub mod generator;
pub mod history;
