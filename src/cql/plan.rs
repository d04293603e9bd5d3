//! From a statement to what must be asked of the cluster: parameters filled in, defaults applied.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_ring::{Consistency, TableKind};

use super::{Delete, Insert, Projection, Select, Statement, Term};

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

/// What a statement asks of the cluster.
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
        /// The level.
        consistency: Consistency,
    },
    /// Delete one key.
    Delete {
        /// The table.
        table: String,
        /// The key.
        key: Bytes,
        /// The level.
        consistency: Consistency,
    },
    /// Read keys.
    Get {
        /// The table.
        table: String,
        /// The keys, each once, in the order written.
        keys: Vec<Bytes>,
        /// The columns wanted.
        projection: Projection,
        /// The level.
        consistency: Consistency,
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

/// What `statement` asks of the cluster, at `level` unless it names another.
///
/// # Errors
/// A parameter without a value.
pub fn plan(statement: Statement, level: Consistency, parameters: &Parameters) -> Result<Plan, PlanError> {
    let fill = |term| fill(term, parameters);
    Ok(match statement {
        Statement::CreateTable(create) => Plan::CreateTable {
            name: create.name,
            kind: create.kind.unwrap_or_default(),
            replication: create.replication,
            if_not_exists: create.if_not_exists,
        },
        Statement::Insert(Insert { table, key, value, consistency }) => Plan::Put {
            table,
            key: fill(key)?,
            value: fill(value)?,
            consistency: consistency.unwrap_or(level),
        },
        Statement::Delete(Delete { table, key, consistency }) => {
            Plan::Delete { table, key: fill(key)?, consistency: consistency.unwrap_or(level) }
        }
        Statement::Select(Select { projection, table, keys, consistency }) => {
            let mut distinct = Vec::with_capacity(keys.len());
            let mut seen = std::collections::BTreeSet::new();
            for key in keys {
                let key = fill(key)?;
                if seen.insert(key.clone()) {
                    distinct.push(key);
                }
            }
            Plan::Get { table, keys: distinct, projection, consistency: consistency.unwrap_or(level) }
        }
        command => Plan::Session(command),
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

    fn planned(source: &str, parameters: &Parameters) -> Result<Plan, PlanError> {
        plan(parse_one(source).expect("a statement"), Consistency::Quorum, parameters)
    }

    #[test]
    fn fills_parameters_in_and_applies_the_sessions_level() {
        let parameters = Parameters::none().push("k").set("v", vec![0xff]);
        assert_eq!(
            planned("INSERT INTO t (value, key) VALUES (:v, ?)", &parameters),
            Ok(Plan::Put {
                table: "t".into(),
                key: "k".into(),
                value: vec![0xff].into(),
                consistency: Consistency::Quorum
            })
        );
        assert_eq!(
            planned("DELETE FROM t WHERE key = :k", &parameters),
            Err(PlanError::MissingNamed("k".into()))
        );
        let error =
            planned("SELECT * FROM t WHERE key IN (?, ?)", &parameters).expect_err("one value for two");
        assert_eq!(error.to_string(), "the statement's parameter 2 has no value: 1 given");
    }

    #[test]
    fn reads_each_key_once() {
        let plan = planned(
            "SELECT * FROM t WHERE key IN ('b', 'a', 'b', 0x61) USING CONSISTENCY 2",
            &Parameters::none(),
        );
        let Ok(Plan::Get { keys, consistency, .. }) = plan else { panic!("{plan:?}") };
        assert_eq!(keys, ["b", "a"]);
        assert_eq!(consistency.to_string(), "2");
    }
}
