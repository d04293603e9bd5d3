//! From a statement to what must be asked of the cluster: parameters filled in, defaults applied.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use quorate_ring::{Consistency, TableKind};

use super::{
    Column, Condition, Delete, Insert, ReadOptions, Select, SessionLevel, Statement, Term, Update,
    WriteOptions,
};
use crate::client::{Expected, New};

/// What stands for `?` and `:name`.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    positional: Vec<Bytes>,
    named: BTreeMap<String, Bytes>,
}

impl Parameters {
    /// No parameters.
    pub fn none() -> Self {
        Self::default()
    }

    /// The value of the next `?`.
    #[must_use]
    pub fn push(mut self, value: impl Into<Bytes>) -> Self {
        self.positional.push(value.into());
        self
    }

    /// The value of `:name`.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.named.insert(name.into(), value.into());
        self
    }
}

/// What a statement asks of the cluster. A level that is none is the table's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// Create a table.
    CreateTable {
        /// Its name.
        name: String,
        /// How versions merge.
        kind: TableKind,
        /// N; none for the cluster's default.
        replication: Option<u8>,
        /// The level of reads that name none; none for QUORUM.
        read_consistency: Option<Consistency>,
        /// The level of writes that name none; none for QUORUM.
        write_consistency: Option<Consistency>,
        /// An existing table is no error.
        if_not_exists: bool,
    },
    /// Write one key.
    Put {
        /// The table.
        table: String,
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// How.
        options: WriteOptions,
    },
    /// Delete one key.
    Delete {
        /// The table.
        table: String,
        /// The key.
        key: Bytes,
        /// How.
        options: WriteOptions,
    },
    /// Write or delete one key if it holds what is expected (`cas` tables).
    CompareAndSet {
        /// The table.
        table: String,
        /// The key.
        key: Bytes,
        /// What it is to hold before.
        expected: Expected,
        /// What it is to hold after.
        new: New,
        /// How many replicas must acknowledge; none for the table's own level.
        consistency: Option<Consistency>,
    },
    /// Read keys.
    Get {
        /// The table.
        table: String,
        /// The keys, each once, in the order written.
        keys: Vec<Bytes>,
        /// The columns wanted.
        columns: Vec<Column>,
        /// How.
        options: ReadOptions,
    },
    /// Read all keys, in the order of their tokens.
    Scan {
        /// The table.
        table: String,
        /// The columns wanted.
        columns: Vec<Column>,
        /// How many keys at most.
        limit: Option<u64>,
        /// How.
        options: ReadOptions,
    },
    /// A command to the session itself.
    Session(Statement),
}

/// Why a statement has no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// More `?` than values.
    #[error("the statement's parameter {} has no value: {given} given", position + 1)]
    MissingPositional {
        /// Which `?`, from 0.
        position: usize,
        /// Values given.
        given: usize,
    },
    /// A `:name` without a value.
    #[error("the statement's parameter ':{0}' has no value")]
    MissingNamed(String),
}

impl SessionLevel {
    /// The level of a statement that names `own`; none for the table's.
    fn of(self, own: Option<Consistency>) -> Option<Consistency> {
        match self {
            Self::Level(level) => own.or(Some(level)),
            Self::Default => own,
        }
    }
}

/// What `statement` asks of the cluster, at `level` unless it names another.
///
/// # Errors
/// A parameter without a value.
pub fn plan(statement: Statement, level: SessionLevel, parameters: &Parameters) -> Result<Plan, PlanError> {
    let fill = |term| fill(term, parameters);
    let write = |options: WriteOptions| {
        let consistency = level.of(options.consistency);
        WriteOptions { consistency, ..options }
    };
    Ok(match statement {
        Statement::CreateTable(create) => Plan::CreateTable {
            name: create.name,
            kind: create.kind.unwrap_or_default(),
            replication: create.replication,
            read_consistency: create.read_consistency,
            write_consistency: create.write_consistency,
            if_not_exists: create.if_not_exists,
        },
        Statement::Insert(Insert { table, key, value, if_not_exists, options }) => {
            let (key, value) = (fill(key)?, fill(value)?);
            let expected = if_not_exists.then_some(Expected::Absent);
            written(table, key, New::Value(value), expected, write(options))
        }
        Statement::Update(Update { table, key, value, condition, options }) => {
            let (key, value) = (fill(key)?, fill(value)?);
            let expected = expected(condition, parameters)?;
            written(table, key, New::Value(value), expected, write(options))
        }
        Statement::Delete(Delete { table, key, condition, options }) => {
            let expected = expected(condition, parameters)?;
            written(table, fill(key)?, New::Absent, expected, write(options))
        }
        Statement::Select(Select { columns, table, keys, limit, options }) if keys.is_empty() => {
            let options = ReadOptions { consistency: level.of(options.consistency), ..options };
            Plan::Scan { table, columns, limit, options }
        }
        Statement::Select(Select { columns, table, keys, options, limit: _ }) => {
            let mut seen = BTreeSet::new();
            let mut distinct = Vec::with_capacity(keys.len());
            for key in keys {
                let key = fill(key)?;
                if seen.insert(key.clone()) {
                    distinct.push(key);
                }
            }
            let options = ReadOptions { consistency: level.of(options.consistency), ..options };
            Plan::Get { table, keys: distinct, columns, options }
        }
        command => Plan::Session(command),
    })
}

