//! One function for each statement.

use super::{
    Expected, LEVELS, Parser,
    clauses::{Clauses, Of},
    hinted, list, quote, unexpected,
};
use crate::cql::{
    AlterTable, Column, ColumnType, CopyFrom, CopyTo, CqlError, CreateTable, Delete, Describe, DropTable,
    Insert, Paging, Select, SessionLevel, Span, Statement, Term, Update, Wait, WaitFor,
    lexer::{Token, TokenKind},
};

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement, CqlError> {
        let token = self.next()?;
        let TokenKind::Word(word) = &token.kind else {
            return Err(unexpected("a statement", &token, &[]).or_hint("HELP lists the statements"));
        };
        if FIRST_WORDS.iter().any(|first| first.eq_ignore_ascii_case(word)) {
            self.keywords.push(token.span);
        }
        match &*word.to_ascii_uppercase() {
            "CREATE" => self.create_table().map(Statement::CreateTable),
            "ALTER" => self.alter_table().map(Statement::AlterTable),
            "DROP" => self.drop_table().map(Statement::DropTable),
            "TRUNCATE" => {
                self.take_word("TABLE")?;
                self.table().map(Statement::Truncate)
            }
            "INSERT" => self.insert().map(Statement::Insert),
            "UPDATE" => self.update().map(Statement::Update),
            "SELECT" => self.select().map(Statement::Select),
            "DELETE" => self.delete().map(Statement::Delete),
            "COPY" => self.copy(),
            "CONSISTENCY" => self.session_level().map(Statement::Consistency),
            "DESCRIBE" | "DESC" => self.describe().map(Statement::Describe),
            "TRACING" => self.on_or_off().map(Statement::Tracing),
            "EXPAND" => self.on_or_off().map(Statement::Expand),
            "TIMING" => self.on_or_off().map(Statement::Timing),
            "PAGING" => self.paging().map(Statement::Paging),
            "SOURCE" => self.file().map(Statement::Source),
            "WAIT" => self.wait().map(Statement::Wait),
            "HELP" => self.help().map(Statement::Help),
            "EXIT" | "QUIT" => Ok(Statement::Exit),
            _ => Err(no_statement(word, token.span)),
        }
    }

    /// A level, `DEFAULT`, or nothing.
    fn session_level(&mut self) -> Result<Option<SessionLevel>, CqlError> {
        self.expects_levels(LEVELS)?;
        if self.take_word("DEFAULT")? {
            return Ok(Some(SessionLevel::Default));
        }
        Ok(if self.at_end()? { None } else { Some(SessionLevel::Level(self.level()?)) })
    }

    /// `ON`, `OFF`, or nothing.
    fn on_or_off(&mut self) -> Result<Option<bool>, CqlError> {
        self.expects_words(ON_OR_OFF)?;
        Ok(if self.at_end()? { None } else { Some(self.one_of(ON_OR_OFF)?.0 == "ON") })
    }

    /// What a statement begins with, or nothing.
    fn help(&mut self) -> Result<Option<&'static str>, CqlError> {
        self.expects_words(FIRST_WORDS)?;
        if self.at_end()? {
            return Ok(None);
        }
        let token = self.next()?;
        let TokenKind::Word(word) = &token.kind else {
            return Err(unexpected("a statement's first word", &token, &[]));
        };
        let found = FIRST_WORDS.iter().find(|first| first.eq_ignore_ascii_case(word));
        self.keywords.extend(found.map(|_| token.span));
        found.map(|first| Some(*first)).ok_or_else(|| no_statement(word, token.span))
    }

    fn paging(&mut self) -> Result<Option<Paging>, CqlError> {
        self.expects_words(ON_OR_OFF)?;
        if self.at_end()? {
            return Ok(None);
        }
        if self.take_word("ON")? {
            return Ok(Some(Paging::Screen));
        }
        if self.take_word("OFF")? {
            return Ok(Some(Paging::Off));
        }
        let rows = self.bounded("PAGING", 1, u64::from(u32::MAX));
        let rows = rows.map_err(|error| error.or_hint(PAGING_HINT))?;
        Ok(Some(Paging::Rows(rows as u32)))
    }

    fn wait(&mut self) -> Result<Wait, CqlError> {
        self.word("FOR")?;
        let what = match self.one_of(&["HINTS", "CONVERGENCE"])?.0 {
            "HINTS" => WaitFor::Hints,
            _ => WaitFor::Convergence,
        };
        let timeout = if self.take_word("USING")? {
            self.word("TIMEOUT")?;
            Some(self.seconds(TIMEOUT_HINT)?.0)
        } else {
            None
        };
        Ok(Wait { what, timeout })
    }

    fn create_table(&mut self) -> Result<CreateTable, CqlError> {
        self.word("TABLE")?;
        let if_not_exists = self.take_word("IF")?;
        if if_not_exists {
            self.word("NOT")?;
            self.word("EXISTS")?;
        }
        self.expects(&[Expected::NewTable])?;
        let name = self.new_table()?;
        let value_type = self.columns().map_err(|error| error.or_hint(COLUMNS_HINT))?;
        let create = CreateTable {
            name,
            if_not_exists,
            value_type,
            kind: None,
            replication: None,
            read_consistency: None,
            write_consistency: None,
        };
        self.table_options(create)
    }

    fn alter_table(&mut self) -> Result<AlterTable, CqlError> {
        self.word("TABLE")?;
        let name = self.table()?;
        self.altered_options(AlterTable { name, read_consistency: None, write_consistency: None })
    }

    fn drop_table(&mut self) -> Result<DropTable, CqlError> {
        self.word("TABLE")?;
        let if_exists = self.take_word("IF")?;
        if if_exists {
            self.word("EXISTS")?;
        }
        Ok(DropTable { name: self.table()?, if_exists })
    }

    fn columns(&mut self) -> Result<ColumnType, CqlError> {
        self.symbol('(')?;
        self.column(&["KEY"])?;
        self.word("TEXT")?;
        self.word("PRIMARY")?;
        self.word("KEY")?;
        self.symbol(',')?;
        self.column(&["VALUE"])?;
        let (value_type, _) = self.one_of(&["TEXT", "BLOB"])?;
        self.symbol(')')?;
        Ok(if value_type == "TEXT" { ColumnType::Text } else { ColumnType::Blob })
    }

    fn insert(&mut self) -> Result<Insert, CqlError> {
        self.word("INTO")?;
        let table = self.table()?;
        let (key, value) = self.inserted().map_err(|error| error.or_hint(INSERT_HINT))?;
        let clauses = self.clauses(Of::Insert, Clauses::default())?;
        let if_not_exists = clauses.if_not_exists;
        Ok(Insert { table, key, value, if_not_exists, options: clauses.into() })
    }

    /// `(key, value) VALUES (.., ..)`, the columns in any order.
    fn inserted(&mut self) -> Result<(Term, Term), CqlError> {
        self.symbol('(')?;
        let first = self.column(&["KEY", "VALUE"])?;
        self.symbol(',')?;
        self.column(if first == "KEY" { &["VALUE"] } else { &["KEY"] })?;
        self.symbol(')')?;
        self.word("VALUES")?;
        self.symbol('(')?;
        let left = self.term("a key or a value")?;
        self.symbol(',')?;
        let right = self.term("a key or a value")?;
        self.symbol(')')?;
        Ok(if first == "KEY" { (left, right) } else { (right, left) })
    }

    /// `USING` may stand where CQL has it, before `SET`, or at the end as everywhere here.
    fn update(&mut self) -> Result<Update, CqlError> {
        let table = self.table()?;
        let clauses = self.clauses(Of::Bare, Clauses::default())?;
        self.word("SET")?;
        self.column(&["VALUE"])?;
        self.symbol('=')?;
        let value = self.term("a value")?;
        self.word("WHERE")?;
        self.column(&["KEY"])?;
        self.symbol('=')?;
        let key = self.term("a key")?;
        let mut clauses = self.clauses(Of::Update, clauses)?;
        let condition = clauses.condition.take();
        Ok(Update { table, key, value, condition, options: clauses.into() })
    }

    fn select(&mut self) -> Result<Select, CqlError> {
        let columns = self.select_columns()?;
        self.word("FROM")?;
        let table = self.table()?;
        let keys = if self.take_word("WHERE")? { self.selected_keys()? } else { Vec::new() };
        let mut limit = None;
        if keys.is_empty() && self.take_word("LIMIT")? {
            limit = Some(self.argument(|parser| parser.bounded("LIMIT", 1, u64::MAX))?);
        }
        let options = self.clauses(Of::Get, Clauses::default())?.into();
        Ok(Select { columns, table, keys, limit, options })
    }

    /// `key = ..` or `key IN (.., ..)`.
    fn selected_keys(&mut self) -> Result<Vec<Term>, CqlError> {
        self.column(&["KEY"])?;
        if self.take_word("IN")? {
            return self.key_list();
        }
        self.expects(&[Expected::Symbol('=')])?;
        let token = self.next()?;
        if token.kind != TokenKind::Symbol('=') {
            return Err(unexpected("'=' or IN", &token, &["IN"]));
        }
        Ok(vec![self.term("a key")?])
    }

    /// `*`, or columns and functions of them, each once.
    fn select_columns(&mut self) -> Result<Vec<Column>, CqlError> {
        if self.take_symbol('*')? {
            return Ok(vec![Column::Key, Column::Value]);
        }
        let mut columns = Vec::new();
        loop {
            let token = self.peek()?.clone();
            let column = self.select_column(&columns)?;
            if columns.contains(&column) {
                return Err(CqlError::syntax(format!("{column} is selected twice"), token.span));
            }
            columns.push(column);
            if !self.take_symbol(',')? {
                return Ok(columns);
            }
        }
    }

    /// The next one after those `selected`.
    fn select_column(&mut self, selected: &[Column]) -> Result<Column, CqlError> {
        let choices = ["KEY", "VALUE", "WRITETIME", "TTL", "VERSION", "CONTEXT"];
        for choice in choices {
            let (column, expected) = match choice {
                "KEY" => (Column::Key, Expected::Name(choice)),
                "VALUE" => (Column::Value, Expected::Name(choice)),
                "WRITETIME" => (Column::WriteTime, Expected::Function(choice)),
                "TTL" => (Column::Ttl, Expected::Function(choice)),
                "VERSION" => (Column::Version, Expected::Function(choice)),
                _ => (Column::Context, Expected::Function(choice)),
            };
            if !selected.contains(&column) {
                self.expects(&[expected])?;
            }
        }
        let token = self.next()?;
        let found = match &token.kind {
            TokenKind::Word(word) => choices.iter().find(|choice| choice.eq_ignore_ascii_case(word)),
            _ => None,
        };
        let column = match found {
            Some(&"KEY") => return Ok(Column::Key),
            Some(&"VALUE") => return Ok(Column::Value),
            Some(&"WRITETIME") => Column::WriteTime,
            Some(&"TTL") => Column::Ttl,
            Some(&"VERSION") => Column::Version,
            Some(_) => Column::Context,
            None => {
                let error = unexpected("*, key, value or a function of value", &token, &choices);
                return Err(error.or_hint(FUNCTIONS_HINT));
            }
        };
        self.keywords.push(token.span);
        let of_value = self.symbol('(').and_then(|()| self.column(&["VALUE"])).and_then(|_| self.symbol(')'));
        of_value.map_err(|error| error.or_hint(FUNCTIONS_HINT))?;
        Ok(column)
    }

    fn key_list(&mut self) -> Result<Vec<Term>, CqlError> {
        self.symbol('(')?;
        let mut keys = vec![self.term("a key")?];
        loop {
            self.expects(&[',', ')'].map(Expected::Symbol))?;
            let token = self.next()?;
            match token.kind {
                TokenKind::Symbol(',') => keys.push(self.term("a key")?),
                TokenKind::Symbol(')') => return Ok(keys),
                _ => return Err(unexpected("',' or ')'", &token, &[])),
            }
        }
    }

    fn delete(&mut self) -> Result<Delete, CqlError> {
        self.word("FROM")?;
        let table = self.table()?;
        self.word("WHERE")?;
        self.column(&["KEY"])?;
        self.symbol('=')?;
        let key = self.term("a key")?;
        let mut clauses = self.clauses(Of::Delete, Clauses::default())?;
        let condition = clauses.condition.take();
        Ok(Delete { table, key, condition, options: clauses.into() })
    }

    fn copy(&mut self) -> Result<Statement, CqlError> {
        let table = self.table()?;
        let (direction, _) = self.one_of(&["FROM", "TO"])?;
        let file = self.file()?;
        let options = self.copy_options(direction)?;
        Ok(match direction {
            "TO" => Statement::CopyTo(CopyTo { table, file, options }),
            _ => Statement::CopyFrom(CopyFrom { table, file, options }),
        })
    }

    fn describe(&mut self) -> Result<Describe, CqlError> {
        Ok(match self.one_of(&["TABLES", "TABLE", "CLUSTER"])?.0 {
            "TABLES" => Describe::Tables,
            "TABLE" => Describe::Table(self.table()?),
            _ => Describe::Cluster,
        })
    }

    fn at_end(&mut self) -> Result<bool, CqlError> {
        Ok(matches!(self.peek()?.kind, TokenKind::End | TokenKind::Symbol(';')))
    }
}

