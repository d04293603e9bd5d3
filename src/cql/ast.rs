//! Statements as data.

use std::time::Duration;

use quorate_ring::{Consistency, TableKind};

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Statement {
    /// `CREATE TABLE`.
    CreateTable(CreateTable),
    /// `ALTER TABLE`.
    AlterTable(AlterTable),
    /// `DROP TABLE`.
    DropTable(DropTable),
    /// `TRUNCATE [TABLE] name`: drops all that is in a table.
    Truncate(String),
    /// `INSERT INTO`.
    Insert(Insert),
    /// `UPDATE`.
    Update(Update),
    /// `SELECT`.
    Select(Select),
    /// `DELETE FROM`.
    Delete(Delete),
    /// `COPY table FROM 'file'`.
    CopyFrom(CopyFrom),
    /// `COPY table TO 'file'`.
    CopyTo(CopyTo),
    /// `CONSISTENCY [level | DEFAULT]`: sets or shows the session's level.
    Consistency(Option<SessionLevel>),
    /// `DESCRIBE`.
    Describe(Describe),
    /// `TRACING [ON|OFF]`: sets or shows whether receipts are printed.
    Tracing(Option<bool>),
    /// `EXPAND [ON|OFF]`: sets or shows whether each row stands by itself, a column a line.
    Expand(Option<bool>),
    /// `TIMING [ON|OFF]`: sets or shows whether it is said how long each statement took.
    Timing(Option<bool>),
    /// `PAGING [ON|n|OFF]`: sets or shows when a person is asked whether a long answer is to go on.
    Paging(Option<Paging>),
    /// `SOURCE 'file'`: carries out a file of statements.
    Source(String),
    /// `WAIT FOR HINTS | CONVERGENCE`.
    Wait(Wait),
    /// `HELP [word]`: on all statements, or on those that begin with this word, in upper case.
    Help(Option<&'static str>),
    /// `EXIT`.
    Exit,
}

/// `WAIT FOR .. [USING TIMEOUT ..]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// For what.
    pub what: WaitFor,
    /// How long at most; none for as long as it takes.
    pub timeout: Option<Duration>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// `HINTS`: no node keeps any for another one.
    Hints,
    /// `CONVERGENCE`: all replicas of each key hold what any of them held.
    Convergence,
}

/// The level of a session's statements that name none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionLevel {
    /// Each table's own.
    #[default]
    Default,
    /// This one for every table.
    Level(Consistency),
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
    /// The level of reads that name none; none for the default.
    pub read_consistency: Option<Consistency>,
    /// The level of writes that name none; none for the default.
    pub write_consistency: Option<Consistency>,
}

/// `ALTER TABLE name WITH ..`. What is none stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterTable {
    /// The table's name.
    pub name: String,
    /// The level of reads that name none.
    pub read_consistency: Option<Consistency>,
    /// The level of writes that name none.
    pub write_consistency: Option<Consistency>,
}

/// `DROP TABLE [IF EXISTS] name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropTable {
    /// The table's name.
    pub name: String,
    /// A missing table is no error.
    pub if_exists: bool,
}

/// What a column is meant to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Blob,
}

/// `INSERT INTO table (key, value) VALUES (..) [IF NOT EXISTS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    /// The table.
    pub table: String,
    /// The key.
    pub key: Term,
    /// The value.
    pub value: Term,
    /// Only if the key holds nothing (`cas` tables).
    pub if_not_exists: bool,
    /// How it is written.
    pub options: WriteOptions,
}

/// `UPDATE table SET value = .. WHERE key = .. [IF ..]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The table.
    pub table: String,
    /// The key.
    pub key: Term,
    /// The value.
    pub value: Term,
    /// What the key is to hold before; none for whatever it holds.
    pub condition: Option<Condition>,
    /// How it is written.
    pub options: WriteOptions,
}

/// What a key of a `cas` table is to hold for a statement to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `IF EXISTS`: any value.
    Exists,
    /// `IF value = ..`: this one.
    Value(Term),
}

/// What follows `USING` and `WITH CONTEXT` in a statement that writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// The level; none for the session's.
    pub consistency: Option<Argument<Consistency>>,
    /// How long the value stays, to the millisecond; none for good, and in deletes.
    pub ttl: Option<Argument<Duration>>,
    /// Fallback nodes may count.
    pub sloppy: bool,
    /// The context of the read whose values are replaced: a blob, or a parameter.
    pub context: Option<Term>,
}

/// What follows `USING` in a statement that reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The level; none for the session's.
    pub consistency: Option<Argument<Consistency>>,
    /// Settle for a read that never goes backward.
    pub monotone: bool,
}

/// When a person is asked whether a long answer is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// When the screen is full.
    Screen,
    /// After so many rows of a scan, at least one.
    Rows(u32),
    /// Never.
    Off,
}

/// `SELECT .. FROM table [WHERE key ..] [LIMIT n]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Select {
    /// The columns, each once, at least one.
    pub columns: Vec<Column>,
    /// The table.
    pub table: String,
    /// The keys asked for; none for all, in the order of their tokens.
    pub keys: Vec<Term>,
    /// How many keys at most, if all are asked for.
    pub limit: Option<Argument<u64>>,
    /// How they are read.
    pub options: ReadOptions,
}

