//! Errors that point at the place in the statement.

use std::fmt;

/// A part of a source text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// What kind of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CqlErrorKind {
    /// The text is no statement.
    Syntax,
    /// The text is a statement of the language that this version does not carry out.
    Unsupported,
    /// The statement is about a table that there is not.
    UnknownTable,
}

/// Why a text was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CqlError {
    /// What kind of mistake.
    pub kind: CqlErrorKind,
    /// What is wrong.
    pub message: String,
    /// Where in the source.
    pub span: Span,
    /// What may have been meant.
    pub hint: Option<String>,
}

impl CqlError {
    pub(super) fn syntax(message: impl Into<String>, span: Span) -> Self {
        Self { kind: CqlErrorKind::Syntax, message: message.into(), span, hint: None }
    }

    pub(super) fn unsupported(feature: impl Into<String>, span: Span) -> Self {
        Self { kind: CqlErrorKind::Unsupported, message: feature.into(), span, hint: None }
    }

    /// The error of a statement that names the table at `span`, which there is not.
    #[cfg(feature = "cli")]
    pub(crate) fn unknown_table(message: impl Into<String>, span: Span, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), Some(hint.into()));
        Self { kind: CqlErrorKind::UnknownTable, message, span, hint }
    }

    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The line and column of the error in `source`, both counted from 1, columns in characters.
    pub fn position(&self, source: &str) -> (usize, usize) {
        let (before, line_start) = self.locate(source);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The error for people: what, where, the line with carets below the place, and the hint.
    /// `first_line` is the number of the source's first line in the file it came from, from 1.
    pub fn render(&self, source: &str, first_line: usize) -> String {
        let (line, column) = self.position(source);
        let (before, line_start) = self.locate(source);
        let rest = &source[line_start..];
        let text = rest.split('\n').next().unwrap_or(rest).trim_end_matches('\r');
        let at = (before.len() - line_start).min(text.len());
        let end = self.span.end.saturating_sub(line_start).clamp(at, text.len());
        let end = (end..=text.len()).find(|&end| text.is_char_boundary(end)).unwrap_or(text.len());
        let carets = width(&expand(&text[at..end])).max(1);

        let mut out = format!("{self} at line {}, column {column}:\n", first_line + line - 1);
        out.push_str(&format!("    {}\n", expand(text)));
        out.push_str(&format!("    {}{}", " ".repeat(width(&expand(&text[..at]))), "^".repeat(carets)));
        if let Some(hint) = &self.hint {
            out.push_str(&format!("\n{hint}"));
        }
        out
    }

    /// What lies before the error, and where its line starts.
    fn locate<'s>(&self, source: &'s str) -> (&'s str, usize) {
        let mut at = self.span.start.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        let before = &source[..at];
        (before, before.rfind('\n').map_or(0, |newline| newline + 1))
    }
}

impl fmt::Display for CqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            CqlErrorKind::Syntax => write!(f, "syntax error: {}", self.message),
            CqlErrorKind::Unsupported => write!(f, "not supported yet: {}", self.message),
            CqlErrorKind::UnknownTable => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for CqlError {}

/// Tabs and control characters as spaces, so that carets line up on every terminal.
fn expand(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\t' => out.push_str("    "),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        out
    })
}

/// Columns that a terminal spends on `text`: two for East Asian wide characters and emoji, none for marks that
/// join their neighbour. Coarse blocks suffice: a wrong guess moves a caret by one column.
pub(crate) fn width(text: &str) -> usize {
    let columns = |c: char| match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    };
    text.chars().map(columns).sum()
}