/// The error for a first word that begins no statement of this version.
fn no_statement(word: &str, span: Span) -> CqlError {
    let error = CqlError::syntax(format!("no statement begins with {}", quote(word)), span);
    hinted(error, word, FIRST_WORDS).or_hint("HELP lists the statements")
}

/// With what statements begin.
pub(super) const FIRST_WORDS: &[&str] = &[
    "CREATE",
    "ALTER",
    "INSERT",
    "SELECT",
    "DELETE",
    "COPY",
    "CONSISTENCY",
    "DESCRIBE",
    "TRACING",
    "SOURCE",
    "HELP",
    "EXIT",
    "QUIT",
    "UPDATE",
    "DROP",
    "TRUNCATE",
    "WAIT",
    "EXPAND",
    "TIMING",
    "PAGING",
];
const PAGING_HINT: &str =
    "PAGING ON asks when the screen is full, PAGING 100 after each 100 rows, PAGING OFF never";
const ON_OR_OFF: &[&str] = &["ON", "OFF"];
const TIMEOUT_HINT: &str = "USING TIMEOUT 60 is in seconds; units stand in quotes: '500ms', '2m'";
const INSERT_HINT: &str = "INSERT INTO table (key, value) VALUES ('..', '..')";
const FUNCTIONS_HINT: &str = "functions: WRITETIME(value), TTL(value), VERSION(value), CONTEXT(value)";
const COLUMNS_HINT: &str = "a table's columns are (key TEXT PRIMARY KEY, value BLOB) or (.., value TEXT)";

/// "expected one of" for options.
pub(super) fn unknown_option(word: &str, token: &Token, known: &[&str]) -> CqlError {
    let error = CqlError::syntax(format!("unknown option {}", quote(word)), token.span);
    hinted(error, word, known).or_hint(format!("options: {}", list(known).to_lowercase()))
}
