//! From answers to text.

use std::io::{self, Write};

use bytes::Bytes;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use crate::units::rounded_bytes_text;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for people, as wide as their terminal at most.
    Table,
    /// Each row by itself, a column a line, for people.
    Expanded,
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// CSV with a header.
    Csv,
    /// Tab-separated, no header; a single column stands as it is.
    Raw,
}

impl Format {
    /// Whether it is for people, who are told more than data.
    pub const fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Expanded)
    }

    /// Whether rows are objects, which can hold lists.
    pub const fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Jsonl)
    }
}

/// Rows under named columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// One answer that comes in parts, each a [`Grid`] with the same columns: the parts read as one, but a table for people
/// stands for each.
#[derive(Debug)]
pub struct Parts {
    format: Format,
    begun: bool,
    rows: u64,
}

impl Parts {
    /// No part yet.
    pub fn new(format: Format) -> Self {
        Self { format, begun: false, rows: 0 }
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes a part.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&mut self, part: &Grid, out: &mut impl Write) -> io::Result<()> {
        let is_first = !std::mem::replace(&mut self.begun, true);
        let rows_before = self.rows;
        self.rows += part.len() as u64;
        match self.format {
            Format::Json => (rows_before..).zip(part.objects()).try_for_each(|(at, object)| {
                let object = format!("{object:#}").replace('\n', "\n  ");
                write!(out, "{}\n  {object}", if at == 0 { "[" } else { "," })
            }),
            Format::Csv if is_first => part.write_csv(out),
            Format::Csv => part.write_csv_rows(out),
            Format::Table if part.is_empty() => Ok(()),
            Format::Expanded => part.write_expanded(rows_before, out),
            format => part.write(format, out),
        }
    }

    /// Ends the answer; `none` is a grid without rows.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn end(&mut self, none: &Grid, out: &mut impl Write) -> io::Result<()> {
        match self.format {
            Format::Json if self.rows > 0 => writeln!(out, "\n]"),
            Format::Csv if self.begun => Ok(()),
            _ if self.rows > 0 => Ok(()),
            format => none.write(format, out),
        }
    }
}

/// What stands in one place of a [`Grid`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A key or a value: text if it is UTF-8, else `0x..`.
    Bytes(Bytes),
    /// Words of our own.
    Text(String),
    /// A number.
    Number(u64),
    /// A number of bytes: rounded for people.
    Size(u64),
    /// Yes or no.
    Flag(bool),
    /// A list of words of our own.
    List(Vec<String>),
    /// Several cells in one place.
    Cells(Vec<Cell>),
    /// Rows of their own: a list of objects in JSON, and nothing elsewhere.
    Rows(Grid),
    /// Nothing: `null` in tables and JSON, empty elsewhere.
    Null,
}

impl Grid {
    /// A grid without rows.
    pub fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with one cell for each column.
    pub fn push(&mut self, row: Vec<Cell>) {
        assert_eq!(row.len(), self.columns.len(), "a row has one cell for each column");
        self.rows.push(row);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the grid.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, format: Format, out: &mut impl Write) -> io::Result<()> {
        match format {
            Format::Table => self.write_table(out),
            Format::Expanded => self.write_expanded(0, out),
            Format::Json => writeln!(out, "{:#}", Value::Array(self.objects().collect())),
            Format::Jsonl => self.objects().try_for_each(|object| writeln!(out, "{object}")),
            Format::Csv => self.write_csv(out),
            Format::Raw => self.write_raw(out),
        }
    }

    /// These of its columns, but for those that say nothing in any row.
    #[must_use]
    pub fn only(&self, columns: &[&str]) -> Self {
        let place = |name: &&str| self.columns.iter().position(|column| column == name);
        let says =
            |place: &usize| self.rows.is_empty() || self.rows.iter().any(|row| !row[*place].is_nothing());
        let places: Vec<_> = columns.iter().filter_map(place).filter(says).collect();
        Self {
            columns: places.iter().map(|place| self.columns[*place]).collect(),
            rows: self
                .rows
                .iter()
                .map(|row| places.iter().map(|place| row[*place].clone()).collect())
                .collect(),
        }
    }