/// A write, which depends on what the key holds if something is `expected`.
fn written(table: String, key: Bytes, new: New, expected: Option<Expected>, options: WriteOptions) -> Plan {
    match (expected, new) {
        (Some(expected), new) => {
            Plan::CompareAndSet { table, key, expected, new, consistency: options.consistency }
        }
        (None, New::Value(value)) => Plan::Put { table, key, value, options },
        (None, New::Absent) => Plan::Delete { table, key, options },
    }
}

fn expected(condition: Option<Condition>, parameters: &Parameters) -> Result<Option<Expected>, PlanError> {
    Ok(match condition {
        None => None,
        Some(Condition::Exists) => Some(Expected::Present),
        Some(Condition::Value(value)) => Some(Expected::Value(fill(value, parameters)?)),
    })
}

fn fill(term: Term, parameters: &Parameters) -> Result<Bytes, PlanError> {
    match term {
        Term::Text(text) => Ok(text.into()),
        Term::Blob(bytes) => Ok(bytes.into()),
        Term::Positional(position) => {
            let missing = PlanError::MissingPositional { position, given: parameters.positional.len() };
            parameters.positional.get(position).cloned().ok_or(missing)
        }
        Term::Named(name) => parameters.named.get(&name).cloned().ok_or(PlanError::MissingNamed(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cql::parse_one;

    fn planned(source: &str, level: SessionLevel, parameters: &Parameters) -> Result<Plan, PlanError> {
        plan(parse_one(source).expect("a statement"), level, parameters)
    }

    #[test]
    fn fills_parameters_in_and_says_which_are_missing() {
        let parameters = Parameters::none().push("k").set("v", vec![0xff]);
        let planned = |source| planned(source, SessionLevel::Default, &parameters);
        let put = Plan::Put {
            table: "t".into(),
            key: "k".into(),
            value: vec![0xff].into(),
            options: WriteOptions::default(),
        };
        assert_eq!(planned("INSERT INTO t (value, key) VALUES (:v, ?)"), Ok(put.clone()));
        assert_eq!(planned("UPDATE t SET value = :v WHERE key = ?"), Ok(put), "an update is a write");
        assert_eq!(planned("DELETE FROM t WHERE key = :k"), Err(PlanError::MissingNamed("k".into())));
        let error = planned("SELECT * FROM t WHERE key IN (?, ?)").expect_err("one value for two");
        assert_eq!(error.to_string(), "the statement's parameter 2 has no value: 1 given");
    }

    #[test]
    fn a_statements_level_wins_over_the_sessions_and_that_over_the_tables() {
        let level = |source: &str, session| match planned(source, session, &Parameters::none()) {
            Ok(Plan::Put { options, .. } | Plan::Delete { options, .. }) => options.consistency,
            Ok(Plan::Get { options, .. }) => options.consistency,
            other => panic!("{other:?}"),
        };
        let session = SessionLevel::Level(Consistency::One);
        for statement in ["SELECT * FROM t WHERE key = 'a'", "DELETE FROM t WHERE key = 'a'"] {
            assert_eq!(level(statement, SessionLevel::Default), None, "{statement}");
            assert_eq!(level(statement, session), Some(Consistency::One), "{statement}");
            let named = format!("{statement} USING CONSISTENCY ALL");
            assert_eq!(level(&named, session), Some(Consistency::All), "{statement}");
        }
    }

    #[test]
    fn a_condition_makes_a_write_depend_on_what_the_key_holds() {
        let parameters = Parameters::none().push("new").push("k").push("old");
        let planned = |source| planned(source, SessionLevel::Level(Consistency::All), &parameters);
        let plan = |expected, new| {
            let (table, key, consistency) = ("t".into(), "k".into(), Some(Consistency::All));
            Ok(Plan::CompareAndSet { table, key, expected, new, consistency })
        };
        let new = || New::Value("new".into());
        assert_eq!(
            planned("UPDATE t SET value = ? WHERE key = ? IF value = ?"),
            plan(Expected::Value("old".into()), new())
        );
        assert_eq!(planned("UPDATE t SET value = ? WHERE key = ? IF EXISTS"), plan(Expected::Present, new()));
        let insert = "INSERT INTO t (value, key) VALUES (?, ?) IF NOT EXISTS";
        assert_eq!(planned(insert), plan(Expected::Absent, new()));
        assert_eq!(
            planned("DELETE FROM t WHERE key = 'k' IF value = ?"),
            plan(Expected::Value("new".into()), New::Absent)
        );
        let missing = planned("DELETE FROM t WHERE key = 'k' IF value = :old");
        assert_eq!(missing, Err(PlanError::MissingNamed("old".into())));
    }

    #[test]
    fn reads_all_keys_if_none_is_named() {
        let level = SessionLevel::Level(Consistency::One);
        let plan = planned("SELECT * FROM t LIMIT 5", level, &Parameters::none());
        let Ok(Plan::Scan { table, limit, options, .. }) = plan else { panic!("{plan:?}") };
        assert_eq!((&*table, limit, options.consistency), ("t", Some(5), Some(Consistency::One)));
    }

    #[test]
    fn reads_each_key_once() {
        let plan = planned(
            "SELECT * FROM t WHERE key IN ('b', 'a', 'b', 0x61)",
            SessionLevel::Default,
            &Parameters::none(),
        );
        let Ok(Plan::Get { keys, .. }) = plan else { panic!("{plan:?}") };
        assert_eq!(keys, ["b", "a"]);
    }
}
