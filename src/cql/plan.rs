//! From a statement to what must be asked of the cluster: parameters filled in, defaults applied.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use quorate_ring::{Consistency, TableKind};

use super::{
    Column, Condition, CreateTable, Delete, Insert, Marker, Parameters, ReadOptions, Select, SessionLevel,
    Statement, Term, Update, WriteOptions,
};
use crate::client::{Context, Expected, New};

/// What a statement asks of the cluster. A level that is none is the table's own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// Create a table.
    CreateTable(NewTable),
    /// Write one key.
    Put {
        /// The table.
        table: String,
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// How.
        options: Writing,
    },
    /// Delete one key.
    Delete {
        /// The table.
        table: String,
        /// The key.
        key: Bytes,
        /// How.
        options: Writing,
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
        options: Reading,
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
        options: Reading,
    },
    /// A command to the session itself.
    Session(Statement),
}

/// A table to create. What is none has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTable {
    /// Its name.
    pub name: String,
    /// How versions merge.
    pub kind: TableKind,
    /// N; none for the cluster's default.
    pub replication: Option<u8>,
    /// The level of reads that name none; none for QUORUM.
    pub read_consistency: Option<Consistency>,
    /// The level of writes that name none; none for QUORUM.
    pub write_consistency: Option<Consistency>,
    /// An existing table is no error.
    pub if_not_exists: bool,
}

/// How a key is written: what is none or false is as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writing {
    /// The level; none for the table's.
    pub consistency: Option<Consistency>,
    /// How long the value stays, to the millisecond; none for good, and in deletes.
    pub ttl: Option<Duration>,
    /// Fallback nodes may count.
    pub sloppy: bool,
    /// The context of the read whose values are replaced.
    pub context: Option<Context>,
}

/// How keys are read: what is none or false is as usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The level; none for the table's.
    pub consistency: Option<Consistency>,
    /// Settle for a read that never goes backward.
    pub monotone: bool,
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
    /// More values than `?`.
    #[error("the statement has {wanted} positional parameters, and {given} values are given")]
    SurplusPositional {
        /// How many `?` there are.
        wanted: usize,
        /// Values given.
        given: usize,
    },
    /// A value for a `:name` that the statement has not.
    #[error("the statement has no parameter ':{0}'")]
    UnknownNamed(String),
    /// A value that is nothing for its place, as a text after `LIMIT`.
    #[error("the statement's parameter {marker} takes {takes}, not {given}{}", after(hint))]
    WrongType {
        /// Which parameter.
        marker: Marker,
        /// What may stand there.
        takes: &'static str,
        /// What was given.
        given: String,
        /// What to do instead.
        hint: String,
    },
    /// A value of the right type that its place does not take, as 0 after `LIMIT`.
    #[error("the statement's parameter {marker} does not fit: {why}")]
    OutOfRange {
        /// Which parameter.
        marker: Marker,
        /// What would fit.
        why: &'static str,
    },
}

fn after(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("; {hint}") }
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
/// A parameter without a value, a value that does not fit its parameter, or a value without a parameter.
pub fn plan(statement: &Statement, level: SessionLevel, parameters: &Parameters) -> Result<Plan, PlanError> {
    let plan = filled(statement, level, parameters)?;
    refuse_surplus(statement, parameters)?;
    Ok(plan)
}