    /// How it is printed in `format`: rows that stand by themselves instead of a table that is wider than the terminal.
    pub fn fitting(&self, format: Format) -> Format {
        match self.table().width() {
            Some(width @ 1..) if format == Format::Table && self.table_width() > usize::from(width) => {
                Format::Expanded
            }
            _ => format,
        }
    }

    /// How wide the table is if nothing is broken into lines.
    pub fn table_width(&self) -> usize {
        let mut table = self.table();
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.lines().map(|line| line.chars().count()).max().unwrap_or_default()
    }

    fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.table())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_header(self.headings());
        // A terminal that claims to have no columns, such as one that a container has without a screen, knows of no bound.
        let is_bounded = table.width() != Some(0);
        let arrangement = if is_bounded { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
        table.set_content_arrangement(arrangement);
        for row in &self.rows {
            table.add_row(row.iter().map(Cell::shown));
        }
        table
    }

    /// The columns as people read them: sizes that have their units with them need none in the name.
    fn headings(&self) -> Vec<String> {
        let is_size =
            |place: usize| self.rows.iter().all(|row| matches!(row[place], Cell::Size(_) | Cell::Null));
        let heading = |(place, column): (usize, &&str)| match column.strip_suffix("_bytes") {
            Some(name) if is_size(place) => name.replace('_', " "),
            _ => (*column).to_owned(),
        };
        self.columns.iter().enumerate().map(heading).collect()
    }

    /// Each row after a line with its number, the first of which follows `before`.
    fn write_expanded(&self, before: u64, out: &mut impl Write) -> io::Result<()> {
        let headings = self.headings();
        let width = headings.iter().map(String::len).max().unwrap_or_default();
        for (number, row) in (before + 1..).zip(&self.rows) {
            writeln!(out, "-[ row {number} ]-")?;
            for (column, cell) in headings.iter().zip(row) {
                let shown = cell.shown();
                let mut lines = shown.split('\n');
                writeln!(out, "{column:width$} | {}", lines.next().unwrap_or_default())?;
                lines.try_for_each(|line| writeln!(out, "{:width$} | {line}", ""))?;
            }
        }
        Ok(())
    }

    fn objects(&self) -> impl Iterator<Item = Value> {
        self.rows.iter().map(|row| {
            let fields =
                self.columns.iter().zip(row).map(|(column, cell)| ((*column).to_owned(), cell.json()));
            Value::Object(fields.collect::<Map<_, _>>())
        })
    }

    fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        csv::Writer::from_writer(&mut *out).write_record(&self.columns)?;
        self.write_csv_rows(out)
    }

    fn write_csv_rows(&self, out: &mut impl Write) -> io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        for row in &self.rows {
            csv.write_record(row.iter().map(Cell::text))?;
        }
        csv.flush()
    }

    fn write_raw(&self, out: &mut impl Write) -> io::Result<()> {
        for row in &self.rows {
            match &**row {
                [only] => writeln!(out, "{}", only.text())?,
                cells => {
                    let cells: Vec<_> = cells.iter().map(|cell| escape(&cell.text())).collect();
                    writeln!(out, "{}", cells.join("\t"))?;
                }
            }
        }
        Ok(())
    }
}

impl Cell {
    /// The cell as text.
    pub fn text(&self) -> String {
        match self {
            Self::Bytes(bytes) => bytes_text(bytes),
            Self::Text(text) => text.clone(),
            Self::Number(number) | Self::Size(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::List(words) => words.join(" "),
            Self::Cells(cells) => cells.iter().map(Self::text).collect::<Vec<_>>().join(" "),
            Self::Rows(_) | Self::Null => String::new(),
        }
    }

    fn is_nothing(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            Self::List(words) => words.is_empty(),
            Self::Cells(cells) => cells.is_empty(),
            Self::Rows(grid) => grid.is_empty(),
            Self::Bytes(_) | Self::Number(_) | Self::Size(_) | Self::Flag(_) => false,
        }
    }

