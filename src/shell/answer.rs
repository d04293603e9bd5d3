//! Answers to reads as rows, and what to do about concurrent values.

use bytes::Bytes;
use quorate_ring::{TableKind, WallMicros};

use super::clock::wall_now;
use crate::{
    client::{ComparedAndSet, Context, Read, ScannedRow},
    cql::{
        Column, Term,
        render::{Cell, Format, Grid},
    },
    wire::VersionedValue,
};

/// What was read of a table, in rows that suit the format.
///
/// For people and for programs that split lines each value stands in a row of its own. In JSON the rows of a
/// `siblings` table are keys: their `values` are a list and `context` stands beside it, whether there are
/// concurrent values or not, so that a program meets one shape. CSV has the `context` in a column.
#[derive(Debug)]
pub struct Answer {
    table: String,
    columns: Vec<Column>,
    lists: bool,
    now: WallMicros,
    grid: Grid,
    /// Statements that would resolve concurrent values, each with what it is about.
    conflicts: Vec<String>,
}

impl Answer {
    /// Begins with no row.
    pub fn new(table: &str, kind: TableKind, columns: &[Column], format: Format) -> Self {
        let mut columns = columns.to_vec();
        let says_context = format.is_json() || format == Format::Csv;
        if kind == TableKind::Siblings && says_context && !columns.contains(&Column::Context) {
            columns.push(Column::Context);
        }
        let lists = kind == TableKind::Siblings && format.is_json();
        let name = |column: &Column| match column {
            Column::Value if lists => "values",
            column => column.name(),
        };
        let names: Vec<_> = columns.iter().map(name).collect();
        let (table, conflicts) = (table.to_owned(), Vec::new());
        Self { table, columns, lists, now: wall_now(), grid: Grid::new(&names), conflicts }
    }

    /// Adds what was read of `key`: nothing if it is absent.
    pub fn push(&mut self, key: &Bytes, read: &Read) {
        self.push_versions(key, read.versions(), &read.context());
    }

    /// Adds a row of a scan.
    pub fn push_row(&mut self, row: &ScannedRow) {
        self.push_versions(row.key(), row.versions(), &row.context());
    }

    fn push_versions(&mut self, key: &Bytes, versions: &[VersionedValue], context: &Context) {
        let of_version = |column: &Column| !matches!(column, Column::Key | Column::Context);
        let cell = |column: Column, version: &VersionedValue| match column {
            Column::Key => Cell::Bytes(key.clone()),
            Column::Context if context.is_empty() => Cell::Null,
            Column::Context => Cell::Text(context.to_string()),
            column => version_cell(column, version, self.now),
        };
        if self.lists {
            if let Some(first) = versions.first() {
                let list = |column| versions.iter().map(|version| cell(column, version)).collect();
                let row = self.columns.iter().map(|&column| match column {
                    column if of_version(&column) => Cell::Cells(list(column)),
                    column => cell(column, first),
                });
                self.grid.push(row.collect());
            }
        } else {
            let rows = if self.columns.iter().any(of_version) { versions.len() } else { 1 };
            for version in versions.iter().take(rows) {
                self.grid.push(self.columns.iter().map(|&column| cell(column, version)).collect());
            }
        }
        if versions.len() > 1 && !self.columns.contains(&Column::Context) {
            self.conflicts.push(format!(
                "{} has {} concurrent values; write the one that replaces them with\n  {}",
                term(key),
                versions.len(),
                resolution(&self.table, key, context)
            ));
        }
    }

    /// The rows.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// For each key with concurrent values how they are replaced by one, unless the rows hold the contexts.
    pub fn conflicts(&self) -> &[String] {
        &self.conflicts
    }
}

/// What became of a conditional write: whether it was applied, and what the key holds instead of what was expected.
pub(super) fn compared(compared: &ComparedAndSet, format: Format) -> Grid {
    let is_applied = compared.is_applied();
    let mut columns = vec![("applied", Cell::Flag(is_applied))];
    // Programs meet one shape.
    if !is_applied || !format.is_for_people() {
        columns.push(("value", compared.found().cloned().map_or(Cell::Null, Cell::Bytes)));
    }
    let (names, row): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let mut grid = Grid::new(&names);
    grid.push(row);
    grid
}

/// The statement that replaces the values that `context` covers.
pub(super) fn resolution(table: &str, key: &Bytes, context: &Context) -> String {
    format!("UPDATE {table} SET value = '..' WHERE key = {} WITH CONTEXT '{context}';", term(key))
}

