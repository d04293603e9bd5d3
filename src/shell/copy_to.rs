//! COPY .. TO: a table into a CSV file.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::NamedTempFile;

use super::{Console, ShellError, counted::counted};
use crate::{
    client::TableHandle,
    cql::{CopyOption, CopyTo, SessionLevel},
};

/// Writes every key and value of a table, in the order of a scan, as bytes: what COPY .. FROM makes the same rows of. A key
/// with concurrent values has a row for each of them, and how many such keys there are is said; COPY .. FROM would keep
/// the last of each.
///
/// The rows go into a file beside, which takes the name when it is whole and on the disk: a file of that name is a
/// whole copy, and an earlier one is there until then.
pub(super) async fn copy_to(
    table: &TableHandle,
    request: &CopyTo,
    level: SessionLevel,
    console: &Console,
) -> Result<(), ShellError> {
    let fail = |reason: String| ShellError::File { file: request.file.clone(), reason };
    let mut file = Output::open(request).map_err(|error| fail(error.to_string()))?;
    let mut scan = table.scan().page_rows(PAGE_ROWS);
    if let SessionLevel::Level(level) = level {
        scan = scan.consistency(level);
    }
    let bar = progress_bar();
    let (mut rows, mut conflicted) = (0_u64, 0_u64);
    while let Some(page) = scan.next_page().await? {
        for row in &page.rows {
            file.write(row.key(), row.values()).map_err(|error| fail(error.to_string()))?;
            rows += row.values().len() as u64;
            conflicted += u64::from(row.is_conflicted());
        }
        bar.set_message(format!(
            "{}, {:.0} a second",
            counted(rows, "row"),
            rows as f64 / bar.elapsed().as_secs_f64()
        ));
        bar.tick();
    }
    let took = bar.elapsed();
    bar.finish_and_clear();
    let name = request.file.clone();
    let kept = tokio::task::spawn_blocking(move || file.keep(Path::new(&name)));
    kept.await.map_err(io::Error::other)?.map_err(|error| fail(error.to_string()))?;
    if conflicted > 0 {
        console.warn(format_args!(
            "concurrent values of {} stand in rows one after the other: COPY .. FROM keeps the last",
            counted(conflicted, "key")
        ));
    }
    console.note(format_args!("COPY wrote {} in {:.1} s", counted(rows, "row"), took.as_secs_f64()));
    Ok(())
}

/// The file that is being written.
struct Output {
    csv: csv::Writer<BufWriter<NamedTempFile>>,
}

impl Output {
    /// Begins a file that is deleted unless it is kept.
    fn open(request: &CopyTo) -> io::Result<Self> {
        let (mut header, mut delimiter) = (false, b',');
        for option in &request.options {
            match option {
                CopyOption::Header(named) => header = *named,
                CopyOption::Delimiter(byte) => delimiter = *byte,
                CopyOption::InFlight(_)
                | CopyOption::MaxErrors(_)
                | CopyOption::Resume(_)
                | CopyOption::Progress(_) => {}
            }
        }
        let dir = Path::new(&request.file).parent().filter(|dir| !dir.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        builder.prefix(".copy-").suffix(".csv");
        // Temporary files are for their owner alone; this one becomes a file like any other.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(dir.unwrap_or(Path::new(".")))?;
        let mut csv = csv::WriterBuilder::new().delimiter(delimiter).from_writer(BufWriter::new(file));
        if header {
            csv.write_record(["key", "value"])?;
        }
        Ok(Self { csv })
    }

    fn write(&mut self, key: &Bytes, values: &[Bytes]) -> io::Result<()> {
        values.iter().try_for_each(|value| self.csv.write_record([key, value])).map_err(io::Error::from)
    }

    /// Gives the file its name once it is on the disk.
    fn keep(self, name: &Path) -> io::Result<()> {
        let writer = self.csv.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.flush()?;
        file.as_file().sync_all()?;
        file.persist(name).map(drop).map_err(|error| error.error)
    }
}

/// Shown on a terminal only. Nobody knows how many rows there are.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

const PAGE_ROWS: u32 = 1_000;
