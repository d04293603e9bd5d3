//! From tokens to statements, by recursive descent.

mod assist;
mod clauses;
mod options;
mod statements;

pub use self::assist::{
    Class, Expected, Highlight, Open, expected, highlights, is_complete, left_open, open_text, table_span,
};
pub(super) use self::clauses::{COUNT_BOUNDS, checked_ttl};

use quorate_ring::{Consistency, Table};

use super::{
    Argument, CqlError, Marker, Span, Statement, Term,
    keyword::near_miss,
    lexer::{Lexer, Token, TokenKind},
};

/// Reads the statements of a source one by one, so that those before a mistake can be carried out. It ends
/// after the first error.
pub struct Script<'s> {
    parser: Parser<'s>,
    failed: bool,
}

impl<'s> Script<'s> {
    /// The statements of `source`, separated by `;`.
    pub fn new(source: &'s str) -> Self {
        Self { parser: Parser::new(source), failed: false }
    }
}

impl Iterator for Script<'_> {
    type Item = Result<(Statement, Span), CqlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let parsed = self.parser.next_statement().transpose()?;
        self.failed = parsed.is_err();
        Some(parsed)
    }
}

/// The one statement of `source`.
///
/// # Errors
/// What [`Script`] refuses, and a source of no statement or several.
pub fn parse_one(source: &str) -> Result<Statement, CqlError> {
    let everything = Span { start: 0, end: source.len() };
    let mut script = Script::new(source);
    let (statement, _) =
        script.next().unwrap_or_else(|| Err(CqlError::syntax("no statement", everything)))?;
    match script.next() {
        None => Ok(statement),
        Some(Err(error)) => Err(error),
        Some(Ok((_, span))) => Err(CqlError::syntax("one statement only is taken here", span)),
    }
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    peeked: Option<Token>,
    /// Where the last token taken ends.
    end: usize,
    /// `?` met in this statement.
    positional: usize,
    /// What may come where the source ends.
    expected: Vec<Expected>,
    /// Words that were taken for their meaning, not as names.
    keywords: Vec<Span>,
    /// Where tables are named that there are to be.
    tables: Vec<Span>,
}

impl<'s> Parser<'s> {
    fn new(source: &'s str) -> Self {
        Self {
            lexer: Lexer::new(source),
            peeked: None,
            end: 0,
            positional: 0,
            expected: Vec::new(),
            keywords: Vec::new(),
            tables: Vec::new(),
        }
    }

    fn next_statement(&mut self) -> Result<Option<(Statement, Span)>, CqlError> {
        while self.take_symbol(';')? {}
        let first = self.peek()?.clone();
        if first.kind == TokenKind::End {
            return Ok(None);
        }
        self.positional = 0;
        let statement = self.statement()?;
        let span = Span { start: first.span.start, end: self.end };
        match self.peek()?.kind {
            TokenKind::Symbol(';') | TokenKind::End => Ok(Some((statement, span))),
            _ => Err(self.trailing(&statement)),
        }
    }

