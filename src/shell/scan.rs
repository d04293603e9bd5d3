//! SELECT without WHERE: a table in the order of its keys' tokens.

use std::{io, time::Duration};

use rustyline::{DefaultEditor, error::ReadlineError};

use super::{
    Answer, Console, ShellError,
    clock::now,
    trace::{not_read, receipt_table},
};
use crate::{
    client::{Scan, TableHandle},
    cql::{Column, Paging, ReadOptions, render::Parts},
};

/// What is wanted of a table.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) columns: Vec<Column>,
    /// Keys at most.
    pub(super) limit: Option<u64>,
    pub(super) options: ReadOptions,
    pub(super) paging: Paging,
    /// Whether each page's receipt is printed.
    pub(super) tracing: bool,
}

/// Prints the rows as they come. A person is asked after each so many whether to go on; to a program or a file everything
/// is given. Says how long the person took to answer, in all.
pub(super) async fn select_all(
    table: &TableHandle,
    wish: &Wish,
    console: &Console,
) -> Result<Duration, ShellError> {
    let definition = table.definition();
    let answer = || Answer::new(&definition.name, definition.kind, &wish.columns, console.format());
    let asks_after = match wish.paging {
        Paging::Rows(rows) if console.is_interactive() => Some(rows),
        Paging::Rows(_) | Paging::Off => None,
    };
    let mut left = wish.limit.unwrap_or(u64::MAX);
    let mut scan = wish.limit.into_iter().fold(wish.options.scan(table), Scan::limit);
    let (mut parts, mut shown, mut conflicts) = (Parts::new(console.format()), 0, 0);
    let mut thought = Duration::ZERO;
    loop {
        let rows = asks_after.unwrap_or(PAGE_ROWS).min(PAGE_ROWS);
        scan = scan.page_rows(rows);
        let what = format_args!("a page of {}", definition.name);
        let page = scan.next_page().await.map_err(|error| not_read(&what, wish.tracing, error))?;
        let Some(page) = page else { break };
        let mut part = answer();
        page.rows.iter().for_each(|row| part.push_row(row));
        left = left.saturating_sub(page.rows.len() as u64);
        shown += page.rows.len();
        console.part(&mut parts, part.grid())?;
        for conflict in part.conflicts() {
            conflicts += 1;
            if conflicts <= CONFLICTS_SHOWN {
                console.note(conflict);
            }
        }
        if wish.tracing {
            console.note(receipt_table(&what.to_string(), &page.receipt));
        }
        if left == 0 || page.cursor.is_none() {
            break;
        }
        if asks_after.is_some_and(|rows| shown >= rows as usize) {
            shown = 0;
            let asked = now();
            let goes_on = goes_on().await?;
            thought += asked.elapsed();
            if !goes_on {
                break;
            }
        }
    }
    if conflicts > CONFLICTS_SHOWN {
        let more = conflicts - CONFLICTS_SHOWN;
        console.note(format_args!(
            "{more} more keys have concurrent values; CONTEXT(value) selects what resolves them"
        ));
    }
    console.end_of_parts(&mut parts, answer().grid())?;
    Ok(thought)
}

/// Whether a person wants more.
async fn goes_on() -> Result<bool, ShellError> {
    let asked = tokio::task::spawn_blocking(|| match DefaultEditor::new()?.readline(QUESTION) {
        Ok(line) => Ok(!line.trim().eq_ignore_ascii_case("q")),
        Err(ReadlineError::Interrupted | ReadlineError::Eof) => Ok(false),
        Err(error) => Err(error),
    });
    asked.await.map_err(io::Error::other)?.map_err(|error| io::Error::other(error.to_string()).into())
}

const QUESTION: &str = "-- Enter for more, q to end: ";
/// Rows fetched at a time, unless fewer are wanted.
const PAGE_ROWS: u32 = 500;
/// Keys with concurrent values of which it is said how to resolve them.
const CONFLICTS_SHOWN: usize = 10;
