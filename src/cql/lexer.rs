//! From characters to tokens.

use super::{CqlError, Span};

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A keyword or a name; which of them, the place decides.
    Word(String),
    /// `'text'`, quotes undone.
    Text(String),
    /// `0x..`.
    Blob(Vec<u8>),
    /// A plain number.
    Number(u64),
    /// `?`.
    Positional,
    /// `:name`.
    Named(String),
    /// `( ) , = ; *` and their like.
    Symbol(char),
    /// The end of the source.
    End,
}

impl TokenKind {
    /// The token as an error message names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("'{}'", shorten(word)),
            Self::Text(text) => format!("text '{}'", shorten(text)),
            Self::Blob(_) => "a blob".to_owned(),
            Self::Number(number) => format!("number {number}"),
            Self::Positional => "'?'".to_owned(),
            Self::Named(name) => format!("':{}'", shorten(name)),
            Self::Symbol(symbol) => format!("'{symbol}'"),
            Self::End => "the end".to_owned(),
        }
    }
}

pub(super) struct Lexer<'s> {
    source: &'s str,
    at: usize,
    /// The last error was a quote or comment that more text may close.
    left_open: bool,
}

impl<'s> Lexer<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, at: 0, left_open: false }
    }

    /// Whether the last error was a quote or comment that more text may close.
    pub(super) fn left_open(&self) -> bool {
        self.left_open
    }

    /// The next token; [`TokenKind::End`] again and again at the end.
    pub(super) fn next_token(&mut self) -> Result<Token, CqlError> {
        self.skip_blanks()?;
        let start = self.at;
        let Some(first) = self.peek() else {
            return Ok(self.token(start, TokenKind::End));
        };
        let kind = match first {
            '\'' => self.text()?,
            '0' if self.rest().starts_with("0x") || self.rest().starts_with("0X") => self.blob()?,
            '0'..='9' => self.number()?,
            ':' => self.named()?,
            '?' => self.single(TokenKind::Positional),
            '(' | ')' | ',' | '=' | ';' | '*' => self.single(TokenKind::Symbol(first)),
            c if is_word_start(c) => TokenKind::Word(self.take_while(is_word)),
            '"' => {
                self.at += 1;
                let error = CqlError::syntax("double quotes are not used here", self.span(start));
                return Err(error.with_hint("texts stand in single quotes: 'text'; names in none"));
            }
            '\\' => {
                let command = self.take_while(|c| !c.is_whitespace() && c != ';');
                let error = CqlError::syntax("commands are words here", self.span(start));
                return Err(error.with_hint(in_words(&command)));
            }
            other => {
                self.at += other.len_utf8();
                let message = format!("unexpected character '{}'", other.escape_debug());
                return Err(CqlError::syntax(message, self.span(start)));
            }
        };
        Ok(self.token(start, kind))
    }

    fn skip_blanks(&mut self) -> Result<(), CqlError> {
        loop {
            self.take_while(char::is_whitespace);
            if self.rest().starts_with("--") {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                let start = self.at;
                match self.rest()[2..].find("*/") {
                    Some(length) => self.at += length + 4,
                    None => {
                        let span = Span { start, end: start + 2 };
                        return Err(self
                            .open("this comment is not closed", span)
                            .with_hint("close it with */"));
                    }
                }
            } else {
                return Ok(());
            }
        }
    }

    fn text(&mut self) -> Result<TokenKind, CqlError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            text.push_str(&self.take_while(|c| c != '\''));
            if self.peek().is_none() {
                let span = Span { start, end: start + 1 };
                let error = self.open("this text is not closed", span);
                return Err(error.with_hint("close it with '; a quote inside a text is written ''"));
            }
            self.at += 1;
            if self.peek() != Some('\'') {
                return Ok(TokenKind::Text(text));
            }
            self.at += 1;
            text.push('\'');
        }
    }

    fn blob(&mut self) -> Result<TokenKind, CqlError> {
        let start = self.at;
        self.at += 2;
        let digits = self.take_while(is_word);
        if let Some(bad) = digits.chars().position(|c| !c.is_ascii_hexdigit()) {
            let at = start + 2 + digits.chars().take(bad).map(char::len_utf8).sum::<usize>();
            let wrong = digits.chars().nth(bad).map_or(1, char::len_utf8);
            return Err(CqlError::syntax(
                "a blob takes hex digits only",
                Span { start: at, end: at + wrong },
            ));
        }
        if digits.len() % 2 == 1 {
            return Err(CqlError::syntax("a blob takes two hex digits for each byte", self.span(start)));
        }
        let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
        let (pairs, _) = digits.as_bytes().as_chunks::<2>();
        Ok(TokenKind::Blob(pairs.iter().map(|&[high, low]| nibble(high) << 4 | nibble(low)).collect()))
    }

    fn number(&mut self) -> Result<TokenKind, CqlError> {
        let start = self.at;
        let digits = self.take_while(is_word);
        if digits.bytes().any(|b| !b.is_ascii_digit()) {
            let error = CqlError::syntax(
                format!("'{}' is neither a number nor a name", shorten(&digits)),
                self.span(start),
            );
            return Err(error.with_hint(match crate::units::parse_duration(&digits) {
                Ok(_) => format!("durations stand in single quotes: '{digits}'"),
                Err(_) => "texts stand in single quotes; names start with a letter".to_owned(),
            }));
        }
        let number =
            digits.parse().map_err(|_| CqlError::syntax("this number is too large", self.span(start)))?;
        Ok(TokenKind::Number(number))
    }

    fn named(&mut self) -> Result<TokenKind, CqlError> {
        let start = self.at;
        self.at += 1;
        let name = self.take_while(is_word);
        if name.chars().next().is_some_and(is_word_start) {
            return Ok(TokenKind::Named(name));
        }
        Err(CqlError::syntax("a name must follow ':'", self.span(start)))
    }

    fn single(&mut self, kind: TokenKind) -> TokenKind {
        self.at += 1;
        kind
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += length;
        rest[..length].to_owned()
    }

    fn open(&mut self, message: &str, span: Span) -> CqlError {
        self.at = self.source.len();
        self.left_open = true;
        CqlError::syntax(message, span)
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn span(&self, start: usize) -> Span {
        Span { start, end: self.at }
    }

    fn token(&self, start: usize, kind: TokenKind) -> Token {
        Token { kind, span: self.span(start) }
    }
}

/// What a command of another shell is called here.
fn in_words(command: &str) -> &'static str {
    match command.trim_end_matches('+') {
        "\\d" | "\\dt" => "DESCRIBE TABLES lists the tables, DESCRIBE TABLE name shows one",
        "\\l" | "\\conninfo" => "DESCRIBE CLUSTER shows the nodes, DESCRIBE TABLES the tables",
        "\\q" => "EXIT leaves",
        "\\x" => "EXPAND ON prints each row by itself",
        "\\timing" => "TIMING ON prints how long each statement took",
        "\\i" => "SOURCE 'file' carries out a file of statements",
        "\\copy" => "COPY name FROM 'file.csv' and COPY name TO 'file.csv'",
        _ => "HELP lists the statements and commands",
    }
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Long tokens do not fill the screen.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
    .escape_debug()
    .to_string()
    .replace("\\'", "'")
}

const SHOWN_CHARS_MAX: usize = 40;