    /// The error for what follows a whole statement.
    fn trailing(&mut self, statement: &Statement) -> CqlError {
        let clauses: &[&str] = match statement {
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                &["USING", "WITH", "IF", "AND"]
            }
            Statement::Select(_) => &["USING", "WHERE", "LIMIT", "AND"],
            Statement::CreateTable(_)
            | Statement::AlterTable(_)
            | Statement::CopyFrom(_)
            | Statement::CopyTo(_) => &["WITH", "AND"],
            Statement::Wait(_) => &["USING"],
            _ => &[],
        };
        match self.next() {
            Ok(Token { kind: TokenKind::Word(word), span }) => match &*word.to_ascii_uppercase() {
                "LIMIT" => {
                    CqlError::syntax("LIMIT stands before USING, and keys that are named have none", span)
                }
                _ => {
                    let error =
                        CqlError::syntax(format!("unexpected {} after the statement", quote(&word)), span);
                    hinted(error, &word, clauses).or_hint("statements are separated by ';'")
                }
            },
            Ok(Token { kind, span }) => {
                CqlError::syntax(format!("unexpected {} after the statement", kind.describe()), span)
            }
            Err(error) => error,
        }
    }

    fn peek(&mut self) -> Result<&Token, CqlError> {
        if self.peeked.is_none() {
            self.peeked = Some(self.lexer.next_token()?);
        }
        Ok(self.peeked.get_or_insert_with(|| unreachable_end(self.end)))
    }

    fn next(&mut self) -> Result<Token, CqlError> {
        let token = match self.peeked.take() {
            Some(token) => token,
            None => self.lexer.next_token()?,
        };
        self.end = token.span.end;
        Ok(token)
    }

    /// Takes the keyword if it comes next.
    fn take_word(&mut self, word: &'static str) -> Result<bool, CqlError> {
        self.expects(&[word].map(Expected::Word))?;
        let found = matches!(&self.peek()?.kind, TokenKind::Word(found) if found.eq_ignore_ascii_case(word));
        if found {
            let token = self.next()?;
            self.keywords.push(token.span);
        }
        Ok(found)
    }

    fn take_symbol(&mut self, symbol: char) -> Result<bool, CqlError> {
        self.expects(&[Expected::Symbol(symbol)])?;
        let found = self.peek()?.kind == TokenKind::Symbol(symbol);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    /// Takes one of the keywords, in upper case.
    fn one_of(&mut self, words: &[&'static str]) -> Result<(&'static str, Span), CqlError> {
        self.expects_words(words)?;
        let (word, span) = self.choice(words)?;
        self.keywords.push(span);
        Ok((word, span))
    }

    /// Takes the name of one of the columns, in upper case.
    fn column(&mut self, names: &[&'static str]) -> Result<&'static str, CqlError> {
        let expected: Vec<_> = names.iter().copied().map(Expected::Name).collect();
        self.expects(&expected)?;
        self.choice(names).map(|(name, _)| name)
    }

    fn choice(&mut self, words: &[&'static str]) -> Result<(&'static str, Span), CqlError> {
        let token = self.next()?;
        if let TokenKind::Word(word) = &token.kind
            && let Some(found) = words.iter().find(|choice| choice.eq_ignore_ascii_case(word))
        {
            return Ok((found, token.span));
        }
        Err(unexpected(&list(words), &token, words))
    }

    fn word(&mut self, word: &'static str) -> Result<Span, CqlError> {
        self.one_of(&[word]).map(|(_, span)| span)
    }

    fn symbol(&mut self, symbol: char) -> Result<(), CqlError> {
        self.expects(&[Expected::Symbol(symbol)])?;
        let token = self.next()?;
        if token.kind == TokenKind::Symbol(symbol) {
            Ok(())
        } else {
            Err(unexpected(&quote(&symbol.to_string()), &token, &[]))
        }
    }

    /// A table's name, in lower case.
    fn table(&mut self) -> Result<String, CqlError> {
        self.expects(&[Expected::Table])?;
        let span = self.peek()?.span;
        self.tables.push(span);
        self.new_table()
    }

    /// The same of a table that there need not be.
    fn new_table(&mut self) -> Result<String, CqlError> {
        let token = self.next()?;
        match &token.kind {
            TokenKind::Word(word) => {
                let name = word.to_lowercase();
                if Table::is_valid_name(&name) {
                    return Ok(name);
                }
                let message = format!(
                    "a table's name has 1 to {} letters a to z, digits and underscores",
                    Table::NAME_BYTES_MAX
                );
                Err(CqlError::syntax(message, token.span))
            }
            TokenKind::Text(_) => {
                Err(unexpected("a table's name", &token, &[]).or_hint("names stand in no quotes"))
            }
            _ => Err(unexpected("a table's name", &token, &[])),
        }
    }

    /// A key or a value.
    fn term(&mut self, what: &str) -> Result<Term, CqlError> {
        match self.marker()? {
            Some(Marker::Positional(position)) => return Ok(Term::Positional(position)),
            Some(Marker::Named(name)) => return Ok(Term::Named(name)),
            None => {}
        }
        let token = self.next()?;
        Ok(match token.kind {
            TokenKind::Text(text) => Term::Text(text),
            TokenKind::Blob(bytes) => Term::Blob(bytes),
            TokenKind::Number(number) => {
                let hint = format!("write it as text, '{number}', or as a blob, 0x..");
                return Err(unexpected(what, &token, &[]).or_hint(hint));
            }
            TokenKind::Word(ref word) => {
                let hint = format!("texts stand in single quotes: '{word}'");
                return Err(unexpected(what, &token, &[]).or_hint(hint));
            }
            _ => return Err(unexpected(what, &token, &[])),
        })
    }

    /// `?` or `:name`, if one comes next.
    fn marker(&mut self) -> Result<Option<Marker>, CqlError> {
        let marker = match &self.peek()?.kind {
            TokenKind::Positional => Marker::Positional(self.positional),
            TokenKind::Named(name) => Marker::Named(name.clone()),
            _ => return Ok(None),
        };
        self.next()?;
        self.positional += usize::from(matches!(marker, Marker::Positional(_)));
        Ok(Some(marker))
    }

    /// What an option says, or the parameter that stands for it.
    fn argument<T>(
        &mut self,
        written: impl FnOnce(&mut Self) -> Result<T, CqlError>,
    ) -> Result<Argument<T>, CqlError> {
        match self.marker()? {
            Some(marker) => Ok(Argument::Parameter(marker)),
            None => written(self).map(Argument::Written),
        }
    }

    /// `'text'`.
    fn text(&mut self, what: &str) -> Result<(String, Span), CqlError> {
        let token = self.next()?;
        match token.kind {
            TokenKind::Text(text) => Ok((text, token.span)),
            _ => Err(unexpected(what, &token, &[]).or_hint("texts stand in single quotes: 'text'")),
        }
    }

    /// The name of a file.
    fn file(&mut self) -> Result<String, CqlError> {
        self.expects(&[Expected::File])?;
        self.text("a file's name").map(|(file, _)| file)
    }

    fn number(&mut self, what: &str) -> Result<(u64, Span), CqlError> {
        let token = self.next()?;
        match token.kind {
            TokenKind::Number(number) => Ok((number, token.span)),
            _ => Err(unexpected(what, &token, &[])),
        }
    }

    /// A consistency level, in quotes or not.
    fn level(&mut self) -> Result<Consistency, CqlError> {
        self.level_of(LEVELS)
    }

    /// The same where these are offered.
    fn level_of(&mut self, offered: &[&'static str]) -> Result<Consistency, CqlError> {
        self.expects_levels(offered)?;
        let token = self.next()?;
        if matches!(token.kind, TokenKind::Word(_)) {
            self.keywords.push(token.span);
        }
        let written = match &token.kind {
            TokenKind::Word(word) | TokenKind::Text(word) => word.clone(),
            TokenKind::Number(number) => number.to_string(),
            _ => return Err(unexpected("a consistency level", &token, LEVELS).or_hint(LEVELS_HINT)),
        };
        written.parse().map_err(|_| {
            let error =
                CqlError::syntax(format!("unknown consistency level {}", quote(&written)), token.span);
            hinted(error, &written, LEVELS).or_hint(LEVELS_HINT)
        })
    }
}

impl CqlError {
    /// Keeps the hint there is.
    fn or_hint(self, hint: impl Into<String>) -> Self {
        if self.hint.is_some() { self } else { self.with_hint(hint) }
    }
}

/// "expected .., found ..", with a hint if a word of `choices` is near.
fn unexpected(expected: &str, found: &Token, choices: &[&str]) -> CqlError {
    let error = CqlError::syntax(format!("expected {expected}, found {}", found.kind.describe()), found.span);
    match &found.kind {
        TokenKind::Word(word) => hinted(error, word, choices),
        _ => error,
    }
}

fn hinted(error: CqlError, word: &str, choices: &[&str]) -> CqlError {
    match near_miss(word, choices) {
        Some(meant) => error.with_hint(format!("did you mean {meant}?")),
        None => error,
    }
}

fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}

fn quote(word: &str) -> String {
    TokenKind::Word(word.to_owned()).describe()
}

fn unreachable_end(at: usize) -> Token {
    Token { kind: TokenKind::End, span: Span { start: at, end: at } }
}

pub(super) const LEVELS: &[&str] = &["ONE", "TWO", "THREE", "QUORUM", "ALL", "ANY"];
const READ_LEVELS: &[&str] = &["ONE", "TWO", "THREE", "QUORUM", "ALL"];
pub(super) const LEVELS_HINT: &str = "levels: ONE, TWO, THREE, QUORUM, ALL, ANY, or a number from 1 to 255";

#[cfg(test)]
mod tests;