fn filled(statement: &Statement, level: SessionLevel, parameters: &Parameters) -> Result<Plan, PlanError> {
    let fill = |term: &Term| parameters.fill(term);
    let expected = |condition: &Option<Condition>| {
        Ok::<_, PlanError>(match condition {
            None => None,
            Some(Condition::Exists) => Some(Expected::Present),
            Some(Condition::Value(value)) => Some(Expected::Value(fill(value)?)),
        })
    };
    let writing = |options: &WriteOptions| {
        let WriteOptions { consistency, ttl, sloppy, context } = options;
        let consistency = consistency.as_ref().map(|level| parameters.level(level)).transpose()?;
        let ttl = ttl.as_ref().map(|ttl| parameters.ttl(ttl)).transpose()?;
        let context = context.as_ref().map(fill).transpose()?.map(Context::new);
        Ok::<_, PlanError>(Writing { consistency: level.of(consistency), ttl, sloppy: *sloppy, context })
    };
    let reading = |options: &ReadOptions| {
        let consistency = options.consistency.as_ref().map(|level| parameters.level(level)).transpose()?;
        Ok::<_, PlanError>(Reading { consistency: level.of(consistency), monotone: options.monotone })
    };
    Ok(match statement {
        Statement::CreateTable(create) => Plan::CreateTable(create.into()),
        Statement::Insert(Insert { table, key, value, if_not_exists, options }) => {
            let expected = if_not_exists.then_some(Expected::Absent);
            written(table, fill(key)?, New::Value(fill(value)?), expected, writing(options)?)
        }
        Statement::Update(Update { table, key, value, condition, options }) => {
            written(table, fill(key)?, New::Value(fill(value)?), expected(condition)?, writing(options)?)
        }
        Statement::Delete(Delete { table, key, condition, options }) => {
            written(table, fill(key)?, New::Absent, expected(condition)?, writing(options)?)
        }
        Statement::Select(Select { columns, table, keys, limit, options }) => {
            let (table, columns, options) = (table.clone(), columns.clone(), reading(options)?);
            if keys.is_empty() {
                let limit = limit.as_ref().map(|limit| parameters.limit(limit)).transpose()?;
                return Ok(Plan::Scan { table, columns, limit, options });
            }
            let mut seen = BTreeSet::new();
            let mut keys = keys.iter().map(fill).collect::<Result<Vec<_>, _>>()?;
            keys.retain(|key| seen.insert(key.clone()));
            Plan::Get { table, keys, columns, options }
        }
        command => Plan::Session(command.clone()),
    })
}

/// A write, which depends on what the key holds if something is `expected`.
fn written(table: &str, key: Bytes, new: New, expected: Option<Expected>, options: Writing) -> Plan {
    let table = table.to_owned();
    match (expected, new) {
        (Some(expected), new) => {
            Plan::CompareAndSet { table, key, expected, new, consistency: options.consistency }
        }
        (None, New::Value(value)) => Plan::Put { table, key, value, options },
        (None, New::Absent) => Plan::Delete { table, key, options },
    }
}

/// A value too many is as much of a mistake as one too few.
fn refuse_surplus(statement: &Statement, parameters: &Parameters) -> Result<(), PlanError> {
    let markers = statement.markers();
    let wanted = markers.iter().filter(|marker| matches!(marker, Marker::Positional(_))).count();
    let given = parameters.positional.len();
    if given > wanted {
        return Err(PlanError::SurplusPositional { wanted, given });
    }
    let is_wanted =
        |given: &str| markers.iter().any(|one| matches!(one, Marker::Named(name) if name == given));
    match parameters.named.keys().find(|name| !is_wanted(name)) {
        Some(name) => Err(PlanError::UnknownNamed(name.clone())),
        None => Ok(()),
    }
}

