//! One function for each statement.

use quorate_ring::Consistency;

use super::{CONTEXT_HINT, Parser, hinted, list, quote, unexpected};
use crate::cql::{
    ColumnType, CopyFrom, CqlError, CreateTable, Delete, Describe, Insert, Projection, Select, Statement,
    Term,
    lexer::{Token, TokenKind},
};

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement, CqlError> {
        let token = self.next()?;
        let TokenKind::Word(word) = &token.kind else {
            return Err(unexpected("a statement", &token, &[]).or_hint("HELP lists the statements"));
        };
        match &*word.to_ascii_uppercase() {
            "CREATE" => self.create_table().map(Statement::CreateTable),
            "INSERT" => self.insert().map(Statement::Insert),
            "SELECT" => self.select().map(Statement::Select),
            "DELETE" => self.delete().map(Statement::Delete),
            "COPY" => self.copy().map(Statement::CopyFrom),
            "CONSISTENCY" => Ok(Statement::Consistency(match self.at_end()? {
                true => None,
                false => Some(self.level()?),
            })),
            "DESCRIBE" | "DESC" => self.describe().map(Statement::Describe),
            "TRACING" => Ok(Statement::Tracing(match self.at_end()? {
                true => None,
                false => Some(self.one_of(&["ON", "OFF"])?.0 == "ON"),
            })),
            "SOURCE" => self.text("a file's name").map(|(file, _)| Statement::Source(file)),
            "HELP" => Ok(Statement::Help),
            "EXIT" | "QUIT" => Ok(Statement::Exit),
            _ => Err(self.no_statement(token)),
        }
    }

    /// The error for a first word that begins no statement of this version.
    fn no_statement(&mut self, token: Token) -> CqlError {
        let TokenKind::Word(word) = &token.kind else {
            return unexpected("a statement", &token, &[]);
        };
        let upper = word.to_ascii_uppercase();
        if !LATER.contains(&&*upper) {
            let error = CqlError::syntax(format!("no statement begins with {}", quote(word)), token.span);
            return hinted(error, word, FIRST_WORDS).or_hint("HELP lists the statements");
        }
        let rest = self.skip_statement();
        let says = |word: &str| rest.iter().any(|found| found == word);
        match &*upper {
            "UPDATE" if says("IF") => CqlError::unsupported("UPDATE .. IF", token.span),
            "UPDATE" if says("CONTEXT") => {
                CqlError::unsupported("UPDATE .. WITH CONTEXT", token.span).with_hint(CONTEXT_HINT)
            }
            "UPDATE" => CqlError::unsupported("UPDATE", token.span)
                .with_hint("INSERT INTO table (key, value) VALUES (..) overwrites"),
            "WAIT" => CqlError::unsupported(format!("WAIT {}", rest.join(" ")).trim_end(), token.span),
            _ => CqlError::unsupported(upper, token.span),
        }
    }

    fn create_table(&mut self) -> Result<CreateTable, CqlError> {
        self.word("TABLE")?;
        let if_not_exists = self.take_word("IF")?;
        if if_not_exists {
            self.word("NOT")?;
            self.word("EXISTS")?;
        }
        let name = self.table()?;
        let value_type = self.columns().map_err(|error| error.or_hint(COLUMNS_HINT))?;
        let (kind, replication) = self.table_options()?;
        Ok(CreateTable { name, if_not_exists, value_type, kind, replication })
    }

    fn columns(&mut self) -> Result<ColumnType, CqlError> {
        self.symbol('(')?;
        self.word("KEY")?;
        self.word("TEXT")?;
        self.word("PRIMARY")?;
        self.word("KEY")?;
        self.symbol(',')?;
        self.word("VALUE")?;
        let (value_type, _) = self.one_of(&["TEXT", "BLOB"])?;
        self.symbol(')')?;
        Ok(if value_type == "TEXT" { ColumnType::Text } else { ColumnType::Blob })
    }

    fn insert(&mut self) -> Result<Insert, CqlError> {
        self.word("INTO")?;
        let table = self.table()?;
        self.symbol('(')?;
        let (first, _) = self.one_of(&["KEY", "VALUE"])?;
        self.symbol(',')?;
        self.word(if first == "KEY" { "VALUE" } else { "KEY" })?;
        self.symbol(')')?;
        self.word("VALUES")?;
        self.symbol('(')?;
        let left = self.term("a key or a value")?;
        self.symbol(',')?;
        let right = self.term("a key or a value")?;
        self.symbol(')')?;
        let (key, value) = if first == "KEY" { (left, right) } else { (right, left) };
        Ok(Insert { table, key, value, consistency: self.using()? })
    }

    fn select(&mut self) -> Result<Select, CqlError> {
        let projection = self.projection()?;
        self.word("FROM")?;
        let table = self.table()?;
        let where_clause = self.peek()?.clone();
        if !self.take_word("WHERE")? {
            let near = unexpected("WHERE", &where_clause, &["WHERE"]);
            let ends = matches!(&where_clause.kind, TokenKind::End | TokenKind::Symbol(';'));
            let clause =
                |word: &String| ["LIMIT", "USING"].iter().any(|known| known.eq_ignore_ascii_case(word));
            if ends || matches!(&where_clause.kind, TokenKind::Word(word) if clause(word)) {
                let error =
                    CqlError::unsupported("SELECT without WHERE, a scan of the table", where_clause.span);
                return Err(error.with_hint("name the keys: WHERE key = '..' or WHERE key IN ('..', '..')"));
            }
            return Err(near);
        }
        self.word("KEY")?;
        let keys = if self.take_word("IN")? {
            self.key_list()?
        } else {
            let token = self.next()?;
            if token.kind != TokenKind::Symbol('=') {
                return Err(unexpected("'=' or IN", &token, &["IN"]));
            }
            vec![self.term("a key")?]
        };
        Ok(Select { projection, table, keys, consistency: self.using()? })
    }

    fn projection(&mut self) -> Result<Projection, CqlError> {
        if self.take_symbol('*')? {
            return Ok(Projection::KeyValue);
        }
        let token = self.next()?;
        let choices = ["KEY", "VALUE"];
        let first = match &token.kind {
            TokenKind::Word(word) => choices.iter().find(|choice| choice.eq_ignore_ascii_case(word)),
            _ => None,
        };
        let Some(&first) = first else {
            return Err(unexpected("*, key or value", &token, &choices));
        };
        if !self.take_symbol(',')? {
            return Ok(if first == "KEY" { Projection::Key } else { Projection::Value });
        }
        self.word(if first == "KEY" { "VALUE" } else { "KEY" })?;
        Ok(if first == "KEY" { Projection::KeyValue } else { Projection::ValueKey })
    }

    fn key_list(&mut self) -> Result<Vec<Term>, CqlError> {
        self.symbol('(')?;
        let mut keys = vec![self.term("a key")?];
        loop {
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
        self.word("KEY")?;
        self.symbol('=')?;
        let key = self.term("a key")?;
        Ok(Delete { table, key, consistency: self.using()? })
    }

    fn copy(&mut self) -> Result<CopyFrom, CqlError> {
        let table = self.table()?;
        let (direction, span) = self.one_of(&["FROM", "TO"])?;
        if direction == "TO" {
            return Err(CqlError::unsupported("COPY .. TO", span));
        }
        let (file, _) = self.text("a file's name")?;
        Ok(CopyFrom { table, file, options: self.copy_options()? })
    }

    fn describe(&mut self) -> Result<Describe, CqlError> {
        Ok(match self.one_of(&["TABLES", "TABLE", "CLUSTER"])?.0 {
            "TABLES" => Describe::Tables,
            "TABLE" => Describe::Table(self.table()?),
            _ => Describe::Cluster,
        })
    }

    /// `[USING CONSISTENCY level]`.
    fn using(&mut self) -> Result<Option<Consistency>, CqlError> {
        if !self.take_word("USING")? {
            return Ok(None);
        }
        let mut level = None;
        loop {
            let choices = ["CONSISTENCY", "TTL"];
            match self.one_of(&choices)? {
                ("CONSISTENCY", span) if level.is_some() => {
                    return Err(CqlError::syntax("CONSISTENCY is given twice", span));
                }
                ("CONSISTENCY", _) => level = Some(self.level()?),
                (_, span) => return Err(CqlError::unsupported("USING TTL", span)),
            }
            if !self.take_word("AND")? {
                return Ok(level);
            }
        }
    }

    fn at_end(&mut self) -> Result<bool, CqlError> {
        Ok(matches!(self.peek()?.kind, TokenKind::End | TokenKind::Symbol(';')))
    }
}

/// The statements that this version carries out, and those it knows.
const FIRST_WORDS: &[&str] = &[
    "CREATE",
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
const LATER: &[&str] = &["UPDATE", "DROP", "TRUNCATE", "WAIT", "EXPAND", "TIMING", "PAGING"];
const COLUMNS_HINT: &str = "a table's columns are (key TEXT PRIMARY KEY, value BLOB) or (.., value TEXT)";

/// "expected one of" for options.
pub(super) fn unknown_option(word: &str, token: &Token, known: &[&str]) -> CqlError {
    let error = CqlError::syntax(format!("unknown option {}", quote(word)), token.span);
    hinted(error, word, known).or_hint(format!("options: {}", list(known).to_lowercase()))
}
