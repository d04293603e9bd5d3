//! `USING .. AND ..`, `WITH CONTEXT '..'` and `IF ..`.

use std::{num::NonZeroU8, time::Duration};

use bytes::Bytes;
use quorate_ring::Consistency;

use super::{Expected, Parser, list, unexpected};
use crate::{
    client::{Context, MalformedContext},
    cql::{
        Argument, Condition, CqlError, ReadOptions, Span, Term, WriteOptions,
        lexer::{Token, TokenKind},
    },
    units::parse_duration,
};

/// What a statement says of how it is to be carried out.
#[derive(Debug, Default)]
pub(super) struct Clauses {
    /// `USING` was there.
    using: bool,
    consistency: Option<Argument<Consistency>>,
    ttl: Option<Argument<Duration>>,
    sloppy: bool,
    monotone: bool,
    context: Option<Term>,
    /// `IF NOT EXISTS`.
    pub(super) if_not_exists: bool,
    /// Another `IF`.
    pub(super) condition: Option<Condition>,
    /// What was met that makes no sense in `cas` tables, and where.
    not_of_cas: Option<(&'static str, Span)>,
}

/// Which clauses make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A write of a value.
    Insert,
    /// The same.
    Update,
    /// Where an `UPDATE` has said nothing yet but its table: no condition.
    Bare,
    /// A delete.
    Delete,
    /// A read.
    Get,
}

impl Of {
    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Insert | Self::Update | Self::Bare => &["CONSISTENCY", "W", "TTL", "SLOPPY"],
            Self::Delete => &["CONSISTENCY", "W", "SLOPPY"],
            Self::Get => &["CONSISTENCY", "R", "MONOTONE"],
        }
    }

    const fn takes_condition(self) -> bool {
        matches!(self, Self::Insert | Self::Update | Self::Delete)
    }

    const fn condition_hint(self) -> &'static str {
        match self {
            Self::Insert => {
                "INSERT takes IF NOT EXISTS; UPDATE and DELETE take IF EXISTS and IF value = '..'"
            }
            _ => "conditions: IF EXISTS, IF value = '..'; INSERT takes IF NOT EXISTS",
        }
    }
}

impl Clauses {
    fn has_condition(&self) -> bool {
        self.if_not_exists || self.condition.is_some()
    }

    /// Refuses what makes no sense together.
    fn whole(self) -> Result<Self, CqlError> {
        let Some((what, span)) = self.not_of_cas.filter(|_| self.has_condition()) else {
            return Ok(self);
        };
        let error = CqlError::syntax(format!("{what} does not go with IF"), span);
        Err(error.with_hint(match what {
            "TTL" => "conditions are for cas tables, and values there do not expire",
            "SLOPPY" => "conditions are for cas tables, SLOPPY is for siblings tables",
            _ => "a context says what is replaced in siblings tables, IF value = '..' in cas tables",
        }))
    }

    fn has(&self, word: &str) -> bool {
        match word {
            "TTL" => self.ttl.is_some(),
            "SLOPPY" => self.sloppy,
            "MONOTONE" => self.monotone,
            _ => self.consistency.is_some(),
        }
    }
}