impl From<&CreateTable> for NewTable {
    fn from(create: &CreateTable) -> Self {
        Self {
            name: create.name.clone(),
            kind: create.kind.unwrap_or_default(),
            replication: create.replication,
            read_consistency: create.read_consistency,
            write_consistency: create.write_consistency,
            if_not_exists: create.if_not_exists,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cql::parse_one;

    fn planned(source: &str, level: SessionLevel, parameters: &Parameters) -> Result<Plan, PlanError> {
        plan(&parse_one(source).expect("a statement"), level, parameters)
    }

    #[test]
    fn fills_parameters_in_and_says_which_are_missing() {
        let parameters = Parameters::none().push("k").set("v", vec![0xff]);
        let planned = |source| planned(source, SessionLevel::Default, &parameters);
        let put = Plan::Put {
            table: "t".into(),
            key: "k".into(),
            value: vec![0xff].into(),
            options: Writing::default(),
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
        let planned = |source, values: &[&str]| {
            planned(source, SessionLevel::Level(Consistency::All), &Parameters::from(values))
        };
        let plan = |expected, new| {
            let (table, key, consistency) = ("t".into(), "k".into(), Some(Consistency::All));
            Ok(Plan::CompareAndSet { table, key, expected, new, consistency })
        };
        let new = || New::Value("new".into());
        assert_eq!(
            planned("UPDATE t SET value = ? WHERE key = ? IF value = ?", &["new", "k", "old"]),
            plan(Expected::Value("old".into()), new())
        );
        let update = "UPDATE t SET value = ? WHERE key = ? IF EXISTS";
        assert_eq!(planned(update, &["new", "k"]), plan(Expected::Present, new()));
        let insert = "INSERT INTO t (value, key) VALUES (?, ?) IF NOT EXISTS";
        assert_eq!(planned(insert, &["new", "k"]), plan(Expected::Absent, new()));
        let delete = "DELETE FROM t WHERE key = 'k' IF value = ?";
        assert_eq!(planned(delete, &["new"]), plan(Expected::Value("new".into()), New::Absent));
        let missing = planned("DELETE FROM t WHERE key = 'k' IF value = :old", &[]);
        assert_eq!(missing, Err(PlanError::MissingNamed("old".into())));
    }

    #[test]
    fn a_value_without_a_parameter_is_refused() {
        let planned = |source, parameters: Parameters| {
            planned(source, SessionLevel::Default, &parameters).map_err(|error| error.to_string())
        };
        let refused = |why: &str| Err(why.to_owned());
        let update = "UPDATE t SET value = ? WHERE key = ? WITH CONTEXT :seen";
        let whole = Parameters::none().push("v").push("k").set("seen", [1_u8].as_slice());
        assert!(planned(update, whole.clone()).is_ok());
        let surplus = "the statement has 2 positional parameters, and 3 values are given";
        assert_eq!(planned(update, whole.clone().push("x")), refused(surplus));
        assert_eq!(planned(update, whole.set("k", "x")), refused("the statement has no parameter ':k'"));
        let surplus = "the statement has 0 positional parameters, and 1 values are given";
        for none in ["SELECT * FROM t", "INSERT INTO t (key, value) VALUES ('?', 'v')", "TRUNCATE t", "HELP"]
        {
            assert_eq!(planned(none, ("x",).into()), refused(surplus), "{none}");
        }
        let (all, one) = ("SELECT * FROM t WHERE key IN (?, :b)", Parameters::none().push("a"));
        assert_eq!(planned(all, one.clone()), refused("the statement's parameter ':b' has no value"));
        assert!(planned(all, one.set("b", "b")).is_ok());
        let condition = "DELETE FROM t WHERE key = ? IF value = :old";
        assert!(planned(condition, Parameters::none().push("k").set("old", "v")).is_ok());
    }

    #[test]
    fn a_context_may_be_a_parameter() {
        let context =
            |source, parameters: &Parameters| match planned(source, SessionLevel::Default, parameters) {
                Ok(Plan::Put { options, .. } | Plan::Delete { options, .. }) => options.context,
                other => panic!("{other:?}"),
            };
        let seen = Context::new(Bytes::from_static(&[1, 0xab]));
        let given = Parameters::none().push(&seen);
        assert_eq!(context("DELETE FROM t WHERE key = 'k' WITH CONTEXT ?", &given), Some(seen.clone()));
        let literal = "DELETE FROM t WHERE key = 'k' WITH CONTEXT '01ab'";
        assert_eq!(context(literal, &Parameters::none()), Some(seen.clone()));
        let insert = "INSERT INTO t (key, value) VALUES ('k', 'v') WITH CONTEXT :c";
        assert_eq!(context(insert, &Parameters::none().set("c", &seen)), Some(seen));
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