/// A key as the language writes it.
pub(super) fn term(key: &Bytes) -> Term {
    Term::of(key)
}

fn version_cell(column: Column, version: &VersionedValue, now: WallMicros) -> Cell {
    match column {
        Column::WriteTime => Cell::Number(version.tag.hlc.wall().0),
        Column::Version => Cell::Text(version.tag.to_string()),
        Column::Ttl => version.expires.map_or(Cell::Null, |expires| {
            Cell::Number(expires.wall().0.saturating_sub(now.0).div_ceil(1_000_000))
        }),
        _ => Cell::Bytes(version.value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use quorate_ring::{Actor, Consistency, Epoch, Hlc, NodeId, Tag};

    use super::*;
    use crate::wire::{Got, Receipt};

    fn read(values: &[(&'static str, Option<u64>)]) -> Read {
        let values = values.iter().enumerate().map(|(at, &(value, expires_ms))| VersionedValue {
            value: value.into(),
            tag: Tag { hlc: Hlc::from_wall(WallMicros(1_000_000 + at as u64 * 1_000)), actor: Actor(7) },
            expires: expires_ms.map(|ms| Hlc::from_wall(WallMicros(ms * 1_000))),
        });
        let receipt = Receipt {
            coordinator: NodeId(1),
            epoch: Epoch(0),
            consistency: Consistency::Quorum,
            replicas: Vec::new(),
            answered: Vec::new(),
            tag: None,
            repaired: false,
            monotone: false,
            rounds: 1,
            reports: Vec::new(),
            hinted: Vec::new(),
            forwarded_by: None,
            operation: None,
            request_id: None,
        };
        Read::new(Got { values: values.collect(), context: Bytes::from_static(&[0xc0]), receipt })
    }

    fn rendered(columns: &[Column], format: Format) -> (String, Vec<String>) {
        let mut answer = Answer::new("carts", TableKind::Siblings, columns, format);
        answer.now = WallMicros(2_000_000);
        answer.push(&"both".into(), &read(&[("x", None), ("y", Some(3_500))]));
        answer.push(&"absent".into(), &read(&[]));
        answer.push(&Bytes::from_static(&[0xff]), &read(&[("z", Some(1_000))]));
        let mut out = Vec::new();
        answer.grid().write(format, &mut out).expect("a Vec takes everything");
        (String::from_utf8(out).expect("text"), answer.conflicts().to_vec())
    }

    #[test]
    fn siblings_stand_in_rows_with_the_way_to_resolve_them() {
        let (rows, conflicts) = rendered(&[Column::Key, Column::Value], Format::Raw);
        assert_eq!(rows, "both\tx\nboth\ty\n0xff\tz\n");
        assert_eq!(
            conflicts,
            ["'both' has 2 concurrent values; write the one that replaces them with\n  \
              UPDATE carts SET value = '..' WHERE key = 'both' WITH CONTEXT 'c0';"]
        );
    }

    #[test]
    fn json_has_one_shape_for_one_value_and_for_many() {
        let (rows, conflicts) = rendered(&[Column::Value, Column::Ttl], Format::Jsonl);
        assert_eq!(
            rows,
            "{\"context\":\"c0\",\"ttl(value)\":[null,2],\"values\":[\"x\",\"y\"]}\n\
             {\"context\":\"c0\",\"ttl(value)\":[0],\"values\":[\"z\"]}\n"
        );
        assert!(conflicts.is_empty(), "the rows hold the contexts");
    }

    #[test]
    fn csv_has_the_context_in_a_column() {
        let (rows, _) = rendered(&[Column::Value, Column::WriteTime], Format::Csv);
        assert_eq!(rows, "value,writetime(value),context\nx,1000000,c0\ny,1001000,c0\nz,1000000,c0\n");
    }

    #[test]
    fn what_is_asked_of_a_key_stands_once() {
        let (rows, conflicts) = rendered(&[Column::Key, Column::Context], Format::Raw);
        assert_eq!((rows.as_str(), conflicts.len()), ("both\tc0\n0xff\tc0\n", 0));
    }

    #[test]
    fn other_tables_have_plain_rows_in_json() {
        let mut answer = Answer::new("t", TableKind::Register, &[Column::Value], Format::Jsonl);
        answer.push(&"k".into(), &read(&[("x", None)]));
        let mut out = Vec::new();
        answer.grid().write(Format::Jsonl, &mut out).expect("a Vec takes everything");
        assert_eq!(out, b"{\"value\":\"x\"}\n");
    }
}
