//! Statements as data.

use std::fmt;

use quorate_ring::{Consistency, TableKind};

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Statement {
    /// `CREATE TABLE`.
    CreateTable(CreateTable),
    /// `INSERT INTO`.
    Insert(Insert),
    /// `SELECT`.
    Select(Select),
    /// `DELETE FROM`.
    Delete(Delete),
    /// `COPY table FROM 'file'`.
    CopyFrom(CopyFrom),
    /// `CONSISTENCY [level]`: sets or shows the session's level.
    Consistency(Option<Consistency>),
    /// `DESCRIBE`.
    Describe(Describe),
    /// `TRACING [ON|OFF]`: sets or shows whether receipts are printed.
    Tracing(Option<bool>),
    /// `SOURCE 'file'`: carries out a file of statements.
    Source(String),
    /// `HELP`.
    Help,
    /// `EXIT`.
    Exit,
}

/// `CREATE TABLE [IF NOT EXISTS] name (key TEXT PRIMARY KEY, value type) [WITH ..]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTable {
    /// The table's name.
    pub name: String,
    /// An existing table is no error.
    pub if_not_exists: bool,
    /// What values are meant to be. Every value is stored as bytes.
    pub value_type: ColumnType,
    /// How versions merge; none for the default.
    pub kind: Option<TableKind>,
    /// N; none for the default.
    pub replication: Option<u8>,
}

/// What a column is meant to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Blob,
}

/// `INSERT INTO table (key, value) VALUES (..)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    /// The table.
    pub table: String,
    /// The key.
    pub key: Term,
    /// The value.
    pub value: Term,
    /// The level; none for the session's.
    pub consistency: Option<Consistency>,
}

/// `SELECT .. FROM table WHERE key ..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// The columns.
    pub projection: Projection,
    /// The table.
    pub table: String,
    /// The keys asked for, at least one.
    pub keys: Vec<Term>,
    /// The level; none for the session's.
    pub consistency: Option<Consistency>,
}

/// Which columns a `SELECT` gives, in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projection {
    /// `key`.
    Key,
    /// `value`.
    Value,
    /// `key, value` or `*`.
    KeyValue,
    /// `value, key`.
    ValueKey,
}

/// `DELETE FROM table WHERE key = ..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// The table.
    pub table: String,
    /// The key.
    pub key: Term,
    /// The level; none for the session's.
    pub consistency: Option<Consistency>,
}

/// `COPY table FROM 'file' [WITH option = value AND ..]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFrom {
    /// The table.
    pub table: String,
    /// The CSV file.
    pub file: String,
    /// How to read it, in the order written.
    pub options: Vec<CopyOption>,
}

/// One option of `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyOption {
    /// `header = true`: the first line names the columns.
    Header(bool),
    /// `delimiter = ','`: one ASCII character.
    Delimiter(u8),
    /// `inflight = 64`: rows on their way at once.
    InFlight(u16),
    /// `maxerrors = 1000`: give up after this many rejected rows.
    MaxErrors(u64),
}

/// What to describe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Describe {
    /// All tables.
    Tables,
    /// One table.
    Table(String),
    /// Nodes and the cluster map.
    Cluster,
}

/// A key or a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// `'text'`.
    Text(String),
    /// `0x..`.
    Blob(Vec<u8>),
    /// `?`: the n-th of the statement, from 0.
    Positional(usize),
    /// `:name`.
    Named(String),
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTable(create) => create.fmt(f),
            Self::Insert(Insert { table, key, value, consistency }) => {
                write!(f, "INSERT INTO {table} (key, value) VALUES ({key}, {value}){}", Using(*consistency))
            }
            Self::Select(select) => select.fmt(f),
            Self::Delete(Delete { table, key, consistency }) => {
                write!(f, "DELETE FROM {table} WHERE key = {key}{}", Using(*consistency))
            }
            Self::CopyFrom(copy) => copy.fmt(f),
            Self::Consistency(None) => f.write_str("CONSISTENCY"),
            Self::Consistency(Some(level)) => write!(f, "CONSISTENCY {level}"),
            Self::Describe(Describe::Tables) => f.write_str("DESCRIBE TABLES"),
            Self::Describe(Describe::Table(name)) => write!(f, "DESCRIBE TABLE {name}"),
            Self::Describe(Describe::Cluster) => f.write_str("DESCRIBE CLUSTER"),
            Self::Tracing(None) => f.write_str("TRACING"),
            Self::Tracing(Some(on)) => write!(f, "TRACING {}", if *on { "ON" } else { "OFF" }),
            Self::Source(file) => write!(f, "SOURCE {}", Quoted(file)),
            Self::Help => f.write_str("HELP"),
            Self::Exit => f.write_str("EXIT"),
        }
    }
}

impl fmt::Display for CreateTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let condition = if self.if_not_exists { "IF NOT EXISTS " } else { "" };
        let value_type = match self.value_type {
            ColumnType::Text => "TEXT",
            ColumnType::Blob => "BLOB",
        };
        write!(f, "CREATE TABLE {condition}{} (key TEXT PRIMARY KEY, value {value_type})", self.name)?;
        let kind = self.kind.map(|kind| format!("kind = '{kind}'"));
        let replication = self.replication.map(|n| format!("replication = {n}"));
        write_options(f, kind.into_iter().chain(replication))
    }
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SELECT {} FROM {} WHERE key ", self.projection, self.table)?;
        match &*self.keys {
            [key] => write!(f, "= {key}")?,
            keys => {
                let keys: Vec<_> = keys.iter().map(Term::to_string).collect();
                write!(f, "IN ({})", keys.join(", "))?;
            }
        }
        Using(self.consistency).fmt(f)
    }
}

impl fmt::Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Value => "value",
            Self::KeyValue => "key, value",
            Self::ValueKey => "value, key",
        })
    }
}

impl fmt::Display for CopyFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "COPY {} FROM {}", self.table, Quoted(&self.file))?;
        write_options(f, self.options.iter().map(CopyOption::to_string))
    }
}

impl fmt::Display for CopyOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(header) => write!(f, "header = {header}"),
            Self::Delimiter(delimiter) => {
                write!(f, "delimiter = {}", Quoted(&char::from(*delimiter).to_string()))
            }
            Self::InFlight(rows) => write!(f, "inflight = {rows}"),
            Self::MaxErrors(rows) => write!(f, "maxerrors = {rows}"),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => Quoted(text).fmt(f),
            Self::Blob(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Positional(_) => f.write_str("?"),
            Self::Named(name) => write!(f, ":{name}"),
        }
    }
}

/// ` USING CONSISTENCY level`, or nothing.
struct Using(Option<Consistency>);

impl fmt::Display for Using {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |level| write!(f, " USING CONSISTENCY {level}"))
    }
}

/// A text in quotes.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

fn write_options(f: &mut fmt::Formatter<'_>, options: impl Iterator<Item = String>) -> fmt::Result {
    let mut word = " WITH ";
    for option in options {
        write!(f, "{word}{option}")?;
        word = " AND ";
    }
    Ok(())
}
