//! Why a statement failed.

use std::{fmt, io, time::Duration};

use super::counted::counted;
use crate::{
    client::{CatalogError, ChangeTableError, CreateTableError, ReadError, WriteError},
    cql::PlanError,
    units::duration_text,
    wire::{Failure, Outcome},
};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShellError {
    /// The text is no statement; the message shows where.
    #[error("{0}")]
    Cql(String),
    /// Parameters are for programs.
    #[error("{0}: write the value itself, parameters are for programs")]
    Plan(#[from] PlanError),
    /// A read failed.
    #[error("{error}{}", beneath(trace))]
    Read {
        /// Why.
        error: ReadError,
        /// What its replicas did, with TRACING.
        trace: Option<String>,
    },
    /// A write failed.
    #[error("{error}{}{}", beneath(hint), beneath(trace))]
    Write {
        /// Why.
        error: WriteError,
        /// What to do.
        hint: Option<Box<str>>,
        /// What its replicas did, with TRACING.
        trace: Option<Box<str>>,
    },
    /// A table was not created.
    #[error("{0}")]
    CreateTable(#[from] CreateTableError),
    /// A table was not altered, dropped or truncated.
    #[error("{0}")]
    ChangeTable(#[from] ChangeTableError),
    /// A question about tables or the cluster failed.
    #[error("{0}")]
    Catalog(#[from] CatalogError),
    /// WAIT gave up.
    #[error("not within {}: {left}", duration_text(*timeout))]
    StillWaiting {
        /// After how long.
        timeout: Duration,
        /// What was waited for.
        left: String,
    },
    /// A file cannot be used.
    #[error("{file}: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// COPY did not write every row.
    #[error(
        "COPY wrote {} and rejected {rejected}{}: see {rejects}",
        counted(*written, "row"), if *stopped { ", then gave up" } else { "" }
    )]
    CopyRejected {
        /// Rows written.
        written: u64,
        /// Rows not written, or not for certain.
        rejected: u64,
        /// It gave up at `maxerrors`.
        stopped: bool,
        /// Where they are, with reasons.
        rejects: String,
    },
    /// Some keys of a backup were not restored.
    #[error(
        "{restored} keys were restored and {rejected} rejected{}: see {rejects}",
        if *stopped { ", then it gave up" } else { "" }
    )]
    RestoreRejected {
        /// Keys restored.
        restored: u64,
        /// Keys not restored, or not for certain.
        rejected: u64,
        /// It gave up at the most errors allowed.
        stopped: bool,
        /// Where they are, with reasons.
        rejects: String,
    },
    /// Standard output or input is gone.
    #[error("{0}")]
    Console(#[from] io::Error),
}

impl ShellError {
    /// The table's name, if there is none of it and so nothing was done, and what is said of the outcome.
    pub(super) fn unknown_table(&self) -> Option<(&str, &'static str)> {
        const NOT_APPLIED: &str = " (not applied)";
        let (failure, outcome, said) = match self {
            Self::Read { error, .. } => (error.failure(), error.outcome(), ""),
            Self::Write { error, .. } => (error.failure(), error.outcome(), NOT_APPLIED),
            Self::ChangeTable(error) => (error.failure(), error.outcome(), NOT_APPLIED),
            Self::Catalog(error) => (error.failure(), error.outcome(), ""),
            _ => return None,
        };
        match failure {
            Some(Failure::UnknownTable { name }) if outcome == Outcome::NotApplied => Some((name, said)),
            _ => None,
        }
    }
}

impl From<ReadError> for ShellError {
    fn from(error: ReadError) -> Self {
        Self::Read { error, trace: None }
    }
}

/// What stands beneath an error, if there is anything.
fn beneath(text: &Option<impl fmt::Display>) -> String {
    text.iter().map(|text| format!("\n{text}")).collect()
}
