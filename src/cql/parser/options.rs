//! `WITH name = value AND ..`.

use quorate_ring::{Consistency, Table, TableKind};

use super::{Expected, Parser, READ_LEVELS, hinted, statements::unknown_option, unexpected};
use crate::cql::{AlterTable, CopyOption, CqlError, CreateTable, Span, lexer::TokenKind};

impl Parser<'_> {
    /// `[WITH ..]` of a table about to be created.
    pub(super) fn table_options(&mut self, mut create: CreateTable) -> Result<CreateTable, CqlError> {
        self.options(TABLE_OPTIONS, TABLE_OPTIONS, |parser, name| {
            match name {
                "KIND" => create.kind = Some(parser.table_kind()?),
                "READ_CONSISTENCY" => create.read_consistency = Some(parser.read_level()?),
                "WRITE_CONSISTENCY" => create.write_consistency = Some(parser.level()?),
                _ => {
                    let replication = parser.bounded("replication", 1, u64::from(Table::REPLICATION_MAX))?;
                    create.replication = Some(replication as u8);
                }
            }
            Ok(())
        })?;
        Ok(create)
    }

    /// `WITH ..` of a table about to be altered, with one option at least.
    pub(super) fn altered_options(&mut self, mut alter: AlterTable) -> Result<AlterTable, CqlError> {
        let at = self.peek()?.clone();
        self.options(TABLE_OPTIONS, ALTERABLE, |parser, name| {
            match name {
                "READ_CONSISTENCY" => alter.read_consistency = Some(parser.read_level()?),
                "WRITE_CONSISTENCY" => alter.write_consistency = Some(parser.level()?),
                _ => {
                    let message = format!("{} of a table cannot be altered", name.to_lowercase());
                    return Err(CqlError::syntax(message, parser.peek()?.span)
                        .with_hint("its data would have to move: create another table and copy"));
                }
            }
            Ok(())
        })?;
        if alter.read_consistency.is_none() && alter.write_consistency.is_none() {
            return Err(unexpected("WITH", &at, &["WITH"]));
        }
        Ok(alter)
    }

    pub(super) fn copy_options(&mut self, direction: &str) -> Result<Vec<CopyOption>, CqlError> {
        let mut options = Vec::new();
        let known = if direction == "TO" { COPY_TO_OPTIONS } else { COPY_FROM_OPTIONS };
        self.options(known, known, |parser, name| {
            options.push(match name {
                "HEADER" => CopyOption::Header(parser.one_of(&["TRUE", "FALSE"])?.0 == "TRUE"),
                "DELIMITER" => CopyOption::Delimiter(parser.delimiter()?),
                "RESUME" => CopyOption::Resume(parser.one_of(&["TRUE", "FALSE"])?.0 == "TRUE"),
                "PROGRESS" => CopyOption::Progress(parser.file()?),
                "INFLIGHT" => CopyOption::InFlight(parser.bounded("inflight", 1, IN_FLIGHT_MAX)? as u16),
                _ => CopyOption::MaxErrors(parser.bounded("maxerrors", 1, u64::MAX)?),
            });
            Ok(())
        })?;
        Ok(options)
    }

    /// Each option of `known` once at most; `set` reads what follows the `=`, and refuses those that are not `offered`.
    fn options(
        &mut self,
        known: &[&'static str],
        offered: &[&'static str],
        mut set: impl FnMut(&mut Self, &'static str) -> Result<(), CqlError>,
    ) -> Result<(), CqlError> {
        if !self.take_word("WITH")? {
            return Ok(());
        }
        let mut seen: Vec<&'static str> = Vec::new();
        loop {
            let left = offered.iter().filter(|name| !seen.contains(*name)).copied().map(Expected::Name);
            self.expects(&left.collect::<Vec<_>>())?;
            let token = self.next()?;
            let TokenKind::Word(word) = &token.kind else {
                return Err(unexpected("an option", &token, &[]));
            };
            let Some(&name) = known.iter().find(|name| name.eq_ignore_ascii_case(word)) else {
                return Err(unknown_option(word, &token, known));
            };
            if seen.contains(&name) {
                let message = format!("option {} is given twice", name.to_lowercase());
                return Err(CqlError::syntax(message, token.span));
            }
            seen.push(name);
            self.symbol('=')?;
            set(self, name)?;
            if !self.take_word("AND")? {
                return Ok(());
            }
        }
    }

    fn read_level(&mut self) -> Result<Consistency, CqlError> {
        let at = self.peek()?.span;
        match self.level_of(READ_LEVELS)? {
            Consistency::Any => {
                Err(CqlError::syntax("ANY is for writes only", at)
                    .with_hint("a read needs at least ONE replica"))
            }
            level => Ok(level),
        }
    }

    fn table_kind(&mut self) -> Result<TableKind, CqlError> {
        self.expects(&["siblings", "register", "cas"].map(Expected::Text))?;
        let (text, span) = self.text("a kind in quotes")?;
        text.parse().map_err(|unknown: quorate_ring::UnknownTableKind| {
            hinted(CqlError::syntax(unknown.to_string(), span), &text, &["SIBLINGS", "REGISTER", "CAS"])
        })
    }

    fn delimiter(&mut self) -> Result<u8, CqlError> {
        let (text, span) = self.text("a delimiter in quotes")?;
        match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
            br"\t" => Ok(b'\t'),
            _ => {
                Err(CqlError::syntax("a delimiter is one ASCII character, no quote and no line's end", span))
            }
        }
    }

    pub(super) fn bounded(&mut self, name: &str, min: u64, max: u64) -> Result<u64, CqlError> {
        let (number, span): (u64, Span) = self.number("a number")?;
        if (min..=max).contains(&number) {
            return Ok(number);
        }
        let bounds = if max == u64::MAX { format!("at least {min}") } else { format!("{min} to {max}") };
        Err(CqlError::syntax(format!("{name} must be {bounds}"), span))
    }
}

const TABLE_OPTIONS: &[&str] = &["KIND", "REPLICATION", "READ_CONSISTENCY", "WRITE_CONSISTENCY"];
const ALTERABLE: &[&str] = &["READ_CONSISTENCY", "WRITE_CONSISTENCY"];
const COPY_TO_OPTIONS: &[&str] = &["HEADER", "DELIMITER"];
const COPY_FROM_OPTIONS: &[&str] = &["HEADER", "DELIMITER", "INFLIGHT", "MAXERRORS", "RESUME", "PROGRESS"];
const IN_FLIGHT_MAX: u64 = 4096;
