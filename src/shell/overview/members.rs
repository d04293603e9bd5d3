//! The members of a cluster: a table that fits a screen, for people, and all of them for programs.

use std::{collections::BTreeSet, fmt};

use quorate_ring::{NodeId, Ring};

use super::state;
use crate::{
    cql::render::{Cell, Grid},
    units::rounded_bytes_text,
    wire::NodeStatus,
};

/// What there is to say of a member.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    node: NodeId,
    name: String,
    rack: String,
    state: &'static str,
    epoch: Option<u64>,
    requests_per_s: Option<u64>,
    hints: Option<u64>,
    agreed_s_ago: Option<u64>,
    disk_used: Option<u64>,
    disk_free: Option<u64>,
    is_well: bool,
}

/// A row for each member. Of those in `troubled` something was said already.
pub(super) fn rows(ring: &Ring, nodes: &[NodeStatus], troubled: &BTreeSet<NodeId>) -> Vec<Row> {
    let row = |status: &NodeStatus| {
        let member = ring.member(status.node);
        let vitals = status.vitals.as_ref();
        Row {
            node: status.node,
            name: member.map(|member| member.name.clone()).unwrap_or_default(),
            rack: member.map(|member| member.rack.clone()).unwrap_or_default(),
            state: state(status),
            epoch: status.progress.as_ref().map(|progress| progress.epoch.0),
            requests_per_s: vitals.map(|vitals| vitals.requests_per_s),
            hints: vitals.map(|vitals| vitals.hints),
            agreed_s_ago: vitals.and_then(|vitals| vitals.agreed_ago_s),
            disk_used: vitals.map(|vitals| vitals.disk_used),
            disk_free: vitals.map(|vitals| vitals.disk_free),
            is_well: !troubled.contains(&status.node),
        }
    };
    nodes.iter().map(row).collect()
}

/// For programs.
pub(super) fn grid(rows: &[Row]) -> Grid {
    let mut grid = Grid::new(&[
        "node",
        "name",
        "rack",
        "state",
        "epoch",
        "requests_per_s",
        "hints",
        "agreed_s_ago",
        "disk_used_bytes",
        "disk_free_bytes",
    ]);
    let number = |number: Option<u64>| number.map_or(Cell::Null, Cell::Number);
    for row in rows {
        grid.push(vec![
            Cell::Text(row.node.to_string()),
            Cell::Text(row.name.clone()),
            Cell::Text(row.rack.clone()),
            Cell::Text(row.state.to_owned()),
            number(row.epoch),
            number(row.requests_per_s),
            number(row.hints),
            number(row.agreed_s_ago),
            number(row.disk_used),
            number(row.disk_free),
        ]);
    }
    grid
}

/// For people: everybody in a small cluster; in a large one those that are not well, and how many are.
pub(super) struct Screen<'r>(pub(super) &'r [Row]);

impl fmt::Display for Screen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0;
        let worth: Vec<_> = all.iter().filter(|row| all.len() <= ROWS_MAX || !row.is_well).collect();
        let shown = &worth[..worth.len().min(ROWS_MAX)];
        if !shown.is_empty() {
            writeln!(f)?;
            write_table(f, &columns(all), shown)?;
        }
        let well = all.iter().filter(|row| row.is_well).count();
        let unshown_well = well - shown.iter().filter(|row| row.is_well).count();
        let all = all.len();
        match (worth.len() - shown.len(), unshown_well) {
            (0, 0) => Ok(()),
            (0, unshown) => write!(f, "\n  {unshown} of {all} nodes are well and not shown"),
            (more, _) => {
                write!(f, "\n  {more} more that are not well are not shown; {well} of {all} nodes are well")
            }
        }
    }
}

/// A column: its title, what it says of a row, and whether that is a number.
type Column = (&'static str, fn(&Row) -> String, bool);

/// Those that tell something of these rows.
fn columns(rows: &[Row]) -> Vec<Column> {
    let epochs: BTreeSet<_> = rows.iter().filter_map(|row| row.epoch).collect();
    let columns: [(Column, bool); 8] = [
        (("node", |row| row.node.to_string(), false), true),
        (("name", |row| cut(&row.name), false), rows.iter().any(|row| row.name != row.node.to_string())),
        (("rack", |row| cut(&row.rack), false), rows.iter().any(|row| !row.rack.is_empty())),
        (("state", |row| row.state.to_owned(), false), true),
        (("epoch", |row| text(row.epoch), true), epochs.len() > 1),
        (("requests/s", |row| text(row.requests_per_s), true), true),
        (("hints", |row| text(row.hints), true), true),
        (("disk free", |row| row.disk_free.map_or_else(|| text(None), rounded_bytes_text), true), true),
    ];
    columns.into_iter().filter_map(|(column, tells)| tells.then_some(column)).collect()
}

fn text(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// What is long would break the lines; the id says who it is.
fn cut(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}

fn write_table(f: &mut fmt::Formatter<'_>, columns: &[Column], rows: &[&Row]) -> fmt::Result {
    let mut lines = vec![columns.iter().map(|(title, ..)| (*title).to_owned()).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| columns.iter().map(|(_, cell, _)| cell(row)).collect()));
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    for line in &lines {
        let mut out = String::new();
        for ((cell, width), (_, _, is_number)) in line.iter().zip(&widths).zip(columns) {
            match is_number {
                true => out.push_str(&format!("  {cell:>width$}")),
                false => out.push_str(&format!("  {cell:width$}")),
            }
        }
        write!(f, "\n{}", out.trim_end())?;
    }
    Ok(())
}

const NAME_CHARS_MAX: usize = 12;
/// The most rows of a screen.
const ROWS_MAX: usize = 12;
