//! The language: a small, CQL-like one over tables of keys and values.
//!
//! Text becomes [`Statement`]s ([`Script`] reads them one by one), a statement with its parameters and the
//! session's defaults becomes a [`Plan`] ([`plan`]), and answers become text again (`render`, with the feature `cli`). All that is
//! pure, and a [`Statement`] prints as text that parses back to itself.
//!
//! Programs carry statements out with [`Client::execute`](crate::client::Client::execute), which gives an [`Answer`], or
//! [prepare](crate::client::Client::prepare) them first; the shell carries its plans out itself, for it shows what it does.

mod ast;
mod display;
mod error;
mod execute;
mod fill;
mod keyword;
mod lexer;
mod parameters;
mod parser;
mod plan;
#[cfg(feature = "cli")]
pub mod render;

pub use ast::{
    AlterTable, Argument, Column, ColumnType, Condition, CopyFrom, CopyOption, CopyTo, CreateTable, Delete,
    Describe, DropTable, Insert, Marker, Paging, ReadOptions, Select, SessionLevel, Statement, Term, Update,
    Wait, WaitFor, WriteOptions,
};
#[cfg(feature = "cli")]
pub(crate) use error::width;
pub use error::{CqlError, CqlErrorKind, Span};
pub use execute::{Answer, Execute, ExecuteError, OtherAnswer, PrepareError, Prepared};
pub use parameters::{Parameter, ParameterValue, Parameters};
pub use parser::{
    Class, Expected, Highlight, Open, Script, expected, highlights, is_complete, left_open, open_text,
    parse_one, table_span,
};
pub use plan::{NewTable, Plan, PlanError, Reading, Writing, plan};
