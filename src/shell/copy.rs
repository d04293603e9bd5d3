//! COPY .. FROM: rows of a CSV file into a table.
//!
//! How far it has come stands in a file, beside the CSV file by default, which goes when the copy is whole: of the rows before that place
//! each was written or set aside. An interrupted copy goes on there if it is told to; the few rows behind it that were
//! written already are written once more.

#![expect(clippy::disallowed_methods, reason = "COPY reads and writes files")]

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufReader, Seek},
    time::{Duration, Instant},
};

use bytes::Bytes;
use csv::ByteRecord;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;

use super::{
    Console, ShellError,
    copy_progress::{Copied, Place},
    counted::counted,
    progress_file::ProgressFile,
    rejects::Rejects,
};
use crate::{
    client::{TableHandle, WriteError},
    cql::{CopyFrom, CopyOption, SessionLevel},
    wire::KEY_BYTES_MAX,
};

/// Writes the rows of a file, many at once; of rows with the same key the later is written later. Rows that are
/// malformed or whose write fails go with the reason into a file beside; none of them stops the others before
/// there are `maxerrors`.
pub(super) async fn copy_from(
    table: &TableHandle,
    request: &CopyFrom,
    level: SessionLevel,
    console: &Console,
) -> Result<(), ShellError> {
    let options = Options::new(&request.options);
    let fail = |reason: String| ShellError::File { file: request.file.clone(), reason };
    let file = File::open(&request.file).map_err(|error| fail(error.to_string()))?;
    let bytes = file.metadata().map_err(|error| fail(error.to_string()))?.len();
    let mut rows = Rows::open(BufReader::new(file), &options).map_err(fail)?;
    let progress = ProgressFile::of_copy(request, &options).map_err(|error| fail(error.to_string()))?;
    let from = go_on(&progress, &options, console)?;
    match &from {
        Some(place) => rows.go_to(place).map_err(fail)?,
        // Whoever gives the copy up before it is saved for the first time goes on here, unless an earlier one had come further.
        None if progress.read::<Place>()?.is_none() => progress.save(&rows.place())?,
        None => {}
    }
    let mut copy = Copy {
        table: table.clone(),
        level,
        rejects: Rejects::new(progress.rejects(), REJECTS_HEADER, from.is_some()),
        in_flight: JoinSet::new(),
        keys: BTreeSet::new(),
        open: BTreeSet::new(),
        written: 0,
    };
    let mut saved_at = Instant::now();
    let bar = progress_bar(bytes, rows.position());
    let mut stopped = false;
    while let Some(row) = rows.next().map_err(fail)? {
        if row.place.line % PROGRESS_EVERY == 0 {
            bar.set_position(rows.position());
            bar.set_message(copy.progress_text(bar.elapsed()));
        }
        match row.content {
            Ok((key, value)) => copy.put(row.place, key, value, options.in_flight).await?,
            Err((record, reason)) => copy.reject(row.place.line, record.get(0), record.get(1), &reason)?,
        }
        stopped = copy.rejects.count() >= options.errors_max;
        if stopped {
            break;
        }
        if saved_at.elapsed() >= SAVED_EVERY {
            saved_at = Instant::now();
            copy.rejects.flush()?;
            progress.save(&copy.open.first().copied().unwrap_or(rows.place()))?;
        }
    }
    while copy.settle_one().await? {}
    let took = bar.elapsed();
    bar.finish_and_clear();
    match stopped {
        true => progress.save(&rows.place())?,
        false => progress.remove(),
    }
    let Copy { written, rejects, .. } = copy;
    let (rejected, rejects) = rejects.finish()?;
    if rejected > 0 {
        return Err(ShellError::CopyRejected { written, rejected, stopped, rejects });
    }
    console.note(format_args!("COPY wrote {} in {:.1} s", counted(written, "row"), took.as_secs_f64()));
    Ok(())
}

/// Where an interrupted copy had come to, if it is to go on there.
fn go_on(
    progress: &ProgressFile<Copied>,
    options: &Options,
    console: &Console,
) -> Result<Option<Place>, ShellError> {
    progress.try_out("progress = 'FILE' keeps it elsewhere")?;
    if options.resume {
        let place: Place =
            progress.known("COPY of this file as it is into this table", "without resume it begins")?;
        console.note(format_args!("COPY goes on at line {}", place.line));
        return Ok(Some(place));
    }
    if let Some(Place { line, .. }) = progress.read()? {
        console.note(format_args!(
            "an earlier COPY of this file had come to line {line}; WITH resume = true goes on there"
        ));
    }
    Ok(None)
}

/// The options of the statement over the defaults.
pub(super) struct Options {
    pub(super) header: bool,
    pub(super) delimiter: u8,
    in_flight: usize,
    errors_max: u64,
    resume: bool,
    /// Where it is kept how far it has come, if not beside the file.
    pub(super) progress: Option<String>,
}

