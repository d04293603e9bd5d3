//! What commands set for the statements that follow.

use super::Session;
use crate::cql::{Paging, SessionLevel, Statement, render::Format};

impl Session {
    /// Sets something, or shows how it is set.
    pub(super) fn set(&mut self, setting: Statement) {
        let shown = match setting {
            Statement::Consistency(level) => {
                self.level = level.unwrap_or(self.level);
                (level.is_some(), level_text(self.level))
            }
            Statement::Tracing(on) => {
                self.tracing = on.unwrap_or(self.tracing);
                (on.is_some(), switch_text("tracing", self.tracing))
            }
            Statement::Timing(on) => {
                self.timing = on.unwrap_or(self.timing);
                (on.is_some(), switch_text("timing", self.timing))
            }
            Statement::Expand(_) if !self.console.format().is_for_people() => {
                (false, "expand: rows for programs stay as they are (--output)".to_owned())
            }
            Statement::Expand(on) => {
                self.console = on.map_or(self.console, |on| self.console.expanded(on));
                (on.is_some(), switch_text("expand", self.console.format() == Format::Expanded))
            }
            Statement::Paging(paging) => {
                self.paging = paging.unwrap_or(self.paging);
                (paging.is_some(), paging_text(self.paging))
            }
            _ => return,
        };
        match shown {
            (true, text) => self.console.confirm(text),
            (false, text) => self.console.note(text),
        }
    }
}

/// Whether a statement does something that takes time. One that reads others from a file has each of those timed.
pub(super) fn is_timed(statement: &Statement) -> bool {
    !matches!(
        statement,
        Statement::Consistency(_)
            | Statement::Tracing(_)
            | Statement::Timing(_)
            | Statement::Expand(_)
            | Statement::Paging(_)
            | Statement::Source(_)
            | Statement::Help(_)
            | Statement::Exit
    )
}

fn level_text(level: SessionLevel) -> String {
    match level {
        SessionLevel::Default => "consistency DEFAULT: each table's own levels (DESCRIBE TABLES)".to_owned(),
        SessionLevel::Level(level) => format!("consistency {level}"),
    }
}

fn paging_text(paging: Paging) -> String {
    match paging {
        Paging::Screen => "paging: on a terminal asks when the screen is full".to_owned(),
        Paging::Rows(rows) => format!("paging: on a terminal asks after each {rows} rows of a scan"),
        Paging::Off => "paging off".to_owned(),
    }
}

fn switch_text(what: &str, on: bool) -> String {
    format!("{what} {}", if on { "on" } else { "off" })
}
