//! Help for whoever writes a statement: what may come next, what each part of it is, and whether it is whole. The parser tells
//! the first two: it notes what it looks for where the source ends, and which words it took for their meaning.

use super::{Parser, statements::FIRST_WORDS};
use crate::cql::{
    CqlError, Span,
    lexer::{Lexer, TokenKind},
};

/// What may come where a source ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This keyword, in upper case here and in any case when it is written.
    Word(&'static str),
    /// The name of this column or option, likewise.
    Name(&'static str),
    /// The name of this function of a value.
    Function(&'static str),
    /// The name of a table that there is.
    Table,
    /// The name of a table that there is to be.
    NewTable,
    /// This consistency level, as a keyword or in quotes.
    Level(&'static str),
    /// The name of a file, in quotes.
    File,
    /// This text, in quotes.
    Text(&'static str),
    /// This symbol.
    Symbol(char),
}

/// What a part of a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A word with a meaning, no name.
    Keyword,
    /// A text in quotes.
    Text,
    /// A number or a blob.
    Number,
    /// A comment.
    Comment,
}

/// A part of a source and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Highlight {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub class: Class,
}

/// What a source leaves open, for more lines to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// A statement that no `;` ends.
    Statement,
    /// A text without its second quote.
    Text,
    /// A comment without its end.
    Comment,
}

/// Whether `source` is to be carried out as it stands: its statements end in `;`, or are commands that need none, and no quote
/// or comment is left open. A blank source is complete; so is one with a mistake that more lines do not mend, like a word that no
/// statement begins with: the parser says what is wrong.
pub fn is_complete(source: &str) -> bool {
    left_open(source).is_none()
}

/// What `source` leaves open, if it is not [complete](is_complete).
pub fn left_open(source: &str) -> Option<Open> {
    let mut lexer = Lexer::new(source);
    // What the statement begins with that is still open.
    let mut first: Option<TokenKind> = None;
    loop {
        match lexer.next_token() {
            Ok(token) => match token.kind {
                TokenKind::End => return first.filter(takes_more_lines).map(|_| Open::Statement),
                TokenKind::Symbol(';') => first = None,
                kind => {
                    first.get_or_insert(kind);
                }
            },
            Err(error) => {
                let is_text = source[error.span.start..].starts_with('\'');
                let open = if is_text { Open::Text } else { Open::Comment };
                return lexer.left_open().then_some(open);
            }
        }
    }
}

/// Where the text begins that `source` leaves open, if it ends within one.
pub fn open_text(source: &str) -> Option<usize> {
    let mut lexer = Lexer::new(source);
    loop {
        match lexer.next_token() {
            Ok(token) if token.kind == TokenKind::End => return None,
            Ok(_) => {}
            Err(error) => {
                let start = error.span.start;
                return (lexer.left_open() && source[start..].starts_with('\'')).then_some(start);
            }
        }
    }
}

/// Where the first statement of `source` names its table, if it is about one that there is to be.
pub fn table_span(source: &str) -> Option<Span> {
    let mut parser = Parser::new(source);
    parser.next_statement().ok()?;
    parser.tables.first().copied()
}

/// Whether what begins so goes on until there is a `;`.
fn takes_more_lines(first: &TokenKind) -> bool {
    let TokenKind::Word(word) = first else { return false };
    let is = |known: &&str| known.eq_ignore_ascii_case(word);
    FIRST_WORDS.iter().any(is) && !LINE_COMMANDS.iter().any(is)
}

/// What may come next where `source` ends; nothing if it has a mistake before, or ends within a text or a comment. Values,
/// numbers and names of new things are not told.
pub fn expected(source: &str) -> Vec<Expected> {
    if ends_in_line_comment(source) {
        return Vec::new();
    }
    let mut parser = Parser::new(source);
    loop {
        match parser.next_statement() {
            Ok(None) => return FIRST_WORDS.iter().copied().map(Expected::Word).collect(),
            Ok(Some(_)) if parser.ends() => {
                parser.expected.push(Expected::Symbol(';'));
                return parser.expected;
            }
            Ok(Some(_)) => {}
            Err(_) => return parser.expected,
        }
    }
}

/// The parts of `source` that are more than names and symbols, in their order. Words after a mistake are names.
pub fn highlights(source: &str) -> Vec<Highlight> {
    let mut parser = Parser::new(source);
    while let Ok(Some(_)) = parser.next_statement() {}
    let keyword = |span| Highlight { span, class: Class::Keyword };
    let mut highlights: Vec<_> = parser.keywords.into_iter().map(keyword).chain(literals(source)).collect();
    highlights.sort_unstable_by_key(|highlight| highlight.span.start);
    highlights
}

/// Whether what is added to the source's last line is a comment. The parser looks for what follows it.
fn ends_in_line_comment(source: &str) -> bool {
    let (mut lexer, mut end) = (Lexer::new(source), 0);
    while let Ok(token) = lexer.next_token() {
        if token.kind == TokenKind::End {
            return source[end..].rsplit('\n').next().is_some_and(|line| line.contains("--"));
        }
        end = token.span.end;
    }
    false
}

/// Texts, numbers and comments.
fn literals(source: &str) -> Vec<Highlight> {
    let mut lexer = Lexer::new(source);
    let (mut found, mut end) = (Vec::new(), 0);
    let comment = |start: usize, end: usize| {
        let gap = &source[start..end];
        let at = gap.find("--").into_iter().chain(gap.find("/*")).min()?;
        let span = Span { start: start + at, end: start + gap.trim_end().len() };
        Some(Highlight { span, class: Class::Comment })
    };
    loop {
        let token = match lexer.next_token() {
            Ok(token) => token,
            Err(error) => {
                let rest = source.get(error.span.start..).unwrap_or_default();
                let class = if rest.starts_with('\'') { Class::Text } else { Class::Comment };
                let span = Span { start: error.span.start, end: source.len() };
                found.extend(lexer.left_open().then_some(Highlight { span, class }));
                return found;
            }
        };
        found.extend(comment(end, token.span.start));
        end = token.span.end;
        let class = match token.kind {
            TokenKind::Text(_) => Class::Text,
            TokenKind::Blob(_) | TokenKind::Number(_) => Class::Number,
            TokenKind::End => return found,
            _ => continue,
        };
        found.push(Highlight { span: token.span, class });
    }
}

impl Parser<'_> {
    /// Notes what would be taken here, if the source ends here.
    pub(super) fn expects(&mut self, expected: &[Expected]) -> Result<(), CqlError> {
        if self.peek()?.kind == TokenKind::End {
            for one in expected {
                if !self.expected.contains(one) {
                    self.expected.push(*one);
                }
            }
        }
        Ok(())
    }

    pub(super) fn expects_words(&mut self, words: &[&'static str]) -> Result<(), CqlError> {
        let words: Vec<_> = words.iter().copied().map(Expected::Word).collect();
        self.expects(&words)
    }

    pub(super) fn expects_levels(&mut self, levels: &[&'static str]) -> Result<(), CqlError> {
        let levels: Vec<_> = levels.iter().copied().map(Expected::Level).collect();
        self.expects(&levels)
    }

    pub(super) fn ends(&mut self) -> bool {
        matches!(self.peek(), Ok(token) if token.kind == TokenKind::End)
    }
}

/// Commands that end with their line.
const LINE_COMMANDS: &[&str] = &[
    "CONSISTENCY",
    "TRACING",
    "WAIT",
    "SOURCE",
    "HELP",
    "EXIT",
    "QUIT",
    "DESCRIBE",
    "EXPAND",
    "TIMING",
    "PAGING",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn next(source: &str) -> String {
        let shown = expected(source).into_iter().map(|expected| match expected {
            Expected::Word(word) | Expected::Name(word) | Expected::Function(word) => word.to_owned(),
            Expected::Level(level) => level.to_owned(),
            Expected::File => "file".to_owned(),
            Expected::Table => "table".to_owned(),
            Expected::NewTable => "name".to_owned(),
            Expected::Text(text) => format!("'{text}'"),
            Expected::Symbol(symbol) => symbol.to_string(),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_grammar_says_what_comes_next() {
        assert_eq!(expected("").len(), FIRST_WORDS.len());
        assert_eq!(expected("SELECT * FROM t; ").len(), FIRST_WORDS.len());
        assert_eq!(next("create "), "TABLE");
        assert_eq!(next("CREATE TABLE "), "IF name");
        assert_eq!(next("CREATE TABLE IF NOT EXISTS "), "name");
        assert_eq!(next("DROP TABLE "), "IF table");
        assert_eq!(next("ALTER TABLE t WITH "), "READ_CONSISTENCY WRITE_CONSISTENCY");
        assert_eq!(next("ALTER TABLE t WITH read_consistency = "), "ONE TWO THREE QUORUM ALL");
        assert_eq!(next("CREATE TABLE t (key TEXT PRIMARY KEY, value "), "TEXT BLOB");
        assert_eq!(next("CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT) "), "WITH ;");
        assert_eq!(
            next("CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT) WITH replication = 3 AND "),
            "KIND READ_CONSISTENCY WRITE_CONSISTENCY"
        );
        assert_eq!(
            next("CREATE TABLE t (key TEXT PRIMARY KEY, value TEXT) WITH kind = "),
            "'siblings' 'register' 'cas'"
        );
        assert_eq!(next("SELECT "), "* KEY VALUE WRITETIME TTL VERSION CONTEXT");
        assert_eq!(next("SELECT value "), ", FROM");
        assert_eq!(next("SELECT value, TTL(value), "), "KEY WRITETIME VERSION CONTEXT");
        assert_eq!(next("SELECT value FROM "), "table");
        assert_eq!(next("SELECT value FROM t "), "WHERE LIMIT USING ;");
        assert_eq!(next("SELECT value FROM t WHERE key "), "IN =");
        assert_eq!(next("SELECT value FROM t WHERE key = 'a' "), "USING ;");
        assert_eq!(next("SELECT value FROM t USING "), "CONSISTENCY R MONOTONE");
        assert_eq!(next("SELECT value FROM t USING MONOTONE AND "), "CONSISTENCY R");
        assert_eq!(next("SELECT value FROM t USING MONOTONE "), "AND ;", "USING stands once");
        assert_eq!(next("UPDATE t SET value = 'x' WHERE key = 'k' WITH "), "CONTEXT");
        let update = "UPDATE t SET value = 'x' WHERE key = 'k' ";
        assert_eq!(next(update), "USING WITH IF ;");
        assert_eq!(next(&format!("{update}IF ")), "EXISTS VALUE");
        assert_eq!(next(&format!("{update}IF value ")), "=");
        assert_eq!(next(&format!("{update}IF EXISTS ")), "USING WITH ;", "IF stands once");
        assert_eq!(next("UPDATE t "), "USING WITH SET", "a condition comes later");
        assert_eq!(next("INSERT INTO t (key, value) VALUES ('a', 'b') IF "), "NOT");
        assert_eq!(next("CONSISTENCY "), "ONE TWO THREE QUORUM ALL ANY DEFAULT ;");
        assert_eq!(next("TIMING "), "ON OFF ;");
        assert_eq!(next("COPY t "), "FROM TO");
        assert_eq!(next("TRUNCATE "), "TABLE table");
        for file in ["SOURCE ", "COPY t FROM ", "COPY t TO ", "COPY t FROM 'f' WITH progress = "] {
            assert_eq!(next(file), "file", "{file}");
        }
        for table in ["DESCRIBE TABLE ", "INSERT INTO ", "DELETE FROM ", "COPY ", "UPDATE ", "ALTER TABLE "] {
            assert_eq!(next(table), "table", "{table}");
        }
    }

    #[test]
    fn nothing_is_expected_after_a_mistake_or_within_a_text() {
        assert_eq!(next("SELECT value OF t "), "");
        assert_eq!(next("SELECT value FROM t WHERE key = 'a"), "");
        assert_eq!(next("SELECT /* "), "");
        assert_eq!(next("SELECT * FROM t -- "), "");
        assert_eq!(next("SELECT * FROM t -- all\n"), "WHERE LIMIT USING ;");
        assert_eq!(next("INSERT INTO t (key, value) VALUES ("), "", "values are not told");
    }

    #[test]
    fn a_text_is_open_until_its_quote_is_closed() {
        assert_eq!(open_text("SOURCE 'a"), Some(7));
        assert_eq!(open_text("SOURCE 'it''s"), Some(7));
        assert_eq!(open_text("SOURCE 'it''s'"), None);
        assert_eq!(open_text("SELECT 'a', 'b"), Some(12));
        assert_eq!(open_text("/* 'a"), None);
        assert_eq!(open_text("-- 'a"), None);
        assert_eq!(open_text("} 'a"), None, "after a mistake nothing is told");
    }

    #[test]
    fn a_statement_tells_where_it_names_its_table() {
        for marked in [
            "SELECT * FROM |from WHERE key = 'from'",
            " DELETE FROM |from WHERE key = 'a'",
            "INSERT INTO |from (key, value) VALUES ('from', 'b')",
            "UPDATE |from SET value = 'a' WHERE key = 'b'",
            "DESCRIBE TABLE |from",
            "TRUNCATE TABLE |from; SELECT * FROM other",
            "DROP TABLE IF EXISTS |from",
            "COPY |from FROM 'from'",
        ] {
            let at = marked.find('|').expect("marked");
            assert_eq!(
                table_span(&marked.replace('|', "")),
                Some(Span { start: at, end: at + 4 }),
                "{marked}"
            );
        }
        assert_eq!(table_span("CREATE TABLE t (key TEXT PRIMARY KEY, value BLOB)"), None, "a new one");
        assert_eq!((table_span("HELP"), table_span("")), (None, None));
    }

    fn classes(source: &str) -> Vec<(&str, Class)> {
        let part =
            |highlight: Highlight| (&source[highlight.span.start..highlight.span.end], highlight.class);
        highlights(source).into_iter().map(part).collect()
    }

    #[test]
    fn keywords_are_where_the_grammar_has_them() {
        let source = "select key from select where key = 'it''s' limit -- all";
        let keywords: Vec<_> = classes(source).into_iter().filter(|part| part.1 == Class::Keyword).collect();
        let words = ["select", "from", "where"];
        assert_eq!(keywords, words.map(|word| (word, Class::Keyword)));
        assert_eq!(classes(source)[3..], [("'it''s'", Class::Text), ("-- all", Class::Comment)]);
        assert_eq!(classes("selec"), []);
        let source = "UPDATE value SET value = 'a' WHERE key = 'k' IF value = 'b'";
        let keywords: Vec<_> = classes(source).into_iter().filter(|part| part.1 == Class::Keyword).collect();
        assert_eq!(keywords, ["UPDATE", "SET", "WHERE", "IF"].map(|word| (word, Class::Keyword)));
        let last = classes("DELETE FROM t WHERE key = 'k' IF EXISTS");
        assert_eq!(last[last.len() - 2..], ["IF", "EXISTS"].map(|word| (word, Class::Keyword)));
    }

    #[test]
    fn literals_and_what_is_left_open_are_told() {
        assert_eq!(
            classes("/* a */ INSERT INTO t (key, value) VALUES (0x00, 'b")[..2],
            [("/* a */", Class::Comment), ("INSERT", Class::Keyword)]
        );
        let open = classes("INSERT INTO t (key, value) VALUES (0x00, 'b");
        assert_eq!(open[open.len() - 2..], [("0x00", Class::Number), ("'b", Class::Text)]);
        assert_eq!(classes("HELP; /* x")[1], ("/* x", Class::Comment));
    }

    #[test]
    fn knows_when_more_lines_are_needed() {
        for complete in [
            "",
            " -- nothing\n",
            "SELECT;",
            "help",
            "describe tables",
            "desc t",
            "x ; /* y */",
            "a $ b",
            "''';';",
        ] {
            assert!(is_complete(complete), "{complete}");
        }
        for (source, open) in [
            ("SELECT *", Open::Statement),
            ("SELECT 'a' -- '", Open::Statement),
            ("SELECT ';", Open::Text),
            ("INSERT /* ';", Open::Comment),
            ("HELP; SELECT", Open::Statement),
            ("'a'';", Open::Text),
        ] {
            assert_eq!(left_open(source), Some(open), "{source}");
        }
    }

    #[test]
    fn no_line_mends_what_no_statement_begins_with() {
        for wrong in
            ["SELEC", "exot\n", "SELEC * -- all\n", "HELP; SELEC *", ") SELECT", ":q", "'text'", "INSERT; 7"]
        {
            assert!(is_complete(wrong), "{wrong}");
        }
        // What is written in a text or a comment may look like anything.
        for open in ["SELEC 'a\n", "SELECT 'a\nSELEC\n", "/* SELEC\n", "HELP; x /* ;"] {
            assert!(!is_complete(open), "{open}");
        }
    }
}