impl Options {
    pub(super) fn new(options: &[CopyOption]) -> Self {
        let mut all = Self {
            header: false,
            delimiter: b',',
            in_flight: 128,
            errors_max: 1000,
            resume: false,
            progress: None,
        };
        for option in options {
            match option {
                CopyOption::Header(header) => all.header = *header,
                CopyOption::Delimiter(delimiter) => all.delimiter = *delimiter,
                CopyOption::InFlight(rows) => all.in_flight = usize::from(*rows),
                CopyOption::MaxErrors(rows) => all.errors_max = *rows,
                CopyOption::Resume(resume) => all.resume = *resume,
                CopyOption::Progress(file) => all.progress = Some(file.clone()),
            }
        }
        all
    }
}

/// Rows on their way into the table.
struct Copy {
    table: TableHandle,
    level: SessionLevel,
    rejects: Rejects,
    in_flight: JoinSet<Settled>,
    /// Keys in flight: the next row with one of them waits.
    keys: BTreeSet<Bytes>,
    /// Where the rows in flight begin.
    open: BTreeSet<Place>,
    written: u64,
}

/// A row whose write has ended.
struct Settled {
    place: Place,
    key: Bytes,
    value: Bytes,
    result: Result<(), WriteError>,
}

impl Copy {
    async fn put(
        &mut self,
        place: Place,
        key: Bytes,
        value: Bytes,
        in_flight: usize,
    ) -> Result<(), ShellError> {
        while self.in_flight.len() >= in_flight || self.keys.contains(&key) {
            self.settle_one().await?;
        }
        self.keys.insert(key.clone());
        self.open.insert(place);
        // A row says what its key is to hold: sending it again when nobody knows whether it arrived changes nothing.
        let mut put = self.table.put(key.clone(), value.clone()).idempotent(true);
        if let SessionLevel::Level(level) = self.level {
            put = put.consistency(level);
        }
        self.in_flight.spawn(async move {
            let result = put.await.map(drop);
            Settled { place, key, value, result }
        });
        Ok(())
    }

    /// Waits for one row; whether there was any.
    async fn settle_one(&mut self) -> Result<bool, ShellError> {
        let Some(settled) = self.in_flight.join_next().await else { return Ok(false) };
        let Settled { place, key, value, result } = settled.map_err(io::Error::other)?;
        self.keys.remove(&key);
        self.open.remove(&place);
        match result {
            Ok(()) => self.written += 1,
            Err(error) => self.reject(place.line, Some(&key), Some(&value), &error.to_string())?,
        }
        Ok(true)
    }

    /// What was done in the time since this run began.
    fn progress_text(&self, took: Duration) -> String {
        let per_second = self.written as f64 / took.as_secs_f64().max(SHORTEST_S);
        let rows = counted(self.written, "row");
        format!("{rows}, {per_second:.0} a second, {} rejected", self.rejects.count())
    }

    fn reject(
        &mut self,
        line: u64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        reason: &str,
    ) -> Result<(), ShellError> {
        let line = line.to_string();
        self.rejects.write([
            line.as_bytes(),
            key.unwrap_or_default(),
            value.unwrap_or_default(),
            reason.as_bytes(),
        ])
    }
}

/// The rows of a CSV file.
struct Rows<R> {
    csv: csv::Reader<R>,
    /// Where the key and the value stand.
    columns: (usize, usize),
}

/// A row: key and value, or the record with what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    place: Place,
    content: Result<(Bytes, Bytes), (ByteRecord, String)>,
}

impl<R: io::Read> Rows<R> {
    /// Begins to read; the error says what is wrong with the header.
    fn open(input: R, options: &Options) -> Result<Self, String> {
        let mut csv = csv::ReaderBuilder::new()
            .has_headers(options.header)
            .flexible(true)
            .delimiter(options.delimiter)
            .from_reader(input);
        let mut columns = (0, 1);
        if options.header {
            let header = csv.byte_headers().map_err(|error| error.to_string())?;
            let find = |name: &str| {
                let found = header
                    .iter()
                    .position(|column| column.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
                found.ok_or_else(|| format!("the header names no column '{name}'"))
            };
            columns = (find("key")?, find("value")?);
            if header.len() != 2 {
                return Err(format!(
                    "the header names {}, a table has two: key and value",
                    counted(header.len() as u64, "column")
                ));
            }
        }
        Ok(Self { csv, columns })
    }

    /// The next row; the error says why the file cannot be read further.
    fn next(&mut self) -> Result<Option<Row>, String> {
        let mut record = ByteRecord::new();
        if !self.csv.read_byte_record(&mut record).map_err(|error| error.to_string())? {
            return Ok(None);
        }
        let place = record.position().map_or(Place { byte: 0, line: 0 }, Place::of);
        let (key, value) = self.columns;
        let content = match (record.len(), record.get(key), record.get(value)) {
            (2, Some(key), _) if !(1..=KEY_BYTES_MAX).contains(&key.len()) => {
                Err(format!("key of {} bytes: 1 to {KEY_BYTES_MAX} are allowed", key.len()))
            }
            (2, Some(key), Some(value)) => Ok((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))),
            (count, ..) => Err(format!("{} instead of 2", counted(count as u64, "column"))),
        };
        Ok(Some(Row { place, content: content.map_err(|reason| (record, reason)) }))
    }

