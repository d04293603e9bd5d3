//! The language: a small, CQL-like one over tables of keys and values.
//!
//! Text becomes [`Statement`]s ([`Script`] reads them one by one), a statement with its parameters and the
//! session's defaults becomes a [`Plan`] ([`plan`]), and answers become text again ([`render`]). Everything
//! here is pure: carrying a plan out is the shell's work. A [`Statement`] prints as text that parses back to
//! itself.

mod ast;
mod display;
mod error;
mod keyword;
mod lexer;
mod parser;
mod plan;
#[cfg(feature = "cli")]
pub mod render;

pub use ast::{
    AlterTable, Column, ColumnType, Condition, CopyFrom, CopyOption, CopyTo, CreateTable, Delete, Describe,
    DropTable, Insert, Paging, ReadOptions, Select, SessionLevel, Statement, Term, Update, Wait, WaitFor,
    WriteOptions,
};
pub use error::{CqlError, CqlErrorKind, Span};
pub use parser::{
    Class, Expected, Highlight, Script, expected, highlights, is_complete, open_text, parse_one,
};
pub use plan::{Parameters, Plan, PlanError, plan};
