//! Statements as text that parses back to them. Clauses have one order here, whatever it was: several `?`, which are told apart
//! by their order, may change places.

use std::{fmt, time::Duration};

use quorate_ring::Consistency;

use super::{
    AlterTable, Argument, Column, ColumnType, Condition, CopyFrom, CopyOption, CopyTo, CreateTable, Delete,
    Describe, DropTable, Insert, Marker, Paging, ReadOptions, Select, SessionLevel, Statement, Term, Update,
    Wait, WaitFor, WriteOptions,
};
use crate::{client::Context, units::duration_text};

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTable(create) => create.fmt(f),
            Self::AlterTable(alter) => alter.fmt(f),
            Self::DropTable(DropTable { name, if_exists }) => {
                write!(f, "DROP TABLE {}{name}", if *if_exists { "IF EXISTS " } else { "" })
            }
            Self::Truncate(name) => write!(f, "TRUNCATE {name}"),
            Self::Insert(Insert { table, key, value, if_not_exists, options }) => {
                let condition = if *if_not_exists { " IF NOT EXISTS" } else { "" };
                write!(f, "INSERT INTO {table} (key, value) VALUES ({key}, {value}){condition}{options}")
            }
            Self::Update(Update { table, key, value, condition, options }) => {
                write!(f, "UPDATE {table} SET value = {value} WHERE key = {key}{}{options}", If(condition))
            }
            Self::Select(select) => select.fmt(f),
            Self::Delete(Delete { table, key, condition, options }) => {
                write!(f, "DELETE FROM {table} WHERE key = {key}{}{options}", If(condition))
            }
            Self::CopyFrom(copy) => copy.fmt(f),
            Self::CopyTo(copy) => copy.fmt(f),
            Self::Consistency(None) => f.write_str("CONSISTENCY"),
            Self::Consistency(Some(level)) => write!(f, "CONSISTENCY {level}"),
            Self::Describe(Describe::Tables) => f.write_str("DESCRIBE TABLES"),
            Self::Describe(Describe::Table(name)) => write!(f, "DESCRIBE TABLE {name}"),
            Self::Describe(Describe::Cluster) => f.write_str("DESCRIBE CLUSTER"),
            Self::Tracing(None) => f.write_str("TRACING"),
            Self::Tracing(Some(on)) => write!(f, "TRACING {}", if *on { "ON" } else { "OFF" }),
            Self::Expand(None) => f.write_str("EXPAND"),
            Self::Expand(Some(on)) => write!(f, "EXPAND {}", if *on { "ON" } else { "OFF" }),
            Self::Timing(None) => f.write_str("TIMING"),
            Self::Timing(Some(on)) => write!(f, "TIMING {}", if *on { "ON" } else { "OFF" }),
            Self::Paging(None) => f.write_str("PAGING"),
            Self::Paging(Some(Paging::Screen)) => f.write_str("PAGING ON"),
            Self::Paging(Some(Paging::Off)) => f.write_str("PAGING OFF"),
            Self::Paging(Some(Paging::Rows(rows))) => write!(f, "PAGING {rows}"),
            Self::Source(file) => write!(f, "SOURCE {}", Quoted(file)),
            Self::Wait(wait) => wait.fmt(f),
            Self::Help(None) => f.write_str("HELP"),
            Self::Help(Some(word)) => write!(f, "HELP {word}"),
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
        let [reads, writes] = levels(self.read_consistency, self.write_consistency);
        write_list(f, " WITH ", [kind, replication, reads, writes].into_iter().flatten())
    }
}

impl fmt::Display for AlterTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ALTER TABLE {}", self.name)?;
        write_list(f, " WITH ", levels(self.read_consistency, self.write_consistency).into_iter().flatten())
    }
}