/// What a `SELECT` gives of a key or of one of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// `key`.
    Key,
    /// `value`.
    Value,
    /// `WRITETIME(value)`: when it was written, in microseconds since the Unix epoch.
    WriteTime,
    /// `TTL(value)`: seconds until it is gone, none if it stays.
    Ttl,
    /// `VERSION(value)`: the name of the write that made it.
    Version,
    /// `CONTEXT(value)`: what a write that replaces the key's values must carry.
    Context,
}

impl Column {
    /// What stands above it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
            Self::WriteTime => "writetime(value)",
            Self::Ttl => "ttl(value)",
            Self::Version => "version(value)",
            Self::Context => "context",
        }
    }
}

/// `DELETE FROM table WHERE key = .. [IF ..]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// The table.
    pub table: String,
    /// The key.
    pub key: Term,
    /// What the key is to hold before; none for whatever it holds.
    pub condition: Option<Condition>,
    /// How it is deleted.
    pub options: WriteOptions,
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
    /// `resume = true`: go on where an interrupted copy of the file had come to.
    Resume(bool),
    /// `progress = 'file'`: where it is kept how far it has come; by default beside the CSV file.
    Progress(String),
}

/// `COPY table TO 'file' [WITH option = value AND ..]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyTo {
    /// The table.
    pub table: String,
    /// The CSV file.
    pub file: String,
    /// How to write it, in the order written: `header` and `delimiter`.
    pub options: Vec<CopyOption>,
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

/// A key, a value, or a context.
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

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument<T> {
    /// As it is written.
    Written(T),
    /// A parameter stands for it.
    Parameter(Marker),
}

/// Where a parameter stands. It prints as programs call it: by its number, from 1, or its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marker {
    /// `?`: the n-th of the statement, from 0.
    Positional(usize),
    /// `:name`.
    Named(String),
}

impl Term {
    /// The parameter that stands for it, if one does.
    fn marker(&self) -> Option<Marker> {
        match self {
            Self::Text(_) | Self::Blob(_) => None,
            Self::Positional(position) => Some(Marker::Positional(*position)),
            Self::Named(name) => Some(Marker::Named(name.clone())),
        }
    }

    /// A key or a value as it is written: as text if it is one.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Blob(bytes.to_vec()),
        }
    }
}

impl<T> Argument<T> {
    /// The same of what `change` makes of what is written.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Argument<U> {
        match self {
            Self::Written(value) => Argument::Written(change(value)),
            Self::Parameter(marker) => Argument::Parameter(marker),
        }
    }

    fn marker(&self) -> Option<Marker> {
        match self {
            Self::Written(_) => None,
            Self::Parameter(marker) => Some(marker.clone()),
        }
    }
}

impl WriteOptions {
    fn markers(&self) -> impl Iterator<Item = Marker> {
        let Self { consistency, ttl, context, sloppy: _ } = self;
        let level = consistency.as_ref().and_then(Argument::marker);
        let ttl = ttl.as_ref().and_then(Argument::marker);
        let context = context.as_ref().and_then(Term::marker);
        [level, ttl, context].into_iter().flatten()
    }
}

impl Statement {
    /// The parameters that stand in it, in no particular order.
    pub(super) fn markers(&self) -> Vec<Marker> {
        let of_terms = |terms: &[&Term]| terms.iter().filter_map(|term| term.marker()).collect::<Vec<_>>();
        let of_condition = |condition: &Option<Condition>| match condition {
            Some(Condition::Value(value)) => value.marker(),
            Some(Condition::Exists) | None => None,
        };
        let (mut markers, others) = match self {
            Self::Insert(Insert { key, value, options, .. }) => {
                (of_terms(&[key, value]), options.markers().collect())
            }
            Self::Update(Update { key, value, condition, options, .. }) => {
                let others: Vec<_> = options.markers().chain(of_condition(condition)).collect();
                (of_terms(&[key, value]), others)
            }
            Self::Delete(Delete { key, condition, options, .. }) => {
                (of_terms(&[key]), options.markers().chain(of_condition(condition)).collect())
            }
            Self::Select(Select { keys, limit, options, .. }) => {
                let limit = limit.as_ref().and_then(Argument::marker);
                let level = options.consistency.as_ref().and_then(Argument::marker);
                (of_terms(&keys.iter().collect::<Vec<_>>()), limit.into_iter().chain(level).collect())
            }
            Self::CreateTable(_)
            | Self::AlterTable(_)
            | Self::DropTable(_)
            | Self::Truncate(_)
            | Self::CopyFrom(_)
            | Self::CopyTo(_)
            | Self::Consistency(_)
            | Self::Describe(_)
            | Self::Tracing(_)
            | Self::Expand(_)
            | Self::Timing(_)
            | Self::Paging(_)
            | Self::Source(_)
            | Self::Wait(_)
            | Self::Help(_)
            | Self::Exit => return Vec::new(),
        };
        markers.extend(others);
        markers
    }
}
