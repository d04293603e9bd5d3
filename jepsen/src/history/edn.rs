//! A reader of EDN.

use std::str::FromStr;

use super::file::ParseError;
use super::value::Value;

/// How deep collections may nest: enough for any history, and safe for the stack.
const DEPTH_MAX: usize = 64;

/// Reads one value after another; knows its line for errors.
pub(super) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    depth: usize,
}

impl FromStr for Value {
    type Err = ParseError;

    /// One value in EDN and nothing else.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut reader = Reader::new(text.as_bytes());
        let value = reader.value()?;
        match reader.peek()? {
            None => Ok(value),
            Some(_) => Err(reader.error("more than one value")),
        }
    }
}

/// What an element calls back with: its line and itself.
type Visit<'v> = &'v mut dyn FnMut(usize, Value) -> Result<(), ParseError>;

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Reader { text, at: 0, line: 1, depth: 0 }
    }

    /// Visits every value of the text; those within one outer vector or list are visited by themselves.
    pub(super) fn elements(&mut self, visit: Visit<'_>) -> Result<(), ParseError> {
        while let Some(byte) = self.peek()? {
            match byte {
                b'[' => self.elements_until(b']', visit)?,
                b'(' => self.elements_until(b')', visit)?,
                _ => {
                    let line = self.line;
                    let value = self.value()?;
                    visit(line, value)?;
                }
            }
        }
        Ok(())
    }

    fn elements_until(&mut self, close: u8, visit: Visit<'_>) -> Result<(), ParseError> {
        self.at += 1;
        while self.peek()? != Some(close) {
            let line = self.line;
            let value = self.value()?;
            visit(line, value)?;
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self) -> Result<Value, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("collections nest too deep"));
        }
        let value = self.value_within()?;
        self.depth -= 1;
        Ok(value)
    }

    fn value_within(&mut self) -> Result<Value, ParseError> {
        let Some(byte) = self.peek()? else { return Err(self.error("the text ends where a value is due")) };
        match byte {
            b'[' => Ok(Value::Vector(self.items(b']')?)),
            b'(' => Ok(Value::Vector(self.items(b')')?)),
            b'{' => self.map(),
            b'"' => self.text(),
            b'#' if self.text.get(self.at + 1) == Some(&b'{') => {
                self.at += 1;
                Ok(Value::Set(self.items(b'}')?))
            }
            b'#' => {
                // A tag: the value behind it is taken as it is.
                self.word()?;
                self.value()
            }
            b']' | b')' | b'}' => Err(self.error("a bracket closes that was not opened")),
            b':' => match self.word()?[1..].to_owned() {
                name if name.is_empty() => Err(self.error("a keyword without a name")),
                name => Ok(Value::Keyword(name)),
            },
            _ => Ok(scalar(self.word()?)),
        }
    }

    /// The values up to `close`; stands on the opening bracket.
    fn items(&mut self, close: u8) -> Result<Vec<Value>, ParseError> {
        self.at += 1;
        let mut items = Vec::new();
        while self.peek()? != Some(close) {
            items.push(self.value()?);
        }
        self.at += 1;
        Ok(items)
    }

    fn map(&mut self) -> Result<Value, ParseError> {
        let mut items = self.items(b'}')?.into_iter();
        let mut pairs = Vec::with_capacity(items.len() / 2);
        while let Some(key) = items.next() {
            let value = items.next().ok_or_else(|| self.error("a map with a key but no value"))?;
            pairs.push((key, value));
        }
        Ok(Value::Map(pairs))
    }

    fn text(&mut self) -> Result<Value, ParseError> {
        let start = self.line;
        let mut bytes = Vec::new();
        loop {
            self.at += 1;
            match self.text.get(self.at) {
                None => return Err(ParseError { line: start, problem: "a string without end".to_owned() }),
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    bytes.push(self.escaped()?);
                }
                Some(&byte) => {
                    self.line += usize::from(byte == b'\n');
                    bytes.push(byte);
                }
            }
        }
        self.at += 1;
        String::from_utf8(bytes).map(Value::Text).map_err(|_| self.error("a string that is not UTF-8"))
    }

    fn escaped(&self) -> Result<u8, ParseError> {
        match self.text.get(self.at) {
            Some(b'n') => Ok(b'\n'),
            Some(b'r') => Ok(b'\r'),
            Some(b't') => Ok(b'\t'),
            Some(&byte @ (b'"' | b'\\')) => Ok(byte),
            _ => Err(self.error("an unknown escape in a string")),
        }
    }

    /// A run of bytes up to a blank or a bracket.
    fn word(&mut self) -> Result<&'a str, ParseError> {
        let rest = &self.text[self.at..];
        let ends = |byte: &u8| is_blank(*byte) || b"[](){}\";".contains(byte);
        let length = rest.iter().position(ends).unwrap_or(rest.len()).max(1).min(rest.len());
        self.at += length;
        std::str::from_utf8(&rest[..length]).map_err(|_| self.error("a word that is not UTF-8"))
    }

    /// The next byte that is neither blank nor in a comment nor in a discarded form.
    fn peek(&mut self) -> Result<Option<u8>, ParseError> {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b';' => {
                    let rest = &self.text[self.at..];
                    self.at += rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
                }
                b'#' if self.text.get(self.at + 1) == Some(&b'_') => {
                    self.at += 2;
                    self.value()?;
                }
                _ if is_blank(byte) => {
                    self.line += usize::from(byte == b'\n');
                    self.at += 1;
                }
                _ => return Ok(Some(byte)),
            }
        }
        Ok(None)
    }

    fn error(&self, problem: &str) -> ParseError {
        ParseError { line: self.line, problem: problem.to_owned() }
    }
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b','
}

fn scalar(word: &str) -> Value {
    match word {
        "nil" => Value::Nil,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match word.strip_suffix('N').unwrap_or(word).parse() {
            Ok(integer) => Value::Integer(integer),
            Err(_) => Value::Literal(word.to_owned()),
        },
    }
}