    /// Where the next row begins.
    fn place(&self) -> Place {
        Place::of(self.csv.position())
    }

    /// Bytes of the file read so far.
    fn position(&self) -> u64 {
        self.csv.position().byte()
    }
}

impl<R: io::Read + Seek> Rows<R> {
    /// Goes on with the row that begins at `place`.
    fn go_to(&mut self, place: &Place) -> Result<(), String> {
        let mut position = csv::Position::new();
        position.set_byte(place.byte).set_line(place.line);
        self.csv.seek(position).map_err(|error| error.to_string())
    }
}

/// How much of so many bytes is done, the first `from` of them by an earlier run: the time left is judged by this run alone.
/// Shown on a terminal only.
pub(super) fn progress_bar(bytes: u64, from: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template("{bar:16} {percent}% {msg} {elapsed}, {eta} left") {
        bar.set_style(style);
    }
    if from > 0 {
        bar.set_position(from);
        bar.tick();
        bar.reset_eta();
    }
    bar
}

const REJECTS_HEADER: &[&str] = &["line", "key", "value", "reason"];
const PROGRESS_EVERY: u64 = 64;
/// Nothing is measured in less.
const SHORTEST_S: f64 = 1e-3;
const SAVED_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, options: &[CopyOption]) -> Result<Vec<Row>, String> {
        let mut rows = Rows::open(text.as_bytes(), &Options::new(options))?;
        std::iter::from_fn(|| rows.next().transpose()).collect()
    }

    #[test]
    fn the_time_left_is_judged_by_what_this_run_did() {
        let bar = progress_bar(100, 45);
        assert_eq!(bar.position(), 45);
        // A slower machine makes the time left longer.
        std::thread::sleep(Duration::from_millis(20));
        bar.set_position(46);
        bar.tick();
        assert!(bar.eta() > Duration::from_millis(20 * 54 / 2), "{:?} for 54 of 1 each", bar.eta());
    }

    #[test]
    fn reads_rows_with_quotes_line_ends_and_any_bytes() {
        let rows = rows("a,1\n\"b\nb\",\"x, \"\"y\"\"\"\nc,\n", &[]).expect("rows");
        let good: Vec<_> =
            rows.into_iter().map(|row| (row.place.line, row.content.expect("a good row"))).collect();
        let row =
            |line, key: &'static str, value: &'static str| (line, (Bytes::from(key), Bytes::from(value)));
        assert_eq!(good, [row(1, "a", "1"), row(2, "b\nb", "x, \"y\""), row(4, "c", "")]);
    }

    #[test]
    fn goes_on_where_any_row_begins() {
        let text = "key,value\na,1\n\"b\nb\",\"x\"\n\nc,\nd,4\n";
        let options = Options::new(&[CopyOption::Header(true)]);
        let open = || Rows::open(io::Cursor::new(text), &options).expect("rows");
        let rest = |rows: &mut Rows<_>| -> Vec<_> {
            std::iter::from_fn(|| rows.next().expect("a row")).map(|row| (row.place, row.content)).collect()
        };
        let all = rest(&mut open());
        assert_eq!(all.len(), 4);
        for at in 0..all.len() {
            let mut rows = open();
            rows.go_to(&all[at].0).expect("a place");
            assert_eq!(rest(&mut rows), all[at..]);
        }
        let mut rows = open();
        rows.next().expect("a row");
        let place = rows.place();
        let mut other = open();
        other.go_to(&place).expect("a place");
        assert_eq!(other.next().expect("a row").map(|row| row.content), Some(all[1].1.clone()));
    }

    #[test]
    fn a_header_says_which_column_is_which() {
        let options = [CopyOption::Header(true), CopyOption::Delimiter(b';')];
        let read = rows("Value;Key\n1;a\n", &options).expect("rows");
        assert_eq!(read[0].content, Ok(("a".into(), "1".into())));
        assert_eq!(rows("a;b\n", &options), Err("the header names no column 'key'".to_owned()));
        assert!(rows("key;value;more\n", &options).is_err());
    }

    #[test]
    fn rejects_malformed_rows_with_their_lines_and_reasons() {
        let read = rows("a,1\nb\nc,1,2\n,empty\nd,4\n", &[]).expect("rows");
        let wrong: Vec<_> = read
            .into_iter()
            .filter_map(|row| row.content.err().map(|(_, reason)| (row.place.line, reason)))
            .collect();
        let expected = [
            (2, "1 column instead of 2"),
            (3, "3 columns instead of 2"),
            (4, &format!("key of 0 bytes: 1 to {KEY_BYTES_MAX} are allowed")),
        ];
        assert_eq!(wrong, expected.map(|(line, reason)| (line, reason.to_owned())));
    }
}