impl Parser<'_> {
    /// `[USING ..] [WITH CONTEXT ..] [IF ..]` in any order, after those `given` before.
    pub(super) fn clauses(&mut self, of: Of, given: Clauses) -> Result<Clauses, CqlError> {
        let mut clauses = given;
        loop {
            let next = self.peek()?.clone();
            // What is given already is not offered, and refused if it comes.
            let ends = self.ends();
            if !(clauses.using && ends) && self.take_word("USING")? {
                if clauses.using {
                    let error = CqlError::syntax("USING is given twice", next.span);
                    return Err(error.with_hint("join what follows with AND: USING CONSISTENCY ONE AND .."));
                }
                self.using(of, &mut clauses)?;
            } else if of != Of::Get && !(clauses.context.is_some() && ends) && self.take_word("WITH")? {
                self.word("CONTEXT")?;
                if clauses.context.replace(self.context()?).is_some() {
                    return Err(CqlError::syntax("WITH CONTEXT is given twice", next.span));
                }
                let span = Span { start: next.span.start, end: self.end };
                clauses.not_of_cas.get_or_insert(("WITH CONTEXT", span));
            } else if of.takes_condition() && !(clauses.has_condition() && ends) && self.take_word("IF")? {
                if clauses.has_condition() {
                    let error = CqlError::syntax("IF is given twice", next.span);
                    return Err(error.with_hint("a statement has one condition, of its key's value"));
                }
                self.condition(of, &mut clauses).map_err(|error| error.or_hint(of.condition_hint()))?;
            } else {
                return clauses.whole();
            }
        }
    }

    /// What follows `IF`.
    fn condition(&mut self, of: Of, clauses: &mut Clauses) -> Result<(), CqlError> {
        if of == Of::Insert {
            self.word("NOT")?;
            self.word("EXISTS")?;
            clauses.if_not_exists = true;
            return Ok(());
        }
        self.expects(&[Expected::Word("EXISTS"), Expected::Name("VALUE")])?;
        let (found, span) = self.choice(&["EXISTS", "VALUE"])?;
        clauses.condition = Some(if found == "EXISTS" {
            self.keywords.push(span);
            Condition::Exists
        } else {
            self.symbol('=')?;
            Condition::Value(self.term("a value")?)
        });
        Ok(())
    }

    /// What follows `USING`.
    fn using(&mut self, of: Of, clauses: &mut Clauses) -> Result<(), CqlError> {
        clauses.using = true;
        loop {
            let left = of.words().iter().filter(|word| !clauses.has(word)).copied().map(Expected::Word);
            self.expects(&left.collect::<Vec<_>>())?;
            let token = self.next()?;
            let word = self.clause_word(of, &token)?;
            self.keywords.push(token.span);
            if clauses.has(word) {
                let what = if matches!(word, "W" | "R") { "the consistency level" } else { word };
                return Err(CqlError::syntax(format!("{what} is given twice"), token.span));
            }
            if matches!(word, "TTL" | "SLOPPY") {
                clauses.not_of_cas.get_or_insert((word, token.span));
            }
            match word {
                "TTL" => clauses.ttl = Some(self.argument(Self::ttl)?),
                "SLOPPY" => clauses.sloppy = true,
                "MONOTONE" => clauses.monotone = true,
                "CONSISTENCY" => clauses.consistency = Some(self.argument(Self::level)?),
                _ => clauses.consistency = Some(self.replica_count()?),
            }
            if !self.take_word("AND")? {
                return Ok(());
            }
        }
    }

    /// The clause that `token` begins. What makes sense elsewhere only says where.
    fn clause_word(&self, of: Of, token: &Token) -> Result<&'static str, CqlError> {
        let words = of.words();
        let TokenKind::Word(word) = &token.kind else {
            return Err(unexpected(&list(words), token, &[]));
        };
        if let Some(found) = words.iter().find(|known| known.eq_ignore_ascii_case(word)) {
            return Ok(found);
        }
        let upper = word.to_ascii_uppercase();
        let misplaced = match &*upper {
            "TTL" => "TTL is for INSERT and UPDATE",
            "SLOPPY" => "SLOPPY is for writes",
            "MONOTONE" => "MONOTONE is for SELECT",
            "W" => "W is how many replicas a write waits for: reads take R",
            "R" => "R is how many replicas a read waits for: writes take W",
            "TIMESTAMP" => {
                let error = CqlError::unsupported("USING TIMESTAMP", token.span);
                return Err(error.with_hint("the nodes' clocks name versions; WRITETIME(value) reads them"));
            }
            _ => return Err(unexpected(&list(words), token, words)),
        };
        Err(CqlError::syntax(misplaced, token.span))
    }

    /// `= n` after `W` or `R`.
    fn replica_count(&mut self) -> Result<Argument<Consistency>, CqlError> {
        self.symbol('=')?;
        self.argument(Self::count)
    }

    fn count(&mut self) -> Result<Consistency, CqlError> {
        let token = self.next()?;
        let TokenKind::Number(number) = token.kind else {
            let hint = "W and R count replicas; levels with names follow CONSISTENCY";
            return Err(unexpected("a number of replicas", &token, &[]).or_hint(hint));
        };
        let count = u8::try_from(number).ok().and_then(NonZeroU8::new);
        count.map(Consistency::Count).ok_or_else(|| CqlError::syntax(COUNT_BOUNDS, token.span))
    }

    fn ttl(&mut self) -> Result<Duration, CqlError> {
        let (ttl, span) = self.seconds(TTL_HINT)?;
        checked_ttl(ttl).map_err(|why| CqlError::syntax(why, span).with_hint(TTL_HINT))
    }

    /// Seconds, or a duration with its unit in quotes.
    pub(super) fn seconds(&mut self, hint: &str) -> Result<(Duration, Span), CqlError> {
        let token = self.next()?;
        let duration = match &token.kind {
            TokenKind::Number(seconds) => Duration::from_secs(*seconds),
            TokenKind::Text(text) => {
                parse_duration(text).map_err(|why| CqlError::syntax(why, token.span).with_hint(hint))?
            }
            _ => return Err(unexpected("a number of seconds or a duration", &token, &[]).or_hint(hint)),
        };
        Ok((duration, token.span))
    }

    /// A context as a read printed it, or a parameter.
    fn context(&mut self) -> Result<Term, CqlError> {
        if matches!(self.peek()?.kind, TokenKind::Positional | TokenKind::Named(_)) {
            return self.term("a context");
        }
        let (text, span) = self.text("a context in quotes")?;
        let context: Context = text.parse().map_err(|malformed: MalformedContext| {
            CqlError::syntax(malformed.to_string(), span)
                .with_hint("SELECT CONTEXT(value) FROM .. prints the context of a key")
        })?;
        Ok(Term::Blob(Bytes::from(context).into()))
    }
}

impl From<Clauses> for WriteOptions {
    fn from(clauses: Clauses) -> Self {
        let Clauses { consistency, ttl, sloppy, context, .. } = clauses;
        Self { consistency, ttl, sloppy, context }
    }
}

impl From<Clauses> for ReadOptions {
    fn from(clauses: Clauses) -> Self {
        let Clauses { consistency, monotone, .. } = clauses;
        Self { consistency, monotone }
    }
}

/// What of durations is a TTL.
///
/// # Errors
/// Why this one is none.
pub(in crate::cql) fn checked_ttl(ttl: Duration) -> Result<Duration, &'static str> {
    if !ttl.subsec_nanos().is_multiple_of(1_000_000) {
        return Err("a TTL counts whole milliseconds");
    }
    if !(TTL_MIN..=TTL_MAX).contains(&ttl) {
        return Err("a TTL is 1 ms to 36500 days: without one the value stays");
    }
    Ok(ttl)
}

pub(in crate::cql) const COUNT_BOUNDS: &str = "a number of replicas is 1 to 255";
const TTL_HINT: &str = "USING TTL 3600 is in seconds; units stand in quotes: '500ms', '12h', '30d'";
const TTL_MIN: Duration = Duration::from_millis(1);
/// A hundred years: far, but within what the clocks of versions can say.
const TTL_MAX: Duration = Duration::from_secs(36_500 * 86_400);
