//! SELECT without WHERE: a table in the order of its keys' tokens.

use std::time::Duration;

use super::{
    Answer, Console, ShellError,
    pager::Pager,
    trace::{not_read, receipt_table},
};
use crate::{
    client::{Scan, TableHandle},
    cql::{Column, Paging, Reading, render::Parts},
};

/// What is wanted of a table.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) columns: Vec<Column>,
    /// Keys at most.
    pub(super) limit: Option<u64>,
    pub(super) options: Reading,
    pub(super) paging: Paging,
    /// Whether each page's receipt is printed.
    pub(super) tracing: bool,
}

/// Prints the rows as they come. A person is asked now and then whether to go on; to a program or a file everything is given.
/// Says how long the person took to answer, in all.
pub(super) async fn select_all(
    table: &TableHandle,
    wish: &Wish,
    console: &Console,
) -> Result<Duration, ShellError> {
    let definition = table.definition();
    let answer = || Answer::new(&definition.name, definition.kind, &wish.columns, console.format());
    let mut pager = Pager::new(wish.paging, console);
    let page_rows = pager.asks_after().or(pager.rows_of_a_screen(console.format(), wish.columns.len()));
    let page_rows = page_rows.unwrap_or(PAGE_ROWS).min(PAGE_ROWS);
    let mut left = wish.limit.unwrap_or(u64::MAX);
    let mut scan = wish.limit.into_iter().fold(wish.options.scan(table), Scan::limit);
    let (mut parts, mut shown, mut conflicts) = (Parts::new(console.format()), 0, 0);
    let mut is_cut = false;
    loop {
        scan = scan.page_rows(page_rows);
        let what = format_args!("a page of {}", definition.name);
        let page = scan.next_page().await.map_err(|error| not_read(&what, wish.tracing, error))?;
        let Some(page) = page else { break };
        let mut part = answer();
        page.rows.iter().for_each(|row| part.push_row(row));
        left = left.saturating_sub(page.rows.len() as u64);
        shown += page.rows.len();
        let mut text = Vec::new();
        parts.write(part.grid(), &mut text)?;
        is_cut = !pager.print(&String::from_utf8_lossy(&text)).await?;
        if is_cut {
            break;
        }
        let shown_before = CONFLICTS_SHOWN.min(conflicts);
        conflicts += part.conflicts().len();
        let mut notes: Vec<_> =
            part.conflicts().iter().take(CONFLICTS_SHOWN - shown_before).cloned().collect();
        notes.extend(wish.tracing.then(|| receipt_table(&what.to_string(), &page.receipt)));
        for note in &notes {
            is_cut = is_cut || !pager.note(note, console).await?;
        }
        if is_cut {
            break;
        }
        if left == 0 || page.cursor.is_none() {
            break;
        }
        if pager.asks_after().is_some_and(|rows| shown >= rows as usize) {
            shown = 0;
            if !pager.goes_on().await? {
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
    // Nobody has counted the rows of a part that was cut.
    if !is_cut {
        console.confirm_rows(parts.rows());
    }
    Ok(pager.thought())
}

/// Rows fetched at a time, unless fewer are wanted.
const PAGE_ROWS: u32 = 500;
/// Keys with concurrent values of which it is said how to resolve them.
const CONFLICTS_SHOWN: usize = 10;