    /// The cell for people.
    fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Size(bytes) => rounded_bytes_text(*bytes),
            cell => printable(&cell.text()),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Number(number) | Self::Size(number) => json!(number),
            Self::Flag(flag) => json!(flag),
            Self::List(words) => json!(words),
            Self::Cells(cells) => Value::Array(cells.iter().map(Self::json).collect()),
            Self::Rows(grid) => Value::Array(grid.objects().collect()),
            Self::Null => Value::Null,
            other => Value::String(other.text()),
        }
    }
}

/// A key or a value for people: text if it is UTF-8, else `0x..`.
pub fn bytes_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().fold("0x".to_owned(), |hex, byte| hex + &format!("{byte:02x}")),
    }
}

/// Without what would break a column or drive the terminal.
fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() && c != '\n' {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

/// Tabs, line ends and backslashes as `\t`, `\n`, `\r`, `\\`.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(grid: &Grid, format: Format) -> String {
        let mut out = Vec::new();
        grid.write(format, &mut out).expect("a Vec takes everything");
        String::from_utf8(out).expect("text")
    }

    fn grid() -> Grid {
        let mut grid = Grid::new(&["key", "value"]);
        grid.push(vec![Cell::Bytes("a".into()), Cell::Bytes("x, \"y\"\tz\n".into())]);
        grid.push(vec![Cell::Bytes("ü".into()), Cell::Bytes(Bytes::from_static(&[0xff, 0x00]))]);
        grid
    }

    #[test]
    fn programs_can_read_every_format_back() {
        assert_eq!(rendered(&grid(), Format::Raw), "a\tx, \"y\"\\tz\\n\nü\t0xff00\n");
        assert_eq!(rendered(&grid(), Format::Csv), "key,value\na,\"x, \"\"y\"\"\tz\n\"\nü,0xff00\n");
        assert_eq!(
            rendered(&grid(), Format::Jsonl),
            "{\"key\":\"a\",\"value\":\"x, \\\"y\\\"\\tz\\n\"}\n{\"key\":\"ü\",\"value\":\"0xff00\"}\n"
        );
        let json: Value = serde_json::from_str(&rendered(&grid(), Format::Json)).expect("JSON");
        assert_eq!(json[1], json!({"key": "ü", "value": "0xff00"}));
    }

    #[test]
    fn parts_read_as_one() {
        for format in [Format::Json, Format::Jsonl, Format::Csv, Format::Raw] {
            for parts in [&[(0, 2)][..], &[(0, 1), (1, 1), (1, 2)], &[(0, 0), (0, 2)], &[(0, 0)], &[]] {
                let (mut whole, mut out, mut writer) =
                    (Grid::new(&["key", "value"]), Vec::new(), Parts::new(format));
                for (from, to) in parts {
                    let mut part = Grid::new(&["key", "value"]);
                    for row in &grid().rows[*from..*to] {
                        part.push(row.clone());
                        whole.push(row.clone());
                    }
                    writer.write(&part, &mut out).expect("a Vec takes everything");
                }
                writer.end(&Grid::new(&["key", "value"]), &mut out).expect("a Vec takes everything");
                assert_eq!(String::from_utf8(out).expect("text"), rendered(&whole, format), "{parts:?}");
                assert_eq!(writer.rows(), whole.len() as u64);
            }
        }
    }

    #[test]
    fn sizes_need_no_unit_in_their_heading_for_people() {
        let mut grid = Grid::new(&["node", "disk_free_bytes", "sent_bytes"]);
        grid.push(vec![Cell::Text("n1".into()), Cell::Size(11 << 30), Cell::Number(7)]);
        grid.push(vec![Cell::Text("n2".into()), Cell::Null, Cell::Number(8)]);
        for format in [Format::Table, Format::Expanded] {
            let text = rendered(&grid, format);
            assert!(text.contains("disk free ") && !text.contains("disk_free"), "{text}");
            assert!(text.contains("sent_bytes"), "a plain number keeps its unit: {text}");
        }
        assert_eq!(rendered(&grid, Format::Csv).lines().next(), Some("node,disk_free_bytes,sent_bytes"));
        assert!(rendered(&grid, Format::Jsonl).contains("\"disk_free_bytes\":11811160064"));
    }

    #[test]
    fn a_single_column_stands_as_it_is() {
        let mut grid = Grid::new(&["value"]);
        grid.push(vec![Cell::Bytes("tab\there".into())]);
        assert_eq!(rendered(&grid, Format::Raw), "tab\there\n");
    }

    #[test]
    fn tables_stay_in_shape_and_escape_what_drives_terminals() {
        let mut grid = Grid::new(&["key", "value"]);
        grid.push(vec![Cell::Bytes("漢".into()), Cell::Bytes("\u{1b}[31m".into())]);
        let table = rendered(&grid, Format::Table);
        assert!(table.contains("\\u{1b}[31m") && !table.contains('\u{1b}'), "{table}");
    }

    #[test]
    fn expanded_rows_stand_by_themselves_and_parts_number_on() {
        let mut part = Grid::new(&["key", "ttl(value)"]);
        part.push(vec![Cell::Bytes("two\nlines".into()), Cell::Null]);
        let (mut parts, mut out) = (Parts::new(Format::Expanded), Vec::new());
        parts.write(&part, &mut out).expect("a Vec takes everything");
        parts.write(&part, &mut out).expect("a Vec takes everything");
        let row = |n| format!("-[ row {n} ]-\nkey        | two\n           | lines\nttl(value) | null\n");
        assert_eq!(String::from_utf8(out).expect("text"), row(1) + &row(2));
        assert_eq!(rendered(&part, Format::Expanded), row(1));
    }

    #[test]
    fn nothing_is_null_or_empty_and_lists_stay_lists_in_json() {
        let mut grid = Grid::new(&["ttl(value)", "values"]);
        grid.push(vec![Cell::Null, Cell::Cells(vec![Cell::Bytes("x".into()), Cell::Number(7), Cell::Null])]);
        assert_eq!(rendered(&grid, Format::Jsonl), "{\"ttl(value)\":null,\"values\":[\"x\",7,null]}\n");
        assert_eq!(rendered(&grid, Format::Raw), "\tx 7 \n");
        assert_eq!(rendered(&grid, Format::Csv), "ttl(value),values\n,x 7 \n");
        assert!(rendered(&grid, Format::Table).contains("null"));
    }

    #[test]
    fn a_choice_of_columns_leaves_out_what_says_nothing() {
        let mut grid = Grid::new(&["a", "b", "c", "d"]);
        grid.push(vec![Cell::Number(1), Cell::Null, Cell::List(Vec::new()), Cell::Text("x".to_owned())]);
        grid.push(vec![Cell::Number(2), Cell::Null, Cell::List(vec!["n1".to_owned()]), Cell::Null]);
        assert_eq!(rendered(&grid.only(&["d", "b", "c"]), Format::Csv), "d,c\nx,\n,n1\n");
        assert_eq!(rendered(&Grid::new(&["a", "b"]).only(&["b"]), Format::Csv), "b\n", "no rows say nothing");
        assert_eq!(grid.only(&["a", "d"]).table_width(), 12);
    }

    #[test]
    fn yes_and_no_are_booleans_in_json() {
        let mut grid = Grid::new(&["counts", "whole"]);
        grid.push(vec![Cell::Flag(true), Cell::Flag(false)]);
        assert_eq!(rendered(&grid, Format::Jsonl), "{\"counts\":true,\"whole\":false}\n");
        assert_eq!(rendered(&grid, Format::Raw), "true\tfalse\n");
    }

    #[test]
    fn no_rows_are_nothing_or_an_empty_list() {
        let grid = Grid::new(&["value"]);
        assert!(grid.is_empty());
        assert_eq!(rendered(&grid, Format::Raw), "");
        assert_eq!(rendered(&grid, Format::Json), "[]\n");
        assert_eq!(rendered(&grid, Format::Csv), "value\n");
    }
}