fn levels(reads: Option<Consistency>, writes: Option<Consistency>) -> [Option<String>; 2] {
    let reads = reads.map(|level| format!("read_consistency = '{level}'"));
    [reads, writes.map(|level| format!("write_consistency = '{level}'"))]
}

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> = self.columns.iter().map(Column::to_string).collect();
        write!(f, "SELECT {} FROM {}", columns.join(", "), self.table)?;
        match &*self.keys {
            [] => self.limit.iter().try_for_each(|limit| write!(f, " LIMIT {}", In(limit)))?,
            [key] => write!(f, " WHERE key = {key}")?,
            keys => {
                let keys: Vec<_> = keys.iter().map(Term::to_string).collect();
                write!(f, " WHERE key IN ({})", keys.join(", "))?;
            }
        }
        self.options.fmt(f)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WriteTime => "WRITETIME(value)",
            Self::Ttl => "TTL(value)",
            Self::Version => "VERSION(value)",
            Self::Context => "CONTEXT(value)",
            plain => plain.name(),
        })
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.what {
            WaitFor::Hints => "WAIT FOR HINTS",
            WaitFor::Convergence => "WAIT FOR CONVERGENCE",
        })?;
        self.timeout.map_or(Ok(()), |timeout| write!(f, " USING TIMEOUT {}", Seconds(timeout)))
    }
}

/// ` IF ..`, or nothing.
struct If<'c>(&'c Option<Condition>);

impl fmt::Display for If<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(Condition::Exists) => f.write_str(" IF EXISTS"),
            Some(Condition::Value(value)) => write!(f, " IF value = {value}"),
        }
    }
}

impl fmt::Display for WriteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.consistency.as_ref().map(|level| format!("CONSISTENCY {}", In(level)));
        let ttl = self.ttl.clone().map(|ttl| format!("TTL {}", In(&ttl.map(Seconds))));
        let sloppy = self.sloppy.then(|| "SLOPPY".to_owned());
        write_list(f, " USING ", [level, ttl, sloppy].into_iter().flatten())?;
        match &self.context {
            None => Ok(()),
            Some(Term::Blob(bytes)) => {
                let context = Context::new(bytes.clone().into());
                write!(f, " WITH CONTEXT '{context}'")
            }
            Some(parameter) => write!(f, " WITH CONTEXT {parameter}"),
        }
    }
}

impl fmt::Display for ReadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.consistency.as_ref().map(|level| format!("CONSISTENCY {}", In(level)));
        let monotone = self.monotone.then(|| "MONOTONE".to_owned());
        write_list(f, " USING ", [level, monotone].into_iter().flatten())
    }
}

impl fmt::Display for SessionLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("DEFAULT"),
            Self::Level(level) => level.fmt(f),
        }
    }
}

impl fmt::Display for CopyFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "COPY {} FROM {}", self.table, Quoted(&self.file))?;
        write_list(f, " WITH ", self.options.iter().map(CopyOption::to_string))
    }
}

impl fmt::Display for CopyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "COPY {} TO {}", self.table, Quoted(&self.file))?;
        write_list(f, " WITH ", self.options.iter().map(CopyOption::to_string))
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
            Self::Resume(resume) => write!(f, "resume = {resume}"),
            Self::Progress(file) => write!(f, "progress = {}", Quoted(file)),
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

/// The value of an option as it stands in its statement.
struct In<'a, T>(&'a Argument<T>);

impl<T> fmt::Display for In<'_, T>
where
    T: fmt::Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Argument::Written(value) => value.fmt(f),
            Argument::Parameter(Marker::Positional(_)) => f.write_str("?"),
            Argument::Parameter(Marker::Named(name)) => write!(f, ":{name}"),
        }
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Positional(position) => write!(f, "{}", position + 1),
            Self::Named(name) => write!(f, "':{name}'"),
        }
    }
}

/// A text in quotes.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

/// A duration in seconds, or with its unit in quotes.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_nanos() {
            0 => self.0.as_secs().fmt(f),
            _ => write!(f, "'{}'", duration_text(self.0)),
        }
    }
}

/// Clauses with `AND` between them and `word` before the first; nothing for none.
fn write_list(
    f: &mut fmt::Formatter<'_>,
    mut word: &str,
    clauses: impl Iterator<Item = String>,
) -> fmt::Result {
    for clause in clauses {
        write!(f, "{word}{clause}")?;
        word = " AND ";
    }
    Ok(())
}
