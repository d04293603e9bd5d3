//! How far a COPY .. FROM has come, in a file beside the CSV file unless another one is named.

use std::{fs, io, time::UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{copy::Options, progress_file::ProgressFile};
use crate::cql::CopyFrom;

/// Where a row begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    /// From the start of the file, in bytes.
    pub(super) byte: u64,
    /// Its line, from 1.
    pub(super) line: u64,
}

impl Place {
    pub(super) fn of(position: &csv::Position) -> Self {
        Self { byte: position.byte(), line: position.line() }
    }
}

/// What is copied. Another table, another way to read the file, or another file of its name is another copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copied {
    table: String,
    header: bool,
    delimiter: u8,
    file_bytes: u64,
    /// Since 1970.
    file_modified_ns: u64,
}

impl ProgressFile<Copied> {
    /// That of what `request` asks for.
    pub(super) fn of_copy(request: &CopyFrom, options: &Options) -> io::Result<Self> {
        let metadata = fs::metadata(&request.file)?;
        let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let of = Copied {
            table: request.table.clone(),
            header: options.header,
            delimiter: options.delimiter,
            file_bytes: metadata.len(),
            file_modified_ns: u64::try_from(modified.as_nanos()).unwrap_or(u64::MAX),
        };
        let path = options.progress.clone().unwrap_or_else(|| format!("{}.progress", request.file));
        Ok(Self::new(path.into(), of))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "what is copied is a file")]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_copy_of_the_same_file_goes_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("x.csv").to_string_lossy().into_owned();
        fs::write(&file, "a,1\nb,2\n").expect("written");
        let request =
            |table: &str| CopyFrom { table: table.to_owned(), file: file.clone(), options: Vec::new() };
        let options = Options::new(&[]);
        let progress = |table: &str| ProgressFile::of_copy(&request(table), &options).expect("a file");
        let place = |table: &str| progress(table).read::<Place>().expect("it can be read");
        let behind_the_first = Place { byte: 4, line: 2 };
        progress("t").save(&behind_the_first).expect("saved");
        assert_eq!((place("t"), place("other")), (Some(behind_the_first), None));
        fs::write(&file, "a,1\nb,2\nc,3\n").expect("written");
        assert_eq!(place("t"), None, "another file has come in its place");
    }
}
